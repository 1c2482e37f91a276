"""Spool lines and output lines, and the runs the latter are written to."""

import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

import orjson

from gateway.batches.job import Failure
from gateway.batches.runs import RECORD, Entry, Kind, unpack
from gateway.ids import line_digest, line_ids
from gateway.wire.jsonl import escape_separators
from gateway.wire.openai_errors import error_body, error_type

BUFFER: Final = 256 * 1024
INDEX_BLOCK: Final = 1024 * RECORD.size
KIND_AT: Final = 4  # in a record, behind the line

# Around the request of a line of a spool that has one; its number.
SPOOL_KEY: Final = b'{"key":"%d","request":'
SPOOL_END: Final = b"}\n"

# Half of the digest, custom_id, status, the other half, body: as :func:`line_ids` has it.
ANSWER_LINE: Final = (
    b'{"id":"batch_req_%b","custom_id":%b,"response":{"status_code":%d,"request_id":"%b","body":%b},'
    b'"error":null}\n'
)


def spool_lines(items: Sequence[bytes], number: int) -> list[bytes]:
    """Return a line's items as spool lines; a key is ``<line>``, or ``<line>.<item>`` of several.

    The user's custom_id never travels. In pieces: an item may hold megabytes that need no copy.
    """
    if len(items) == 1:
        return [SPOOL_KEY % number, items[0], SPOOL_END]
    pieces = []
    for ordinal, item in enumerate(items):
        pieces += [b'{"key":"%d.%d","request":' % (number, ordinal), item, SPOOL_END]
    return pieces


def answer_line(batch_id: str, line: int, custom_id: str, status: int, body: bytes) -> bytes:
    """Write a line with a response: an answer, or an HTTP-level error (``error`` is null too).

    ``body`` is written JSON.
    """
    return named_line(batch_id, line, orjson.dumps(custom_id), status, body)


def named_line(batch_id: str, line: int, custom_id: bytes, status: int, body: bytes) -> bytes:
    """Write the same; ``custom_id`` is written JSON too."""
    ids = line_digest(batch_id, line).encode()
    return escape_separators(ANSWER_LINE % (ids[:32], custom_id, status, ids[32:], body))


def unserved_line(batch_id: str, line: int, custom_id: str, failure: Failure) -> bytes:
    """Write a line that never ran: ``response`` is null (OpenAI's guide, ``batch_expired``)."""
    value = {
        "id": line_ids(batch_id, line)[0],
        "custom_id": custom_id,
        "response": None,
        "error": {"code": failure.code, "message": failure.message},
    }
    return escape_separators(orjson.dumps(value, option=orjson.OPT_APPEND_NEWLINE))


def failure_line(batch_id: str, line: int, custom_id: str, failure: Failure) -> tuple[Kind, bytes]:
    """Return what a job's failure makes of one of its lines."""
    if failure.status is None:
        return Kind.UNSERVED, unserved_line(batch_id, line, custom_id, failure)
    body = orjson.dumps(error_body(failure.message, error_type(failure.status), failure.code))
    return Kind.ERROR, answer_line(batch_id, line, custom_id, failure.status, body)


class RunWriter:
    """Rendered lines as they come; where each went is the caller's to index."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=BUFFER)
        self._offset = 0

    def write(self, line: bytes) -> tuple[int, int]:
        """Append; offset and length."""
        offset = self._offset
        self._offset = offset + self._file.write(line)
        return offset, len(line)

    def write_all(self, lines: Sequence[bytes]) -> int:
        """Append lines one behind the other; the offset of the first."""
        offset = self._offset
        self._offset = offset + self._file.write(b"".join(lines))
        return offset

    def close(self) -> None:
        """Flush."""
        self._file.close()


def read_index(path: Path) -> Iterator[Entry]:
    """Yield the records of an index."""
    with path.open("rb") as file:
        while block := file.read(INDEX_BLOCK):
            yield from unpack(block)


def read_moved(path: Path, offset: int) -> Iterator[tuple[int, int, int, int]]:
    """Yield the records of an index as plain tuples, for a run that lies behind another."""
    with path.open("rb") as file:
        while block := file.read(INDEX_BLOCK):
            for line, kind, place, length in RECORD.iter_unpack(block):
                yield line, kind, offset + place, length


def index_ends(path: Path) -> tuple[int, int]:
    """Return the first and the last line of an index; of an empty one no line's number, twice."""
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        if not size:
            return 0, 0
        first = RECORD.unpack(file.read(RECORD.size))
        file.seek(size - RECORD.size)
        return first[0], RECORD.unpack(file.read(RECORD.size))[0]


def rendered_in(path: Path) -> int:
    """Count the lines of an index: its records but for those of notes."""
    count = 0
    with path.open("rb") as file:
        while block := file.read(INDEX_BLOCK):
            kinds = block[KIND_AT :: RECORD.size]
            count += len(kinds) - kinds.count(Kind.NOTES)
    return count


def _moved(block: bytes, offset: int) -> bytes:
    pack = RECORD.pack
    return b"".join(
        [
            pack(line, kind, offset + place, length)
            for line, kind, place, length in RECORD.iter_unpack(block)
        ]
    )


class IndexWriter:
    """Index records, in ascending order of lines."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("wb", buffering=BUFFER)

    def write(self, line: int, kind: int, offset: int, length: int) -> None:
        """Append one record."""
        self._file.write(RECORD.pack(line, kind, offset, length))

    def write_all(self, *columns: Sequence[int]) -> None:
        """Append the records of which these are the lines, kinds, offsets and lengths."""
        self._file.writelines(map(RECORD.pack, *columns))

    def append(self, path: Path, offset: int) -> None:
        """Append the records of another index, whose run lies behind what has been written."""
        with path.open("rb") as file:
            while block := file.read(INDEX_BLOCK):
                self._file.write(_moved(block, offset) if offset else block)

    def close(self) -> None:
        """Flush."""
        self._file.close()
