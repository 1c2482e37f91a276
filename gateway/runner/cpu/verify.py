"""The verification of an ended batch: whether each custom_id of its input came back, once.

A line of the input has a body, one of the answers a response or an error: a file that was named in
the place of another is told, however well its custom_ids fit.

The ids are kept in a database of the scratch directory, so memory does not grow with the files.
"""

import hashlib
import sqlite3
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

Line = Mapping[str, Any]

# Of ids that are named; all are counted.
MOST_NAMED: Final = 1000
# Pages of the database that are kept in memory, in KiB.
CACHE_KIB: Final = 16 * 1024

_SCHEMA: Final = f"""
PRAGMA journal_mode = OFF;
PRAGMA synchronous = OFF;
PRAGMA cache_size = -{CACHE_KIB};
CREATE TABLE ids (
    name TEXT PRIMARY KEY, wanted INTEGER NOT NULL, seen INTEGER NOT NULL
) WITHOUT ROWID;
"""
_WANT: Final = "INSERT INTO ids VALUES (?, 1, 0) ON CONFLICT DO UPDATE SET wanted = wanted + 1"
_SEE: Final = "INSERT INTO ids VALUES (?, 0, 1) ON CONFLICT DO UPDATE SET seen = seen + 1"
_FINDINGS: Final = {
    "missing": "seen = 0",
    "doubled": "seen > 1",
    "unknown": "wanted = 0",
    "repeated": "wanted > 1",
}
_BOM: Final = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class VerifyTask:
    """Paths on this machine by the names that they are told by.

    ``files`` begins with the input; its output and error files follow, those that exist.
    """

    scratch: str
    files: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Verified:
    """Findings: how many custom_ids of each kind, some of them by name, and the files' digests.

    Of the input's ids, ``missing`` did not come back and ``repeated`` are there more than once, so
    that no answer says which of their lines it belongs to. Of the answers' ids, ``doubled`` came
    more than once and ``unknown`` are not in the input. ``broken`` says why nothing was compared.
    """

    lines: int = 0
    good: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)
    missing: Sequence[str] = ()
    doubled: Sequence[str] = ()
    unknown: Sequence[str] = ()
    repeated: Sequence[str] = ()
    sha256: Mapping[str, str] = field(default_factory=dict)
    broken: str | None = None


class _UnfitError(Exception):
    """A file is none that can be compared; the message says why."""


def verify(task: VerifyTask) -> Verified:
    """Compare the files. Errors: OSError."""
    digests = {name: _digest(Path(path)) for name, path in task.files.items()}
    (source, *answers) = task.files.items()
    with closing(sqlite3.connect(Path(task.scratch) / "ids.sqlite3")) as ids:
        ids.executescript(_SCHEMA)
        try:
            ids.executemany(_WANT, _names(*source, _input_name))
            for answer in answers:
                ids.executemany(_SEE, _names(*answer, _answer_name))
            return _findings(ids, source[0], digests)
        except _UnfitError as error:
            return Verified(sha256=digests, broken=str(error))


def _findings(ids: sqlite3.Connection, source: str, digests: Mapping[str, str]) -> Verified:
    (lines,) = ids.execute("SELECT coalesce(sum(wanted), 0) FROM ids").fetchone()
    if not lines:
        raise _UnfitError(f"{source} has no lines: there is nothing to compare")
    counts, named = {}, {}
    for kind, condition in _FINDINGS.items():
        where = f"FROM ids WHERE {condition}"  # of the table above
        (counts[kind],) = ids.execute(f"SELECT count(*) {where}").fetchone()
        found = ids.execute(f"SELECT name {where} ORDER BY name LIMIT {MOST_NAMED}")
        named[kind] = [name for (name,) in found]
    return Verified(
        lines,
        not any(counts.values()),
        counts,
        missing=named["missing"],
        doubled=named["doubled"],
        unknown=named["unknown"],
        repeated=named["repeated"],
        sha256=digests,
    )


def _names(file_name: str, path: str, name_of: Callable[[Line], str]) -> Iterator[tuple[str]]:
    """Yield the custom_id of each line. Errors: _UnfitError."""
    with Path(path).open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                try:
                    yield (name_of(_parsed(line, number)),)
                except _UnfitError as error:
                    raise _UnfitError(f"{file_name}, line {number}: {error}") from None


def _parsed(line: bytes, number: int) -> Line:
    try:
        value = orjson.loads(line.removeprefix(_BOM) if number == 1 else line)
    except orjson.JSONDecodeError:
        if not line.endswith(b"\n"):
            raise _UnfitError("this is no JSON: the file ends within this line") from None
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("custom_id"), str):
        raise _UnfitError("this is no JSON object with a custom_id")
    return value


def _input_name(line: Line) -> str:
    if "body" not in line:
        raise _UnfitError("this is no line of an input, which has a body; the input comes first")
    return str(line["custom_id"])


def _answer_name(line: Line) -> str:
    if not line.keys() & {"response", "error"}:
        raise _UnfitError(
            "this is no line of an output or error file, which has a response or an error"
        )
    return str(line["custom_id"])


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
