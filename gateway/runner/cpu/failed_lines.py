"""Failed lines: the lines of an input file that an error file names, as the input of a new batch.

Both are in the order of the input, and the id of an error line says which line it is of: one pass,
and memory that does not grow with the files.
"""

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.ids import line_ids
from gateway.wire.jsonl import UTF8_BOM

BUFFER: Final = 1 << 18

# What may be answered when it is sent again, as well as everything from 500 on.
PASSING_STATUSES: Final = frozenset({408, 409, 429})


@dataclass(frozen=True, slots=True)
class FailedLinesTask:
    """With ``everything``, lines that were refused for good are taken too."""

    input: str
    errors: str
    scratch: str
    batch_id: str
    everything: bool


@dataclass(frozen=True, slots=True)
class FailedLinesSummary:
    """The new input file; no lines: there is nothing to send again."""

    path: str
    bytes: int
    lines: int
    sha256: str


def failed_lines(task: FailedLinesTask) -> FailedLinesSummary:
    """Write the file. Errors: OSError."""
    path = Path(task.scratch) / "failed-lines"
    digest = hashlib.sha256()
    size = lines = 0
    wanted = _wanted(Path(task.errors), everything=task.everything)
    with Path(task.input).open("rb", BUFFER) as source, path.open("wb", BUFFER) as file:
        sought = next(wanted, None)
        for number, line in enumerate(source, 1):
            if sought is None:
                break
            if line_ids(task.batch_id, number)[0] != sought:
                continue
            text = (line.removeprefix(UTF8_BOM) if number == 1 else line).rstrip(b"\r\n") + b"\n"
            file.write(text)
            digest.update(text)
            size += len(text)
            lines += 1
            sought = next(wanted, None)
    return FailedLinesSummary(str(path), size, lines, digest.hexdigest())


def _wanted(errors: Path, *, everything: bool) -> Iterator[str]:
    """Yield the ids of the error lines whose requests are to be sent again."""
    with errors.open("rb", BUFFER) as file:
        for text in file:
            row: dict[str, Any] = orjson.loads(text)
            response = row["response"]
            status = None if response is None else response["status_code"]
            if everything or status is None or status >= 500 or status in PASSING_STATUSES:
                yield row["id"]
