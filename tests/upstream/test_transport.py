"""Calls: the key goes to the upstream's own origin alone."""

import httpx
import pytest

from gateway.clock import SystemClock
from gateway.errors import UpstreamUnavailableError
from gateway.upstream.errors import Scrubber
from gateway.upstream.options import GeminiOptions
from gateway.upstream.transport import Transport


def make_transport(asked: list[str]) -> Transport:
    """Make a transport whose upstream answers at once."""

    def answer(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.host)
        return httpx.Response(200, json={})

    options = GeminiOptions(credentials={"default": "key"}, base_url="https://host.example/")
    return Transport(options, SystemClock(), Scrubber(["key"]), httpx.MockTransport(answer))


@pytest.mark.parametrize(
    "url",
    [
        "https://host.example.evil/v1beta/batches",
        "https://host.example:444/v1beta/batches",
        "https://host.example@evil/v1beta/batches",
        "https://host.example:443@evil/v1beta/batches",
        "http://host.example/v1beta/batches",
        "https://evil/https://host.example/",
        "https://host.example\\.evil/v1beta",
    ],
)
async def test_no_other_origin_is_asked(url: str) -> None:
    """Neither one that begins alike."""
    asked: list[str] = []
    transport = make_transport(asked)
    with pytest.raises(UpstreamUnavailableError, match="not its own"):
        await transport.call("GET", url, "default")
    assert asked == []
    await transport.close()


@pytest.mark.parametrize("path", ["/v1beta/batches", "/../x", "/@evil/x", "/\\evil"])
async def test_the_own_origin_is_asked(path: str) -> None:
    """Whatever follows the root, the host is ours."""
    asked: list[str] = []
    transport = make_transport(asked)
    await transport.call("GET", f"https://host.example{path}", "default")
    assert asked == ["host.example"]
    await transport.close()
