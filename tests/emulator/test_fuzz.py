"""Fuzz from Google's grammar: no valid request is refused, none with one defect accepted.

First of the grammar alone, on every request message; then of what models say, over HTTP: requests
that are valid for a model, in every field that it takes, and the same with one thing wrong.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.emulator.protocol.schema import read
from gateway.emulator.testing import EmulatorOptions, running
from tests.emulator.grammar import (
    EMULATED,
    ONEOFS,
    REFERENCE,
    SCALARS,
    Overrides,
    faults_of,
    fields_of,
    is_message,
    messages,
    of_kind,
    spoilt,
)
from tests.emulator.test_refusals import REFUSED

pytestmark = pytest.mark.slow

Json = dict[str, Any]
REQUESTS = (
    "BatchGenerateContentRequest",
    "AsyncBatchEmbedContentRequest",
    "GenerateContentRequest",
    "EmbedContentRequest",
    "BatchEmbedContentsRequest",
    "CountTokensRequest",
    "CreateFileRequest",
    "CachedContent",
)
QUIET = [HealthCheck.too_slow, HealthCheck.data_too_large]
QUICK = settings(max_examples=40, deadline=None, suppress_health_check=QUIET, derandomize=True)


# --- the grammar ---------------------------------------------------------------------------------


def test_the_emulator_knows_the_whole_document() -> None:
    """Every message, field, type and enum value of it; what is newer comes on top."""
    for name, fields in REFERENCE.items():
        assert name in EMULATED
        ours = EMULATED[name]
        for field, spec in fields.items():
            assert ours[field]["type"] == spec["type"], (name, field)
            assert set(spec.get("enum", [])) <= set(ours[field].get("enum", [])), (name, field)
            assert bool(ours[field].get("out")) == bool(spec.get("out")), (name, field)


def test_the_document_is_closed() -> None:
    """Every type that is named exists, in the document and in the emulator's copy."""
    for names, lookup in ((REFERENCE, fields_of), (EMULATED, EMULATED.__getitem__)):
        for name in names:
            for field in lookup(name).values():
                kind = field["type"].strip("[]").removeprefix("map<").removesuffix(">")
                assert kind in SCALARS or is_message(kind) or kind in EMULATED, (name, kind)


@pytest.mark.parametrize("name", REQUESTS)
@QUICK
@given(data=st.data())
def test_valid_messages_are_read(name: str, data: st.DataObject) -> None:
    """Whatever the grammar allows is read, and what was read is read again the same."""
    body = data.draw(messages(name))
    found, violations = read(name, body)
    assert violations == []
    assert read(name, found) == (found, [])


@pytest.mark.parametrize("name", REQUESTS)
@QUICK
@given(data=st.data())
def test_one_defect_is_found(name: str, data: st.DataObject) -> None:
    """An unknown name, a wrong type or enum value, anywhere: said once, with its path."""
    body = data.draw(messages(name))
    path, words = data.draw(spoilt(name, body))
    violations = read(name, body)[1]
    assert {violation.field.partition("[")[0] for violation in violations} == {
        path.partition("[")[0]
    }
    assert all(violation.field.startswith(path) for violation in violations)
    assert words in violations[0].description


@given(data=st.data())
@QUICK
def test_two_of_a_oneof(data: st.DataObject) -> None:
    """Only one kind of data in a part."""
    members = ONEOFS["Part"]
    pair = data.draw(st.lists(st.sampled_from(members), min_size=2, max_size=2, unique=True))
    fields = fields_of("Part")
    part = {name: data.draw(of_kind(fields[name]["type"], None, 2)) for name in pair}
    descriptions = [violation.description for violation in read("Part", part)[1]]
    assert len(descriptions) == 1
    assert "oneof field 'data' is already set" in descriptions[0]


# --- what models take ----------------------------------------------------------------------------


@dataclass(frozen=True)
class Taste:
    """What one model takes (gemini-wire.md section 5), told here once more."""

    thinking: st.SearchStrategy[Json]
    outputs: tuple[tuple[str, ...], ...] = (("TEXT",), ())
    candidates: int = 1
    penalties: bool = False
    logprobs: bool = True
    mixes: bool = True
    ends_with_model: bool = False
    urls: bool = True


