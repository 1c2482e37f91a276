"""Nothing a client sends exhausts the stack, the time or the memory of a worker."""

import time
from collections.abc import Callable
from typing import Any

import orjson
import pytest

from gateway.translate.answer.grounding import citations
from gateway.translate.chat.request import to_gemini
from gateway.translate.completions.request import MAX_PROMPTS
from gateway.translate.completions.request import to_gemini as complete
from gateway.translate.contract import LineError, Policy
from gateway.translate.embeddings.request import MAX_INPUTS
from gateway.translate.embeddings.request import to_gemini as embed
from gateway.translate.reading.refusal import MAX_QUOTED_CHARACTERS
from gateway.translate.schemas.convert import Mode, convert
from gateway.translate.schemas.source import MAX_DEPTH, MAX_NODES
from gateway.translate.tools.declarations import MAX_TOOLS
from tests.translate.checks import items_of

MESSAGES = [{"role": "user", "content": "Hi"}]
DEPTH = 900


def _deep(wrap: Any) -> Any:
    value: Any = {}
    for _ in range(DEPTH):
        value = wrap(value)
    return value


DEEP_LIST = _deep(lambda inner: [inner])
DEEP_OBJECT = _deep(lambda inner: {"a": inner})
DEEP_SCHEMA = _deep(lambda inner: {"type": "array", "items": inner})
DEEP_ALL_OF = _deep(lambda inner: {"allOf": [inner]})


@pytest.mark.parametrize("deep", [DEEP_LIST, DEEP_OBJECT], ids=["list", "object"])
@pytest.mark.parametrize(
    "name",
    [
        "messages",
        "tools",
        "functions",
        "tool_choice",
        "response_format",
        "metadata",
        "stop",
        "modalities",
        "audio",
        "web_search_options",
        "google",
        "extra_body",
    ],
)
def test_depth_under_any_field_is_refused(name: str, deep: Any) -> None:
    """Nesting deeper than any parser of ours allows is a 400 of its line."""
    body = {"messages": MESSAGES, name: deep}
    error = to_gemini(body, Policy(), "gemini-3.6-flash")
    assert isinstance(error, LineError)
    assert error.param is not None
    assert error.param.startswith(name)


@pytest.mark.parametrize("deep", [DEEP_LIST, DEEP_OBJECT], ids=["list", "object"])
def test_depth_in_messages_is_refused(deep: Any) -> None:
    """Content, parts and calls of any depth are a 400."""
    for message in (
        {"role": "user", "content": deep},
        {"role": "user", "content": [deep]},
        {"role": "user", "content": [{"type": "text", "text": deep}]},
        {"role": "assistant", "tool_calls": deep},
        {"role": "assistant", "tool_calls": [{"id": "a", "function": deep}]},
        {"role": "assistant", "images": deep},
        {"role": "assistant", "images": [{"image_url": deep}]},
        {"role": "assistant", "extra_content": {"google": {"parts": deep}}},
        {"role": "assistant", "extra_content": {"google": {"parts": [{"toolCall": deep}]}}},
        {
            "role": "assistant",
            "extra_content": {
                "google": {"parts": [{"toolCall": {"toolType": "URL_CONTEXT", "args": deep}}]}
            },
        },
        deep,
    ):
        assert isinstance(to_gemini({"messages": [message]}, Policy(), "m"), LineError)
    assert isinstance(embed({"input": deep}, Policy(), "m"), LineError)


@pytest.mark.parametrize("deep", [DEEP_SCHEMA, DEEP_ALL_OF], ids=["items", "allOf"])
def test_deep_schemas_are_refused(deep: Any) -> None:
    """For tools and formats alike."""
    tools = [{"type": "function", "function": {"name": "f", "parameters": deep}}]
    assert isinstance(to_gemini({"messages": MESSAGES, "tools": tools}, Policy(), "m"), LineError)
    schema = {"type": "json_schema", "json_schema": {"name": "x", "schema": deep}}
    body = {"messages": MESSAGES, "response_format": schema}
    assert isinstance(to_gemini(body, Policy(), "m"), LineError)


