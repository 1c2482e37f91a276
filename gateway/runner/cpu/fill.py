"""Fill: write the URIs of staged files into a spool, in the place of their placeholders.

Items that name a file which the upstream cannot use are left out; :func:`lines_naming` says later
which lines these are of, so that each gets an error line with the reason.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.translate import PLACEHOLDER, placeholders
from gateway.units import MIB

BUFFER: Final = MIB
_MARK: Final = PLACEHOLDER.encode()


@dataclass(frozen=True, slots=True)
class Usable:
    """A file that Gemini has: what goes into ``fileData``."""

    uri: str
    media_type: str


@dataclass(frozen=True, slots=True)
class FillTask:
    """``files`` by id; ids in ``failed`` are those whose items are left out."""

    spool: str
    scratch: str
    files: Mapping[str, Usable]
    failed: Collection[str] = ()


@dataclass(frozen=True, slots=True)
class FillSummary:
    """The filled spool: its path, size and items."""

    path: str
    bytes: int
    items: int


def fill(task: FillTask) -> FillSummary:
    """Fill a whole spool. Errors: OSError; LookupError when it names an unknown file."""
    failed = frozenset(task.failed)
    path = Path(task.scratch) / "filled"
    size = items = 0
    with Path(task.spool).open("rb", buffering=BUFFER) as spool, path.open("wb", BUFFER) as file:
        for line in spool:
            filled = _filled(line, task.files, failed) if _MARK in line else line
            file.write(filled)
            size += len(filled)
            items += bool(filled)
    return FillSummary(str(path), size, items)


def _filled(line: bytes, files: Mapping[str, Usable], failed: Collection[str]) -> bytes:
    """Return the line with URIs in it; nothing when one of its files has failed."""
    row: dict[str, Any] = orjson.loads(line)
    for file_id, data in placeholders(row["request"]):
        if file_id in failed:
            return b""
        data["mimeType"] = files[file_id].media_type
        data["fileUri"] = files[file_id].uri
    return orjson.dumps(row, option=orjson.OPT_APPEND_NEWLINE)


def lines_naming(spool: Path, failed: Collection[str]) -> dict[int, str]:
    """Return the numbers of lines that name one of these files, each with the first such id."""
    found: dict[int, str] = {}
    with spool.open("rb", buffering=BUFFER) as file:
        for line in file:
            if _MARK not in line:
                continue
            row: dict[str, Any] = orjson.loads(line)
            named = (file_id for file_id, _ in placeholders(row["request"]) if file_id in failed)
            file_id = next(named, None)
            if file_id is not None:
                found.setdefault(int(row["key"].partition(".")[0]), file_id)
    return found