def budgets(low: int, high: int, *others: int) -> st.SearchStrategy[Json]:
    """A thinkingConfig with a budget."""
    numbers = st.integers(low, high) | st.sampled_from([-1, *others])
    return st.fixed_dictionaries(
        {}, optional={"thinkingBudget": numbers, "includeThoughts": st.booleans()}
    )


def levels(*names: str) -> st.SearchStrategy[Json]:
    """A thinkingConfig with a level."""
    return st.fixed_dictionaries(
        {},
        optional={"thinkingLevel": st.sampled_from(names), "includeThoughts": st.booleans()},
    )


NEVER: st.SearchStrategy[Json] = st.nothing()
PICTURES = (("TEXT", "IMAGE"), ("IMAGE",), ())
TWO: Json = {"candidates": 8, "mixes": False, "ends_with_model": True}
FLASH_LEVELS = levels("MINIMAL", "LOW", "MEDIUM", "HIGH")
TASTES: dict[str, Taste] = {
    "gemini-2.0-flash": Taste(NEVER, penalties=True, urls=False, **TWO),
    "gemini-2.5-flash": Taste(budgets(1, 24576, 0), **TWO),
    "gemini-2.5-pro": Taste(budgets(128, 32768), logprobs=False, **TWO),
    "gemini-2.5-flash-lite": Taste(budgets(512, 24576, 0), logprobs=False, **TWO),
    "gemini-2.5-flash-image": Taste(NEVER, PICTURES, logprobs=False, **{**TWO, "candidates": 1}),
    "gemini-3-pro-preview": Taste(levels("LOW", "HIGH"), ends_with_model=True),
    "gemini-3-flash-preview": Taste(FLASH_LEVELS, ends_with_model=True),
    "gemini-3.6-flash": Taste(FLASH_LEVELS),
    "gemini-3.8-flash": Taste(levels("LOW", "MEDIUM", "HIGH")),
}
HARMS = ("HARASSMENT", "HATE_SPEECH", "SEXUALLY_EXPLICIT", "DANGEROUS_CONTENT", "CIVIC_INTEGRITY")
NAMES = st.from_regex(r"[A-Za-z_][A-Za-z0-9_.:-]{0,20}", fullmatch=True)
SCHEMA = st.sampled_from(
    [
        {"type": "OBJECT", "properties": {"a": {"type": "STRING"}}, "required": ["a"]},
        {"type": "object", "properties": {"n": {"type": "INTEGER", "minimum": 1}}},
        {"type": "ARRAY", "items": {"anyOf": [{"type": "NUMBER"}, {"type": "BOOLEAN"}]}},
    ],
)
JSON_SCHEMA = st.sampled_from(
    [
        {"type": "object", "properties": {"a": {"type": ["string", "null"]}}},
        {"$defs": {"n": {"properties": {"next": {"$ref": "#/$defs/n"}}}}, "$ref": "#/$defs/n"},
        {"const": 5, "not": {}, "allOf": [1]},
    ],
)


@st.composite
def declared(draw: st.DrawFn) -> Json:
    """A tool with functions, each of another name."""
    names = draw(st.lists(NAMES, min_size=1, max_size=3, unique=True))
    return {
        "functionDeclarations": [
            {
                "name": name,
                "description": draw(st.text(max_size=5)),
                **draw(
                    st.just({})
                    | SCHEMA.map(lambda one: {"parameters": one})
                    | JSON_SCHEMA.map(lambda one: {"parametersJsonSchema": one})
                ),
            }
            for name in names
        ],
    }


NO_FLEX = {"gemini-2.0-flash", "gemini-2.5-flash-image"}
"""Models without the flex tier (ai.google.dev, "Flex inference")."""
BUILT_IN: tuple[Json, ...] = (
    {"googleSearch": {}},
    {"google_search": {"search_types": {"webSearch": {}}}},
    {"codeExecution": {}},
    {"urlContext": {}},
    {"googleMaps": {"enableWidget": True}},
    {"fileSearch": {"fileSearchStoreNames": ["fileSearchStores/a"]}},
)


