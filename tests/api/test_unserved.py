"""All of OpenAI's API: what is not served here says so; nothing is called a wrong method."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import httpx
import openai
import pytest
import yaml

from gateway.api.routes import ROUTES
from tests.api.test_error_shape import check_envelope
from tests.api.test_others import passing
from tests.api.world import World, serving

RESOURCES = Path(openai.__file__).parent / "resources"
DESCRIPTION = Path(__file__).parents[1] / "reference" / "openai-batch-openapi.yaml"
SENDS = {"_get", "_post", "_put", "_patch", "_delete", "_get_api_list"}
SERVED = {
    (method, re.sub(r"\{[^}]*\}", "{}", route.path))
    for route in ROUTES
    for method in (route.method, *(("HEAD",) if route.method == "GET" else ()))
}


def _path(node: ast.expr) -> str:
    """``"/files"`` or ``path_template("/files/{id}", id=id)``."""
    if isinstance(node, ast.Call):
        node = node.args[0]
    assert isinstance(node, ast.Constant), ast.dump(node)
    assert isinstance(node.value, str)
    return node.value.partition("?")[0]


def of_the_sdk() -> Iterator[tuple[str, str]]:
    """Method and path of every request that the installed SDK makes."""
    for source in RESOURCES.rglob("*.py"):
        for node in ast.walk(ast.parse(source.read_text(encoding="utf-8"))):
            if not isinstance(node, ast.Call) or not isinstance(node.func, ast.Attribute):
                continue
            if node.func.attr in SENDS and node.args:
                given = {word.arg: word.value for word in node.keywords}
                told = given.get("method")
                method = node.func.attr.split("_")[1]
                if isinstance(told, ast.Constant):
                    method = str(told.value)
                yield method.upper(), _path(node.args[0])


def of_the_description() -> Iterator[tuple[str, str]]:
    """The same of OpenAI's own description."""
    described = yaml.safe_load(DESCRIPTION.read_text(encoding="utf-8"))
    for path, methods in described["paths"].items():
        for method in methods:
            yield method.upper(), path


OPERATIONS = sorted({*of_the_sdk(), *of_the_description()})
NOT_SERVED = [
    (method, path)
    for method, path in OPERATIONS
    if (method, re.sub(r"\{[^}]*\}", "{}", path)) not in SERVED
]


def test_the_operations_are_found() -> None:
    """The SDK's sources are read as they are written."""
    assert len(OPERATIONS) > 250
    assert {("POST", "/vector_stores/{vector_store_id}/search"), ("GET", "/files")} < {*OPERATIONS}
    assert {("DELETE", "/models/{model}"), ("POST", "/responses/input_tokens")} < {*NOT_SERVED}


async def test_every_operation_is_served_or_says_that_it_is_not(alice: httpx.AsyncClient) -> None:
    """In a sentence about that part of the API: neither a wrong method nor a misspelt URL."""
    for method, template in NOT_SERVED:
        path = f"/v1{re.sub(r'{[^}]*}', 'x', template)}"
        error = check_envelope(await alice.request(method, path), 404)
        assert error["code"] == "unknown_url", path
        assert f"{path} is not served. " in error["message"], (method, error["message"])


@pytest.mark.parametrize(
    ("method", "path", "why"),
    [
        ("GET", "/v1/chat/completions", "keeps no chat completions"),
        ("HEAD", "/v1/chat/completions", ""),
        ("GET", "/openai/deployments/m/chat/completions", "keeps no chat completions"),
        ("POST", "/v1/chat/completions/chatcmpl-1", "keeps no chat completions"),
        ("POST", "/openai/v1/responses/input_tokens/", "counts tokens"),
        ("DELETE", "/models/models/gemini-3.8-flash", "no fine-tuned models"),
        ("POST", "/openai/deployments/a/b/audio/speech", "Gemini's sound"),
    ],
)
async def test_in_every_form_of_its_url(
    alice: httpx.AsyncClient, method: str, path: str, why: str
) -> None:
    """Also with Azure's prefixes, which are shown as they were asked for."""
    answer = await alice.request(method, path)
    assert answer.status_code == 404
    if method != "HEAD":
        error = check_envelope(answer, 404)
        assert why in error["message"]
        assert path in error["message"]


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/v1/chat/completions", "POST"),
        ("POST", "/v1/responses/resp_1", "DELETE, GET, HEAD"),
        ("PUT", "/v1/responses/input_tokens", "DELETE, GET, HEAD"),
        ("DELETE", "/v1/models", "GET, HEAD"),
        ("GET", "/v1/responses/resp_1/cancel", "POST"),
    ],
)
async def test_what_openai_has_not_either_is_a_wrong_method(
    alice: httpx.AsyncClient, method: str, path: str, allowed: str
) -> None:
    """As before: 405."""
    answer = await alice.request(method, path)
    check_envelope(answer, 405)
    assert answer.headers["allow"] == allowed


async def test_what_the_sdk_raises(world: World) -> None:
    """NotFoundError, once, with the sentence."""
    async with (
        serving(world.app()) as url,
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="secret-a") as client,
    ):
        with pytest.raises(openai.NotFoundError, match="counts tokens") as counting:
            await client.responses.input_tokens.count(model="gemini-3.8-flash", input="Hi")
        assert counting.value.code == "unknown_url"
        with pytest.raises(openai.NotFoundError, match="keeps no chat completions"):
            await client.chat.completions.list()
        with pytest.raises(openai.NotFoundError, match="no fine-tuned models"):
            await client.models.delete("gemini-3.8-flash")


async def test_a_second_upstream_is_asked(tmp_path: Path) -> None:
    """For stored chat completions; not for what is below objects of this gateway."""
    async with (
        passing(tmp_path) as (url, second),
        httpx.AsyncClient(headers={"authorization": "Bearer secret-a"}, timeout=60) as client,
    ):
        listed = await client.get(f"{url}/v1/chat/completions?limit=2")
        assert listed.json() == {"path": "/v1/chat/completions", "query": "limit=2"}
        denied = await client.get(f"{url}/v1/chat/completions", headers={"authorization": ""})
        assert denied.status_code == 401
        for method, path in (("POST", "responses/input_tokens"), ("DELETE", "models/m")):
            refused = await client.request(method, f"{url}/v1/{path}")
            assert "is not served. " in refused.json()["error"]["message"]
    assert len(second.asked) == 1
