"""``/v1/responses`` both ways: recorded answers, and items that come back as input."""

from base64 import b64decode
from typing import Any

import orjson
import pytest
from openai.types.responses import Response

from gateway.translate.answer.envelope import plain_of
from gateway.translate.contract import LineError, Policy
from gateway.translate.responses import answer as responses_answers
from gateway.translate.responses import request as responses
from tests.every import every
from tests.translate.checks import body_of, check_rendered, check_translation, hints_of
from tests.translate.running import CONTEXT
from tests.translate.samples import chat_answers, mutations
from tests.translate.test_samples import has_answer

POLICY = Policy()
MODEL = "gemini-3.6-flash"
ANSWERS = dict(chat_answers())
EVERYTHING = {
    "include": [
        "reasoning.encrypted_content",
        "code_interpreter_call.outputs",
        "web_search_call.action.sources",
        "message.output_text.logprobs",
    ],
    "instructions": "Be brief.",
    "metadata": {"a": "b"},
    "temperature": 1,
    "reasoning": {"effort": "low", "summary": "auto"},
    "tools": [
        {"type": "function", "name": "f", "parameters": {"type": "object"}, "strict": False},
        {"type": "web_search", "search_context_size": "low"},
        {"type": "code_interpreter", "container": {"type": "auto"}},
    ],
    "text": {"format": {"type": "json_object"}, "verbosity": "low"},
}


def echo(**body: Any) -> Any:
    """What an answer is told of its request."""
    made = responses.to_gemini({"model": MODEL, "input": "Hi", **body}, POLICY, MODEL)
    assert not isinstance(made, LineError), made
    return hints_of(made)


ECHOES = [echo(), echo(**EVERYTHING), echo(parallel_tool_calls=False)]
NAMES = [pytest.param(name, id=name) for name in ANSWERS]


@pytest.mark.parametrize("asked", ECHOES[:2], ids=["plain", "everything"])
@every("answer", [pytest.param(answer, id=name) for name, answer in ANSWERS.items()])
def test_recorded_answers_are_rendered(answer: dict[str, Any], asked: Any) -> None:
    """Each recording passes the SDK's strict types, unchanged by being read."""
    before = orjson.dumps(answer)
    # g154 is sound alone, which nothing asks for yet.
    expected = "response" in answer and has_answer(answer) and answer is not ANSWERS["g154"]
    rendered = responses_answers.from_gemini(asked, [answer], CONTEXT)
    check_rendered(rendered, Response)
    assert orjson.dumps(answer) == before
    assert responses_answers.from_gemini(asked, [orjson.loads(before)], CONTEXT) == rendered
    assert (rendered[0] == 200) == expected


@pytest.mark.slow
@pytest.mark.parametrize("name", ANSWERS.keys())
def test_mutated_answers_never_break(name: str) -> None:
    """One member removed or odd: a valid Response or an error line, never an exception."""
    for mutation in mutations(ANSWERS[name]):
        for asked in ECHOES[:2]:
            rendered = responses_answers.from_gemini(asked, [mutation], CONTEXT)
            check_rendered(rendered, Response)


@every("name", NAMES)
def test_an_answer_can_be_sent_back(name: str) -> None:
    """Output items, as the SDK writes them, are input items of the next line."""
    rendered = responses_answers.from_gemini(ECHOES[1], [ANSWERS[name]], CONTEXT)
    if rendered[0] != 200:
        return
    answer = Response.model_validate_json(rendered[1])
    raw = body_of(rendered)["output"]
    dumped = [item.model_dump(mode="json") for item in answer.output]
    for items in (raw, dumped):
        results = [
            {"type": "function_call_output", "call_id": item["call_id"], "output": "{}"}
            for item in items
            if item["type"] == "function_call"
        ]
        said = {"role": "user", "content": "Go on."}
        body = {"model": MODEL, "input": [said, *items, *results, said]}
        made = responses.to_gemini(body, POLICY, MODEL)
        assert not isinstance(made, LineError), made
        check_translation(made, "GenerateContentRequest")


@every("name", NAMES)
def test_signatures_come_back_where_they_were(name: str) -> None:
    """Each part that Gemini signed is sent with its own signature again, code aside."""
    rendered = responses_answers.from_gemini(ECHOES[1], [ANSWERS[name]], CONTEXT)
    if rendered[0] != 200 or not ANSWERS[name]["response"].get("candidates"):
        return
    [candidate, *_] = ANSWERS[name]["response"]["candidates"]
    signed = [
        part["thoughtSignature"]
        for part in candidate.get("content", {}).get("parts", [])
        if "thoughtSignature" in part and "executableCode" not in part
    ]
    items = body_of(rendered)["output"]
    results = [
        {"type": "function_call_output", "call_id": item["call_id"], "output": "{}"}
        for item in items
        if item["type"] == "function_call"
    ]
    body = {"model": MODEL, "input": [*items, *results, {"role": "user", "content": "Go on."}]}
    made = responses.to_gemini(body, POLICY, MODEL)
    assert not isinstance(made, LineError), made
    back = [
        part["thoughtSignature"]
        for content in orjson.loads(made[0][0])["contents"]
        for part in content["parts"]
        if part.get("thoughtSignature") not in (None, "skip_thought_signature_validator")
    ]
    assert back == signed


