"""Plain answers of a chat are written by template, as the ordinary way writes them."""

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.translate import Price, answer_cost, usages_cost
from gateway.translate.chat import answer as answers
from gateway.translate.chat.plain import plain_answer, usual_answers
from gateway.translate.contract import AnswerHints, Context, Rendered
from gateway.wire.usual_results import usual_result

CONTEXT = Context("batch_one", 7, 1_790_000_000)
TEXTS = st.text(st.characters(codec="utf-8"), min_size=1, max_size=20)
SIGNATURES = st.sampled_from(["", "c2ln", "100%d", "\x1a4\x1a"])
VALUES = st.one_of(st.integers(-(2**53), 2**53), TEXTS, st.lists(TEXTS, max_size=2))
CALLS = st.fixed_dictionaries(
    {"name": st.sampled_from(["find", "default_api.find", "stand_in_for_a_name"])},
    optional={"id": st.sampled_from(["a", "b", ""]), "args": st.dictionaries(TEXTS, VALUES)},
)
HINTS: AnswerHints = {"model": "m", "functions": ["find", "stand_in_for_a_name"]}


def signed(part: dict[str, Any], signature: str) -> dict[str, Any]:
    """A part with its signature, if there is one."""
    return {**part, "thoughtSignature": signature} if signature else part


def answer_of(parts: list[Any], **usage: Any) -> dict[str, Any]:
    """An answer that came to its end."""
    counts = {"promptTokenCount": 5, "candidatesTokenCount": 3, "thoughtsTokenCount": 2}
    return {
        "candidates": [{"content": {"parts": parts}, "finishReason": "STOP"}],
        "responseId": "an id",
        "modelVersion": "gemini-x",
        "usageMetadata": {**counts, **usage},
    }


def written_by_types(response: dict[str, Any], hints: AnswerHints) -> Rendered | None:
    """What is made of the line of a results file that this answer is in."""
    read = usual_result(orjson.dumps({"key": "7", "response": response}))
    write = usual_answers(CONTEXT._replace(line=0))
    return write(hints, CONTEXT.line, read.response) if read else None


def compare(response: dict[str, Any], hints: AnswerHints) -> None:
    """A member that is left out sends the same answer down the ordinary way."""
    plain = plain_answer(hints, {"response": response}, CONTEXT)
    assert written_by_types(response, hints) == plain
    response["candidates"][0]["unheardOf"] = {}
    assert written_by_types(response, hints) is None
    assert plain_answer(hints, {"response": response}, CONTEXT) is None
    assert plain == answers.from_gemini(hints, [{"response": response}], CONTEXT)


@given(text=TEXTS, signature=SIGNATURES)
def test_a_text(text: str, signature: str) -> None:
    """Signed or not: Gemini 3 signs nearly all of its texts."""
    compare(answer_of([signed({"text": text}, signature)]), HINTS)


@given(calls=st.lists(st.tuples(CALLS, SIGNATURES), min_size=1, max_size=3))
def test_calls(calls: list[tuple[dict[str, Any], str]]) -> None:
    """Of declared functions; others are noted, which the ordinary way does."""
    parts = [signed({"functionCall": call}, signature) for call, signature in calls]
    response = answer_of(parts)
    if all(call["name"] in HINTS["functions"] for call, _ in calls):
        compare(response, HINTS)
    else:
        assert plain_answer(HINTS, {"response": response}, CONTEXT) is None


CALL = {"functionCall": {"name": "find"}}


@pytest.mark.parametrize(
    ("parts", "hints"),
    [
        ([], {}),
        (["text"], {}),
        ([{"text": ""}], {}),
        ([{"text": "a"}, {"text": "b"}], {}),
        ([{"text": "a", "thought": True}], {}),
        ([{"text": "a", "thoughtSignature": 7}], {}),
        ([{"text": "a"}], {"metadata": {"k": "v"}}),
        ([CALL, {"text": "a"}], {}),
        ([{"text": "a"}, CALL], {}),
        ([{"functionCall": {}}], {}),
        ([CALL], {"legacy": True}),
        ([CALL], {"one_call": True}),
        ([CALL], {"custom": ["find"]}),
        ([CALL], {"functions": []}),
    ],
)
def test_anything_else_is_left_to_the_ordinary_way(parts: list[Any], hints: Any) -> None:
    """No template has a place for it."""
    response = answer_of(parts)
    assert plain_answer({**HINTS, **hints}, {"response": response}, CONTEXT) is None
    assert written_by_types(response, {**HINTS, **hints}) is None


def test_an_answer_with_an_error_is_that_error() -> None:
    """Whatever response comes with it; an empty error is none."""
    answer: dict[str, Any] = {"response": answer_of([{"text": "a"}]), "error": {}}
    assert plain_answer(HINTS, answer, CONTEXT) is None
    status, body, *_ = answers.from_gemini(HINTS, [answer], CONTEXT)
    assert (status, orjson.loads(body)["choices"][0]["message"]["content"]) == (200, "a")
    answer["error"] = {"code": 8, "message": "busy"}
    assert plain_answer(HINTS, answer, CONTEXT) is None
    assert answers.from_gemini(HINTS, [answer], CONTEXT)[0] == 429


def test_members_that_no_answer_shows_leave_it_plain() -> None:
    """One of them, or all."""
    response = answer_of([{"text": "a"}])
    plain = plain_answer(HINTS, {"response": response}, CONTEXT)
    assert plain is not None
    for name in ("index", "safetyRatings", "avgLogprobs", "tokenCount", "citationMetadata"):
        response["candidates"][0][name] = 0
        assert plain_answer(HINTS, {"response": response}, CONTEXT) == plain
        assert written_by_types(response, HINTS) == plain
    response["candidates"][0]["finishMessage"] = "done"
    assert plain_answer(HINTS, {"response": response}, CONTEXT) == plain


@pytest.mark.parametrize("medium", ["AUDIO", "IMAGE"])
@pytest.mark.parametrize("member", ["promptTokensDetails", "candidatesTokensDetails"])
def test_so_are_tokens_that_are_no_text(member: str, medium: str) -> None:
    """They are counted apart."""
    details = [{"modality": medium, "tokenCount": 2}]
    response = answer_of([{"text": "a"}], **{member: details})
    assert plain_answer(HINTS, {"response": response}, CONTEXT) is None
    assert written_by_types(response, HINTS) is None


PRICE = Price(0.3, 2.5, 0.6, 5.0)
COUNTS = st.sampled_from([0, 1, 7, 250_000, 2**41, -1, "12", 1.0, True, None])
USAGE = st.dictionaries(
    st.sampled_from(
        [
            "promptTokenCount",
            "candidatesTokenCount",
            "thoughtsTokenCount",
            "cachedContentTokenCount",
            "toolUsePromptTokenCount",
        ]
    ),
    COUNTS,
)


@given(usage=USAGE)
def test_the_tokens_of_a_plain_answer_cost_what_the_answer_does(usage: dict[str, Any]) -> None:
    """Collecting prices them without another look at the answer."""
    answer = {"response": answer_of([{"text": "a"}], **usage)}
    plain = plain_answer(HINTS, answer, CONTEXT)
    assert plain is not None
    assert usages_cost([plain[2]], PRICE) == answer_cost(answer, PRICE)
    assert usages_cost([plain[2]], None) is None
    assert written_by_types(answer["response"], HINTS) in {plain, None}
