"""Events as the standard allows them to be written, as relays write them, and without an end."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import orjson
import pytest

from gateway.errors import UpstreamUnreadableError
from gateway.wire import sse
from gateway.wire.sse import EventReader

BOM = b"\xef\xbb\xbf"
STREAMS = Path(__file__).parent.parent / "data" / "live" / "streams.jsonl"
PIECES = [
    [orjson.dumps(piece) for piece in case["pieces"]]
    for case in map(orjson.loads, STREAMS.read_bytes().splitlines())
    if "pieces" in case
]


def read(*blocks: bytes) -> list[bytes]:
    """All events of a body that comes in these blocks."""
    reader = EventReader()
    events = [event for block in blocks for event in reader.feed(block)]
    return [*events, *filter(None, [reader.end()])]


def cut(wire: bytes) -> Iterator[Sequence[bytes]]:
    """The body whole, byte by byte, and in two at each place, an empty block between."""
    yield [wire]
    yield [wire[at : at + 1] for at in range(len(wire))]
    for at in range(len(wire)):
        yield [wire[:at], b"", wire[at:]]


FORMS: list[tuple[bytes, list[bytes]]] = [
    (b"data: a\n\ndata: b\n\n", [b"a", b"b"]),
    (b"data: a\r\n\r\ndata: b\r\n\r\n", [b"a", b"b"]),
    (b"data: a\r\rdata: b\r\r", [b"a", b"b"]),
    (b"data: a\r\n\ndata: b\n\r\ndata: c\r\n\r", [b"a", b"b", b"c"]),
    (b"\n\r\n\r\rdata: a\n\n\n\n", [b"a"]),
    (BOM + b"data: a\n\n", [b"a"]),
    (BOM + b": ping\r\rdata: a\r\r", [b"a"]),
    (BOM[:2] + b"data: a\n\n", [BOM[:2] + b"data: a"]),
    (b"data: a\n\n" + BOM + b"data: b\n\n", [b"a", BOM + b"data: b"]),
    (b": ping\n\n:\n:x\n\ndata: a\n: within\n\n", [b"a"]),
    (b"event: message\nid: 7\nretry: 10\ndata: a\n\n", [b"a"]),
    (b"data: a\nevent\nid\nretry: never\n\nevent: end\n\nid: 8\n\n", [b"a"]),
    (b"x-vendor: 1\ndata: a\nlater: {\n\nother: 2\n\n", [b"a"]),
    (b"data: a\ndata: b\ndata:c\n\n", [b"a\nb\nc"]),
    (b"data: {\ndata\ndata:}\n\n", [b"{\n\n}"]),
    (b"data:  a\ndata:\tb\n\n", [b"a\n\tb"]),
    (b"data\n\ndata:\n\ndata: \ndata:\n\n", []),
    (b"data: a\xe2\x80\xa8b\xc2\x85c\n\n", [b"a\xe2\x80\xa8b\xc2\x85c"]),
    (b"data: a", [b"a"]),
    (b"data: a\r", [b"a"]),
    (b"data: [DONE]\n\n", [b"[DONE]"]),
    (
        b'{"error": {\n  "code": 503,\n  "message": "x"\n}}\n',
        [b'{"error": {\n  "code": 503,\n  "message": "x"\n}}'],
    ),
    (b'{\r\n"error":\r\nnull\r\n}\r\n', [b'{\n"error":\nnull\n}']),
    (b"<html>\n<p>Bad gateway\n</html>", [b"<html>\n<p>Bad gateway\n</html>"]),
    (b"Bad gateway", [b"Bad gateway"]),
]


@pytest.mark.parametrize(("wire", "events"), FORMS)
def test_every_form_wherever_it_is_cut(wire: bytes, events: list[bytes]) -> None:
    """Only what stands in ``data``; an error of a relay's without any field too."""
    for blocks in cut(wire):
        assert read(*blocks) == events, blocks


@pytest.mark.parametrize("end", [b"\n", b"\r\n", b"\r"])
@pytest.mark.parametrize("mark", [b"", BOM])
@pytest.mark.parametrize("around", [b"", b": ping%b", b"event: message%bid: 1%bretry: 5%b"])
def test_recorded_streams_are_the_same_in_every_form(
    end: bytes, mark: bytes, around: bytes
) -> None:
    """Piece by piece, in blocks of an odd size."""
    before = around.replace(b"%b", end)
    for pieces in PIECES:
        wire = mark + b"".join(before + b"data: " + piece + end * 2 for piece in pieces)
        assert read(*[wire[at : at + 7] for at in range(0, len(wire), 7)]) == pieces
        assert read(wire) == pieces


@pytest.mark.parametrize("line", [b"data:\n", b"data: \r\n", b"data:x\n", b"{x\n", b"data:x\r"])
def test_lines_without_an_end_are_bounded(monkeypatch: pytest.MonkeyPatch, line: bytes) -> None:
    """A line costs memory though nothing is in it; empty ones grew for ever."""
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 64 * 1024)
    reader = EventReader()
    fed = (event for _ in range(100) for event in reader.feed(line * 100))
    with pytest.raises(UpstreamUnreadableError, match="too long"):
        list(fed)


def test_events_that_end_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is that of one event."""
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 1024)
    reader = EventReader()
    events = [event for _ in range(1000) for event in reader.feed(b"data: a\r\n\r\n")]
    assert events == [b"a"] * 1000
