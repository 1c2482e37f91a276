"""``/v1/models``."""

import httpx
import openai
import pytest

from gateway.errors import UpstreamHeldError, UpstreamUnavailableError, UpstreamUnreadableError
from gateway.ports.upstream import Model
from tests.api.world import World, serving

FLASH = {
    "id": "gemini-2.5-flash",
    "object": "model",
    "created": 1_750_118_400,  # 17 June 2025
    "owned_by": "google",
    "shutdown_date": "2026-12-01",
}


async def test_list(alice: httpx.AsyncClient) -> None:
    """What the upstream runs batches of, as OpenAI's models; others would only fail."""
    assert (await alice.get("/v1/models")).json() == {"object": "list", "data": [FLASH]}


@pytest.mark.parametrize("name", ["gemini-2.5-flash", "models/gemini-2.5-flash"])
async def test_retrieve(alice: httpx.AsyncClient, name: str) -> None:
    """With or without Google's prefix."""
    assert (await alice.get(f"/v1/models/{name}")).json() == FLASH


@pytest.mark.parametrize(
    ("name", "version", "created"),
    [
        ("gemini-9-flash", "9-flash-07-2031", 1_940_630_400),
        ("gemini-9-preview-12-2030", "001", 1_922_313_600),
        ("gemini-9", "Gemini Flash Latest", 0),
        ("gemini-9", "9-13-2031", 0),
    ],
)
async def test_when_a_model_was_made(
    world: World, alice: httpx.AsyncClient, name: str, version: str, created: int
) -> None:
    """The month that its version names in Google's list; 0 where nothing is known."""
    world.offered = [Model(name, frozenset({"batchGenerateContent"}), version)]

    [model] = (await alice.get("/v1/models")).json()["data"]

    assert (model["created"], model["shutdown_date"]) == (created, None)


async def test_a_misspelt_model(alice: httpx.AsyncClient) -> None:
    """The nearest that is there."""
    answer = await alice.get("/v1/models/gemini-2.5-flsh")

    assert answer.json()["error"]["message"].endswith("Did you mean 'gemini-2.5-flash'?")


async def test_a_model_without_batches(alice: httpx.AsyncClient) -> None:
    """As good as unknown here."""
    assert (await alice.get("/v1/models/veo-3.1")).status_code == 404


async def test_an_unknown_model(alice: httpx.AsyncClient) -> None:
    """404 with OpenAI's code."""
    answer = await alice.get("/v1/models/gpt-4o")

    assert (answer.status_code, answer.json()["error"]) == (
        404,
        {
            "message": "The model 'gpt-4o' does not exist or you do not have access to it.",
            "type": "invalid_request_error",
            "param": "model",
            "code": "model_not_found",
        },
    )


async def test_a_key_that_google_refuses(world: World, alice: httpx.AsyncClient) -> None:
    """502 that says whose key it is: the client's own is good."""
    world.offered = UpstreamHeldError("API key not valid.")

    answer = await alice.get("/v1/models")

    assert (answer.status_code, answer.headers["x-should-retry"]) == (502, "false")
    error = answer.json()["error"]
    assert error["message"] == "Google refused the gateway's key: API key not valid."
    assert (error["type"], error["code"]) == ("server_error", "upstream_refused")


async def test_an_upstream_that_fails(world: World, alice: httpx.AsyncClient) -> None:
    """503: not the client's fault, and it may pass."""
    world.offered = UpstreamUnavailableError("down")

    answer = await alice.get("/v1/models")

    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


async def test_an_answer_that_cannot_be_read(world: World) -> None:
    """502, which the SDK tries again: nothing is paid for a list."""
    told = "Google's answer cannot be read: it is not JSON (status 200, text/html, 9 bytes)."
    world.offered = UpstreamUnreadableError(told, status=200)
    async with (
        serving(world.app()) as url,
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="secret-a", max_retries=0) as client,
    ):
        for asking in (client.models.list(), client.models.retrieve("gemini-2.5-flash")):
            with pytest.raises(openai.InternalServerError) as failed:
                await asking
            assert failed.value.status_code == 502
            assert failed.value.body == {
                "message": told,
                "type": "server_error",
                "param": None,
                "code": "upstream_unreadable",
            }
            assert "x-should-retry" not in failed.value.response.headers


async def test_a_gateway_without_models(world: World) -> None:
    """An empty list, and no model is there."""
    transport = httpx.ASGITransport(world.app(models=None))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://gateway", headers={"api-key": "secret-a"}
    ) as client:
        assert (await client.get("/v1/models")).json()["data"] == []
        assert (await client.get("/v1/models/m")).status_code == 404
