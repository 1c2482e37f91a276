"""Results as the API gives them: JSONL files, and items inside a finished operation.

Runs in worker processes. An inline job's raw blob is the operation as it was fetched;
:func:`unfold_inline` rewrites it as JSONL, item by item, so everything after it knows one form.
Answers are matched by key, never by position: the order is promised and not kept
(python-genai#1909).
"""

import json
import mmap
import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, BinaryIO, Final, NamedTuple

import orjson

from gateway.units import MIB
from gateway.wire.gemini import (
    RPC_CODES,
    RPC_NUMBERS,
    RPC_NUMBERS_BY_STATUS,
    Json,
    as_object,
    as_text,
    parse_int,
)
from gateway.wire.inline_items import inline_items, is_operation

# ``{"response": {…}}`` or ``{"error": {"code": int, "status": str, "message": str, …}}``.
Answer = dict[str, Any]

Loads = Callable[[bytes], Json | None]

_INTERNAL: Final = 13

BUFFER: Final = MIB // 4
# A result is an answer to one request: 65,536 tokens with 20 alternatives each are 370 MB.
MAX_RESULT_BYTES: Final = 1024 * MIB
KEY_WITHIN: Final = 64 * 1024
_KEY_FIRST: Final = re.compile(rb'\s*\{\s*"key"\s*:\s*"?(\d+(?:\.\d+)?)"?')
_KEY_LAST: Final = re.compile(rb'"key"\s*:\s*"?(\d{1,15}(?:\.\d{1,15})?)"?\s*\}\s*\}?\s*\Z')


def _failure(message: str) -> Answer:
    return {"error": {"code": _INTERNAL, "status": RPC_CODES[_INTERNAL], "message": message}}


_UNREADABLE: Final = _failure("The upstream's result cannot be read as JSON.")
_NO_OBJECT: Final = _failure("The upstream's result is no JSON object.")
_NEITHER: Final = _failure("The upstream gave neither a response nor an error.")
UNREAD: Final = _failure("The upstream's result was not read.")
_NO_RESULTS: Final = (_UNREADABLE, _NO_OBJECT, _NEITHER)


class Result(NamedTuple):
    """One line of a results file, and its place there. ``key`` is None if the line has none.

    What is not ``readable`` is no result: a line that was cut, or a page of some proxy's.
    """

    key: str | None
    answer: Answer
    offset: int
    length: int

    @property
    def readable(self) -> bool:
        """Whether the line says how an item came out."""
        return not any(self.answer is nothing for nothing in _NO_RESULTS)


def read_results(
    path: Path,
    loads: Loads | None = None,
    reads: Callable[[int], bool] | None = None,
    span: tuple[int, int] | None = None,
    takes: Callable[[bytes], bool] | None = None,
) -> Iterator[Result]:
    """Yield every line of a results file, read one at a time; blank lines are nothing.

    Of a ``span``, from where one line begins to where another does, the lines in it alone.

    ``loads`` is as for :func:`parse_result`. ``reads`` is asked about each line, by its offset,
    before it is read: of one that is not to be, and of one beyond the limit, the key is looked for
    at both of its ends, and its answer is ``UNREAD``. ``takes`` is offered each line that is to be
    read, and says whether it takes it: then nothing is yielded for it.
    """
    with path.open("rb", buffering=BUFFER) as lines:
        offset, end_of_span = span or (0, None)
        lines.seek(offset)
        while end_of_span is None or offset < end_of_span:
            wanted = reads is None or reads(offset)
            line = lines.readline(MAX_RESULT_BYTES if wanted else KEY_WITHIN)
            if not line:
                return
            size = len(line)
            if not wanted or (size == MAX_RESULT_BYTES and not line.endswith(b"\n")):
                end, more = _skip(lines) if not line.endswith(b"\n") else (line, 0)
                size += more
                yield Result(_key_within(line[:KEY_WITHIN], end or line), UNREAD, offset, size)
            elif not (takes is not None and takes(line)) and not line.isspace():
                key, answer = parse_result(line, loads)
                yield Result(key, answer, offset, size)
            offset += size


def _skip(lines: BinaryIO) -> tuple[bytes, int]:
    """Read on to the end of a line, in blocks: its last bytes, and how many they were."""
    end, size = b"", 0
    while piece := lines.readline(KEY_WITHIN):
        size += len(piece)
        end = (end + piece)[-KEY_WITHIN:]
        if piece.endswith(b"\n"):
            break
    return end, size


