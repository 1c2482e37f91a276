"""Any body becomes a request that Google's parser takes, or a 400 that names one of its fields."""

import copy
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from openai.types import Completion, CreateEmbeddingResponse, ImagesResponse
from openai.types.chat import ChatCompletion

from gateway.translate.chat import answer as answers
from gateway.translate.chat import request as chat
from gateway.translate.completions import answer as completions_answers
from gateway.translate.completions import request as completions
from gateway.translate.contract import AnswerHints, LineError, Policy
from gateway.translate.embeddings import answer as embeddings_answers
from gateway.translate.embeddings import request as embeddings
from gateway.translate.images import answer as images_answers
from gateway.translate.images import request as images
from gateway.translate.images_edits import request as edits
from tests.translate.checks import check_refusal, check_rendered, check_translation
from tests.translate.running import CONTEXT
from tests.translate.samples import ODD

pytestmark = pytest.mark.slow

POLICY = Policy()
MODELS = st.sampled_from(
    (
        "gemini-2.0-flash",
        "gemini-2.5-flash",
        "gemini-2.5-pro",
        "gemini-3-pro-preview",
        "gemini-3.6-flash",
        "gemini-99-pro",
        "gemini-3.1-flash-tts-preview",
        "gemini-3-pro-image",
        "gemini-embedding-001",
        "tunedModels/mine",
    )
)
BOUNDED = settings(
    max_examples=300,
    derandomize=True,
    deadline=None,
    suppress_health_check=[HealthCheck.too_slow, HealthCheck.filter_too_much],
)

JSON: st.SearchStrategy[Any] = st.recursive(
    st.one_of(
        st.none(),
        st.booleans(),
        st.integers(-(2**63), 2**64 - 1),
        st.text(max_size=8),
        st.floats(allow_nan=False, allow_infinity=False),
    ),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=6), inner, max_size=3)
    ),
    max_leaves=8,
)
TEXT = st.text(max_size=12)
NAME = st.sampled_from(("f", "1st", "-x", "f_1", "get_weather"))
PARTS = st.lists(
    st.one_of(
        st.builds(lambda text: {"type": "text", "text": text}, TEXT),
        st.sampled_from(
            (
                {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}},
                {"type": "image_url", "image_url": {"url": "https://x/y.webp", "detail": "high"}},
                {"type": "input_audio", "input_audio": {"data": "AAAA", "format": "wav"}},
                {"type": "file", "file": {"file_data": "data:application/pdf;base64,AAAA"}},
                {
                    "type": "file",
                    "file": {
                        "file_data": "data:video/mp4;base64,AAAA",
                        "video_metadata": {"start_offset": "1.5s", "fps": 2},
                    },
                },
            )
        ),
    ),
    min_size=1,
    max_size=3,
)
ARGUMENTS = st.sampled_from(("{}", "", '{"a":1}', "null", '{"a":[[{"b":"ü"}]]}'))
RESULT = TEXT | st.sampled_from(('{"a":1}', '{"$ref":"x"}', '{"a":12345678901234567}', "[1]"))
SIGNED = st.sampled_from(
    ({}, {"extra_content": {"google": {"thought_signature": "c2ln"}}}, {"extra_content": None})
)


def _tool_turn(
    calls: dict[str, tuple[str, str, str]], content: str | None, signed: dict[str, Any]
) -> list[dict[str, Any]]:
    """A turn of calls and, in reverse order, their results."""
    made = [
        {"id": key, "type": "function", "function": {"name": name, "arguments": text}, **signed}
        if key != "b"
        else {"id": key, "type": "custom", "custom": {"name": name, "input": text}, **signed}
        for key, (name, text, _) in calls.items()
    ]
    results = [
        {"role": "tool", "tool_call_id": key, "content": result}
        for key, (_, _, result) in reversed(calls.items())
    ]
    return [{"role": "assistant", "content": content, "tool_calls": made}, *results]