def test_references_that_multiply_stay_references() -> None:
    """Twelve levels of eight references each would be 68 billion nodes inlined."""
    levels = {
        f"d{n}": {
            "type": "object",
            "properties": {k: {"$ref": f"#/$defs/d{n + 1}"} for k in "abcdefgh"},
        }
        for n in range(12)
    }
    start = time.process_time()
    converted = convert(
        {"$ref": "#/$defs/d0", "$defs": {**levels, "d12": {"type": "string"}}}, "x", "auto"
    )
    assert not converted.openapi
    assert len(converted.schema["$defs"]) == 13
    assert time.process_time() - start < 5


def test_constraints_on_one_definition_become_definitions() -> None:
    """Thirty that hold each other would be written out in each order."""
    properties = {f"p{n}": {"$ref": "#/$defs/N", "required": [f"p{n}"]} for n in range(30)}
    definitions = {"N": {"type": "object", "properties": properties}}
    made = convert({"$ref": "#/$defs/N", "$defs": definitions}, "p", "auto")
    assert len(made.schema["$defs"]) == 31
    assert len(orjson.dumps(made.schema)) < 200_000


def test_what_a_client_wrote_is_cut_in_messages() -> None:
    """An error line never repeats a megabyte."""
    huge = "x" * 1_000_000
    for body in (
        {"messages": MESSAGES, huge: 1},
        {"messages": MESSAGES, "reasoning_effort": huge},
        {"messages": MESSAGES, "metadata": {huge: 1}},
        {"messages": [{"role": huge, "content": "Hi"}]},
        {"messages": MESSAGES, "tools": [{"type": "function", "function": {"name": huge}}]},
        {"messages": MESSAGES, "response_format": _schema({"$ref": "#/" + huge})},
        {"messages": MESSAGES, "response_format": _schema({"properties": {huge: {"type": 1}}})},
    ):
        error = to_gemini(body, Policy(), "m")
        assert isinstance(error, LineError)
        assert len(error.message) + len(error.param or "") < 10 * MAX_QUOTED_CHARACTERS


def _schema(schema: dict[str, Any]) -> dict[str, Any]:
    return {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}


def test_large_values_pass_through() -> None:
    """A text of any length arrives whole."""
    text = "x" * 1_000_000
    result = to_gemini({"messages": [{"role": "user", "content": text}]}, Policy(), "m")
    assert not isinstance(result, LineError)
    assert orjson.loads(result[0][0])["contents"][0]["parts"][0]["text"] == text


def test_unanswered_calls_are_named() -> None:
    """The message names the calls that lack a result, not the others."""
    calls = [
        {"id": name, "type": "function", "function": {"name": "f", "arguments": "{}"}}
        for name in ("done", "open")
    ]
    messages = [
        {"role": "assistant", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "done", "content": "1"},
    ]
    error = to_gemini({"messages": messages}, Policy(), "m")
    assert isinstance(error, LineError)
    assert "'open'" in error.message
    assert "'done'" not in error.message


MANY_NAMES = {f"p{n}": {"type": "string"} for n in range(3000)}


@pytest.mark.parametrize(
    "schema",
    [
        {"allOf": [{"enum": list(range(8000))}, {"enum": [*range(8000, 16_000), 0]}]},
        {"allOf": [{"required": [f"{n}_{m}" for m in range(20)]} for n in range(4000)]},
        {"allOf": [{"properties": {f"p{n}": {}}} for n in range(20_000)]},
        {
            "allOf": [{"$ref": "#/$defs/a"}, {"$ref": "#/$defs/b"}] * 2000,
            "$defs": {
                "a": {"properties": MANY_NAMES},
                "b": {"properties": {**MANY_NAMES, "q": {}}},
            },
        },
    ],
    ids=["enum", "required", "properties", "references"],
)
def test_merging_takes_no_square_of_time(schema: dict[str, Any]) -> None:
    """Whether it ends in a schema or in a refusal."""
    body = {"messages": MESSAGES, "response_format": _schema(schema)}
    start = time.process_time()

    to_gemini(body, Policy(), "gemini-2.5-flash")

    assert time.process_time() - start < 2


