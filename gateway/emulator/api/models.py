"""Routes of models and of the synchronous calls, which answer from the same generator as jobs."""

from collections.abc import AsyncIterator

import orjson
from starlette.responses import Response

from gateway.emulator.answers.embed import embed
from gateway.emulator.answers.generate import generate
from gateway.emulator.answers.prompt import last_user_text
from gateway.emulator.answers.usage import content_tokens, details, prompt_tokens
from gateway.emulator.api.files import Streamed
from gateway.emulator.calls import Call
from gateway.emulator.errors import JSON_HEADERS, JsonObject, invalid
from gateway.emulator.markers import find_marks

MAX_BODY = 100 * 1024 * 1024
"""Inline bytes of an interactive request (ai.google.dev/gemini-api/docs/files)."""
MAX_EMBED_REQUESTS = 100
STANDARD_TIER = {"x-gemini-service-tier": "standard"}


async def get(call: Call) -> Response:
    """GET models/{m}."""
    return call.answer(call.world.models.get(call.version, call.path("model")))


async def list_models(call: Call) -> Response:
    """GET models."""
    return call.answer(call.world.models.page(call.query))


async def _generated(call: Call, method: str) -> JsonObject:
    model = call.path("model")
    call.world.models.require(call.version, model, method)
    request = await call.message("GenerateContentRequest", MAX_BODY)
    marks = find_marks(last_user_text(request.get("contents", [])))
    if "slow" in marks:
        await call.world.clock.sleep(float(marks["slow"].value or 1))
    return generate(model, request, call.project)


async def generate_content(call: Call) -> Response:
    """POST models/{m}:generateContent."""
    response = call.answer(await _generated(call, "generateContent"))
    response.headers.update(STANDARD_TIER)
    return response


async def stream_generate_content(call: Call) -> Response:
    """POST models/{m}:streamGenerateContent: server-sent events with alt=sse, else a JSON array."""
    pieces = stream_pieces(await _generated(call, "streamGenerateContent"))
    if call.query.get("alt") == "sse":
        headers = JSON_HEADERS | {"content-type": "text/event-stream"}
        return Streamed(_events(pieces), headers)
    return Response(orjson.dumps(pieces), 200, JSON_HEADERS)


async def _events(pieces: list[JsonObject]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield b"data: " + orjson.dumps(piece) + b"\r\n\r\n"


def stream_pieces(response: JsonObject) -> list[JsonObject]:
    """A response cut into chunks: its text in two, the finish reason in the last one only."""
    candidates = response.get("candidates", [])
    parts = candidates[0].get("content", {}).get("parts", []) if len(candidates) == 1 else []
    if not (parts and "text" in parts[-1] and len(parts[-1]["text"]) > 1):
        return [response]
    text = parts[-1]["text"]
    middle = len(text) // 2
    first = {
        **candidates[0],
        "content": {"parts": [*parts[:-1], {"text": text[:middle]}], "role": "model"},
    }
    last = {
        **candidates[0],
        "content": {"parts": [{**parts[-1], "text": text[middle:]}], "role": "model"},
    }
    del first["finishReason"]
    return [{**response, "candidates": [first]}, {**response, "candidates": [last]}]


async def count_tokens(call: Call) -> Response:
    """POST models/{m}:countTokens."""
    model = call.path("model")
    call.world.models.require(call.version, model, "countTokens")
    body = await call.message("CountTokensRequest", MAX_BODY)
    request = body.get("generateContentRequest", body)
    if not request.get("contents"):
        raise invalid("* CountTokensRequest.contents: contents is not specified\n")
    found = prompt_tokens(request)
    return call.answer({"totalTokens": sum(found.values()), "promptTokensDetails": details(found)})


async def embed_content(call: Call) -> Response:
    """POST models/{m}:embedContent: usageMetadata for gemini-embedding-2, none for -001."""
    model = call.path("model")
    call.world.models.require(call.version, model, "embedContent")
    request = await call.message("EmbedContentRequest", MAX_BODY)
    return call.answer(_embedded(model, [request]) | {"embedding": _vector(call, model, request)})


async def batch_embed_contents(call: Call) -> Response:
    """POST models/{m}:batchEmbedContents: at most 100."""
    model = call.path("model")
    call.world.models.require(call.version, model, "batchEmbedContents")
    body = await call.message("BatchEmbedContentsRequest", MAX_BODY)
    requests = body.get("requests", [])
    if len(requests) > MAX_EMBED_REQUESTS:
        raise invalid(
            "* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch\n",
        )
    vectors = [_vector(call, model, request) for request in requests]
    return call.answer({"embeddings": vectors} | _embedded(model, requests))


def _vector(call: Call, model: str, request: JsonObject) -> JsonObject:
    found: JsonObject = embed(model, request, call.project)["embedding"]
    return found


def _embedded(model: str, requests: list[JsonObject]) -> JsonObject:
    """``usageMetadata`` as gemini-embedding-2 answers it (recorded 2026-08)."""
    if model.endswith("-001"):
        return {}
    tokens = content_tokens(*(request["content"] for request in requests))
    found = {"promptTokenCount": sum(tokens.values()), "promptTokenDetails": details(tokens)}
    return {"usageMetadata": found}
