"""Without keys, no web page can reach the gateway."""

from collections.abc import AsyncGenerator, Mapping

import httpx
import pytest
from starlette.datastructures import Headers

from gateway.api.hosts import check_framing, host_name, is_local
from gateway.app import api_options
from gateway.errors import RequestError
from gateway.settings.load import load
from tests.api.world import World


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("localhost:8080", True),
        ("LOCALHOST.", True),
        ("gateway.localhost", True),
        ("127.0.0.1:8080", True),
        ("127.9.9.9", True),
        ("[::1]:8080", True),
        ("[::1]", True),
        ("", False),
        ("evil.example", False),
        ("localhost.evil.example", False),
        ("127.0.0.1.evil.example", False),
        ("10.0.0.1", False),
        ("0.0.0.0", False),
        ("a b", False),
        ("localhost:8080:1", False),
        ("user@localhost", False),
    ],
)
def test_local_names(host: str, *, local: bool) -> None:
    """Names that can only be this machine, whatever a name server says."""
    assert is_local(host_name(host)) == local


@pytest.fixture
async def client(world: World) -> AsyncGenerator[httpx.AsyncClient, None]:
    """A client of a gateway without keys, which knows one name and one page more."""
    app = world.app(
        credentials=None,
        allowed_hosts=["gateway"],
        cors_origins=["https://good.example"],
        max_uploads=1,
    )
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(app),
        base_url="http://127.0.0.1:8080",
        headers={"authorization": "Bearer any"},
    ) as made:
        yield made


@pytest.mark.parametrize("host", ["127.0.0.1:8080", "localhost", "[::1]:1", "gateway:8080"])
async def test_sdks_are_answered(client: httpx.AsyncClient, host: str) -> None:
    """By every name of the loopback interface, and by those that are listed."""
    assert (await client.get("/v1/files", headers={"host": host})).status_code == 200


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"host": "evil.example"}, "host_not_allowed"),
        ({"host": "evil.example", "origin": "http://evil.example"}, "host_not_allowed"),
        ({"origin": "http://evil.example"}, "origin_not_allowed"),
        ({"origin": "http://127.0.0.1:3000"}, "origin_not_allowed"),
        ({"origin": "null"}, "origin_not_allowed"),
        ({"origin": "http://e[[vil.example"}, "origin_not_allowed"),
        ({"origin": "http://127.0.0.1:8080/"}, "origin_not_allowed"),
    ],
)
async def test_pages_are_refused(
    client: httpx.AsyncClient, headers: Mapping[str, str], code: str
) -> None:
    """A39: by their host after DNS rebinding, else by their origin; on every route."""
    for path in ("/v1/files", "/healthz", "/nothing"):
        refused = await client.get(path, headers=dict(headers))
        assert (refused.status_code, refused.json()["error"]["code"]) == (403, code)
        assert "access-control-allow-origin" not in refused.headers


@pytest.mark.parametrize("origin", ["https://good.example", "http://127.0.0.1:8080"])
async def test_pages_that_may_ask(client: httpx.AsyncClient, origin: str) -> None:
    """Those that are listed, and the gateway's own."""
    answer = await client.get("/v1/files", headers={"origin": origin})

    assert answer.status_code == 200
    listed = origin.startswith("https")
    assert answer.headers.get("access-control-allow-origin") == (origin if listed else None)


async def test_preflights(client: httpx.AsyncClient) -> None:
    """A listed page may send its key; another learns nothing."""
    asked = {"access-control-request-method": "POST", "origin": "https://good.example"}
    wanted = {"access-control-request-headers": "authorization, content-type"}
    good = await client.options("/v1/files", headers=asked | wanted)
    assert good.status_code == 200
    assert good.headers["access-control-allow-origin"] == "https://good.example"
    assert "authorization" in good.headers["access-control-allow-headers"]
    evil = await client.options("/v1/files", headers=asked | {"origin": "https://evil.example"})
    assert evil.status_code == 400


async def test_with_keys_any_name_will_do(alice: httpx.AsyncClient) -> None:
    """A page has no key; a container is asked for by its own name. No CORS unless it is set."""
    headers = {"host": "gateway.internal:80", "origin": "https://evil.example"}
    answer = await alice.get("/v1/files", headers=headers)

    assert answer.status_code == 200
    assert "access-control-allow-origin" not in answer.headers


@pytest.mark.parametrize(
    ("given", "hosts"),
    [
        ({}, []),
        ({"GATEWAY_ALLOWED_HOSTS": "Gateway, b"}, ["gateway", "b"]),
        ({"GATEWAY_API_KEYS": "a=secret-of-a"}, None),
        ({"GATEWAY_API_KEYS": "a=secret-of-a", "GATEWAY_ALLOWED_HOSTS": "b"}, ["b"]),
    ],
)
def test_the_settings(given: Mapping[str, str], hosts: list[str] | None) -> None:
    """Without keys names are checked, with keys only if some are listed."""
    settings, _ = load({"GEMINI_API_KEY": "k", **given})

    assert api_options(settings).allowed_hosts == hosts


@pytest.mark.parametrize(
    ("headers", "version", "good"),
    [
        ([("host", "a")], "1.1", True),
        ([], "1.1", False),
        ([], "1.0", True),
        ([("host", "a"), ("host", "b")], "1.1", False),
        ([("host", "a"), ("transfer-encoding", "Chunked")], "1.1", True),
        ([("host", "a"), ("transfer-encoding", "identity")], "1.1", False),
        ([("host", "a")] + [("transfer-encoding", "chunked")] * 2, "1.1", False),
    ],
)
def test_framing(headers: list[tuple[str, str]], version: str, *, good: bool) -> None:
    """A42: heads that two servers may read differently."""
    raw = [(name.encode(), value.encode()) for name, value in headers]
    if good:
        check_framing(Headers(raw=raw), version)
    else:
        with pytest.raises(RequestError):
            check_framing(Headers(raw=raw), version)