@pytest.mark.parametrize(
    ("at_most", "words"),
    [
        ({"prompt": ["x"] * MAX_PROMPTS}, "at most 2048 prompts are possible."),
        ({"prompt": ["x"] * 64, "n": 64}, "at most 4096 choices are possible in all."),
    ],
    ids=["prompts", "choices"],
)
def test_prompts_of_one_line(at_most: dict[str, Any], words: str) -> None:
    """So many and no more: a line is not a job of its own."""
    more = {**at_most, "prompt": [*at_most["prompt"], "x"]}
    made = complete(at_most, Policy(), "gemini-2.5-flash")
    error = complete(more, Policy(), "gemini-2.5-flash")
    assert not isinstance(made, LineError)
    assert isinstance(error, LineError)
    assert error.param == "prompt"
    assert error.message == f"Invalid value for 'prompt': {words}"


def test_inputs_of_one_line() -> None:
    """As many as OpenAI takes."""
    made = embed({"input": ["x"] * MAX_INPUTS}, Policy(), "gemini-embedding-001")
    error = embed({"input": ["x"] * (MAX_INPUTS + 1)}, Policy(), "gemini-embedding-001")
    assert not isinstance(made, LineError)
    assert len(made[0]) == MAX_INPUTS
    assert isinstance(error, LineError)
    assert error.message == "Invalid value for 'input': at most 2048 inputs are possible."


def test_embeddings_nested_too_deep() -> None:
    """The field is named, as on chat lines."""
    error = embed({"input": "x", "google": DEEP_OBJECT}, Policy(), "gemini-embedding-001")
    assert isinstance(error, LineError)
    assert error.param is not None
    assert error.param.startswith("google")


@pytest.mark.parametrize("mode", ["openapi", "json"])
def test_parts_of_a_schema(mode: Mode) -> None:
    """As many as OpenAI's own limits allow twice, and no more."""
    properties = {str(n): {"type": "string"} for n in range(MAX_NODES - 1)}
    made = convert({"type": "object", "properties": properties}, "schema", mode)
    assert len(made.schema["properties"]) == MAX_NODES - 1
    properties["more"] = {"type": "string"}
    body = {"messages": MESSAGES, "response_format": answer_schema(properties)}
    error = to_gemini(body, Policy(schema_mode=mode), "gemini-2.5-flash")
    assert isinstance(error, LineError)
    place = "response_format.json_schema.schema"
    why = f"the schema has more than {MAX_NODES} parts."
    assert error.message == f"Invalid value for '{place}.properties.more': {why}"


def answer_schema(properties: dict[str, Any]) -> dict[str, Any]:
    """A ``response_format`` of an object."""
    schema = {"type": "object", "properties": properties}
    return {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}


WRAPS: dict[str, Callable[[Any], Any]] = {
    "properties": lambda inner: {"type": "object", "properties": {"p": inner}},
    "items": lambda inner: {"type": "array", "items": inner},
    "anyOf": lambda inner: {"anyOf": [{"type": "integer"}, inner]},
    "prefixItems": lambda inner: {"type": "array", "prefixItems": [inner], "items": False},
    "additionalProperties": lambda inner: {"type": "object", "additionalProperties": inner},
}
# A map is no OpenAPI, and a tuple of one place is an array there.
PAIRS = [(mode, name) for mode in ("openapi", "json") for name in WRAPS]


@pytest.mark.parametrize(("mode", "name"), [*PAIRS[:4], *PAIRS[5:]])
def test_depth_of_a_schema(mode: Mode, name: str) -> None:
    """As deep as Google's parser goes, and no deeper, whatever it is that nests."""
    schema: Any = {"type": "string"}
    for _ in range(MAX_DEPTH - 1):
        schema = WRAPS[name](schema)
    assert convert(schema, "schema", mode).openapi == (mode == "openapi")
    body = {"messages": MESSAGES, "response_format": answer_schema({"a": schema})}
    error = to_gemini(body, Policy(schema_mode=mode), "gemini-2.5-flash")
    assert isinstance(error, LineError)
    assert error.message.endswith(f": the schema is nested deeper than {MAX_DEPTH} levels.")
    assert ".properties.a" in error.message


