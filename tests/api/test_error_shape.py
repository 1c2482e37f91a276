"""Every route, every wrong input: OpenAI's envelope, an id, and whether a retry is useless."""

import errno
from typing import Any

import httpx
import pytest

from gateway.api.routes import ROUTES, ApiRoute
from tests.api.world import World
from tests.every import in_one_item

METHODS = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW")
PATHS = sorted({route.path for route in ROUTES})
OPENAI_ALONE = {
    ("GET", "/chat/completions"),
    ("GET", "/responses"),
    ("DELETE", "/models/{id:path}"),
}
KEYED = [route for route in ROUTES if not route.public]


def _concrete(path: str) -> str:
    return path.replace("{id:path}", "m").replace("{id}", "none")


def _name(route: ApiRoute) -> str:
    return f"{route.method} {route.path}"


def check_envelope(answer: httpx.Response, status: int) -> dict[str, Any]:
    """All four keys, an id, the retry header; what it says."""
    assert answer.status_code == status, answer.text
    assert answer.headers["x-request-id"].startswith("req_")
    assert answer.headers["content-type"] == "application/json"
    body = answer.json()
    assert list(body) == ["error"]
    error: dict[str, Any] = body["error"]
    assert set(error) == {"message", "type", "param", "code"}
    assert error["message"]
    assert (answer.headers.get("x-should-retry") == "false") == (400 <= status < 500)
    assert error["type"] == ("invalid_request_error" if status < 500 else "server_error")
    return error


@in_one_item
@pytest.mark.parametrize("path", PATHS)
@pytest.mark.parametrize("prefix", ["", "/v1"])
async def test_methods_a_path_does_not_have(
    alice: httpx.AsyncClient, prefix: str, path: str
) -> None:
    """405, and which it has; but for those that OpenAI's API has (test_unserved.py)."""
    has = {route.method for route in ROUTES if route.path == path}
    has |= {"HEAD"} if "GET" in has else set()
    not_served = {method for method, of_path in OPENAI_ALONE if of_path == path}
    for method in set(METHODS) - has - not_served - {"HEAD"}:  # which has no body to look at
        answer = await alice.request(method, prefix + _concrete(path))
        error = check_envelope(answer, 405)
        assert set(answer.headers["allow"].split(", ")) == has
        assert error["code"] == "method_not_allowed"
        assert f"{method} on {prefix}{_concrete(path)}" in error["message"]


@in_one_item
@pytest.mark.parametrize(
    "path",
    [
        "/",
        "/v1",
        "/v1/",
        "/v1/x",
        "/v2/files",
        "/files/a/b/c",
        "/v1/embeddings/x",
        "/v1/videosX",
        "/v1/audio",
        "/v1//files",
    ],
)
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE", "OPTIONS"])
async def test_unknown_urls(alice: httpx.AsyncClient, method: str, path: str) -> None:
    """404 in OpenAI's words, with the path as it was asked for."""
    error = check_envelope(await alice.request(method, path), 404)

    assert error["message"].startswith(f"Unknown request URL: {method} {path}. ")
    assert error["code"] == "unknown_url"


@in_one_item
@pytest.mark.parametrize("route", KEYED, ids=_name)
async def test_no_key(world: World, route: ApiRoute) -> None:
    """401 before anything else is looked at."""
    transport = httpx.ASGITransport(world.app())
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.request(route.method, _concrete(route.path))

    error = check_envelope(answer, 401)
    assert (answer.headers["www-authenticate"], error["code"]) == ("Bearer", None)


@in_one_item
@pytest.mark.parametrize("route", [r for r in KEYED if "{id" in r.path], ids=_name)
@pytest.mark.parametrize("object_id", ["none", "file-x", "%00", "%2e%2e", "ü" * 300, "a'--", "{}"])
async def test_unknown_ids(alice: httpx.AsyncClient, route: ApiRoute, object_id: str) -> None:
    """404, whatever the id looks like, and an answer of a small size."""
    path = route.path.replace("{id:path}", object_id).replace("{id}", object_id)
    answer = await alice.request(route.method, f"/v1{path}")

    check_envelope(answer, 404)
    assert len(answer.content) < 1500


