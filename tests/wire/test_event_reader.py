"""Events of an upstream that never end one."""

import pytest

from gateway.errors import UpstreamUnavailableError
from gateway.wire import sse
from gateway.wire.sse import EventReader


@pytest.mark.parametrize("line", [b"data:\n", b"data: \r\n", b"data:x\n", b"x\n"])
def test_lines_without_an_end_are_bounded(monkeypatch: pytest.MonkeyPatch, line: bytes) -> None:
    """A line costs memory though nothing is in it; empty ones grew for ever."""
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 64 * 1024)
    reader = EventReader()
    fed = (event for _ in range(100) for event in reader.feed(line * 100))
    with pytest.raises(UpstreamUnavailableError, match="too long"):
        list(fed)


def test_events_that_end_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    """The bound is that of one event."""
    monkeypatch.setattr(sse, "MAX_EVENT_BYTES", 1024)
    reader = EventReader()
    events = [event for _ in range(1000) for event in reader.feed(b"data: a\r\n\r\n")]
    assert events == [b"a"] * 1000
