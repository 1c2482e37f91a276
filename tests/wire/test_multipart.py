"""Multipart as it arrives: whole, byte by byte, cut anywhere, too much of anything."""

from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import RequestError
from gateway.wire.multipart import (
    MAX_EPILOGUE_BYTES,
    MAX_FIELD_BYTES,
    MAX_PART_HEADER_BYTES,
    MAX_PARTS,
    Event,
    FieldValue,
    FileData,
    FileEnd,
    FileStart,
    MultipartReader,
    parse_boundary,
)

BOUNDARY = b"----------------------------a1b2c3"

Part = FieldValue | tuple[FileStart, bytes]


def _field(name: str, value: str) -> bytes:
    return f'Content-Disposition: form-data; name="{name}"\r\n\r\n{value}\r\n'.encode()


def _file(data: bytes, filename: bytes = b"in.jsonl", name: bytes = b"file") -> bytes:
    head = b'Content-Disposition: form-data; name="%b"; filename="%b"\r\n' % (name, filename)
    return head + b"Content-Type: application/octet-stream\r\n\r\n" + data + b"\r\n"


def _form(*parts: bytes) -> bytes:
    return b"".join(b"--" + BOUNDARY + b"\r\n" + part for part in parts) + b"--%b--\r\n" % BOUNDARY


def _read(*pieces: bytes) -> list[Part]:
    """The parts, files put together again."""
    reader = MultipartReader(BOUNDARY)
    events: list[Event] = []
    for piece in pieces:
        events += reader.feed(piece)
    reader.close()
    return _joined(events)


def _joined(events: Sequence[Event]) -> list[Part]:
    parts: list[Part] = []
    start: FileStart | None = None
    data = bytearray()
    for event in events:
        match event:
            case FieldValue():
                parts.append(event)
            case FileStart():
                start, data = event, bytearray()
            case FileData(view):
                data += view
            case FileEnd():
                assert start is not None
                parts.append((start, bytes(data)))
    return parts


def _cut(body: bytes, places: Sequence[int]) -> list[bytes]:
    edges = [0, *sorted(place % (len(body) + 1) for place in places), len(body)]
    return [body[start:end] for start, end in pairwise(edges)]


PYTHON_SDK = _form(
    _field("purpose", "batch"),
    _field("expires_after[anchor]", "created_at"),
    _field("expires_after[seconds]", "3600"),
    _file(b'{"a":1}\n'),
)
NODE_SDK = _form(_file(b'{"a":1}\n'), _field("purpose", "batch"))
HARD = _form(
    _file(b"\r\n--" + BOUNDARY[:-1] + b"\r\n\r\r\n--\n" + bytes(range(256)) + b"\r"),
    _field("purpose", "bätch"),
    _file(b"", name=b"other", filename=b"x"),
)

BODIES = {
    "python": (
        PYTHON_SDK,
        [
            FieldValue("purpose", "batch"),
            FieldValue("expires_after[anchor]", "created_at"),
            FieldValue("expires_after[seconds]", "3600"),
            (FileStart("file", "in.jsonl", "application/octet-stream"), b'{"a":1}\n'),
        ],
    ),
    "node": (
        NODE_SDK,
        [
            (FileStart("file", "in.jsonl", "application/octet-stream"), b'{"a":1}\n'),
            FieldValue("purpose", "batch"),
        ],
    ),
    "hard": (
        HARD,
        [
            (
                FileStart("file", "in.jsonl", "application/octet-stream"),
                b"\r\n--" + BOUNDARY[:-1] + b"\r\n\r\r\n--\n" + bytes(range(256)) + b"\r",
            ),
            FieldValue("purpose", "bätch"),
            (FileStart("other", "x", "application/octet-stream"), b""),
        ],
    ),
}


@pytest.mark.parametrize(("body", "parts"), BODIES.values(), ids=BODIES)
def test_whole_and_byte_by_byte(body: bytes, parts: list[Part]) -> None:
    """The parts do not depend on how their bytes arrive."""
    assert _read(body) == parts
    assert _read(*(body[i : i + 1] for i in range(len(body)))) == parts


