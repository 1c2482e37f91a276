"""Any body of ``/v1/responses`` becomes a request that Google takes, or a 400 that names a field.

And whatever Gemini answers is a Response by the SDK's strict types, whose items may come back.
"""

import copy
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from openai.types.responses import Response

from gateway.translate import frames
from gateway.translate.answer.finish import FINISH
from gateway.translate.contract import LineError
from gateway.translate.responses import answer as responses_answers
from gateway.translate.responses import request as responses
from gateway.translate.template import stand_in
from tests.translate.checks import (
    body_of,
    check_refusal,
    check_rendered,
    check_translation,
    hints_of,
)
from tests.translate.running import CONTEXT
from tests.translate.samples import ODD
from tests.translate.test_properties import (
    ANSWER,
    ARGUMENTS,
    BOUNDED,
    JSON,
    MODELS,
    NAME,
    POLICY,
    RESULT,
    ROOT_SCHEMA,
    SIGNED,
    TEXT,
    _paths,
)

pytestmark = pytest.mark.slow

IMAGES = st.sampled_from(
    (
        {"type": "input_image", "image_url": "data:image/png;base64,AAAA", "detail": "auto"},
        {"type": "input_image", "image_url": "https://x/y.webp", "detail": "high"},
        {"type": "input_image", "file_id": "file-000000000000000000000001", "detail": "low"},
    )
)
FILES = st.sampled_from(
    (
        {"type": "input_file", "file_data": "data:application/pdf;base64,AAAA"},
        {"type": "input_file", "file_data": "AAAA", "filename": "a.csv"},
        {"type": "input_file", "file_url": "https://x/y.pdf", "detail": "low"},
    )
)
WORDS = st.builds(lambda text: {"type": "input_text", "text": text}, TEXT)
SOUND = st.just({"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}})
PARTS = st.lists(WORDS | IMAGES | FILES | SOUND, min_size=1, max_size=3)
RESULT_PARTS = st.lists(WORDS | IMAGES | FILES, min_size=1, max_size=3)
KEPT = st.sampled_from(
    (
        None,
        "gAAAAABo",
        "eyJ2IjoxLCJzaWduYXR1cmVzIjp7ImEiOiJjMmxuIiwibTEiOiJjMmxuIn0sInBhcnRzIjp7fX0=",
    )
)


def _message(role: str, content: Any, typed: bool) -> list[dict[str, Any]]:
    return [{"role": role, "content": content, **({"type": "message"} if typed else {})}]


def _calls(
    calls: dict[str, tuple[str, str, Any]], kept: str | None, signed: dict[str, Any]
) -> list[dict[str, Any]]:
    """Reasoning, parallel calls and, in reverse order, their results."""
    reasoning: dict[str, Any] = {
        "type": "reasoning",
        "id": "rs_1",
        "summary": [],
        "encrypted_content": kept,
    }
    made = [
        {"type": "function_call", "call_id": key, "name": name, "arguments": text, **signed}
        for key, (name, text, _) in calls.items()
    ]
    results = [
        {"type": "function_call_output", "call_id": key, "output": result}
        for key, (_, _, result) in reversed(calls.items())
    ]
    return [reasoning, *made, *results]


def _answer(text: str, kept: str | None) -> list[dict[str, Any]]:
    content = [{"type": "output_text", "text": text, "annotations": [], "logprobs": []}]
    return [
        {"type": "reasoning", "id": "rs_1", "summary": [], "encrypted_content": kept},
        {
            "type": "message",
            "id": "m1",
            "role": "assistant",
            "status": "completed",
            "content": content,
        },
    ]


CUSTOM = [
    {"type": "custom_tool_call", "call_id": "c", "name": "run", "input": "ls"},
    {"type": "custom_tool_call_output", "call_id": "c", "output": "a.txt"},
]
DONE = st.sampled_from(
    (
        {
            "type": "code_interpreter_call",
            "id": "ci_1",
            "container_id": "cntr_1",
            "status": "completed",
            "code": "print(7)",
            "outputs": [{"type": "logs", "logs": "7"}, {"type": "image", "url": "data:,"}],
        },
        {
            "type": "web_search_call",
            "id": "ws_1",
            "status": "completed",
            "action": {"type": "search", "query": "x"},
        },
        {
            "type": "image_generation_call",
            "id": "ig_1",
            "status": "completed",
            "result": "AAAA",
            "output_format": "webp",
        },
    )
)
TURNS = st.one_of(
    st.builds(
        _message, st.sampled_from(("system", "developer", "user", "assistant")), TEXT, st.booleans()
    ),
    st.builds(_message, st.just("user"), PARTS, st.booleans()),
    st.builds(_answer, TEXT, KEPT),
    st.builds(
        _calls,
        st.dictionaries(
            st.sampled_from(("a", "b", "c__thought__" + "c2ln" * 12)),
            st.tuples(NAME, ARGUMENTS, RESULT | RESULT_PARTS),
            min_size=1,
        ),
        KEPT,
        SIGNED,
    ),
    st.just(CUSTOM),
    DONE.map(lambda item: [item]),
)
INPUT = TEXT | st.builds(
    lambda turns, last: [item for turn in [*turns, last] for item in turn],
    st.lists(TURNS, max_size=5),
    st.builds(_message, st.just("user"), TEXT | PARTS, st.booleans()),
)
FUNCTION: st.SearchStrategy[Any] = st.fixed_dictionaries(
    {"type": st.just("function"), "name": NAME},
    optional={
        "description": TEXT | st.none(),
        "parameters": ROOT_SCHEMA | st.none(),
        "strict": st.booleans() | st.none(),
        "defer_loading": st.booleans(),
        "allowed_callers": st.sampled_from((["direct"], None)),
    },
)
HOSTED: st.SearchStrategy[Any] = st.sampled_from(
    (
        {"type": "web_search"},
        {
            "type": "web_search_preview",
            "search_context_size": "high",
            "user_location": {"type": "approximate", "city": "Ulm"},
        },
        {"type": "code_interpreter", "container": {"type": "auto", "memory_limit": "1g"}},
        {"type": "custom", "name": "run", "format": {"type": "text"}},
    )
)
TOOLS = st.lists(
    FUNCTION | HOSTED,
    max_size=4,
    unique_by=lambda tool: tool.get("name") or tool["type"].removesuffix("_preview"),
)
CHOICE = st.sampled_from(
    (
        "auto",
        "none",
        "required",
        {"type": "function", "name": "f"},
        {"type": "function", "name": "1st"},
        {"type": "custom", "name": "run"},
        {"type": "web_search"},
        {"type": "code_interpreter"},
        {"type": "allowed_tools", "mode": "auto", "tools": [{"type": "function", "name": "f"}]},
        {"type": "allowed_tools", "mode": "required", "tools": [{"type": "web_search"}]},
    )
)
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "instructions": TEXT | st.none(),
    "max_output_tokens": st.integers(1, 2**31 - 1) | st.just(8.0),
    "temperature": st.floats(0, 2) | st.integers(0, 2) | st.none(),
    "top_p": st.floats(0, 1),
    "top_logprobs": st.integers(0, 20),
    "include": st.lists(
        st.sampled_from(
            (
                "message.output_text.logprobs",
                "reasoning.encrypted_content",
                "code_interpreter_call.outputs",
                "web_search_call.action.sources",
                "web_search_call.results",
            )
        ),
        unique=True,
    ),
    "tools": TOOLS,
    "tool_choice": CHOICE,
    "text": st.fixed_dictionaries(
        {},
        optional={
            "verbosity": st.sampled_from(("low", "high", None)),
            "format": st.one_of(
                st.sampled_from(({"type": "text"}, {"type": "json_object"})),
                st.builds(
                    lambda schema: {
                        "type": "json_schema",
                        "name": "x",
                        "schema": schema,
                        "strict": True,
                    },
                    ROOT_SCHEMA,
                ),
            ),
        },
    ),
    "reasoning": st.fixed_dictionaries(
        {},
        optional={
            "effort": st.sampled_from(("none", "low", "medium", "xhigh", None)),
            "summary": st.sampled_from(("auto", "concise", None)),
            "mode": st.sampled_from(("standard", "pro")),
        },
    ),
    "metadata": st.dictionaries(TEXT, TEXT, max_size=2),
    "user": TEXT,
    "parallel_tool_calls": st.booleans(),
    "truncation": st.sampled_from(("auto", "disabled")),
    "max_tool_calls": st.integers(1, 9),
    "store": st.booleans(),
    "background": st.just(False),
    "previous_response_id": st.none(),
    "google": st.sampled_from(
        ({"thinking_config": {"include_thoughts": True}}, {"tools": [{"url_context": {}}]})
    ),
}


def _body(names: list[str]) -> st.SearchStrategy[dict[str, Any]]:
    """A body with these fields."""
    chosen = {name: FIELDS[name] for name in names}
    return st.fixed_dictionaries({"model": st.just("m"), "input": INPUT, **chosen})


# Few fields at a time: with many, most bodies are refused for what two of them say together.
BODY = st.lists(st.sampled_from(sorted(FIELDS)), max_size=4, unique=True).flatmap(_body)
PLAIN = {
    "response": {"candidates": [{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}]}
}


def _check(body: dict[str, Any], model: str) -> None:
    """One body: a request and an answer that repeats it, or a refusal; the same twice."""
    before = copy.deepcopy(body)
    made = responses.to_gemini(body, POLICY, model)
    assert body == before
    if isinstance(made, LineError):
        check_refusal(made, body)
        return
    check_translation(made, "GenerateContentRequest")
    assert responses.to_gemini(before, POLICY, model) == made
    check_rendered(responses_answers.from_gemini(hints_of(made), [PLAIN], CONTEXT), Response)


@BOUNDED
@given(body=BODY, model=MODELS)
def test_bodies_from_the_grammar(body: dict[str, Any], model: str) -> None:
    """Bodies that a client may mean."""
    _check(body, model)


# Few inputs and rests, so that lines of one batch often share what is remembered.
ALIKE = st.fixed_dictionaries(
    {
        "model": st.just("m"),
        "input": st.sampled_from(("Hi", "%d", "", stand_in(0)))
        | st.builds(
            lambda role, content: [{"role": role, "content": content}],
            st.sampled_from(("user", "system", "assistant", "tool")),
            st.sampled_from(
                (
                    "Hi",
                    "%b",
                    "",
                    [{"type": "input_text", "text": "%"}],
                    [{"type": "input_text", "text": ""}],
                )
            ),
        ),
    },
    optional={"instructions": st.sampled_from(("%s", stand_in(1))), "truncation": st.just("auto")},
)


@BOUNDED
@given(lines=st.lists(ALIKE, max_size=8), model=MODELS)
def test_what_is_remembered_does_not_show(lines: list[dict[str, Any]], model: str) -> None:
    """Whatever lines came before, a line becomes the same bytes."""
    alone = []
    for line in lines:
        frames.forget()
        alone.append(responses.to_gemini(line, POLICY, model))
    frames.forget()
    assert [responses.to_gemini(line, POLICY, model) for line in lines] == alone
    shared = [responses.to_gemini(line, POLICY, model) for line in lines]
    assert shared == alone


@BOUNDED
@given(body=BODY, model=MODELS, data=st.data())
def test_bodies_with_one_odd_member(body: dict[str, Any], model: str, data: st.DataObject) -> None:
    """The same with any member replaced by something of any type, or by an unknown name."""
    body = copy.deepcopy(body)
    paths = _paths(body)
    # Half of the time a member of the body itself: those are repeated in the answer.
    near = [path for path in paths if len(path) == 1 and path != ("model",)]
    path = data.draw(st.sampled_from(near) | st.sampled_from(paths))
    odd = data.draw(st.sampled_from(ODD[:5] + ODD[6:]) | JSON)
    owner: Any = body
    for key in path[:-1]:
        owner = owner[key]
    if isinstance(owner, dict) and data.draw(st.booleans()):
        owner["odd"] = owner.pop(path[-1])
    else:
        owner[path[-1]] = odd
    # The envelope sees to it that the model is a name.
    body["model"] = "m"
    _check(body, model)


@BOUNDED
@given(
    body=st.dictionaries(
        st.sampled_from(("input", "instructions", "tools", "tool_choice", "text", "reasoning")),
        JSON,
    )
)
def test_bodies_of_anything(body: dict[str, Any]) -> None:
    """Any JSON at all under known names."""
    _check(body, "gemini-3.6-flash")


SIGNATURE = st.sampled_from(({}, {}, {"thoughtSignature": "c2ln"}, {"thoughtSignature": 7}))
GOOD_PART = st.one_of(
    st.builds(lambda text: {"text": text}, TEXT),
    st.builds(lambda text: {"text": text, "thought": True}, TEXT),
    st.builds(
        lambda name, args, identity: {"functionCall": {"name": name, "args": args, **identity}},
        NAME,
        st.sampled_from(({}, {"a": 1}, {"input": "ls"})),
        st.sampled_from(({}, {"id": ""})),
    ),
    st.sampled_from(
        (
            {},
            {"inlineData": {"mimeType": "image/png", "data": "AAAA"}},
            {"inlineData": {"mimeType": "image/heic", "data": "AAAA"}},
            {"executableCode": {"language": "PYTHON", "code": "print(7)"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "7"}},
            {"codeExecutionResult": {"outcome": "OUTCOME_DEADLINE_EXCEEDED"}},
            {"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": ["x"]}}},
            {"toolCall": {"toolType": "URL_CONTEXT", "args": {"urls": ["https://a/"]}}},
            {"toolResponse": {"toolType": "GOOGLE_SEARCH_WEB", "response": {}}},
        )
    ),
)
GROUNDING = st.builds(
    lambda start, end, words: {
        "groundingMetadata": {
            "webSearchQueries": ["x"],
            "groundingChunks": [{"web": {"uri": "https://a/", "title": "A"}}],
            "groundingSupports": [
                {
                    "segment": {"startIndex": start, "endIndex": end, "text": words},
                    "groundingChunkIndices": [0],
                }
            ],
        }
    },
    st.integers(0, 40),
    st.integers(0, 40),
    TEXT,
)
# What Gemini answers on an ordinary day, in any order and with any end.
GOOD_ANSWER = st.builds(
    lambda parts, reason, grounding: {
        "response": {
            "candidates": [
                {"content": {"parts": parts}, "finishReason": reason, **grounding},
            ]
        }
    },
    st.lists(st.builds(lambda part, signed: {**part, **signed}, GOOD_PART, SIGNATURE), max_size=6),
    st.sampled_from(sorted(FINISH)),
    st.just({}) | GROUNDING,
)