@st.composite
def configs(draw: st.DrawFn, taste: Taste, *, tools: bool) -> Json:
    """A generationConfig with any of its fields, each of a value that the model takes."""
    config = draw(
        st.fixed_dictionaries(
            {},
            optional={
                "temperature": st.floats(0, 2),
                "topP": st.floats(0, 1),
                "topK": st.integers(1, 100) | st.integers(1, 100).map(str),
                "candidateCount": st.integers(1, taste.candidates),
                "maxOutputTokens": st.integers(1, 65536),
                "seed": st.integers(-(2**31), 2**31 - 1),
                "stopSequences": st.lists(st.text(min_size=1, max_size=3), max_size=5),
                "presencePenalty": st.floats(-2, 2) if taste.penalties else st.just(0),
                "frequency_penalty": st.floats(-2, 2) if taste.penalties else st.just(0.0),
                "responseLogprobs": st.booleans() if taste.logprobs else st.just(False),
                "logprobs": st.integers(0, 20),
                "mediaResolution": st.sampled_from(
                    ["MEDIA_RESOLUTION_LOW", "media_resolution_high"]
                ),
                "enableEnhancedCivicAnswers": st.booleans(),
                "thinkingConfig": taste.thinking,
                "responseModalities": st.sampled_from(taste.outputs).map(list),
                "imageConfig": st.just({"aspectRatio": "16:9", "imageSize": "1K"}),
                "speechConfig": st.just({"languageCode": "en-US"}),
            },
        ),
    )
    if (taste.mixes or not tools) and draw(st.booleans()):
        config |= draw(FORMATS)
    return copied(config)


def copied(body: Json) -> Json:
    """A body of its own: what is drawn may be shared."""
    found: Json = orjson.loads(orjson.dumps(body))
    return found


AS_JSON = {"responseMimeType": "application/json"}
FORMATS: st.SearchStrategy[Json] = st.one_of(
    st.just(AS_JSON),
    SCHEMA.map(lambda one: {"response_mime_type": "application/json", "responseSchema": one}),
    JSON_SCHEMA.map(lambda one: {**AS_JSON, "responseJsonSchema": one}),
    st.just(
        {
            "responseMimeType": "text/x.enum",
            "response_schema": {"type": "STRING", "enum": ["a", "b"]},
        },
    ),
)
URL = {"fileData": {"fileUri": "https://example.com/a.png", "mimeType": "image/png"}}
PARTS = st.one_of(
    st.text(max_size=9).map(lambda text: {"text": text}),
    st.just({"inlineData": {"mimeType": "image/png", "data": "iVBORw0KGgo="}}),
    st.just({"inline_data": {"mime_type": "application/pdf", "data": "JVBERi0"}}),
    st.just(URL),
    st.just({"text": "x", "videoMetadata": {"fps": 2, "startOffset": "1.5s"}}),
    st.just({"text": "x", "thought": True, "partMetadata": {"any": [1]}}),
)
USER = st.lists(PARTS, min_size=1, max_size=3).map(lambda parts: {"role": "user", "parts": parts})
SAYS = st.just({"role": "model", "parts": [{"text": "well"}]})
SAID = {"role": "user", "parts": [{"text": "x"}]}
CALLS: st.SearchStrategy[list[Json]] = st.just(
    [
        {
            "role": "model",
            "parts": [
                {
                    "functionCall": {"name": "f", "args": {"snake_case": 1}, "id": "1"},
                    "thoughtSignature": "skip_thought_signature_validator",
                },
                {"function_call": {"name": "g"}},
            ],
        },
        {
            "role": "user",
            "parts": [
                {"functionResponse": {"name": "f", "response": {"a": 1}, "id": "1"}},
                {"functionResponse": {"name": "g", "response": {}}},
            ],
        },
    ],
)