def _function_turn(name: str, arguments: str, result: str) -> list[dict[str, Any]]:
    call = {"name": name, "arguments": arguments}
    return [
        {"role": "assistant", "content": None, "function_call": call},
        {"role": "function", "name": name, "content": result},
    ]


TURNS = st.one_of(
    st.builds(
        lambda role, content: [{"role": role, "content": content}],
        st.sampled_from(("system", "developer", "user", "assistant")),
        TEXT,
    ),
    st.builds(lambda content: [{"role": "user", "content": content, "name": "Ann"}], TEXT | PARTS),
    st.builds(lambda text: [{"role": "assistant", "content": text, "refusal": "No."}], TEXT),
    st.builds(
        lambda text, extra: [{"role": "assistant", "content": text, **extra}],
        TEXT | st.none(),
        st.fixed_dictionaries(
            {},
            optional={
                "images": st.just([{"image_url": {"url": "data:image/png;base64,AAAA"}}]),
                "extra_content": st.sampled_from(
                    (
                        {"google": {"thought_signature": "c2ln"}},
                        {"google": {"parts": [{"toolCall": {"toolType": "URL_CONTEXT"}}]}},
                        {"google": {"parts": [{"toolResponse": {"toolType": "NEW"}}]}},
                    )
                ),
            },
        ),
    ),
    st.builds(
        _tool_turn,
        st.dictionaries(
            st.sampled_from(("a", "b", "c__thought__" + "c2ln" * 12)),
            st.tuples(NAME, ARGUMENTS, RESULT),
            min_size=1,
        ),
        TEXT | st.none(),
        SIGNED,
    ),
    st.builds(_function_turn, NAME, ARGUMENTS, RESULT),
)
LAST = st.builds(lambda content: [{"role": "user", "content": content}], TEXT | PARTS)
MESSAGES = st.builds(
    lambda turns, last: [message for turn in [*turns, last] for message in turn],
    st.lists(TURNS, max_size=5),
    LAST,
)
LEAF_SCHEMA = st.one_of(
    st.builds(lambda name: {"type": name}, st.sampled_from(("string", "integer", "null", "array"))),
    st.sampled_from(
        (
            {"type": ["string", "null"], "minLength": 1},
            {"enum": ["a", 1, None, True]},
            {"const": 3},
            {"$ref": "#/$defs/A"},
            {"$ref": "#"},
            {"type": "number", "exclusiveMinimum": 0.5},
            {"type": "object"},
            {"type": "object", "additionalProperties": {"type": "string"}},
            {},
        )
    ),
)
SCHEMA: st.SearchStrategy[dict[str, Any]] = st.recursive(
    LEAF_SCHEMA,
    lambda inner: st.one_of(
        st.builds(
            lambda properties: {
                "type": "object",
                "properties": properties,
                "required": list(properties)[:1],
                "additionalProperties": False,
            },
            st.dictionaries(st.sampled_from(("a", "const", "type", "$ref")), inner, max_size=3),
        ),
        st.builds(lambda items: {"type": "array", "items": items}, inner),
        st.builds(lambda branches: {"anyOf": branches}, st.lists(inner, min_size=1, max_size=3)),
        st.builds(lambda branches: {"allOf": branches}, st.lists(inner, min_size=1, max_size=2)),
        st.builds(
            lambda items: {"type": "array", "prefixItems": items}, st.lists(inner, max_size=2)
        ),
    ),
    max_leaves=6,
)
ROOT_SCHEMA = st.builds(lambda schema, other: {**schema, "$defs": {"A": other}}, SCHEMA, SCHEMA)
FUNCTION = st.fixed_dictionaries(
    {"name": NAME},
    optional={"description": TEXT, "parameters": ROOT_SCHEMA, "strict": st.booleans()},
)
TOOL: st.SearchStrategy[Any] = st.one_of(
    st.fixed_dictionaries({"type": st.just("function"), "function": FUNCTION}),
    st.fixed_dictionaries(
        {
            "type": st.just("custom"),
            "custom": st.fixed_dictionaries(
                {"name": st.sampled_from(("run", "2nd"))}, optional={"description": TEXT}
            ),
        }
    ),
)
GOOGLE_TOOL = st.sampled_from(
    (
        {"google_search": {}},
        {"google_search": {"time_range_filter": {"start_time": "2026-01-01T00:00:00Z"}}},
        {"code_execution": {}, "url_context": {}},
        {"google_maps": {"enable_widget": False}},
        {"file_search": {"file_search_store_names": ["fileSearchStores/x"], "top_k": 3}},
    )
)
BODY: st.SearchStrategy[dict[str, Any]] = st.fixed_dictionaries(
    {"messages": MESSAGES},
    optional={
        "model": TEXT,
        "temperature": st.floats(0, 2) | st.none(),
        "top_p": st.floats(0, 1),
        "max_tokens": st.integers(1, 2**31 - 1),
        "max_completion_tokens": st.integers(1, 100),
        "stop": TEXT | st.lists(TEXT, max_size=4),
        "seed": st.integers(-(2**63), 2**63),
        "n": st.integers(1, 9),
        "logprobs": st.just(True),
        "presence_penalty": st.floats(-2, 2),
        "tools": st.lists(TOOL, max_size=3, unique_by=lambda tool: tool[tool["type"]]["name"]),
        "web_search_options": st.sampled_from(({}, {"search_context_size": "low"})),
        "modalities": st.sampled_from((["text"], ["text", "audio"], ["image"])),
        "audio": st.just({"voice": "alloy", "format": "wav"}),
        "tool_choice": st.sampled_from(
            (
                "auto",
                "none",
                "required",
                {"type": "function", "function": {"name": "f"}},
                {"type": "function", "name": "1st"},
                {
                    "type": "allowed_tools",
                    "allowed_tools": {
                        "mode": "auto",
                        "tools": [{"type": "function", "function": {"name": "f"}}],
                    },
                },
            )
        ),
        "response_format": st.one_of(
            st.sampled_from(({"type": "text"}, {"type": "json_object"})),
            st.builds(
                lambda schema: {
                    "type": "json_schema",
                    "json_schema": {"name": "x", "schema": schema},
                },
                ROOT_SCHEMA,
            ),
        ),
        "reasoning_effort": st.sampled_from(("none", "low", "medium", "high", "xhigh")),
        "user": TEXT,
        "stream": st.just(False),
        "metadata": st.dictionaries(TEXT, TEXT, max_size=2),
        "google": st.fixed_dictionaries(
            {},
            optional={
                "thinking_config": st.sampled_from(
                    ({"thinking_budget": 5}, {"thinking_level": "low"}, {"include_thoughts": True})
                ),
                "cached_content": st.just("cachedContents/x"),
                "tools": st.lists(GOOGLE_TOOL, max_size=2),
                "retrieval_config": st.just({"lat_lng": {"latitude": 1, "longitude": -2.5}}),
                "media_resolution": st.just("MEDIA_RESOLUTION_LOW"),
                "response_modalities": st.just(["TEXT"]),
                "speech_config": st.just({"language_code": "de-DE"}),
                "image_config": st.just({"aspect_ratio": "1:1"}),
            },
        ),
    },
)


