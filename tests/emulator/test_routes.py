"""Every call of Google's discovery document is there, takes its query and no other, wants a key."""

from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from gateway.emulator.api.routes import ROUTES, VERSIONS
from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.emulator.conftest import Create
from tests.emulator.replaying import SAMPLES
from tests.every import in_one_item

Json = dict[str, Any]
_DATA = Path(__file__).parent.parent / "data" / "gemini-schema.json"
SCHEMA: Json = orjson.loads(_DATA.read_bytes())
METHODS: list[Json] = SCHEMA["methods"]
NAMES = {"{modelsId}": "gemini-2.5-flash"}


def path_of(method: Json, version: str) -> str:
    """A method's path with names filled in."""
    path: str = method["path"].replace("/v1beta/", f"/{version}/")
    path = path.replace("{modelsId}", "gemini-2.5-flash")
    for name in ("batchesId", "cachedContentsId", "filesId", "operationsId"):
        path = path.replace(f"{{{name}}}", "x")
    return path


@in_one_item
@pytest.mark.parametrize("version", VERSIONS)
@pytest.mark.parametrize("method", METHODS, ids=lambda one: f"{one['method']} {one['path']}")
def test_every_method_is_there(shared: httpx.Client, method: Json, version: str) -> None:
    """Answered by the API, not by the front end's page for what is not there."""
    query = {
        name: "true" if name == "returnPartialSuccess" else "1" if name == "pageSize" else ""
        for name in method["query"]
    }
    answer = shared.request(method["method"], path_of(method, version), params=query)
    assert answer.headers["content-type"].startswith("application/json")
    message = answer.json().get("error", {}).get("message", "")
    assert "Cannot bind query parameter" not in message
    assert answer.status_code < 500 or "does not serve" in message


@pytest.fixture(scope="module")
def shared() -> Any:
    """One emulator for what changes nothing."""
    with running() as emulator:
        headers = {"x-goog-api-key": "k"}
        with httpx.Client(base_url=emulator.base_url, headers=headers, timeout=60) as client:
            yield client


@in_one_item
@pytest.mark.parametrize("row", ROUTES, ids=lambda row: f"{row.method} {row.path}")
def test_no_route_takes_any_query(shared: httpx.Client, row: Any) -> None:
    """400 in the transcoder's words, before anything else is looked at."""
    path = "/v1beta" + row.path.replace("{model}", "gemini-2.5-flash").replace("{id}", "x")
    answer = shared.request(row.method, path, params={"nonsense": "1"})
    assert answer.status_code == 400
    [violation] = answer.json()["error"]["details"][0]["fieldViolations"]
    assert violation["description"] == (
        'Invalid JSON payload received. Unknown name "nonsense": Cannot bind query parameter. '
        "Field 'nonsense' could not be found in request message."
    )


@pytest.mark.parametrize("name", SCHEMA["standard_query"])
def test_standard_query(shared: httpx.Client, name: str) -> None:
    """Taken by every call."""
    value = {"fields": "models(name)", "alt": "json", "prettyPrint": "false"}.get(name, "x")
    answer = shared.get("/v1beta/models", params={name: value})
    assert answer.status_code == 200


@pytest.mark.parametrize("names", [("pageSize", "pageToken"), ("page_size", "page_token")])
@pytest.mark.parametrize("path", ["models", "files", "batches", "cachedContents", "webhooks"])
def test_both_spellings_of_pages(shared: httpx.Client, path: str, names: tuple[str, str]) -> None:
    """A size that is none is refused, so both were read."""
    size, token = names
    assert shared.get(f"/v1beta/{path}", params={size: "2"}).status_code == 200
    assert shared.get(f"/v1beta/{path}", params={size: "many"}).status_code == 400
    assert shared.get(f"/v1beta/{path}", params={token: "!"}).status_code == 400


def test_pages_of_models(shared: httpx.Client) -> None:
    """Fifty unless asked otherwise, at most a thousand."""
    first = shared.get("/v1beta/models").json()
    assert len(first["models"]) == 50
    second = shared.get("/v1beta/models", params={"pageToken": first["nextPageToken"]}).json()
    every = shared.get("/v1beta/models", params={"pageSize": 5000}).json()
    assert "nextPageToken" not in every
    assert first["models"] + second["models"] == every["models"]


def test_headers(shared: httpx.Client) -> None:
    """Of an answer and of an error of the API (recorded)."""
    found = shared.get("/v1beta/models")
    lost = shared.get("/v1beta/models/nothing")
    for answer in (found, lost):
        assert answer.headers["content-type"] == "application/json; charset=UTF-8"
        assert answer.headers["server"] == "scaffolding on HTTPServer2"
        assert answer.headers["vary"] == "Origin, X-Origin, Referer"
        assert answer.headers["x-content-type-options"] == "nosniff"
        assert answer.headers["x-frame-options"] == "SAMEORIGIN"
        assert answer.headers["x-xss-protection"] == "0"
        assert answer.headers["server-timing"].startswith("gfet4t7; dur=")
    assert found.headers["transfer-encoding"] == "chunked"
    assert "content-length" not in found.headers