@given(
    body=st.sampled_from([PYTHON_SDK, NODE_SDK, HARD]),
    places=st.lists(st.integers(0, 2000), max_size=20),
)
def test_any_cuts_give_the_same_parts(body: bytes, places: list[int]) -> None:
    """Cuts fall anywhere, also into boundaries and headers."""
    assert _read(*_cut(body, places)) == _read(body)


@given(data=st.binary(max_size=300), places=st.lists(st.integers(0, 600), max_size=6))
def test_file_bytes_come_back(data: bytes, places: list[int]) -> None:
    """Any bytes can be a file, line breaks at its edges included."""
    body = _form(_file(data), _field("purpose", "batch"))

    assert _read(*_cut(body, places))[0] == (
        FileStart("file", "in.jsonl", "application/octet-stream"),
        data,
    )


ALMOST = [b"\r", b"\n", b"\r\n", b"-", b"\r\n--", b"x", b"\r\n--" + BOUNDARY[:-1], BOUNDARY]


@pytest.mark.slow
@given(
    pieces=st.lists(st.sampled_from(ALMOST), max_size=12),
    places=st.lists(st.integers(0, 600), max_size=8),
)
def test_what_begins_like_a_boundary_is_the_files(pieces: list[bytes], places: list[int]) -> None:
    """Wherever it is cut: with and without a CR in what comes first, and in what comes next."""
    data = b"".join(pieces)
    while (boundary := b"\r\n--" + BOUNDARY) in data:  # taking one out may join another
        data = data.replace(boundary, b"")
    body = _form(_file(data), _field("purpose", "batch"))

    start = FileStart("file", "in.jsonl", "application/octet-stream")
    assert _read(*_cut(body, places)) == [(start, data), FieldValue("purpose", "batch")]


@given(data=st.binary(max_size=400), places=st.lists(st.integers(0, 400), max_size=4))
def test_any_bytes_are_a_form_or_a_client_error(data: bytes, places: list[int]) -> None:
    """Nothing but a RequestError ever comes out."""
    reader = MultipartReader(BOUNDARY)
    with suppress(RequestError):
        for piece in _cut(b"--" + BOUNDARY + data, places):
            reader.feed(piece)
        reader.close()


@pytest.mark.parametrize(
    ("raw", "name"),
    [
        (b"a%22b.jsonl", 'a"b.jsonl'),
        (b'a\\"b.jsonl', 'a"b.jsonl'),
        (b"100%.jsonl", "100%.jsonl"),
        (b"a%20b", "a%20b"),
        ("größe.jsonl".encode(), "größe.jsonl"),
        (b"\xff.jsonl", "�.jsonl"),
        (b"a;b=c.jsonl", "a;b=c.jsonl"),
        (b"a\x00b", "a\x00b"),
        (b"", ""),
    ],
)
def test_file_names(raw: bytes, name: str) -> None:
    """Raw UTF-8 with %22 for quotes, as both SDKs and browsers write it."""
    [part] = _read(_form(_file(b"x", raw)))

    assert part == (FileStart("file", name, "application/octet-stream"), b"x")


def test_a_part_called_file_needs_no_file_name() -> None:
    """What is called file is one, streamed and without a field's limit."""
    assert _read(_form(_field("file", "{}"))) == [(FileStart("file", None, None), b"{}")]


def test_extended_file_names_are_ignored() -> None:
    """RFC 7578 4.2 forbids ``filename*``; honouring it would smuggle a second name."""
    head = (
        b'Content-Disposition: form-data; name="file"; filename="a"; filename*=UTF-8\'\'b\r\n\r\n'
    )

    assert _read(_form(head + b"x\r\n")) == [(FileStart("file", "a", None), b"x")]