def _check_chat(body: dict[str, Any], model: str) -> None:
    before = copy.deepcopy(body)
    first = chat.to_gemini(body, POLICY, model)
    assert body == before
    if isinstance(first, LineError):
        check_refusal(first, body)
    else:
        check_translation(first, "GenerateContentRequest")
        assert chat.to_gemini(before, POLICY, model) == first


@BOUNDED
@given(body=BODY, model=MODELS)
def test_bodies_from_the_grammar(body: dict[str, Any], model: str) -> None:
    """Bodies that a client may mean."""
    _check_chat(body, model)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    members: Any = ()
    if isinstance(value, dict):
        members = value.items()
    elif isinstance(value, list):
        members = enumerate(value)
    found = []
    for key, member in members:
        found += [(*path, key), *_paths(member, (*path, key))]
    return found


@BOUNDED
@given(body=BODY, model=MODELS, data=st.data())
def test_bodies_with_one_odd_member(body: dict[str, Any], model: str, data: st.DataObject) -> None:
    """The same with any member replaced by something of any type, or by an unknown name."""
    body = copy.deepcopy(body)
    path = data.draw(st.sampled_from(_paths(body)))
    odd = data.draw(st.sampled_from(ODD[:5] + ODD[6:]) | JSON)
    owner: Any = body
    for key in path[:-1]:
        owner = owner[key]
    if isinstance(owner, dict) and data.draw(st.booleans()):
        owner["odd"] = owner.pop(path[-1])
    else:
        owner[path[-1]] = odd
    if not isinstance(body.get("messages"), list) or not all(
        isinstance(message, dict) for message in body["messages"]
    ):
        assert isinstance(chat.to_gemini(body, POLICY, model), LineError)
        return
    _check_chat(body, model)


