"""``model`` of an answer: the same kind of name on every endpoint, by one setting."""

from typing import Any

import orjson
import pytest

from gateway.translate.contract import LineError, Policy
from gateway.translate.endpoints import ENDPOINTS
from tests.translate.checks import hints_of
from tests.translate.running import CONTEXT

ASKED, SERVED, VERSION = "models/gpt-4o-mini", "gemini-3.5-flash-lite", "gemini-3.5-flash-lite-001"
BODIES: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}]},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/responses": {"input": "Hi"},
    "/v1/embeddings": {"input": "Hi"},
}
# An answer of images has no member for its model.
NAMELESS = {"/v1/images/edits", "/v1/images/generations"}
TEXT: dict[str, Any] = {
    "responseId": "r",
    "candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}],
    "usageMetadata": {"promptTokenCount": 1},
}
VECTOR = {"embedding": {"values": [0.6, 0.8]}, "tokenCount": "1"}
CUT = {**TEXT, "candidates": [{**TEXT["candidates"][0], "finishReason": "MAX_TOKENS"}]}


def model_in_answer(path: str, response: dict[str, Any], **policy: Any) -> str:
    """What a line that was asked by an alias says."""
    made = ENDPOINTS[path].to_gemini({"model": ASKED, **BODIES[path]}, Policy(), SERVED)
    assert not isinstance(made, LineError)
    context = CONTEXT._replace(policy=Policy(**policy), model=SERVED)
    answer = VECTOR if path == "/v1/embeddings" else response
    status, body, *_ = ENDPOINTS[path].from_gemini(hints_of(made), [{"response": answer}], context)
    assert status == 200
    return str(orjson.loads(body)["model"])


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("response", [TEXT, CUT], ids=["plain", "cut"])
def test_the_model_that_answered(path: str, response: dict[str, Any]) -> None:
    """As Gemini names it; where it names none, the job's: embeddings said the alias."""
    version = f"models/{VERSION}"
    told = SERVED if path == "/v1/embeddings" else VERSION

    assert model_in_answer(path, {**response, "modelVersion": version}) == told
    assert model_in_answer(path, response) == SERVED


@pytest.mark.parametrize("path", BODIES)
@pytest.mark.parametrize("response", [TEXT, CUT], ids=["plain", "cut"])
def test_the_model_that_was_asked(path: str, response: dict[str, Any]) -> None:
    """As the line wrote it, to the letter, for programs that compare."""
    version = {"modelVersion": VERSION}

    assert model_in_answer(path, {**response, **version}, answer_model="asked") == ASKED
    assert model_in_answer(path, response, answer_model="asked") == ASKED