@pytest.mark.parametrize("field", ["tools", "functions"])
def test_functions_of_one_line(field: str) -> None:
    """As many as Gemini declares, and no more; each is told apart."""
    given: list[dict[str, Any]] = [{"name": f"f{n}"} for n in range(MAX_TOOLS + 1)]
    if field == "tools":
        given = [{"type": "function", "function": function} for function in given]
    made = to_gemini({"messages": MESSAGES, field: given[:-1]}, Policy(), "gemini-2.5-flash")
    error = to_gemini({"messages": MESSAGES, field: given}, Policy(), "gemini-2.5-flash")
    assert not isinstance(made, LineError)
    assert isinstance(error, LineError)
    assert error.message == f"Invalid value for '{field}': at most {MAX_TOOLS} are possible."


@pytest.mark.parametrize("mode", ["openapi", "json"])
def test_large_tools_are_declared_as_small_ones(mode: Mode) -> None:
    """They are not remembered, and nothing else is different."""
    parameters = {"type": "object", "properties": {"a": {"type": "string", "format": "x"}}}
    declared = []
    for words in ("d", "d" * 100_000):
        function = {"name": "f", "description": words, "parameters": parameters}
        body = {"messages": MESSAGES, "tools": [{"type": "function", "function": function}]}
        made = to_gemini(body, Policy(schema_mode=mode), "gemini-2.5-flash")
        assert not isinstance(made, LineError)
        (item,) = items_of(made)
        (declaration,) = item["tools"][0]["functionDeclarations"]
        assert declaration.pop("description") == words
        declared.append((declaration, made[2]))
    assert declared[0] == declared[1]


def test_references_of_one_name_take_no_cube_of_time() -> None:
    """Each gets a number, and none looks at those of all others."""
    count = 1_000
    nested: dict[str, Any] = {}
    for n in range(count):
        again = {"r": {"$ref": f"#/properties/p{n}/properties/x"}}
        nested[f"p{n}"] = {
            "type": "object",
            "properties": {"x": {"type": "object", "properties": again}},
        }
    start = time.process_time()
    made = convert({"type": "object", "properties": nested}, "schema", "json")
    assert time.process_time() - start < 3
    assert list(made.schema["$defs"])[:3] == ["x", "x2", "x3"]
    assert len(made.schema["$defs"]) == count


@pytest.mark.slow
def test_citations_take_no_square_of_time() -> None:
    """However many supports a long text in any script has."""
    text = "日本語の文。" * 20_000
    supports = [
        {"segment": {"startIndex": 18 * n, "endIndex": 18 * n + 18}, "groundingChunkIndices": [0]}
        for n in range(20_000)
    ]
    chunks = [{"web": {"uri": "https://x/", "title": "x"}}]
    candidate = {"groundingMetadata": {"groundingChunks": chunks, "groundingSupports": supports}}
    start = time.process_time()
    cited, _ = citations([{"text": text}], candidate)
    assert time.process_time() - start < 3
    assert [(one["start_index"], one["end_index"]) for one in cited[-2:]] == [
        (119_988, 119_994),
        (119_994, 120_000),
    ]


@pytest.mark.parametrize("prompt", ["\n" * 9_000_000, "語" * 5_000_000], ids=["escaped", "wide"])
def test_a_long_prompt_is_no_option(prompt: str) -> None:
    """Options are counted by what stands beside the prompt, as both are written."""
    made = complete({"prompt": [prompt, "x"]}, Policy(), "gemini-2.5-flash")
    assert not isinstance(made, LineError)
    assert len(made[0]) == 2


def test_options_of_many_prompts() -> None:
    """What is said once beside thousands of prompts is not written thousands of times."""
    body = {"prompt": ["x"] * 2_048, "n": 2, "stop": ["s" * 1_000] * 5}
    error = complete(body, Policy(), "gemini-3.6-flash")
    assert isinstance(error, LineError)
    assert error.param == "prompt"
    assert "exceed 16 MiB" in error.message