@BOUNDED
@given(body=st.dictionaries(st.sampled_from(("messages", "n", "tools", "stop", "google")), JSON))
def test_bodies_of_anything(body: dict[str, Any]) -> None:
    """Any JSON at all under known names."""
    result = chat.to_gemini(body, POLICY, "gemini-3.6-flash")
    if isinstance(result, LineError):
        check_refusal(result, body)


@BOUNDED
@given(
    body=st.fixed_dictionaries(
        {"prompt": TEXT | st.lists(TEXT, max_size=3) | JSON},
        optional={
            "model": TEXT,
            "n": st.integers(0, 4) | JSON,
            "best_of": st.integers(0, 4) | JSON,
            "echo": st.booleans() | JSON,
            "logprobs": st.integers(-1, 6) | JSON,
            "max_tokens": st.integers(-1, 40) | JSON,
            "stop": TEXT | st.lists(TEXT, max_size=6) | JSON,
            "temperature": st.floats(0, 2) | JSON,
            "reasoning_effort": st.sampled_from(("none", "low", "high")) | JSON,
            "suffix": TEXT | st.none(),
            "odd": JSON,
        },
    ),
    model=MODELS,
)
def test_completion_bodies(body: dict[str, Any], model: str) -> None:
    """Prompts of any kind, among fields of any kind."""
    before = copy.deepcopy(body)
    result = completions.to_gemini(body, POLICY, model)
    assert body == before
    if isinstance(result, LineError):
        check_refusal(result, body)
    else:
        check_translation(result, "GenerateContentRequest")
        assert completions.to_gemini(before, POLICY, model) == result


@BOUNDED
@given(
    body=st.fixed_dictionaries(
        {"prompt": TEXT | JSON},
        optional={
            "n": st.integers(0, 11) | JSON,
            "size": st.from_regex(r"\A[0-9]{1,5}x[0-9]{1,5}\Z") | st.just("auto") | JSON,
            "response_format": st.sampled_from(("b64_json", "url")) | JSON,
            "output_format": st.sampled_from(("png", "svg", "jpeg")) | JSON,
            "background": st.sampled_from(("transparent", "opaque", "auto")) | JSON,
            "quality": st.sampled_from(("low", "hd")) | JSON,
            "output_compression": st.integers(-1, 101) | JSON,
            "odd": JSON,
        },
    ),
    model=MODELS | st.just("gemini-3-pro-image"),
)
def test_image_bodies(body: dict[str, Any], model: str) -> None:
    """Prompts of any kind, among fields of any kind."""
    result = images.to_gemini(body, POLICY, model)
    if isinstance(result, LineError):
        check_refusal(result, body)
    else:
        check_translation(result, "GenerateContentRequest")


