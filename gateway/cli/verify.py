"""``gateway verify``: whether every line of an input came back, once."""

import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import click
import orjson

from gateway.cli.connection import connected, connection_options
from gateway.client.client import ClientError, GatewayClient
from gateway.runner.cpu.verify import Verified, VerifyTask
from gateway.runner.cpu.verify import verify as run
from gateway.units import counted

SHOWN: Final = 5
HELP: Final = """Check that each custom_id of an input came back exactly once, in output or errors.

WHAT is a batch, whose files are downloaded from the gateway, or files on this machine: the input
first, then its output and error files. Exit 0 when they fit, 1 when not.

\b
  gateway verify batch_0123456789abcdef
  gateway verify requests.jsonl requests.output.jsonl requests.error.jsonl
"""


def sentences(found: Verified) -> Iterator[str]:
    """Say everything, for people."""
    for name, digest in found.sha256.items():
        yield f"{name}: sha256 {digest}"
    for word in ("missing", "doubled", "unknown"):
        names: Sequence[str] = getattr(found, word)
        if count := found.counts.get(word, 0):
            some = ", ".join(names[:SHOWN]) + (", …" if count > SHOWN else "")
            yield f"{count} {word}: {some}"
    if found.good:
        yield f"each of {counted(found.lines, 'line')} came back once"


@click.command(short_help="Check that every line came back once.", help=HELP)
@click.argument("what", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@connection_options
def verify(what: tuple[str, ...], as_json: bool, base_url: str, api_key: str) -> None:
    """See HELP."""
    with tempfile.TemporaryDirectory(prefix="gateway-verify-") as scratch:
        if len(what) == 1:
            _refuse_file(what[0])
            with connected(base_url, api_key) as client:
                source, *answers = downloaded(client, what[0], Path(scratch))
        else:
            source, *answers = [_existing(name) for name in what]
        found = run(VerifyTask(scratch, str(source), [*map(str, answers)]))
    if found.broken:
        raise click.ClickException(found.broken)
    if as_json:
        click.echo(orjson.dumps(found).decode())
    else:
        for sentence in sentences(found):
            click.echo(sentence)
    if not found.good:
        raise SystemExit(1)


def _refuse_file(name: str) -> None:
    """Refuse an input by itself: what came back is in its output and error files."""
    if Path(name).exists():
        raise click.ClickException(
            f"{name} is a file: say its output and error files, too, or a batch"
        )


def _existing(name: str) -> Path:
    path = Path(name)
    if not path.is_file():
        raise click.ClickException(f"there is no file {name}")
    return path


def downloaded(client: GatewayClient, batch_id: str, directory: Path) -> list[Path]:
    """Copy a batch's input, output and error file; only a batch that has ended has them."""
    batch = client.batch(batch_id)
    if batch["status"] not in ("completed", "expired", "cancelled"):
        raise ClientError(f"{batch_id} is {batch['status']}: there are no files to check.")
    found = []
    for kind in ("input", "output", "error"):
        file_id = batch.get(f"{kind}_file_id")
        if file_id:
            path = directory / f"{kind}.jsonl"
            with path.open("wb") as file:
                client.download(file_id, file)
            found.append(path)
    return found