def _key_within(start: bytes, end: bytes) -> str | None:
    """Find the key of a line that is not parsed: it comes first or last, or in the metadata."""
    found = _KEY_FIRST.match(start) or _KEY_LAST.search(end)
    return None if found is None else found[1].decode()


def parse_result(line: bytes, loads: Loads | None = None) -> tuple[str | None, Answer]:
    """One result -> its key and its answer. Never raises; what cannot be read is an error answer.

    ``loads`` is a quicker parser for results of one kind, which gives None for any other.

    ``{"key":"1.0","response":{…}}`` and ``{"key":"1.0","error":{"code":13,"message":…}}`` (files,
    recorded), the same with ``"metadata":{"key":"1.0"}`` (inline, recorded), and an error told
    under ``status`` (sage-wiki#63).
    """
    row: object = loads(line) if loads is not None else None
    try:
        row = row or orjson.loads(line)
    except orjson.JSONDecodeError:
        try:
            row = loads_tolerantly(line)
        except (ValueError, RecursionError):
            return None, _UNREADABLE
    return parse_item(row)


def parse_item(row: object) -> tuple[str | None, Answer]:
    """Do the same for a result that has been parsed already."""
    if not isinstance(row, dict):
        return None, _NO_OBJECT
    key, response = row.get("key"), row.get("response")
    if isinstance(key, str) and isinstance(response, dict) and response:
        return key, {"response": response}  # nearly all of them
    return _key(row), _answer(row)


class Unfolded(NamedTuple):
    """Items of an operation; one that breaks off, or a text of another kind, is not ``whole``."""

    items: int
    whole: bool


def unfold_inline(operation: Path, jsonl: Path) -> Unfolded:
    """Rewrite a fetched operation as a JSONL results file.

    An operation without output has no items, one that breaks off those before the break: the
    others are missing. A page of some proxy's is no operation, nor is an error in JSON.
    """
    count, whole = 0, False
    with (
        operation.open("rb") as source,
        jsonl.open("wb") as lines,
        suppress(ValueError),  # also of an empty file, which cannot be mapped
        mmap.mmap(source.fileno(), 0, access=mmap.ACCESS_READ) as text,
    ):
        for item in inline_items(text):
            # In JSON a line end can stand between values only.
            lines.write(item.replace(b"\n", b" ") + b"\n")
            count += 1
        whole = count > 0 or is_operation(text)
    return Unfolded(count, whole)


def _key(row: Json) -> str | None:
    for holder in (row, as_object(row.get("metadata"))):
        key = holder.get("key")
        if isinstance(key, str):
            return key
        if isinstance(key, int) and not isinstance(key, bool):
            return str(key)
    return None


def _answer(row: Json) -> Answer:
    """Take the response, even where an error comes with it, unless it is empty."""
    response = row.get("response")
    if isinstance(response, dict) and response:
        return {"response": response}
    for name in ("error", "status"):
        if told := row.get(name):
            return {"error": _error(told)}
    if isinstance(response, dict):
        return {"response": response}
    return _NEITHER


def _error(told: object) -> dict[str, Any]:
    """Complete a google.rpc.Status: ``code``, ``status`` and ``message`` are all set.

    ``{"code":1}`` (a cancelled item) has no message, ``{"status":"UNAVAILABLE"}`` no code, and
    Vertex tells a whole error as one text.
    """
    error = dict(told) if isinstance(told, dict) else {"message": str(told)}
    named = RPC_NUMBERS.get(as_text(error.get("status")) or "")
    code = named or _code(parse_int(error.get("code")))
    error["code"] = code
    error["status"] = RPC_CODES[code]
    error["message"] = as_text(error.get("message")) or ""
    return error


def _code(code: int | None) -> int:
    if code in RPC_CODES:
        return code
    return RPC_NUMBERS_BY_STATUS.get(code or 0, _INTERNAL)


def loads_tolerantly(text: bytes) -> object:
    """Parse, also what orjson refuses: NaN, a byte order mark, lone surrogates, depth over 1,023.

    A lone surrogate (half of an emoji at a token limit) becomes U+FFFD, because no JSON writer
    would take it further.
    """
    try:
        return orjson.loads(text)
    except orjson.JSONDecodeError:
        value: object = json.loads(text)  # noqa: TID251 - what orjson refused
        written = json.dumps(value, ensure_ascii=False)  # noqa: TID251 - it may hold surrogates
        mended = written.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
        again: object = json.loads(mended)  # noqa: TID251 - NaN and depth are still there
        return again