SOURCE = st.sampled_from(
    ("data:image/png;base64,AAAA", "https://a.b/c", "file-" + "a" * 24, "", "file-")
)
SOURCES = SOURCE | st.dictionaries(st.sampled_from(("", "image_url", "file_id")), SOURCE | JSON)


@BOUNDED
@given(
    body=st.fixed_dictionaries(
        {"prompt": TEXT},
        optional={
            "images": st.lists(SOURCES, max_size=3) | SOURCES | JSON,
            "image": st.lists(SOURCES, max_size=17) | SOURCES | JSON,
            "n": st.integers(0, 3) | JSON,
            "mask": JSON,
            "odd": JSON,
        },
    ),
    model=MODELS | st.just("gemini-3-pro-image"),
)
def test_edit_bodies(body: dict[str, Any], model: str) -> None:
    """Images of any kind, in each of the forms that they may have."""
    before = copy.deepcopy(body)
    result = edits.to_gemini(body, POLICY, model)
    assert body == before
    if isinstance(result, LineError):
        check_refusal(result, body)
    else:
        check_translation(result, "GenerateContentRequest")


@BOUNDED
@given(
    body=st.fixed_dictionaries(
        {"input": st.text(max_size=5) | st.lists(st.text(max_size=5), max_size=3) | JSON},
        optional={
            "model": TEXT,
            "dimensions": st.integers(-1, 4000) | JSON,
            "encoding_format": st.sampled_from(("float", "base64", "int8")) | JSON,
            "user": TEXT,
            "odd": JSON,
        },
    ),
    model=MODELS,
)
def test_embedding_bodies(body: dict[str, Any], model: str) -> None:
    """Any input, dimensions and format."""
    before = copy.deepcopy(body)
    result = embeddings.to_gemini(body, POLICY, model)
    assert body == before
    if isinstance(result, LineError):
        check_refusal(result, body)
    else:
        check_translation(result, "EmbedContentRequest")


PART = st.fixed_dictionaries(
    {},
    optional={
        "text": TEXT | JSON,
        "thought": st.booleans() | JSON,
        "thoughtSignature": TEXT,
        "functionCall": st.fixed_dictionaries(
            {}, optional={"name": NAME | JSON, "args": JSON, "id": TEXT | JSON}
        ),
        "inlineData": st.fixed_dictionaries(
            {},
            optional={
                "mimeType": st.sampled_from(("image/png", "audio/L16;rate=24000", "audio/wav")),
                "data": TEXT | st.just("AAAA"),
            },
        ),
        "executableCode": st.fixed_dictionaries({}, optional={"code": TEXT | JSON}),
        "toolCall": JSON,
        "toolResponse": JSON,
    },
)
CHUNK = st.fixed_dictionaries(
    {},
    optional={
        name: st.dictionaries(st.sampled_from(("uri", "title", "sourceUri")), TEXT | JSON)
        for name in ("web", "maps", "image", "retrievedContext")
    },
)
SUPPORT = st.fixed_dictionaries(
    {},
    optional={
        "segment": st.dictionaries(
            st.sampled_from(("startIndex", "endIndex", "partIndex", "text")),
            st.integers(-3, 40) | TEXT | JSON,
        ),
        "groundingChunkIndices": st.lists(st.integers(-1, 3), max_size=3) | JSON,
    },
)
GROUNDING = st.fixed_dictionaries(
    {},
    optional={
        "groundingChunks": st.lists(CHUNK, max_size=3) | JSON,
        "groundingSupports": st.lists(SUPPORT, max_size=3) | JSON,
        "webSearchQueries": JSON,
    },
)
CANDIDATE = st.fixed_dictionaries(
    {},
    optional={
        "content": st.fixed_dictionaries({}, optional={"parts": st.lists(PART, max_size=3) | JSON}),
        "finishReason": st.sampled_from(("STOP", "MAX_TOKENS", "SAFETY", "OTHER", "NEW")) | JSON,
        "finishMessage": TEXT | JSON,
        "index": st.integers(0, 3) | JSON,
        "groundingMetadata": GROUNDING | JSON,
        "urlContextMetadata": st.just({"urlMetadata": [{"retrievedUrl": "https://x/"}]}) | JSON,
        "logprobsResult": st.fixed_dictionaries(
            {},
            optional={
                "chosenCandidates": st.lists(
                    st.fixed_dictionaries(
                        {}, optional={"token": TEXT, "logProbability": st.floats() | JSON}
                    ),
                    max_size=2,
                )
                | JSON,
                "topCandidates": JSON,
            },
        ),
    },
)
RESPONSE = st.fixed_dictionaries(
    {},
    optional={
        "candidates": st.lists(CANDIDATE, max_size=3) | JSON,
        "promptFeedback": st.fixed_dictionaries({}, optional={"blockReason": TEXT | JSON}) | JSON,
        "usageMetadata": st.dictionaries(
            st.sampled_from(("promptTokenCount", "candidatesTokenCount", "totalTokenCount")),
            st.integers(0, 2**70) | JSON,
        )
        | JSON,
        "modelVersion": TEXT | JSON,
        "responseId": TEXT | JSON,
    },
)
ERROR = st.fixed_dictionaries(
    {},
    optional={"code": st.integers(-5, 600) | JSON, "message": TEXT | JSON, "status": TEXT | JSON},
)
ANSWER = st.one_of(
    st.builds(lambda response: {"response": response}, RESPONSE | JSON),
    st.builds(lambda error: {"error": error}, ERROR | JSON),
)


