"""What the emulator's tests share: a running emulator, a raw client, Google's SDK."""

from collections.abc import Callable, Iterator
from typing import Any

import httpx
import pytest
from google import genai
from google.genai import types

from gateway.emulator.testing import Emulator, gemini

__all__ = ["gemini"]

Json = dict[str, Any]


@pytest.fixture
def api(gemini: Emulator) -> Iterator[httpx.Client]:
    """A raw HTTP client with a key, following nothing."""
    headers = {"x-goog-api-key": "test-key"}
    with httpx.Client(base_url=gemini.base_url, headers=headers, timeout=60) as client:
        yield client


@pytest.fixture(params=["v1", "v1beta"])
def sdk(request: pytest.FixtureRequest, gemini: Emulator) -> Iterator[genai.Client]:
    """Google's SDK on each version of the API."""
    options = types.HttpOptions(base_url=gemini.base_url, api_version=request.param)
    with genai.Client(api_key="test-key", http_options=options) as client:
        yield client


def ask(text: str, **config: Any) -> Json:
    """A GenerateContentRequest."""
    request: Json = {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    return request | ({"generationConfig": config} if config else {})


Create = Callable[..., httpx.Response]


@pytest.fixture
def create(api: httpx.Client) -> Create:
    """Create an inline job of texts (keys k0, k1, ...)."""

    def call(*texts: str, model: str = "gemini-2.5-flash", **batch: Any) -> httpx.Response:
        requests = [
            {"request": ask(text), "metadata": {"key": f"k{at}"}} for at, text in enumerate(texts)
        ]
        body = {"batch": {"inputConfig": {"requests": {"requests": requests}}, **batch}}
        return api.post(f"/v1beta/models/{model}:batchGenerateContent", json=body)

    return call


@pytest.fixture
def put_file(api: httpx.Client) -> Callable[[bytes], str]:
    """Upload bytes in one chunk; the file's name."""

    def call(data: bytes) -> str:
        start = api.post(
            "/upload/v1beta/files",
            headers={
                "X-Goog-Upload-Command": "start",
                "X-Goog-Upload-Protocol": "resumable",
                "X-Goog-Upload-Header-Content-Length": str(len(data)),
                "X-Goog-Upload-Header-Content-Type": "application/jsonl",
            },
        )
        done = httpx.post(
            start.headers["x-goog-upload-url"],
            content=data,
            headers={"X-Goog-Upload-Offset": "0", "X-Goog-Upload-Command": "upload, finalize"},
            timeout=60,
        )
        name: str = done.json()["file"]["name"]
        return name

    return call


@pytest.fixture
def results(api: httpx.Client, gemini: Emulator) -> Callable[[str], list[Json]]:
    """Let a job end and give its inline results or the lines of its file."""

    def call(name: str) -> list[Json]:
        gemini.finish(name)
        output = api.get(f"/v1beta/{name}").json()["response"]
        if "responsesFile" not in output:
            inline: list[Json] = output["inlinedResponses"].get("inlinedResponses", [])
            return inline
        path = f"/download/v1beta/{output['responsesFile']}:download"
        lines = api.get(path, params={"alt": "media"}).text.splitlines()
        return [httpx.Response(200, text=line).json() for line in lines]

    return call
