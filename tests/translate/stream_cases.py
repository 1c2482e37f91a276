"""One case of the tables of streams: pieces of Gemini's answer -> the events of OpenAI's stream."""

import copy
from typing import Any

import orjson

from gateway.translate import STREAMS, StreamOptions
from gateway.translate.streams.stream import AnswerStream
from tests.translate.running import CONTEXT

FAILED = b'{"error":{"message":"Too much.","type":"tokens","param":null,"code":"rate_limit"}}'


def played(endpoint: str, case: dict[str, Any]) -> tuple[AnswerStream, bytes]:
    """A stream after its end, and all that was sent: each piece is written when it has come."""
    options = StreamOptions(**case.get("options", {}))
    stream = STREAMS[endpoint](copy.deepcopy(case["hints"]), CONTEXT, case["items"], options)
    written: list[bytes] = []
    for item, piece in copy.deepcopy(case["pieces"]):
        is_time = stream.add(item, piece)
        if is_time and not stream.opened:
            written += stream.open()
        if stream.opened:
            written += stream.news()
    written += stream.fail(FAILED) if case.get("failed") else stream.finish(stream.whole())
    return stream, b"".join(written)


def events_of(endpoint: str, case: dict[str, Any]) -> list[Any]:
    """Every event: its data, with its name in front where it has one.

    What all chunks have in common, and what a Response is from its first event on, is there once:
    later ones have what differs. Named events are numbered, and repeat their names.
    """
    blocks = played(endpoint, case)[1].split(b"\n\n")
    assert blocks.pop() == b""
    events = [_event(block) for block in blocks]
    first = next((event for event in events if isinstance(event, dict)), {})
    if endpoint == "/v1/responses":
        first = events[0][1]
        assert [event[1].pop("sequence_number") for event in events] == list(range(len(events)))
        begun = dict(first["response"]) if "response" in first else {}
        for _, event in events[1:]:
            if "response" in event:
                event["response"] = _differing(event["response"], begun)
    return [_differing(event, first) if isinstance(event, dict) else event for event in events]


def _differing(event: dict[str, Any], first: dict[str, Any]) -> dict[str, Any]:
    """Members that are others than those of the first; ``"gone"`` for those that are not there."""
    if event is first:
        return event
    gone = {name: "gone" for name in first if name not in event}
    return {name: value for name, value in event.items() if first.get(name, first) != value} | gone


def used_of(endpoint: str, case: dict[str, Any]) -> tuple[int, ...]:
    """The tokens that are counted in the end."""
    return played(endpoint, case)[0].used()


def _event(block: bytes) -> Any:
    head, named, data = block.rpartition(b"data: ")
    assert named
    told: Any = data.decode() if data == b"[DONE]" else orjson.loads(data)
    if not head:
        return told
    name = head.decode().removeprefix("event: ").removesuffix("\n")
    assert head == f"event: {name}\n".encode()
    assert told.pop("type") == name
    return [name, told]