@st.composite
def requests(draw: st.DrawFn, model: str) -> Json:
    """A GenerateContentRequest that a model takes."""
    taste = TASTES[model]
    turns = [draw(USER), *draw(st.lists(USER | SAYS, max_size=2))]
    if draw(st.booleans()):
        turns += draw(CALLS)
    if not taste.urls:
        turns = [turn for turn in turns if URL not in turn["parts"]] or [SAID]
    if turns[0]["role"] == "model":
        turns.insert(0, SAID)  # a history that begins with a call is refused
    if turns[-1]["role"] == "model" and not taste.ends_with_model:
        turns.append(draw(USER))
    functions = draw(st.none() | declared())
    built_in = draw(st.sampled_from((None, *BUILT_IN))) if taste.mixes or not functions else None
    tools = [tool for tool in (functions, built_in) if tool is not None]
    config = draw(configs(taste, tools=bool(tools)))
    body: Json = {"contents": turns}
    if tools:
        body["tools"] = tools if len(tools) > 1 or draw(st.booleans()) else tools[0]
        body |= draw(tool_configs(functions, mixed=len(tools) > 1))
    harms = draw(st.lists(st.sampled_from(HARMS), unique=True))
    optional: Json = {
        "generationConfig": config,
        "systemInstruction": {"parts": [{"text": "be brief"}]},
        "safetySettings": [
            {"category": f"HARM_CATEGORY_{harm}", "threshold": "BLOCK_NONE"} for harm in harms
        ],
        "serviceTier": "standard" if model in NO_FLEX else "flex",
        "store": True,
        "labels": {"team": "a"},
        "model": f"models/{model}",
    }
    chosen = draw(st.lists(st.sampled_from(sorted(optional)), unique=True))
    return copied(body | {name: optional[name] for name in chosen})


@st.composite
def tool_configs(draw: st.DrawFn, functions: Json | None, *, mixed: bool) -> Json:
    """A toolConfig that goes with the tools."""
    config: Json = {"includeServerSideToolInvocations": True} if mixed else {}
    if functions and draw(st.booleans()):
        mode = draw(st.sampled_from(["AUTO", "any", "NONE", "VALIDATED"]))
        config["functionCallingConfig"] = {"mode": mode}
        if mode in {"any", "VALIDATED"} and draw(st.booleans()):
            names = [one["name"] for one in functions["functionDeclarations"]]
            config["functionCallingConfig"]["allowedFunctionNames"] = names[:1]
    return {"toolConfig": config} if config else {}


@pytest.fixture(scope="module")
def shared() -> Iterator[httpx.Client]:
    """One emulator, and a client of it; no limit of jobs."""
    with running(EmulatorOptions(max_live_jobs=10**6, job_seconds=0)) as emulator:
        headers = {"x-goog-api-key": "k"}
        with httpx.Client(base_url=emulator.base_url, headers=headers, timeout=60) as client:
            yield client


def post(client: httpx.Client, path: str, body: Json) -> httpx.Response:
    """A call; what hypothesis makes is not always ASCII, and never too large for one."""
    return client.post(f"/v1beta/{path}", content=orjson.dumps(body))


@pytest.mark.parametrize("model", TASTES)
@QUICK
@given(data=st.data())
def test_valid_requests_are_answered(shared: httpx.Client, model: str, data: st.DataObject) -> None:
    """200, an answer of the grammar, and a usage that adds up."""
    body = data.draw(requests(model))
    answer = post(shared, f"models/{model}:generateContent", body)
    assert answer.status_code == 200, answer.text
    response = answer.json()
    assert faults_of("GenerateContentResponse", response) == []
    usage = response["usageMetadata"]
    spent = ("candidatesTokenCount", "thoughtsTokenCount", "toolUsePromptTokenCount")
    total = usage["promptTokenCount"] + sum(usage.get(name, 0) for name in spent)
    assert usage["totalTokenCount"] == total
    for pieces in ("promptTokensDetails", "candidatesTokensDetails"):
        if pieces in usage:
            count = pieces.replace("TokensDetails", "TokenCount")
            listed = {one["modality"]: one["tokenCount"] for one in usage[pieces]}
            if "IMAGE" in listed and "TEXT" not in listed and count == "candidatesTokenCount":
                assert sum(listed.values()) <= usage[count]  # text beside pictures: not listed
            else:
                assert sum(listed.values()) == usage[count]


@pytest.mark.parametrize("model", TASTES)
@QUICK
@given(data=st.data())
def test_requests_with_one_thing_wrong_are_refused(
    shared: httpx.Client, model: str, data: st.DataObject
) -> None:
    """Of the grammar or of what the model takes: 400, and the neighbour without it passes."""
    body = data.draw(requests(model))
    path, words = data.draw(spoilt("GenerateContentRequest", body))
    answer = post(shared, f"models/{model}:generateContent", body)
    assert answer.status_code == 400
    error = answer.json()["error"]
    assert error["status"] == "INVALID_ARGUMENT"
    [detail] = error["details"]
    assert detail["@type"] == "type.googleapis.com/google.rpc.BadRequest"
    assert words in error["message"]
    assert all(one.get("field", "").startswith(path) for one in detail["fieldViolations"])


