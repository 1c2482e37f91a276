"""The files of an ended batch, next to its input, and a table of what went wrong."""

import errno
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson
from rich.console import Console
from rich.table import Table

from gateway.cli.inputs import named
from gateway.cli.output import printable
from gateway.client.client import GatewayClient

# Member of the batch -> the end of the file's name: X.output.jsonl next to X.jsonl.
FILES: Final = {"output_file_id": "output", "error_file_id": "error"}
WARNINGS: Final = "warnings"
EXAMPLE_CHARACTERS: Final = 100

Json = Mapping[str, Any]


def write_files(client: GatewayClient, batch: Json, source: Path) -> dict[str, Path]:
    """Download the files of a batch next to its input; a file is whole or not there.

    Gives paths by kind (``output``, ``error``, ``warnings``). Errors: ClientError; OSError.
    """
    written = {}
    for kind, file_id in _files_of(batch):
        path = next_to(source, kind)
        part = _part_of(path)
        with named(part), part.open("wb") as file:
            client.download(file_id, file)
        part.replace(path)
        written[kind] = path
    return written


def check_place(source: Path) -> None:
    """Find out whether the files can be written next to their input. Errors: OSError if not."""
    for kind in (*FILES.values(), WARNINGS):
        path = next_to(source, kind)
        if path.is_dir():
            raise IsADirectoryError(errno.EISDIR, os.strerror(errno.EISDIR), str(path))
        part = _part_of(path)
        was_there = part.exists()  # another command may be writing it
        part.open("ab").close()
        if not was_there:
            part.unlink()


def _part_of(path: Path) -> Path:
    """Name the file that a download has while it lasts."""
    return path.with_name(f"{path.name}.part")


def next_to(source: Path, kind: str) -> Path:
    """Name the file of a kind: ``requests.jsonl`` -> ``requests.output.jsonl``."""
    stem = source.name.removesuffix(".jsonl")
    return source.with_name(f"{stem}.{kind}.jsonl")


def _files_of(batch: Json) -> Iterator[tuple[str, str]]:
    for member, kind in FILES.items():
        if batch.get(member):
            yield kind, batch[member]
    warnings = (batch.get("gateway") or {}).get("warnings_file_id")
    if warnings:
        yield WARNINGS, warnings


def show_failures(console: Console, path: Path) -> None:
    """Print a row for each code: how many lines, and the first of them with its message."""
    found: dict[str, tuple[int, str, str]] = {}
    with path.open("rb") as file:
        for line in map(_parsed, filter(bytes.strip, file)):
            code, message = _failure(line)
            name = str(line.get("custom_id") or "")
            count, custom_id, first = found.get(code, (0, name, message))
            found[code] = (count + 1, custom_id, first)
    table = Table("lines", "code", "first", "for example", box=None)
    for code, (count, custom_id, message) in sorted(found.items(), key=lambda row: -row[1][0]):
        texts = (code, custom_id, message[:EXAMPLE_CHARACTERS])
        table.add_row(str(count), *map(printable, texts))
    console.print(table, markup=False)


def _parsed(line: bytes) -> Json:
    """Read a line of an error file, which may be another service's."""
    try:
        return _object(orjson.loads(line))
    except orjson.JSONDecodeError:
        return {}


def _object(value: object) -> Json:
    return value if isinstance(value, dict) else {}


def _failure(line: Json) -> tuple[str, str]:
    """Read code and message of a line of an error file, in either of OpenAI's forms."""
    response = _object(line.get("response"))
    error = _object(_object(response.get("body")).get("error") if response else line.get("error"))
    code = error.get("code") or response.get("status_code") or "unknown"
    return str(code), " ".join(str(error.get("message") or "").split())