BODIES: dict[str, tuple[bytes, str | None]] = {
    "nothing": (b"", None),
    "nothing as json": (b"", "application/json"),
    "no json": (b"{", "application/json"),
    "not utf-8": (b"\xff\xfe", "application/json"),
    "deep": (b"[" * 100_000, "application/json"),
    "deep object": (b'{"metadata":' * 900 + b"1" + b"}" * 900, "application/json"),
    "an array": (b"[]", "application/json"),
    "null": (b"null", "application/json"),
    "a form": (b"a=b", "application/x-www-form-urlencoded"),
    "text": (b"{}", "text/plain"),
    "multipart without boundary": (b"--x", "multipart/form-data"),
    "multipart of garbage": (b"x" * 3000, "multipart/form-data; boundary=x"),
    "multipart of nothing": (b"", "multipart/form-data; boundary=x"),
    "multipart, empty": (b"--x--\r\n", "multipart/form-data; boundary=x"),
    "overlong boundary": (b"--x--\r\n", "multipart/form-data; boundary=" + "x" * 500),
    "strange type": (b"{}", "\x00;;=;"),
}


@in_one_item
@pytest.mark.parametrize("name", BODIES)
@pytest.mark.parametrize("path", ["/v1/files", "/v1/uploads", "/v1/batches"])
async def test_wrong_bodies(world: World, alice: httpx.AsyncClient, path: str, name: str) -> None:
    """400, never 500: SDKs send a 500 again."""
    body, content_type = BODIES[name]
    headers = {} if content_type is None else {"content-type": content_type}

    check_envelope(await alice.post(path, content=body, headers=headers), 400)
    assert world.kept() == set()


@pytest.mark.parametrize("declared", [True, False])
async def test_an_overlong_json_body(alice: httpx.AsyncClient, *, declared: bool) -> None:
    """413, whether or not it said so."""
    body = b" " * (2 * 1024 * 1024)

    async def pieces() -> Any:
        for at in range(0, len(body), 65536):
            yield body[at : at + 65536]

    answer = await alice.post(
        "/v1/batches",
        content=body if declared else pieces(),
        headers={"content-type": "application/json"},
    )

    check_envelope(answer, 413)


@in_one_item
@pytest.mark.parametrize("path", ["/v1/files", "/v1/batches"])
@pytest.mark.parametrize("query", ["limit=0", "limit=x", "limit=99999", "after=none"])
async def test_wrong_queries(alice: httpx.AsyncClient, path: str, query: str) -> None:
    """The parameter is named."""
    error = check_envelope(
        await alice.get(f"{path}?{query}"), 404 if query.startswith("after") else 400
    )

    assert error["param"] == query.partition("=")[0]


class _StrangeError(Exception):
    """Nobody expects it."""


async def test_what_nobody_expected(world: World, caplog: pytest.LogCaptureFixture) -> None:
    """500 for the client; the log names type and place, and nothing of the text."""

    async def broken(_owner: str) -> Any:
        raise _StrangeError("prompt: my secret diary")

    transport = httpx.ASGITransport(world.app(models=broken))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.get("/v1/models", headers={"api-key": "secret-a"})

    error = check_envelope(answer, 500)
    assert "diary" not in error["message"]
    [record] = caplog.records
    assert record.getMessage().startswith("_StrangeError at ")
    assert "test_error_shape.py" in record.getMessage()
    assert answer.headers["x-request-id"] in record.getMessage()
    assert "diary" not in caplog.text


@pytest.mark.parametrize(
    ("number", "status", "code"),
    [
        (errno.ENOSPC, 507, "insufficient_storage"),
        (errno.EDQUOT, 507, "insufficient_storage"),
        (errno.EIO, 503, "server_is_overloaded"),
        (errno.EMFILE, 503, "server_is_overloaded"),
    ],
)
async def test_a_disk_that_is_full_or_fails(
    world: World, number: int, status: int, code: str
) -> None:
    """There may be room later; nothing of it is the client's fault."""

    async def full(_owner: str) -> Any:
        raise OSError(number, "what the system says")

    transport = httpx.ASGITransport(world.app(models=full))
    async with httpx.AsyncClient(transport=transport, base_url="http://gateway") as client:
        answer = await client.get("/v1/models", headers={"api-key": "secret-a"})

    check_envelope(answer, status)
    assert answer.json()["error"]["code"] == code
    assert int(answer.headers["retry-after"]) > 0