@QUICK
@given(data=st.data())
def test_whatever_else_is_asked_the_same_thing_is_refused(
    shared: httpx.Client, data: st.DataObject
) -> None:
    """Each refusal of test_refusals.py, within a request that is valid but for it."""
    words, model, wrong = data.draw(st.sampled_from([row for row in REFUSED if row[1] in TASTES]))
    body = data.draw(requests(model))
    for name in ("tools", "toolConfig", "cachedContent"):
        body.pop(name, None)  # they are refused beside each other, too
    body.pop("generationConfig", None)
    answer = post(shared, f"models/{model}:generateContent", body | wrong)
    assert answer.status_code == 400
    assert words in answer.json()["error"]["message"]


@QUICK
@given(data=st.data())
def test_anything_at_all_is_answered(shared: httpx.Client, data: st.DataObject) -> None:
    """What the grammar allows and no model takes is refused in words: never a failure."""
    name, path = data.draw(
        st.sampled_from(
            [
                ("GenerateContentRequest", "models/gemini-3-flash-preview:generateContent"),
                ("GenerateContentRequest", "models/gemini-2.0-flash:streamGenerateContent"),
                ("CountTokensRequest", "models/gemini-2.5-flash:countTokens"),
                ("EmbedContentRequest", "models/gemini-embedding-001:embedContent"),
                ("EmbedContentRequest", "models/gemini-embedding-2:embedContent"),
                ("BatchEmbedContentsRequest", "models/gemini-embedding-2:batchEmbedContents"),
                ("BatchGenerateContentRequest", "models/gemini-2.5-flash:batchGenerateContent"),
                (
                    "AsyncBatchEmbedContentRequest",
                    "models/gemini-embedding-001:asyncBatchEmbedContent",
                ),
                ("CachedContent", "cachedContents"),
                ("CreateFileRequest", "files"),
                ("RegisterFilesRequest", "files:register"),
            ],
        ),
    )
    answer = post(shared, path, data.draw(messages(name)))
    assert answer.status_code < 500
    if answer.status_code >= 400:
        assert faults_of("Status", {"code": 3, "message": answer.json()["error"]["message"]}) == []


# --- embeddings and jobs -------------------------------------------------------------------------

CONTENT = st.lists(
    st.text(max_size=9).map(lambda text: {"text": text}), min_size=1, max_size=3
).map(lambda parts: {"parts": parts})
EMBEDS: Overrides = {
    ("EmbedContentRequest", "content"): CONTENT,
    ("EmbedContentRequest", "title"): st.text(max_size=5),
    ("EmbedContentRequest", "taskType"): st.just("RETRIEVAL_DOCUMENT"),
    ("EmbedContentRequest", "outputDimensionality"): st.integers(1, 3072),
}


@st.composite
def embed_requests(draw: st.DrawFn, model: str) -> Json:
    """An EmbedContentRequest that a model takes, which it names or not."""
    body = {**draw(messages("EmbedContentRequest", 3, EMBEDS)), "content": draw(CONTENT)}
    return body | ({"model": f"models/{model}"} if "model" in body else {})


@pytest.mark.parametrize("model", ["gemini-embedding-001", "gemini-embedding-2"])
@settings(QUICK, max_examples=30)
@given(data=st.data())
def test_valid_embeddings_are_answered(
    shared: httpx.Client, model: str, data: st.DataObject
) -> None:
    """Unit vectors of the asked size, of one and of many."""
    body = data.draw(embed_requests(model))
    answer = post(shared, f"models/{model}:embedContent", body)
    assert answer.status_code == 200, answer.text
    assert faults_of("EmbedContentResponse", answer.json()) == []
    values = answer.json()["embedding"]["values"]
    size = body.get("outputDimensionality", body.get("output_dimensionality", 3072))
    assert len(values) == size
    assert sum(value * value for value in values) == pytest.approx(1, abs=1e-6)
    many = post(shared, f"models/{model}:batchEmbedContents", {"requests": [body, body]})
    assert faults_of("BatchEmbedContentsResponse", many.json()) == []
    assert [one["values"] for one in many.json()["embeddings"]] == [values] * 2