@BOUNDED
@given(
    items=st.lists(ANSWER, min_size=1, max_size=3),
    hints=st.fixed_dictionaries(
        {"model": st.just("m")},
        optional={
            "logprobs": st.just(True),
            "legacy": st.just(True),
            "custom": st.just(["f"]),
            "audio": st.sampled_from(("wav", "pcm16")),
        },
    ),
)
def test_answers_from_the_schema(items: list[dict[str, Any]], hints: AnswerHints) -> None:
    """Any answer becomes a valid completion or an error line."""
    check_rendered(answers.from_gemini(hints, items, CONTEXT), ChatCompletion)


@BOUNDED
@given(
    items=st.lists(ANSWER, min_size=1, max_size=4),
    hints=st.sampled_from(
        (
            {"model": "m"},
            {"model": "m", "logprobs": True, "candidates": 2},
            {"model": "m", "echo_prompts": ["a", "b", "c", "d"]},
        )
    ),
)
def test_completions_and_images_of_anything(
    items: list[dict[str, Any]], hints: AnswerHints
) -> None:
    """Any answer becomes a valid object or an error line."""
    check_rendered(completions_answers.from_gemini(hints, items, CONTEXT), Completion)
    check_rendered(images_answers.from_gemini(hints, items, CONTEXT), ImagesResponse)


VALUES = st.lists(st.floats() | st.integers(), max_size=4)


@BOUNDED
@given(
    items=st.lists(
        ANSWER
        | st.builds(lambda values: {"response": {"embedding": {"values": values}}}, VALUES | JSON),
        min_size=1,
        max_size=3,
    ),
    normalise=st.booleans(),
)
def test_vectors_of_anything(items: list[dict[str, Any]], normalise: bool) -> None:
    """Any answer becomes valid vectors or an error line; base64 packs whatever is valid."""
    hints: AnswerHints = {"model": "m"}
    if normalise:
        hints["normalise"] = True
    rendered = embeddings_answers.from_gemini(hints, items, CONTEXT)
    check_rendered(rendered, CreateEmbeddingResponse)
    packed = embeddings_answers.from_gemini({**hints, "base64": True}, items, CONTEXT)
    assert packed[0] == rendered[0]
