"""Recorded answers, and every mutation of them, become valid completions or error lines."""

from collections.abc import Iterator
from typing import Any

import orjson
import pytest
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion

from gateway.translate.chat import answer as answers
from gateway.translate.contract import AnswerHints
from gateway.translate.embeddings import answer as embeddings
from tests.every import every
from tests.translate.checks import body_of, check_rendered
from tests.translate.running import CONTEXT
from tests.translate.samples import chat_answers, embedding_answers, mutations

HINTS: AnswerHints = {"model": "gemini-2.5-flash"}
ALL_HINTS: list[AnswerHints] = [
    HINTS,
    {**HINTS, "logprobs": True, "legacy": True, "metadata": {"a": "b"}},
]
CHAT = dict(chat_answers())
VECTORS = dict(embedding_answers())


@pytest.mark.parametrize("hints", ALL_HINTS, ids=["plain", "everything"])
@every("answer", [pytest.param(answer, id=name) for name, answer in CHAT.items()])
def test_recorded_answers_are_rendered(answer: dict[str, Any], hints: AnswerHints) -> None:
    """Each recording passes the SDK's strict types, unchanged by being read."""
    before = orjson.dumps(answer)
    expected = "response" in answer and has_answer(answer)
    rendered = answers.from_gemini(hints, [answer], CONTEXT)
    check_rendered(rendered, ChatCompletion)
    assert orjson.dumps(answer) == before
    assert answers.from_gemini(hints, [orjson.loads(before)], CONTEXT) == rendered
    assert (rendered[0] == 200) == expected


def has_answer(answer: dict[str, Any]) -> bool:
    """Whether a recording holds something a client can use: judged apart from our code."""
    response = answer["response"]
    if response.get("promptFeedback", {}).get("blockReason"):
        return True
    for candidate in response.get("candidates", []):
        reason = candidate.get("finishReason")
        if reason in ("STOP", "MAX_TOKENS", "SAFETY", "RECITATION", "PROHIBITED_CONTENT", "SPII"):
            return True
        for part in candidate.get("content", {}).get("parts", []):
            if part.get("text") or "functionCall" in part:
                return True
    return False


def _supports() -> Iterator[Any]:
    for name, answer in CHAT.items():
        for candidate in answer.get("response", {}).get("candidates", []):
            for support in candidate.get("groundingMetadata", {}).get("groundingSupports", []):
                yield pytest.param(name, support["segment"]["text"], id=f"{name}: {support}")


@every("name, cited", _supports())
def test_recorded_supports_are_cited(name: str, cited: str) -> None:
    """Each recorded support is a citation of just its text, or stays in Google's own words."""
    body = body_of(answers.from_gemini(HINTS, [CHAT[name]], CONTEXT))
    message = body["choices"][0]["message"]
    spans = [entry["url_citation"] for entry in message.get("annotations", [])]
    texts = [message["content"][span["start_index"] : span["end_index"]] for span in spans]
    assert cited in texts or "grounding_metadata" in message["extra_content"]["google"]
    assert ("grounding_metadata" in message.get("extra_content", {}).get("google", {})) == (
        # The one recording whose sources have no URL.
        name == "g100"
    )


@pytest.mark.slow
@pytest.mark.parametrize("name", CHAT.keys())
def test_mutated_answers_never_break(name: str) -> None:
    """One member removed or odd: a valid completion or an error line, never an exception."""
    for mutation in mutations(CHAT[name]):
        for hints in ALL_HINTS:
            check_rendered(answers.from_gemini(hints, [mutation], CONTEXT), ChatCompletion)


@every("name", [pytest.param(name, id=name) for name in CHAT])
def test_two_items_are_one_completion(name: str) -> None:
    """A fanned-out line has the choices of both items, its prompt counted once."""
    one = answers.from_gemini(HINTS, [CHAT[name]], CONTEXT)
    two = answers.from_gemini(HINTS, [CHAT[name], CHAT[name]], CONTEXT)
    check_rendered(two, ChatCompletion)
    assert one[0] == two[0]
    if one[0] == 200:
        assert len(body_of(two)["choices"]) == 2 * len(body_of(one)["choices"])
        assert two[2][0] == one[2][0]
        assert two[2][2] == 2 * one[2][2]


@pytest.mark.parametrize("name", VECTORS.keys())
def test_recorded_vectors_are_rendered(name: str) -> None:
    """Recordings and their mutations give vectors or an error line."""
    rendered = embeddings.from_gemini(HINTS, [VECTORS[name]], CONTEXT)
    assert rendered[0] == 200
    scaled: AnswerHints = {**HINTS, "normalise": True}
    for hints in (HINTS, scaled):
        for mutation in mutations(VECTORS[name]):
            check_rendered(
                embeddings.from_gemini(hints, [mutation], CONTEXT), CreateEmbeddingResponse
            )


def test_there_are_recordings() -> None:
    """The selection by kind still finds what the file holds."""
    assert len(CHAT) >= 80
    assert len(VECTORS) >= 2
