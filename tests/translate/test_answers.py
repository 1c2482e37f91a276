"""Gemini answers -> OpenAI bodies, by the table in ``cases/answers/``."""

import copy
from typing import Any

import orjson
from openai.types import Completion, CreateEmbeddingResponse, ImagesResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response
from pydantic import BaseModel

from gateway.ids import digest
from gateway.translate.contract import Policy
from gateway.translate.endpoints import ENDPOINTS
from tests.every import every
from tests.translate.cases import concept_of, load
from tests.translate.checks import body_of, check_rendered
from tests.translate.running import CONTEXT, told
from tests.translate.words import FILE

CASES = load("answers")
WORDS = orjson.loads(FILE.read_bytes())["answers"]
MODELS: dict[str, type[BaseModel]] = {
    "/v1/chat/completions": ChatCompletion,
    "/v1/completions": Completion,
    "/v1/embeddings": CreateEmbeddingResponse,
    "/v1/images/edits": ImagesResponse,
    "/v1/images/generations": ImagesResponse,
    "/v1/responses": Response,
}
UNCOUNTED = ["unknown", "usage"]
# What a case cannot write down: the id of a completion, and of its first and second call.
NAMED = {
    "@id": digest("completion", CONTEXT.batch_id, CONTEXT.line)[:32],
    "@a": digest("audio", CONTEXT.batch_id, CONTEXT.line, 0)[:24],
    "@1": "call_" + digest("call", CONTEXT.batch_id, CONTEXT.line, 0, 0)[:24],
    "@2": "call_" + digest("call", CONTEXT.batch_id, CONTEXT.line, 0, 1)[:24],
}


def _named(value: Any) -> Any:
    text = orjson.dumps(value).decode()
    for name, meant in NAMED.items():
        text = text.replace(f'{name}"', f'{meant}"').replace(f"{name}_", f"{meant}_")
    return orjson.loads(text)


@every("concept, case", CASES, group=concept_of)
def test_answer(concept: str, case: dict[str, Any]) -> None:
    """Answers become exactly this body, or an error line with this code."""
    path = case["endpoint"]
    endpoint = ENDPOINTS[path]
    answers = copy.deepcopy(case["gemini"])
    policy = Policy.from_json(case.get("policy", {}))
    hints = told(path, case, policy)
    rendered = endpoint.from_gemini(hints, answers, CONTEXT._replace(policy=policy))
    assert answers == case["gemini"]
    expected = case["expected"]
    noted = [[note.code, note.field, note.message] for note in rendered[3]]
    assert [note if note[2] else note[:2] for note in noted] == notes_of(path, case)
    assert rendered[0] == expected["status"], rendered[1]
    if "choices" in expected:
        assert body_of(rendered)["choices"] == _named(expected["choices"])
    if "output" in expected:
        assert body_of(rendered)["output"] == _named(expected["output"])
    if "members" in expected:
        members = body_of(rendered)
        assert {name: members[name] for name in expected["members"]} == expected["members"]
    if "body" in expected:
        assert body_of(rendered) == _named(expected["body"])
    if "error" in expected:
        error = body_of(rendered)["error"]
        words = WORDS[concept][case["name"]]
        assert error["message"] == words, "python -m tests.translate.words"
        whole = isinstance(expected["error"], dict)
        assert (error if whole else error["code"]) == expected["error"]
    if "usage" in expected:
        usage = rendered[2]
        assert list(usage) == expected["usage"]
    if "base64" not in hints:
        check_rendered(rendered, MODELS[path])


def notes_of(path: str, case: dict[str, Any]) -> list[list[str]]:
    """Those of the case, and that nobody counted the tokens, which most cases leave unsaid."""
    expected: dict[str, Any] = case["expected"]
    notes: list[list[str]] = expected.get("notes", [])
    counted = all("usageMetadata" in (answer.get("response") or {}) for answer in case["gemini"])
    if counted or path == "/v1/embeddings" or expected["status"] != 200 or UNCOUNTED in notes:
        return notes
    return [*notes, UNCOUNTED]


def test_the_table_is_large_and_named() -> None:
    """Names are unique within a file, and every case says where it comes from."""
    assert len(CASES) >= 140
    assert len({case.id for case in CASES}) == len(CASES)
    assert all(case.values[1]["source"] for case in CASES)


def test_a_long_message_is_cut() -> None:
    """Google sometimes repeats the whole request in a message."""
    answer = {"error": {"code": 3, "message": "x" * 100_000}}
    chat = ENDPOINTS["/v1/chat/completions"]
    rendered = chat.from_gemini({"model": "m"}, [answer], CONTEXT)
    assert len(body_of(rendered)["error"]["message"]) == 2_001


def _deep() -> dict[str, Any]:
    """The standard parser reads what orjson refuses to write."""
    value: dict[str, Any] = {}
    for _ in range(300):
        value = {"a": value}
    return value


def test_extras_deeper_than_any_writer_goes() -> None:
    """What stands beside the answer is left out, the answer is not."""
    parts = [{"toolCall": _deep()}, {"text": "Hi"}]
    candidate = {
        "content": {"parts": parts},
        "finishReason": "STOP",
        "groundingMetadata": _deep(),
        "urlContextMetadata": _deep(),
    }
    answer = {"response": {"candidates": [candidate]}}
    rendered = ENDPOINTS["/v1/chat/completions"].from_gemini({"model": "m"}, [answer], CONTEXT)
    message = body_of(rendered)["choices"][0]["message"]
    assert message == {"role": "assistant", "content": "Hi", "refusal": None}


def test_arguments_deeper_than_any_writer_goes() -> None:
    """That is an error line."""
    parts = [{"functionCall": {"name": "f", "args": _deep()}}]
    answer = {"response": {"candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}]}}
    rendered = ENDPOINTS["/v1/chat/completions"].from_gemini({"model": "m"}, [answer], CONTEXT)
    assert body_of(rendered)["error"]["code"] == "malformed_function_call"
