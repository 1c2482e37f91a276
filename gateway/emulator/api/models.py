"""Routes of models and of the synchronous calls, which answer from the same generator as jobs."""

import asyncio
from collections.abc import AsyncIterator, Callable
from typing import Final

import orjson
from starlette.responses import Response

from gateway.emulator.answers.embed import embed, text_of
from gateway.emulator.answers.generate import generate
from gateway.emulator.answers.prompt import last_user_text
from gateway.emulator.answers.usage import content_tokens, details, prompt_tokens
from gateway.emulator.api import flex
from gateway.emulator.api.call import TIER_HEADER, Call
from gateway.emulator.checks.request import check_model
from gateway.emulator.faults.markers import find_marks
from gateway.emulator.faults.prompt_faults import sort_prompt_faults
from gateway.emulator.protocol.errors import JSON_HEADERS, JsonObject, invalid, json_bytes
from gateway.emulator.protocol.streams import Streamed

# Inline bytes of an interactive request (ai.google.dev/gemini-api/docs/files).
MAX_BODY: Final = 100 * 1024 * 1024
MAX_EMBED_REQUESTS: Final = 100
_STREAM: Final = "streamGenerateContent"


async def get(call: Call) -> Response:
    """GET models/{m}."""
    return call.answer(call.state.models.get(call.version, call.path("model")))


async def list_models(call: Call) -> Response:
    """GET models."""
    return call.answer(call.state.models.page(call.query))


async def _asked(
    call: Call, method: str, message: str, text: Callable[[JsonObject], str]
) -> tuple[str, JsonObject]:
    """Return the model and the request of a call; what its text asks for happens to the call."""
    model = call.path("model")
    call.state.models.require(call.version, model, method)
    request = await call.message(message, MAX_BODY)
    said = text(request)
    marked = sort_prompt_faults([said], call.operation, call.project.seen)
    for fault in marked.others:
        call.project.faults.arm(fault)
    await call.meet(marked.call)
    if mark := find_marks(said).get("slow"):
        await call.state.clock.sleep(mark.seconds(1.0))
    return model, request


def _prompt(request: JsonObject) -> str:
    return last_user_text(request.get("contents", []))


def _content(request: JsonObject) -> str:
    return text_of(request.get("content", {}))


async def _generated(call: Call, method: str) -> tuple[JsonObject, str]:
    """Return a response, and the service tier that it was served in."""
    model, request = await _asked(call, method, "GenerateContentRequest", _prompt)
    tier = request.get("serviceTier", "standard").replace("unspecified", "standard")
    with flex.place(call, tier):
        if tier == "flex":
            await flex.wait(call)
        response = await asyncio.to_thread(generate, model, request, call.project)
    tier = flex.served(call, tier)
    if "usageMetadata" in response:
        response["usageMetadata"]["serviceTier"] = tier
    flex.book(call, tier, response, _prompt(request))
    call.state.journal.note(call.operation, model=model, tier=tier)
    return response, tier


async def generate_content(call: Call) -> Response:
    """POST models/{m}:generateContent."""
    response, tier = await _generated(call, "generateContent")
    answer = call.answer(response)
    answer.headers[TIER_HEADER] = tier
    return answer


async def stream_generate_content(call: Call) -> Response:
    """POST models/{m}:streamGenerateContent: server-sent events with alt=sse, else a JSON array."""
    response, _ = await _generated(call, _STREAM)
    pieces = [call.masked(one) for one in stream_pieces(response)]
    if call.query.get("alt") == "sse":
        headers = JSON_HEADERS | {"content-type": "text/event-stream"}
        return Streamed(_events(pieces), headers)
    return Streamed(_array(pieces), JSON_HEADERS)


async def _events(pieces: list[object]) -> AsyncIterator[bytes]:
    for piece in pieces:
        yield b"data: " + orjson.dumps(piece) + b"\r\n\r\n"


async def _array(pieces: list[object]) -> AsyncIterator[bytes]:
    for at, piece in enumerate(pieces):
        yield (b",\r\n" if at else b"[") + json_bytes(piece)
    yield b"]"


def stream_pieces(response: JsonObject) -> list[JsonObject]:
    """Cut a response into chunks: its text in two, the finish reason in the last one only."""
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
    model, body = await _asked(
        call,
        "countTokens",
        "CountTokensRequest",
        lambda body: _prompt(body.get("generateContentRequest", body)),
    )
    request = body.get("generateContentRequest", body)
    check_model(model, request, "CountTokensRequest.generate_content_request")
    if not request.get("contents"):
        raise invalid("* CountTokensRequest.contents: contents is not specified\n")
    found = prompt_tokens(request)
    call.state.journal.note(call.operation, model=call.path("model"))
    return call.answer({"totalTokens": found.total(), "promptTokensDetails": details(found)})


async def embed_content(call: Call) -> Response:
    """POST models/{m}:embedContent: usageMetadata for gemini-embedding-2, none for -001."""
    model, request = await _asked(call, "embedContent", "EmbedContentRequest", _content)
    [vector] = await _vectors(call, model, [request])
    return call.answer({"embedding": vector} | _embedded(model, [request]))


async def batch_embed_contents(call: Call) -> Response:
    """POST models/{m}:batchEmbedContents: at most 100."""
    model, body = await _asked(
        call,
        "batchEmbedContents",
        "BatchEmbedContentsRequest",
        lambda body: "\n".join(map(_content, body.get("requests", []))),
    )
    requests = body.get("requests", [])
    if not requests:
        raise invalid("* BatchEmbedContentsRequest.requests: requests is not specified\n")
    if len(requests) > MAX_EMBED_REQUESTS:
        raise invalid(
            "* BatchEmbedContentsRequest.requests: at most 100 requests can be in one batch\n",
        )
    vectors = await _vectors(call, model, requests)
    return call.answer({"embeddings": vectors} | _embedded(model, requests))


async def _vectors(call: Call, model: str, requests: list[JsonObject]) -> list[JsonObject]:
    def work() -> list[JsonObject]:
        return [embed(model, request, call.project)["embedding"] for request in requests]

    vectors = await asyncio.to_thread(work)
    call.state.journal.note(call.operation, model=model, items=len(requests))
    return vectors


def _embedded(model: str, requests: list[JsonObject]) -> JsonObject:
    """``usageMetadata`` as gemini-embedding-2 answers it (recorded 2026-08)."""
    if model.endswith("-001"):
        return {}
    tokens = content_tokens(*(request["content"] for request in requests))
    found = {"promptTokenCount": tokens.total(), "promptTokenDetails": details(tokens)}
    return {"usageMetadata": found}