@settings(QUICK, max_examples=30)
@given(data=st.data())
def test_valid_jobs_are_accepted_and_shown(shared: httpx.Client, data: st.DataObject) -> None:
    """A job of valid requests: every answer about it is of the grammar, no item fails."""
    model = data.draw(st.sampled_from(sorted(TASTES)))
    items = [
        {"request": data.draw(requests(model)), **data.draw(METADATA)}
        for _ in range(data.draw(st.integers(1, 3)))
    ]
    batch = {
        "inputConfig": {"requests": {"requests": items}},
        **data.draw(
            st.fixed_dictionaries(
                {},
                optional={
                    "displayName": st.text(max_size=9),
                    "priority": st.integers(-5, 5) | st.just("7"),
                    "model": st.just(f"models/{model}"),
                    "state": st.just("BATCH_STATE_SUCCEEDED"),
                },
            ),
        ),
    }
    made = post(shared, f"models/{model}:batchGenerateContent", {"batch": batch})
    assert made.status_code == 200, made.text
    check_operation(made.json())
    job = made.json()
    while not job.get("done"):
        job = shared.get(f"/v1beta/{job['name']}").json()
    check_operation(job)
    found = job["response"]["inlinedResponses"]["inlinedResponses"]
    assert [item.get("metadata") for item in found] == [item.get("metadata") for item in items]
    assert all("response" in item for item in found)
    check_operation(shared.get("/v1beta/batches", params={"pageSize": 1}).json()["operations"][0])


METADATA: st.SearchStrategy[Json] = st.just({}) | st.dictionaries(
    st.text(max_size=5), st.none() | st.integers(-5, 5) | st.text(max_size=5), max_size=2
).map(lambda free: {"metadata": free})
TYPE = "type.googleapis.com/google.ai.generativelanguage.v1main."


def check_operation(job: Json) -> None:
    """An Operation, its metadata and its response are of the grammar; zeros are left out."""
    assert faults_of("Operation", job) == []
    metadata = dict(job["metadata"])
    assert metadata.pop("@type") == f"{TYPE}GenerateContentBatch"
    assert faults_of("GenerateContentBatch", metadata) == []
    assert "0" not in metadata["batchStats"].values()
    if "response" in job:
        response = dict(job["response"])
        assert response.pop("@type") == f"{TYPE}GenerateContentBatchOutput"
        assert faults_of("GenerateContentBatchOutput", response) == []
        assert response == metadata["output"]


@pytest.mark.parametrize(
    ("path", "message"),
    [
        ("models", "ListModelsResponse"),
        ("models/gemini-2.5-flash", "Model"),
        ("files", "ListFilesResponse"),
        ("batches", "ListOperationsResponse"),
        ("cachedContents", "ListCachedContentsResponse"),
    ],
)
def test_answers_of_gets_are_in_the_grammar(shared: httpx.Client, path: str, message: str) -> None:
    """With something in each list."""
    start = {"X-Goog-Upload-Command": "start", "X-Goog-Upload-Protocol": "resumable"}
    url = shared.post("/upload/v1beta/files", headers=start).headers["x-goog-upload-url"]
    final = {"X-Goog-Upload-Offset": "0", "X-Goog-Upload-Command": "upload, finalize"}
    file = shared.post(url, headers=final, content=b"x").json()
    assert faults_of("CreateFileResponse", file) == []
    cache = {"model": "models/gemini-2.5-flash", "contents": [{"parts": [{"text": "a " * 3000}]}]}
    assert faults_of("CachedContent", post(shared, "cachedContents", cache).json()) == []
    batch = {"inputConfig": {"requests": {"requests": [{"request": {"contents": [SAID]}}]}}}
    post(shared, "models/gemini-2.5-flash:batchGenerateContent", {"batch": batch})
    answer = shared.get(f"/v1beta/{path}").json()
    assert answer
    assert faults_of(message, answer) == []


def test_the_judge_judges() -> None:
    """It finds what it is there to find."""
    wrong = [
        ("GenerateContentResponse", {"model_version": "x"}),
        ("BatchStats", {"requestCount": 2}),
        ("Candidate", {"finishReason": "stop"}),
        ("Candidate", {"index": "0"}),
        ("File", {"createTime": "2026-08-19"}),
        ("File", {"state": None}),
        ("Content", {"parts": {"text": "x"}}),
        ("Part", {"inlineData": {"data": "x"}}),
    ]
    assert [message for message, value in wrong if not faults_of(message, value)] == []