def test_service_tier(shared: httpx.Client) -> None:
    """On answers of generateContent, refusals too, and nowhere else: on no recorded stream."""
    path = "/v1beta/models/gemini-2.5-flash"
    body = {"contents": [{"parts": [{"text": "x"}]}]}
    tiers = [
        shared.post(f"{path}:{method}", json=sent).headers.get("x-gemini-service-tier")
        for method, sent in (
            ("generateContent", body),
            ("generateContent", {}),
            ("streamGenerateContent", body),
            ("countTokens", body),
        )
    ]
    assert tiers == ["standard", "standard", None, None]


@pytest.mark.parametrize(
    "where",
    [
        {"headers": {"x-goog-api-key": "good"}},
        {"headers": {"authorization": "Bearer good"}},
        {"params": {"key": "good"}},
        {"params": {"access_token": "good"}},
    ],
)
def test_keys(where: Json) -> None:
    """By header, Bearer or query; a wrong one is 400, none is 403."""
    with running(EmulatorOptions(api_keys=("good",))) as gemini:
        url = f"{gemini.base_url}/v1beta/models"
        assert httpx.get(url, **where).status_code == 200
        wrong = httpx.get(url, headers={"x-goog-api-key": "bad"}, timeout=60)
        assert wrong.status_code == 400
        assert wrong.json()["error"]["details"][0]["reason"] == "API_KEY_INVALID"
        assert httpx.get(url, timeout=60).status_code == 403


def test_unknown_route(shared: httpx.Client) -> None:
    """Google's front end answers with a page; the guide's wrong paths are among them."""
    for method, path in (
        ("GET", "/v1beta/nothing"),
        ("GET", "/v2/models"),
        ("POST", "/v1beta/batches/x:delete"),
        ("GET", "/v1beta/batches/x:cancel/"),
        ("POST", "/v1beta/models/gemini-2.5-flash:batchCreate"),
        ("PUT", "/v1beta/batches"),
    ):
        answer = shared.request(method, path)
        assert answer.status_code == 404
        assert answer.headers["content-type"].startswith("text/html")


def test_what_is_not_served(shared: httpx.Client) -> None:
    """404 for models that have not got the method, 501 for those that have it at Google."""
    predict = {
        model: shared.post(f"/v1beta/models/{model}:predict", json={})
        for model in ("gemini-2.5-flash", "imagen-4.0-generate-001")
    }
    assert predict["gemini-2.5-flash"].status_code == 404
    assert predict["imagen-4.0-generate-001"].status_code == 501
    assert predict["imagen-4.0-generate-001"].json()["error"]["status"] == "UNIMPLEMENTED"
    tuned = shared.post("/v1beta/tunedModels/mine:batchGenerateContent", json={})
    assert tuned.status_code == 404
    assert tuned.json()["error"]["message"].startswith("tunedModels/mine is not found")
    assert shared.get("/v1beta/tunedModels").json() == {}


def test_fields_that_are_nonsense(shared: httpx.Client) -> None:
    """400, however deep."""
    for mask in ("a(b", "a//b", "a/" * 2000 + "a", "(" * 500, ""):
        status = shared.get("/v1beta/models", params={"fields": mask}).status_code
        assert status == (400 if mask else 200)


def test_every_version_sees_the_same(gemini: Emulator) -> None:
    """A job made on one is there on the others."""
    body = {"contents": [{"parts": [{"text": "x"}]}]}
    batch = {"inputConfig": {"requests": {"requests": [{"request": body}]}}}
    path = "models/gemini-2.5-flash:batchGenerateContent"
    with httpx.Client(base_url=gemini.base_url, params={"key": "k"}, timeout=60) as client:
        name = client.post(f"/v1/{path}", json={"batch": batch}).json()["name"]
        states = [client.get(f"/{version}/{name}").status_code for version in VERSIONS]
    assert states == [200] * 3


# --- how JSON is written -------------------------------------------------------------------------


def written(value: object) -> bytes:
    """As Google writes JSON: two spaces, a line end."""
    return orjson.dumps(value, option=orjson.OPT_INDENT_2) + b"\n"


def test_json_is_written_as_google_writes_it(
    api: httpx.Client, gemini: Emulator, create: Create
) -> None:
    """Indented, a line end after it: so the recorded body of an upload has its 542 bytes."""
    recorded = SAMPLES["g043"]["response"]
    assert len(written(recorded["body"])) == int(recorded["headers"]["Content-Length"])
    made = create("a", "b").json()["name"]
    gemini.finish()
    flash = "/v1beta/models/gemini-2.5-flash"
    for answer in (
        api.get(f"/v1beta/{made}"),
        api.get("/v1beta/batches?pageSize=1"),
        api.get("/v1beta/models?fields=models(name)"),
        api.get("/v1beta/batches/none"),
        api.post(f"{flash}:generateContent", json={"contents": [{"parts": [{"text": "x"}]}]}),
        api.post(f"{flash}:generateContent", json={"nonsense": 1}),
    ):
        assert answer.content == written(answer.json())


def test_json_without_spaces(api: httpx.Client, gemini: Emulator, create: Create) -> None:
    """When it is asked for, refusals too."""
    made = create("a").json()["name"]
    gemini.finish()
    for name in (made, "batches/none"):
        answer = api.get(f"/v1beta/{name}?prettyPrint=false")
        assert answer.content == orjson.dumps(answer.json())