def test_a_step_deeper_than_any_writer_goes_is_left_out() -> None:
    """Nobody could send it back; the signatures beside it stay."""
    deep: dict[str, Any] = {}
    for _ in range(300):
        deep = {"a": deep}
    parts = [
        {"text": "Hi", "thoughtSignature": "c2ln"},
        {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "args": deep}},
    ]
    candidate = {"content": {"parts": parts}, "finishReason": "STOP"}
    rendered = responses_answers.from_gemini(
        ECHOES[1], [{"response": {"candidates": [candidate], "responseId": "R"}}], CONTEXT
    )
    check_rendered(rendered, Response)
    reasoning, *_ = body_of(rendered)["output"]
    kept = orjson.loads(b64decode(reasoning["encrypted_content"]))
    assert kept == {"v": 1, "signatures": {"msg_R_0": "c2ln"}, "parts": {}}


def test_a_plain_answer_is_written_as_any_other() -> None:
    """A member that is left out sends the same answer down the ordinary way."""
    candidate: dict[str, Any] = {
        "content": {"parts": [{"text": "%é\u2028"}]},
        "finishReason": "STOP",
    }
    response = {
        "candidates": [candidate],
        "responseId": "R%1",
        "modelVersion": "models/gemini-x",
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4},
    }
    for asked in (ECHOES[0], echo(instructions="%d", metadata={"%": "%b"})):
        plain = responses_answers.from_gemini(asked, [{"response": response}], CONTEXT)
        assert plain_of({"response": response}) is not None
        candidate["unheardOf"] = {}
        assert plain_of({"response": response}) is None
        assert responses_answers.from_gemini(asked, [{"response": response}], CONTEXT) == plain
        check_rendered(plain, Response)
        del candidate["unheardOf"]


def test_small_inputs_of_a_remembered_request() -> None:
    """Lines after the first of a request are read the short way, and say the same."""
    rest = {"model": MODEL, "instructions": "Remembered.", "temperature": 1}
    inputs: list[Any] = [
        "one",
        "two",
        [{"role": "user", "content": "three"}, {"role": "assistant", "content": "four"}] * 2,
        [{"type": "message", "role": "user", "content": [{"type": "input_text", "text": "five"}]}],
        [{"role": "user", "content": "six"}, {"type": "function_call"}],
        [],
        None,
    ]
    short = [responses.to_gemini({**rest, "input": given}, POLICY, MODEL) for given in inputs]
    # Other metadata is another rest: each is read as the first of its kind.
    for number, given in enumerate(inputs):
        alone = {"metadata": {"number": str(number)}, **rest, "input": given}
        met, first = short[number], responses.to_gemini(alone, POLICY, MODEL)
        if isinstance(met, LineError) or isinstance(first, LineError):
            assert met == first
        else:
            assert (met[0], *met[2:]) == (first[0], *first[2:])


@pytest.mark.parametrize("field", ["background", "parallel_tool_calls"])
def test_a_switch_is_true_or_false(field: str) -> None:
    """A word for it is refused, by the name of its field."""
    error = responses.to_gemini({"model": MODEL, "input": "Hi", field: "yes"}, POLICY, MODEL)
    assert isinstance(error, LineError)
    assert (error.code, error.param) == ("invalid_type", field)


def test_the_model_is_the_clients_where_gemini_names_none() -> None:
    """A Response must name one."""
    asked = responses.to_gemini({"model": "my-model", "input": "Hi"}, POLICY, MODEL)
    assert not isinstance(asked, LineError)
    answer = {"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}]}
    rendered = responses_answers.from_gemini(hints_of(asked), [{"response": answer}], CONTEXT)
    assert orjson.loads(rendered[1])["model"] == "my-model"


def test_a_failed_answer_says_why_and_what_it_cost() -> None:
    """The error line has Gemini's message, the batch its tokens."""
    candidate = {"finishReason": "MALFORMED_FUNCTION_CALL", "finishMessage": "It wrote f(."}
    usage = {"promptTokenCount": 3, "candidatesTokenCount": 2, "thoughtsTokenCount": 4}
    answer = {"response": {"candidates": [candidate], "usageMetadata": usage}}
    status, body, counted, _ = responses_answers.from_gemini(ECHOES[0], [answer], CONTEXT)
    assert status >= 400
    assert b"It wrote f(." in body
    assert counted == (3, 0, 6, 4)


@pytest.mark.parametrize(
    "part", [{"text": "a", "thought": True}, {"text": 7}, {"text": ""}, {"inlineData": {}}, "a"]
)
def test_only_a_text_is_a_plain_answer(part: Any) -> None:
    """A thought is none: it would be told as words of the answer."""
    response = {
        "candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}],
        "responseId": "R1",
        "modelVersion": "gemini-x",
        "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 4},
    }
    assert plain_of({"response": response}) is None
