"""``gateway verify``: whether every line of an input came back, once."""

import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from itertools import combinations
from pathlib import Path
from typing import Final

import click
import orjson

from gateway.cli.connection import connected, connection_options
from gateway.cli.inputs import InputFile, named
from gateway.cli.output import printable, say, sentence
from gateway.client.client import ClientError, GatewayClient
from gateway.runner.cpu.verify import Verified, VerifyTask
from gateway.runner.cpu.verify import verify as run
from gateway.units import counted

EXIT_UNFIT: Final = 1
EXIT_NOT_COMPARED: Final = 2
SHOWN: Final = 5
# Kinds of custom_ids that do not fit, and what each is called for people.
_WORDS: Final = {
    "missing": "missing",
    "doubled": "doubled",
    "unknown": "unknown",
    "repeated": "more than once in the input, so that their answers cannot be told apart",
}
HELP: Final = """Check that each custom_id of an input came back exactly once, in output or errors.

WHAT is a batch, whose files are downloaded from the gateway, or files on this machine: the input
first, then its output and error files in any order. Exit 0 when they fit, 1 when not, 2 when they
could not be compared.

\b
  gateway verify batch_0123456789abcdef
  gateway verify requests.jsonl requests.output.jsonl requests.error.jsonl
"""


class _NotComparedError(click.ClickException):
    """There is no gateway, no batch, or a file that is none of a batch."""

    exit_code = EXIT_NOT_COMPARED


@contextmanager
def _compared() -> Iterator[None]:
    """Give whatever goes wrong the exit code of files that could not be compared."""
    try:
        yield
    except click.UsageError:
        raise  # it has that code, and shows how the command is used
    except (OSError, click.ClickException) as error:
        said = sentence(error) if isinstance(error, OSError) else str(error)
        raise _NotComparedError(said) from error


@click.command(short_help="Check that every line came back once.", help=HELP)
@click.argument("what", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@connection_options
@click.pass_context
def verify(
    context: click.Context, what: tuple[str, ...], *, as_json: bool, base_url: str, api_key: str
) -> None:
    """See HELP."""
    with _compared(), tempfile.TemporaryDirectory(prefix="gateway-verify-") as scratch:
        if len(what) == 1:
            _refuse_file(what[0])
            with connected(base_url, api_key) as client:
                files = downloaded(client, what[0], Path(scratch))
        else:
            files = _given(context, what)
        found = run(VerifyTask(scratch, {name: str(path) for name, path in files.items()}))
        if found.broken:
            raise click.ClickException(printable(found.broken))
    if as_json:
        say(orjson.dumps(found))
    else:
        for line in sentences(found):
            say(line)
    if not found.good:
        raise SystemExit(EXIT_UNFIT)


def sentences(found: Verified) -> Iterator[str]:
    """Yield every finding, for people."""
    for name, digest in found.sha256.items():
        yield f"{printable(name)}: sha256 {digest}"
    for kind, word in _WORDS.items():
        names: Sequence[str] = getattr(found, kind)
        if count := found.counts.get(kind, 0):
            some = ", ".join(map(printable, names[:SHOWN])) + (", …" if count > SHOWN else "")
            yield f"{count} {word}: {some}"
    if found.good:
        yield f"each of {counted(found.lines, 'line')} came back once"


def _refuse_file(name: str) -> None:
    """Refuse an input by itself: what came back is in its output and error files."""
    if name and Path(name).exists():
        raise click.ClickException(
            f"{name} is on this machine: name its output and error files after it, or a batch alone"
        )


def _given(context: click.Context, names: Sequence[str]) -> Mapping[str, Path]:
    """Give files of this machine by the names they were typed by. Errors: click.UsageError."""
    kind = InputFile()
    files = [kind.convert(name, None, context) for name in names]
    for (name, one), (again, other) in combinations(zip(names, files, strict=True), 2):
        if one.samefile(other):
            raise click.UsageError(
                f"{again} is the same file as {name}: name the input once, then each file of"
                " answers once"
            )
    return dict(zip(names, files, strict=True))


def downloaded(client: GatewayClient, batch_id: str, directory: Path) -> Mapping[str, Path]:
    """Copy a batch's input, output and error file; only a batch that has ended has them.

    Gives paths by names. Errors: ClientError; OSError.
    """
    batch = client.batch(batch_id)
    if batch["status"] not in ("completed", "expired", "cancelled"):
        raise ClientError(f"{batch_id} is {batch['status']}: there are no files to check.")
    found = {}
    for kind in ("input", "output", "error"):
        file_id = batch.get(f"{kind}_file_id")
        if file_id:
            path = directory / f"{kind}.jsonl"
            with named(path), path.open("wb") as file:
                client.download(file_id, file)
            found[path.name] = path
    return found
