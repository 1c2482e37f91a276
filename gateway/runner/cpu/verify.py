"""The verification of an ended batch: whether each custom_id of its input came back, once.

The ids are kept in a database of the scratch directory, so memory does not grow with the files.
"""

import hashlib
import sqlite3
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import orjson

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
}


@dataclass(frozen=True, slots=True)
class VerifyTask:
    """Paths on this machine; ``answers`` are the output and the error file, those that exist."""

    scratch: str
    input: str
    answers: Sequence[str]


@dataclass(frozen=True, slots=True)
class Verified:
    """Findings: how many ids of each kind, some of them by name, and the files' digests.

    ``broken`` names a line that is no JSON object with a custom_id: then nothing was compared.
    """

    lines: int = 0
    good: bool = False
    counts: Mapping[str, int] = field(default_factory=dict)
    missing: Sequence[str] = ()
    doubled: Sequence[str] = ()
    unknown: Sequence[str] = ()
    sha256: Mapping[str, str] = field(default_factory=dict)
    broken: str | None = None


class _BrokenLineError(Exception):
    """A line without a custom_id."""


def verify(task: VerifyTask) -> Verified:
    """Compare the files. Errors: OSError."""
    source, answers = Path(task.input), [Path(path) for path in task.answers]
    digests = {path.name: _digest(path) for path in (source, *answers)}
    with closing(sqlite3.connect(Path(task.scratch) / "ids.sqlite3")) as ids:
        ids.executescript(_SCHEMA)
        try:
            ids.executemany(_WANT, _names(source))
            for path in answers:
                ids.executemany(_SEE, _names(path))
        except _BrokenLineError as error:
            return Verified(sha256=digests, broken=str(error))
        return _findings(ids, digests)


def _findings(ids: sqlite3.Connection, digests: Mapping[str, str]) -> Verified:
    (lines,) = ids.execute("SELECT coalesce(sum(wanted), 0) FROM ids").fetchone()
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
        sha256=digests,
    )


def _names(path: Path) -> Iterator[tuple[str]]:
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if line.strip():
                yield (_name(path, number, line),)


def _name(path: Path, number: int, line: bytes) -> str:
    try:
        value = orjson.loads(line.removeprefix(b"\xef\xbb\xbf") if number == 1 else line)
    except orjson.JSONDecodeError:
        value = None
    name = value.get("custom_id") if isinstance(value, dict) else None
    if not isinstance(name, str):
        raise _BrokenLineError(
            f"{path.name}, line {number}: this is no JSON object with a custom_id"
        )
    return name


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