@pytest.mark.parametrize("size", [0, 1, len(PYTHON_SDK) // 2, len(PYTHON_SDK) - 5])
def test_a_body_that_ends_early_is_an_error(size: int) -> None:
    """An upload cut short never counts as one."""
    with pytest.raises(RequestError, match="ends before its closing boundary"):
        _read(PYTHON_SDK[:size])


MALFORMED = {
    "preamble": b"hello\r\n" + NODE_SDK,
    "newline first": b"\r\n" + NODE_SDK,
    "another boundary": b"--other\r\n" + _file(b"x") + b"--other--",
    "no name": _form(b"Content-Disposition: form-data\r\n\r\nx\r\n"),
    "no disposition": _form(b"Content-Type: text/plain\r\n\r\nx\r\n"),
    "not form-data": _form(b'Content-Disposition: attachment; name="a"\r\n\r\nx\r\n'),
    "broken header": _form(b"Content Disposition\r\n\r\nx\r\n"),
    "name not UTF-8": _form(b'Content-Disposition: form-data; name="\xff"\r\n\r\nx\r\n'),
    "field not UTF-8": _form(b'Content-Disposition: form-data; name="a"\r\n\r\n\xff\r\n'),
    "too many parts": _form(*[_field("a", "b")] * (MAX_PARTS + 1)),
    "long field": _form(_field("a", "b" * (MAX_FIELD_BYTES + 1))),
    "long header": _form(b"X: " + b"y" * MAX_PART_HEADER_BYTES + b"\r\n" + _field("a", "b")),
    "many headers": _form(b"".join(b"X%d: y\r\n" % i for i in range(20)) + _field("a", "b")),
    "headers long together": _form(
        b"".join(b"X%d: %b\r\n" % (i, b"y" * 1000) for i in range(12)) + _field("a", "b")
    ),
}


@pytest.mark.parametrize("body", MALFORMED.values(), ids=MALFORMED)
def test_malformed_bodies_are_client_errors(body: bytes) -> None:
    """Nonsense and excess are the client's 400, however they are cut."""
    with pytest.raises(RequestError, match=r"^The multipart body could not be parsed: ") as whole:
        _read(body)
    with pytest.raises(RequestError):
        _read(*(body[i : i + 7] for i in range(0, len(body), 7)))

    assert whole.value.status == 400


def test_limits_are_inclusive() -> None:
    """What is exactly at the limits passes."""
    longest = _field("a", "b" * MAX_FIELD_BYTES)

    assert len(_read(_form(*[_field("a", "b")] * (MAX_PARTS - 1), longest))) == MAX_PARTS


def test_a_little_may_follow_the_end_but_not_much() -> None:
    """RFC 2046's epilogue: some clients end with a line break, nobody needs more."""
    reader = MultipartReader(BOUNDARY)
    reader.feed(NODE_SDK)
    reader.feed(b"\r\n" * (MAX_EPILOGUE_BYTES // 2))

    with pytest.raises(RequestError, match="goes on after"):
        reader.feed(b"\r\n")


def test_file_bytes_are_views() -> None:
    """Nothing is copied: what the socket gave is what storage gets."""
    body = _form(_file(b"z" * 100_000))
    [data] = [
        event.data for event in MultipartReader(BOUNDARY).feed(body) if type(event) is FileData
    ]

    assert data.obj is body


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "application/json",
        "multipart/mixed; boundary=a",
        "multipart/form-data",
        "multipart/form-data; boundary=",
        'multipart/form-data; boundary=""',
    ],
)
def test_other_content_types_are_refused(content_type: str | None) -> None:
    """Only forms, and only with a boundary."""
    with pytest.raises(RequestError):
        parse_boundary(content_type)


@pytest.mark.parametrize(
    "content_type",
    ["multipart/form-data; boundary=abc", 'Multipart/Form-Data; charset=utf-8; boundary="abc"'],
)
def test_boundaries(content_type: str) -> None:
    """Names in any case, boundaries with and without quotes."""
    assert parse_boundary(content_type) == b"abc"


def test_an_overlong_boundary_is_refused() -> None:
    """RFC 2046 allows 70 characters; the parser more, but not any number."""
    with pytest.raises(RequestError, match="too long"):
        MultipartReader(b"x" * 1000)