@BOUNDED
@given(
    answer=GOOD_ANSWER | ANSWER,
    body=st.fixed_dictionaries(
        {"model": st.just("m"), "input": st.just("Hi")},
        optional={
            "include": st.just(
                [
                    "message.output_text.logprobs",
                    "reasoning.encrypted_content",
                    "code_interpreter_call.outputs",
                    "web_search_call.action.sources",
                ]
            ),
            "tools": st.just([{"type": "custom", "name": "f"}]),
            "parallel_tool_calls": st.just(False),
        },
    ),
)
def test_answers_from_the_schema(answer: dict[str, Any], body: dict[str, Any]) -> None:
    """Any answer becomes a valid Response or an error line; its items can be sent back."""
    model = "gemini-3-flash-preview"
    made = responses.to_gemini(body, POLICY, model)
    assert not isinstance(made, LineError)
    rendered = responses_answers.from_gemini(hints_of(made), [answer], CONTEXT)
    check_rendered(rendered, Response)
    if rendered[0] == 200:
        items = body_of(rendered)["output"]
        results = [
            {"type": f"{item['type']}_output", "call_id": item["call_id"], "output": "{}"}
            for item in items
            if item["type"] in ("function_call", "custom_tool_call")
        ]
        _check(
            {"model": "m", "input": [*items, *results, {"role": "user", "content": "Go on."}]},
            model,
        )
