"""``gateway verify``: whether every line of an input came back, once."""

import hashlib
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import click
import orjson

from gateway.cli.connection import connected, connection_options
from gateway.client.client import ClientError, GatewayClient

SHOWN: Final = 5
HELP: Final = """Check that each custom_id of an input came back exactly once, in output or errors.

WHAT is a batch, whose files are downloaded from the gateway, or files on this machine: the input
first, then its output and error files. Exit 0 when they fit, 1 when not.

\b
  gateway verify batch_0123456789abcdef
  gateway verify requests.jsonl requests.output.jsonl requests.error.jsonl
"""


class Checked:
    """Findings: ids that are missing, doubled, or of no line of the input."""

    def __init__(self, given: Sequence[Path]) -> None:
        source, *answers = given
        self.files = {path.name: _digest(path) for path in given}
        wanted = set()
        self.lines = 0
        for line in _lines(source):
            wanted.add(line["custom_id"])
            self.lines += 1
        seen: set[str] = set()
        self.doubled: list[str] = []
        self.unknown: list[str] = []
        for path in answers:
            for line in _lines(path):
                name = line["custom_id"]
                if name in seen:
                    self.doubled.append(name)
                elif name not in wanted:
                    self.unknown.append(name)
                seen.add(name)
        self.missing = sorted(wanted - seen)

    @property
    def good(self) -> bool:
        """Tell whether nothing is wrong."""
        return not (self.missing or self.doubled or self.unknown)

    def told(self) -> dict[str, Any]:
        """Everything, for programs."""
        return {
            "lines": self.lines,
            "good": self.good,
            "missing": self.missing,
            "doubled": self.doubled,
            "unknown": self.unknown,
            "sha256": self.files,
        }

    def sentences(self) -> Iterator[str]:
        """Everything, for people."""
        for name, digest in self.files.items():
            yield f"{name}: sha256 {digest}"
        found = {"missing": self.missing, "doubled": self.doubled, "unknown": self.unknown}
        for word, names in found.items():
            if names:
                some = ", ".join(names[:SHOWN]) + (", …" if len(names) > SHOWN else "")
                yield f"{len(names)} {word}: {some}"
        if self.good:
            yield f"each of {self.lines} lines came back once"


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                value = orjson.loads(line)
            except orjson.JSONDecodeError:
                value = None
            if not isinstance(value, dict) or not isinstance(value.get("custom_id"), str):
                raise click.ClickException(
                    f"{path}, line {number}: this is no JSON object with a custom_id"
                )
            yield value


@click.command(short_help="Check that every line came back once.", help=HELP)
@click.argument("what", nargs=-1, required=True)
@click.option("--json", "as_json", is_flag=True, help="For programs.")
@connection_options
def verify(what: tuple[str, ...], as_json: bool, base_url: str, api_key: str) -> None:
    """See HELP."""
    if len(what) == 1:
        with (
            tempfile.TemporaryDirectory(prefix="gateway-verify-") as directory,
            connected(base_url, api_key) as client,
        ):
            checked = Checked(downloaded(client, what[0], Path(directory)))
    else:
        checked = Checked([_existing(name) for name in what])
    if as_json:
        click.echo(orjson.dumps(checked.told()).decode())
    else:
        for sentence in checked.sentences():
            click.echo(sentence)
    if not checked.good:
        raise SystemExit(1)


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
