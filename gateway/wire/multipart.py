"""multipart/form-data as it arrives: bytes in, events out, nothing held but a part's headers.

python-multipart's callback parser finds the boundaries; the limits, the parts' headers and the
strictness about the beginning and the end are here. No I/O.

openai-node sends ``file`` first and ``purpose`` after it, chunked, without a Content-Length;
openai-python sends the file last. Both name the file part's type application/octet-stream.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.errors import RequestError

# The limits answer python-multipart's advisories GHSA-59g5-xgcq-4qw3, GHSA-mj87-hwqh-73pj and
# GHSA-pp6c-gr5w-3c5g (unbounded parts, preamble and epilogue, part headers). No SDK sends more
# than five parts, or three headers in one.
MAX_PARTS: Final = 16
MAX_PART_HEADERS: Final = 16
MAX_PART_HEADER_BYTES: Final = 8 * 1024
MAX_FIELD_BYTES: Final = 64 * 1024
MAX_EPILOGUE_BYTES: Final = 1024

# What an upload may weigh beyond its file: fields, headers, boundaries.
MAX_OVERHEAD_BYTES: Final = MAX_PARTS * (MAX_PART_HEADER_BYTES + MAX_FIELD_BYTES)

# Browsers' form encoding, and both SDKs', escape just these in a file name (WHATWG HTML,
# "multipart/form-data encoding algorithm").
_ESCAPES: Final = (("%22", '"'), ("%0D", "\r"), ("%0A", "\n"))


class FieldValue(NamedTuple):
    """A whole text part."""

    name: str
    value: str


class FileStart(NamedTuple):
    """A part that carries a file begins; ``filename`` None when it names none."""

    name: str
    filename: str | None
    content_type: str | None


@dataclass(frozen=True, slots=True)
class FileData:
    """The next bytes of the file."""

    data: memoryview


@dataclass(frozen=True, slots=True)
class FileEnd:
    """The file's bytes are complete."""


Event = FieldValue | FileStart | FileData | FileEnd


def parse_boundary(content_type: str | None) -> bytes:
    """Read the boundary of a multipart/form-data content type."""
    kind, options = parse_options_header(content_type)
    if kind != b"multipart/form-data":
        raise RequestError(
            "Unsupported content type: this API method only accepts 'multipart/form-data' requests."
        )
    boundary = options.get(b"boundary", b"")
    if not boundary:
        raise RequestError("Invalid Content-Type: multipart/form-data without a boundary.")
    return boundary


class MultipartReader:
    """A push parser: :meth:`feed` it bytes, then :meth:`close` it."""

    def __init__(self, boundary: bytes, file_fields: Sequence[str] = ("file",)) -> None:
        self._file_fields = file_fields
        self._events: list[Event] = []
        self._parts = 0
        self._headers: dict[bytes, bytes] = {}
        self._header_bytes = 0
        self._header_name = b""
        self._header_value = b""
        self._field_name: str | None = None  # None while the part is a file
        self._field = bytearray()
        self._begun = False
        self._fed = b""  # what is being parsed
        self._amid_file = False  # whether all of it, to its last byte, was a file's
        self._ended = False
        self._epilogue = 0
        try:
            self._parser = MultipartParser(
                boundary,
                {
                    "on_part_begin": self._on_part_begin,
                    "on_header_field": self._on_header_field,
                    "on_header_value": self._on_header_value,
                    "on_header_end": self._on_header_end,
                    "on_headers_finished": self._on_headers_finished,
                    "on_part_data": self._on_part_data,
                    "on_part_end": self._on_part_end,
                    "on_end": self._on_end,
                },
                max_header_count=MAX_PART_HEADERS,
                max_header_size=MAX_PART_HEADER_BYTES,
            )
        except FormParserError as error:
            raise RequestError("Invalid Content-Type: the boundary is too long.") from error

    def feed(self, data: bytes) -> Sequence[Event]:
        """Give the events of the next bytes; their views are into ``data``."""
        if not data:
            return ()
        if not self._begun:
            self._begun = True
            if data[:1] != b"-":  # a preamble: allowed by RFC 2046, sent by no client
                raise _malformed("it does not begin with its boundary")
        if self._ended:
            self._epilogue += len(data)
            if self._epilogue > MAX_EPILOGUE_BYTES:
                raise _malformed("it goes on after its closing boundary")
            return ()
        if self._amid_file and b"\r" not in data:  # with which a boundary would begin (RFC 2046)
            return (FileData(memoryview(data)),)
        self._parse(data)
        events, self._events = self._events, []
        return events

    def _parse(self, data: bytes) -> None:
        self._fed, self._amid_file = data, False
        try:
            self._parser.write(data)
        except FormParserError as error:
            raise _malformed("a boundary or a part's header is wrong") from error
        finally:
            self._fed = b""

    def close(self) -> None:
        """Take the end of the bytes."""
        if not self._ended:
            raise _malformed("it ends before its closing boundary")

    def _on_part_begin(self) -> None:
        self._parts += 1
        if self._parts > MAX_PARTS:
            raise _malformed(f"it has more than {MAX_PARTS} parts")
        self._headers = {}
        self._header_bytes = 0

    def _on_header_field(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_name += data[start:end]

    def _on_header_value(self, data: bytes, start: int, end: int) -> None:
        self._count_header(end - start)
        self._header_value += data[start:end]

    def _on_header_end(self) -> None:
        self._headers[self._header_name.lower()] = self._header_value
        self._header_name = self._header_value = b""

    def _on_headers_finished(self) -> None:
        kind, options = parse_options_header(self._headers.get(b"content-disposition"))
        if kind != b"form-data" or b"name" not in options:
            raise _malformed("a part has no name")
        name = _decoded(options[b"name"])
        filename = options.get(b"filename")
        if filename is None and name not in self._file_fields:
            self._field_name = name
            self._field.clear()
            return
        self._field_name = None
        content_type = self._headers.get(b"content-type")
        self._events.append(
            FileStart(
                name=name,
                filename=None if filename is None else _filename(filename),
                content_type=None if content_type is None else content_type.decode("latin-1"),
            )
        )

    def _on_part_data(self, data: bytes, start: int, end: int) -> None:
        if self._field_name is None:
            # What may begin a boundary is held back: told to the end, no boundary has begun.
            self._amid_file = data is self._fed and end == len(data)
            self._events.append(FileData(memoryview(data)[start:end]))
            return
        if len(self._field) + end - start > MAX_FIELD_BYTES:
            raise _malformed(f"a field is longer than {MAX_FIELD_BYTES} bytes")
        self._field += data[start:end]

    def _on_part_end(self) -> None:
        if self._field_name is None:
            self._events.append(FileEnd())
        else:
            self._events.append(FieldValue(self._field_name, _decoded(bytes(self._field))))

    def _on_end(self) -> None:
        self._ended = True

    def _count_header(self, size: int) -> None:
        self._header_bytes += size
        if self._header_bytes > MAX_PART_HEADER_BYTES:
            raise _malformed(f"a part has more than {MAX_PART_HEADER_BYTES} bytes of headers")


def _malformed(why: str) -> RequestError:
    return RequestError(f"The multipart body could not be parsed: {why}.")


def _decoded(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise _malformed("a name or a field is not UTF-8") from error


def _filename(raw: bytes) -> str:
    """Read a file name; bytes in it that are not UTF-8 must not cost the upload."""
    name = raw.decode(errors="replace")
    for escaped, character in _ESCAPES:
        name = name.replace(escaped, character)
    return name
