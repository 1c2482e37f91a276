"""``x-request-id``."""

import httpx
import pytest

from tests.every import in_one_item


@pytest.mark.parametrize("given", ["a", "6ba7b810-9dad-11d1-80b4-00c04fd430c8", "A.b_c:d-9" * 14])
async def test_a_safe_id_is_kept(alice: httpx.AsyncClient, given: str) -> None:
    """So a client finds its own request in the logs."""
    answer = await alice.get("/v1/files", headers={"x-request-id": given})

    assert answer.headers.get_list("x-request-id") == [given]


@in_one_item
@pytest.mark.parametrize("given", ["", "a b", "x" * 129, "ö", "<script>", "a\tb"])
@pytest.mark.parametrize("path", ["/v1/files", "/healthz", "/nowhere"])
async def test_any_other_is_replaced(alice: httpx.AsyncClient, path: str, given: str) -> None:
    """Every answer has exactly one."""
    answer = await alice.get(path, headers={b"x-request-id": given.encode()})

    [made] = answer.headers.get_list("x-request-id")
    assert made.startswith("req_")


@pytest.mark.parametrize("path", ["/v1/files", "/healthz", "/nowhere"])
async def test_openais_headers(alice: httpx.AsyncClient, path: str) -> None:
    """Which its SDKs hand on; on errors too."""
    headers = (await alice.get(path)).headers

    assert headers["openai-version"] == "2020-10-01"
    assert 0 <= int(headers["openai-processing-ms"]) < 60_000


async def test_ids_differ(alice: httpx.AsyncClient) -> None:
    """One each."""
    made = {(await alice.get("/healthz")).headers["x-request-id"] for _ in range(10)}

    assert len(made) == 10
