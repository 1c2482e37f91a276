"""What a model refuses, in the service's words, and the neighbour of it that is accepted."""

from collections import Counter
from typing import Any

import pytest

from gateway.emulator.answers.generate import generate
from gateway.emulator.protocol.errors import ApiError, cache_gone, file_gone
from gateway.emulator.protocol.schema import parse_body
from gateway.emulator.resources.caches import Cache
from gateway.emulator.resources.capabilities import capabilities_of
from gateway.emulator.resources.project_resources import ProjectResources
from tests.emulator.asking import FLASH, TOOL, Json, ask, parts_of, refusal
from tests.every import in_one_item

PRO = "gemini-2.5-pro"
LITE = "gemini-2.5-flash-lite"
OLD = "gemini-2.0-flash"
THREE = "gemini-3-flash-preview"
THREE_PRO = "gemini-3-pro-preview"
NEWEST = "gemini-3.8-flash"
IMAGE = "gemini-2.5-flash-image"
SPEECH = "gemini-2.5-pro-preview-tts"
SEARCH: Json = {"googleSearch": {}}
JSON = {"responseMimeType": "application/json"}


def config(**values: Any) -> Json:
    """A request's generationConfig."""
    return {"generationConfig": values}


def thinking(**values: Any) -> Json:
    """A request's thinkingConfig."""
    return config(thinkingConfig=values)


def calling(**values: Any) -> Json:
    """A request with one function, and how it is to be called."""
    return {"tools": [TOOL], "toolConfig": {"functionCallingConfig": values}}


def openapi(**schema: Any) -> Json:
    """A request for JSON by an OpenAPI schema."""
    return config(**JSON, responseSchema=schema)


def json_schema(**schema: Any) -> Json:
    """A request for JSON by a JSON schema."""
    return config(**JSON, responseJsonSchema=schema)


def turns(*turns: Json) -> Json:
    """A conversation."""
    return {"contents": list(turns)}


def says(role: str, *parts: Json) -> Json:
    """One turn."""
    return {"role": role, "parts": list(parts)}


HELLO = says("user", {"text": "x"})
CALL = {"functionCall": {"name": "f", "args": {}}}
RESULT = says("user", {"functionResponse": {"name": "f", "response": {}}})


def signed(signature: str) -> Json:
    """A conversation with a call that is signed."""
    return turns(HELLO, says("model", {**CALL, "thoughtSignature": signature}), RESULT)


def pictured(**part: Any) -> Json:
    """A prompt with one more part."""
    return turns(says("user", {"text": "x"}, part))


def result(mime: str) -> Json:
    """A conversation whose function answers with media."""
    media = {"inlineData": {"mimeType": mime, "data": "AAAA"}}
    answer = {"functionResponse": {"name": "f", "response": {}, "parts": [media]}}
    signature = {"thoughtSignature": "skip_thought_signature_validator"}
    return turns(HELLO, says("model", CALL | signature), says("user", answer))


def loop(inner: Json, **schema: Any) -> Json:
    """A request for JSON by a schema whose definition needs what is ``inner``."""
    node = {"type": "object", "properties": {"a": inner}, "required": ["a"]}
    return json_schema(
        **{"$defs": {"n": node}, "properties": {"x": {"$ref": "#/$defs/n"}}, **schema}
    )


def lists(*sizes: int) -> Json:
    """A function whose arrays have at most so many items."""
    properties = {
        f"p{at}": {"type": "array", "items": {"type": "string"}, "maxItems": size}
        for at, size in enumerate(sizes)
    }
    schema = {"type": "object", "properties": properties}
    return {"tools": [{"functionDeclarations": [{"name": "f", "parametersJsonSchema": schema}]}]}


NODE = {"$ref": "#/$defs/n"}
REFUSED: list[tuple[str, str, Json]] = [
    # contents
    ("contents is not specified", FLASH, {"contents": []}),
    ("Please use a valid role: user, model.", FLASH, turns(says("system", {"text": "x"}))),
    ("contents.parts must not be empty", FLASH, turns(says("user"))),
    ("required oneof field 'data'", FLASH, turns(says("user", {"thought": True}))),
    ("Name cannot be empty", FLASH, turns(says("model", {"functionCall": {"args": {}}}))),
    (
        "number of function response parts is equal",
        FLASH,
        turns(HELLO, says("model", CALL)),
    ),
    ("call turn comes immediately after a user turn", FLASH, turns(says("model", CALL), RESULT)),
    (
        "call turn comes immediately after a user turn",
        NEWEST,
        turns(says("model", {"text": "so"}, CALL), RESULT, HELLO),
    ),
    *(
        (f"mime_type: {mime} is not supported in `function_response.parts`", NEWEST, result(mime))
        for mime in ("video/mp4", "audio/wav", "text/csv", "text/html", "image/heic")
    ),
    ("number of function response parts", FLASH, turns(HELLO, says("model", CALL, CALL), RESULT)),
    ("missing a thought_signature", THREE, turns(HELLO, says("model", CALL), RESULT)),
    ("Corrupted thought signature.", THREE, signed("AAAA")),
    ("Requests ending with a model turn", NEWEST, turns(HELLO, says("model", {"text": "so"}))),
    (
        "Requests ending with a model turn",
        "gemini-3.5-flash-lite",
        turns(HELLO, says("model", {"text": "so"})),
    ),
    (
        "Unsupported MIME type: application/zip",
        FLASH,
        pictured(inlineData={"mimeType": "application/zip"}),
    ),
    ("Unsupported MIME type: image/gif", FLASH, pictured(inlineData={"mimeType": "image/gif"})),
    ("Unsupported MIME type: ", FLASH, pictured(inlineData={"data": "AAAA"})),
    (
        "Invalid or unsupported file uri: https://example.com/a.png",
        OLD,
        pictured(fileData={"fileUri": "https://example.com/a.png"}),
    ),
    ("unsupported file uri: ftp://a/b", FLASH, pictured(fileData={"fileUri": "ftp://a/b"})),
    (
        "Cannot fetch content from the provided URL",
        FLASH,
        pictured(fileData={"fileUri": "https://nowhere.invalid/a.png"}),
    ),
    ("input token count", FLASH, {"systemInstruction": says("user", {"text": "x" * 4_200_000})}),
    # sampling
    ("temperature", FLASH, config(temperature=2.5)),
    ("topP", FLASH, config(topP=1.5)),
    ("logprobs", FLASH, config(responseLogprobs=True, logprobs=21)),
    ("maxOutputTokens", FLASH, config(maxOutputTokens=0)),
    ("stop_sequences", FLASH, config(stopSequences=list("abcdef"))),
    ("candidateCount", FLASH, config(candidateCount=9)),
    ("Multiple candidates is not enabled for this model", THREE, config(candidateCount=2)),
    ("Multiple candidates", IMAGE, config(candidateCount=2)),
    ("Penalty is not enabled for this model", FLASH, config(presencePenalty=0.1)),
    ("Penalty is not enabled for this model", NEWEST, config(frequencyPenalty=-1)),
    (f"Logprobs is not enabled for models/{PRO}", PRO, config(responseLogprobs=True)),
    (f"Logprobs is not enabled for models/{LITE}", LITE, config(responseLogprobs=True)),
    # thinking
    ("only one of thinking", THREE, thinking(thinkingBudget=1, thinkingLevel="LOW")),
    ("Thinking level is not supported for this model.", FLASH, thinking(thinkingLevel="LOW")),
    ("Thinking level MEDIUM is not supported", THREE_PRO, thinking(thinkingLevel="MEDIUM")),
    ("Thinking level MINIMAL is not supported", NEWEST, thinking(thinkingLevel="MINIMAL")),
    ("Budget 0 is invalid. This model only works", PRO, thinking(thinkingBudget=0)),
    ("The thinking budget (127) is invalid", PRO, thinking(thinkingBudget=127)),
    ("The thinking budget (32769) is invalid", PRO, thinking(thinkingBudget=32769)),
    ("The thinking budget (24577) is invalid", FLASH, thinking(thinkingBudget=24577)),
    ("The thinking budget (511) is invalid", LITE, thinking(thinkingBudget=511)),
    ("Thinking is not enabled", OLD, thinking(thinkingBudget=9)),
    ("Thinking is not enabled", IMAGE, thinking(includeThoughts=True)),
    # outputs
    (
        "Model does not support the requested response modalities: image,text",
        FLASH,
        config(responseModalities=["TEXT", "IMAGE"]),
    ),
    ("response modalities: audio", THREE, config(responseModalities=["AUDIO"])),
    ("response modalities: audio", IMAGE, config(responseModalities=["AUDIO"])),
    ("modalities (TEXT) is not supported by the model", SPEECH, {}),
    (
        "following combination of response modalities:\n* AUDIO",
        SPEECH,
        config(responseModalities=["TEXT"]),
    ),
    ("aspect_ratio", IMAGE, config(imageConfig={"aspectRatio": "7:5"})),
    ("image_size", IMAGE, config(imageConfig={"imageSize": "8K"})),
    (
        "Voice name nobody is not supported. Allowed voice names are: achernar",
        SPEECH,
        config(
            responseModalities=["AUDIO"],
            speechConfig={"voiceConfig": {"prebuiltVoiceConfig": {"voiceName": "nobody"}}},
        ),
    ),
    # formats
    ("allowed mimetypes", FLASH, config(responseMimeType="image/png")),
    ("only allowed when response_mime_type", FLASH, config(responseSchema={"type": "STRING"})),
    (
        "Only one of response_schema and response_json_schema",
        FLASH,
        config(**JSON, responseSchema={"type": "STRING"}, responseJsonSchema={}),
    ),
    (
        "response_schema.properties[a].format: only 'enum' and 'date-time' are supported",
        FLASH,
        openapi(type="OBJECT", properties={"a": {"type": "STRING", "format": "uuid"}}),
    ),
    ("enum[1]: cannot be empty", FLASH, openapi(type="STRING", enum=["a", ""])),
    ("enum: only allowed for STRING type", FLASH, openapi(type="INTEGER", enum=["1"])),
    (
        "properties[a].properties: should be non-empty for OBJECT type",
        FLASH,
        openapi(type="OBJECT", properties={"a": {"type": "OBJECT"}}),
    ),
    (
        "properties: only allowed for OBJECT type",
        FLASH,
        openapi(type="STRING", properties={"a": {"type": "STRING"}}),
    ),
    ("items: missing field", FLASH, openapi(type="OBJECT", properties={"a": {"type": "ARRAY"}})),
    (
        "any_of[1].required[0]: property is not defined",
        FLASH,
        openapi(anyOf=[{"type": "STRING"}, {"type": "OBJECT", "required": ["b"]}]),
    ),
    *(
        ("a ref loop of required fields was found at $defs.n", FLASH, loop(inner))
        for inner in (
            {"anyOf": [NODE, {"type": "integer"}]},
            {"oneOf": [{"type": "integer"}, NODE]},
            {"type": "array", "prefixItems": [{"type": "integer"}, NODE], "minItems": 2},
            {"type": "object", "properties": {"b": NODE}, "required": ["b"]},
        )
    ),
    ("Request contains an invalid argument.", FLASH, lists(500, 500)),
    ("#/$defs/a cannot be resolved", FLASH, json_schema(items={"$ref": "#/$defs/a"})),
    ("cannot be resolved", FLASH, json_schema(**{"$ref": "https://example.com/schema"})),
    (
        "a ref loop of required fields was found at",
        FLASH,
        json_schema(properties={"a": {"$ref": "#"}}, required=["a"]),
    ),
    (
        "a ref loop of required fields was found at",
        FLASH,
        json_schema(
            **{
                "$defs": {
                    "a": {"properties": {"b": {"$ref": "#/$defs/b"}}, "required": ["b"]},
                    "b": {"type": "array", "items": {"$ref": "#/$defs/a"}, "minItems": 1},
                },
                "properties": {"x": {"$ref": "#/$defs/a"}},
            },
        ),
    ),
    # tools
    ("Duplicate function declaration found: get_weather", FLASH, {"tools": [TOOL, TOOL]}),
    ("Invalid function name", FLASH, {"tools": [{"functionDeclarations": [{"name": "1x"}]}]}),
    ("Invalid function name", FLASH, {"tools": [{"functionDeclarations": [{"name": "a b"}]}]}),
    ("Invalid function name", FLASH, {"tools": [{"functionDeclarations": [{"name": "a" * 129}]}]}),
    (
        "parameters schema of f must be set in only one",
        FLASH,
        {
            "tools": [
                {
                    "functionDeclarations": [
                        {"name": "f", "parameters": {}, "parametersJsonSchema": {}},
                    ],
                },
            ],
        },
    ),
    (
        "function_declarations[0].parameters.items: missing field",
        FLASH,
        {"tools": [{"functionDeclarations": [{"name": "f", "parameters": {"type": "ARRAY"}}]}]},
    ),
    ("not declared: x", FLASH, calling(mode="ANY", allowedFunctionNames=["x"])),
    (
        "only when function calling mode is ANY",
        FLASH,
        calling(allowedFunctionNames=["get_weather"]),
    ),
    (
        "Function calling config is set without function_declarations.",
        FLASH,
        {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}},
    ),
    ("Tool use with function calling is unsupported", FLASH, {"tools": [SEARCH, TOOL]}),
    ("include_server_side_tool_invocations", THREE, {"tools": [SEARCH, TOOL]}),
    (
        "Function calling with a response mime type: 'application/json' is unsupported",
        FLASH,
        {"tools": [TOOL], **config(**JSON)},
    ),
    (
        "Tool use with a response mime type: 'application/json' is unsupported",
        OLD,
        {"tools": [SEARCH], **config(**JSON)},
    ),
    # the rest
    (
        "element predicate failed",
        FLASH,
        {"safetySettings": [{"category": "HARM_CATEGORY_MEDICAL", "threshold": "OFF"}]},
    ),
    (
        "Duplicate safety setting",
        FLASH,
        {"safetySettings": [{"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"}] * 2},
    ),
    (
        "CachedContent can not be used",
        FLASH,
        {"cachedContent": "cachedContents/x", "tools": [TOOL]},
    ),
]


@in_one_item
@pytest.mark.parametrize(("words", "model", "request_"), REFUSED)
def test_refused(words: str, model: str, request_: Json) -> None:
    """400, in the service's words."""
    found = refusal(model=model, **request_)
    assert (found.code, found.status) == (400, "INVALID_ARGUMENT")
    assert words in found.message


ACCEPTED: list[tuple[str, Json]] = [
    (FLASH, turns(HELLO, says("model", CALL), RESULT)),
    (THREE, signed("EpMCCpACARFNMg/oQoWX")),
    (THREE, signed("skip_thought_signature_validator")),
    (THREE, signed("c2tpcF90aG91Z2h0X3NpZ25hdHVyZV92YWxpZGF0b3I=")),
    (THREE, turns(HELLO, says("model", CALL), RESULT, HELLO)),  # not of the current turn
    ("gemini-3.5-flash", turns(HELLO, says("model", {"text": "so"}))),
    (FLASH, pictured(inlineData={"mimeType": "image/png", "data": "AAAA"})),
    (FLASH, pictured(inlineData={"mimeType": "application/pdf", "data": "AAAA"})),
    (FLASH, pictured(inlineData={"mimeType": "audio/wav;rate=16000", "data": "AAAA"})),
    (FLASH, pictured(fileData={"fileUri": "https://example.com/a.png"})),
    (OLD, pictured(fileData={"fileUri": "https://youtu.be/abc"})),
    (FLASH, config(candidateCount=8)),
    (THREE, config(candidateCount=1)),
    (FLASH, config(presencePenalty=0, frequencyPenalty=0.0)),
    (OLD, config(presencePenalty=1, frequencyPenalty=1)),
    (OLD, config(responseLogprobs=True, logprobs=20)),
    (PRO, thinking(thinkingBudget=-1)),
    (PRO, thinking(thinkingBudget=128)),
    (LITE, thinking(thinkingBudget=0)),
    (THREE, thinking(thinkingLevel="MINIMAL")),
    (THREE_PRO, thinking(thinkingLevel="HIGH")),
    ("gemini-3.1-pro-preview", thinking(thinkingLevel="MEDIUM")),
    ("gemini-4-argon", thinking(thinkingLevel="XHIGH")),
    (IMAGE, config(responseModalities=["IMAGE"])),
    (FLASH, openapi(type="STRING", format="date-time")),
    (FLASH, openapi(type="INTEGER", format="enum", enum=["1", "2"])),
    (
        FLASH,
        json_schema(
            **{
                "$defs": {"n": {"$anchor": "node", "properties": {"next": {"$ref": "#node"}}}},
                "$ref": "#/$defs/n",
            },
        ),
    ),
    (FLASH, json_schema(anyOf=[{"type": "string"}, {"type": "array", "items": {"$ref": "#"}}])),
    *(
        (FLASH, loop(inner))
        for inner in (
            {"anyOf": [NODE, {"type": "null"}]},
            {"anyOf": [NODE, {"type": ["string", "null"]}]},
            {"anyOf": [NODE, {"enum": [None]}]},
            {"type": "array", "items": NODE},
            {"type": "array", "prefixItems": [{"type": "integer"}, NODE], "minItems": 1},
            {"type": "object", "properties": {"b": NODE}},
        )
    ),
    (FLASH, lists(500, 460)),
    (FLASH, turns(says("model", {"text": "Hello"}), HELLO)),
    (NEWEST, turns(says("user", {"text": ""}), *result("image/png")["contents"][1:])),
    *((NEWEST, result(mime)) for mime in ("image/jpeg", "application/pdf", "text/plain")),
    (THREE, {"toolConfig": {"functionCallingConfig": {"mode": "ANY"}}}),
    (FLASH, calling(mode="VALIDATED", allowedFunctionNames=["get_weather"])),
    (
        THREE,
        {"tools": [SEARCH, TOOL], "toolConfig": {"includeServerSideToolInvocations": True}},
    ),
    (THREE, {"tools": [TOOL], **config(**JSON)}),
    (
        FLASH,
        {
            "safetySettings": [
                {"category": "HARM_CATEGORY_HARASSMENT", "threshold": "OFF"},
                {"category": "HARM_CATEGORY_HATE_SPEECH", "threshold": "BLOCK_NONE"},
            ],
        },
    ),
]


@in_one_item
@pytest.mark.parametrize(("model", "request_"), ACCEPTED)
def test_accepted(model: str, request_: Json) -> None:
    """The neighbour of a refusal is answered."""
    assert ask("x", model, **request_)["candidates"]


def test_deep_schemas_are_refused() -> None:
    """Nested beyond what is followed: a 400; one level less is answered."""
    body = b'{"contents":[{"parts":[{"text":"x"}]}],"generationConfig":{"responseMimeType":'
    body += b'"application/json","responseJsonSchema":'
    for levels in (97, 990):
        schema = b'{"items":' * levels + b"{}" + b"}" * levels + b"}}"
        with pytest.raises(ApiError, match="Message too deep"):
            parse_body("GenerateContentRequest", body + schema.replace(b"{}", b'{"items":{}}'))
    schema = b'{"items":' * 97 + b"{}" + b"}" * 97 + b"}}"
    request = parse_body("GenerateContentRequest", body + schema)
    assert generate(FLASH, request, ProjectResources())["candidates"]


def test_unknown_models_are_as_new_as_can_be() -> None:
    """A name nobody has seen yet; and aliases are what they stand for."""
    assert capabilities_of("gemini-77-quantum") == capabilities_of("gemini-4-argon")
    assert capabilities_of("somebody-elses") == capabilities_of(NEWEST)
    assert capabilities_of("gemini-flash-latest") == capabilities_of("gemini-3.5-flash")
    assert capabilities_of("nano-banana-pro-preview").outputs[0] == ("TEXT", "IMAGE")


# --- what a request refers to --------------------------------------------------------------------


class Held(ProjectResources):
    """One file, one object, one cache."""

    def use_file(self, file_id: str) -> None:
        """Only ``mine``."""
        if file_id != "mine":
            raise file_gone(file_id)

    def use_registered(self, uri: str) -> None:
        """Only one object."""
        if uri != "gs://bucket/mine":
            raise file_gone(uri)

    def cache(self, name: str) -> Cache:
        """Only ``mine``, with a function."""
        if name != "cachedContents/mine":
            raise cache_gone()
        return Cache(name, f"models/{FLASH}", "", Counter(TEXT=2000), 0, 0, 1, {"tools": [TOOL]})


@pytest.mark.parametrize(
    "uri",
    [
        "files/mine",
        "https://generativelanguage.googleapis.com/v1beta/files/mine",
        "http://127.0.0.1:8081/v1/files/mine",
        "gs://bucket/mine",
    ],
)
def test_files_must_be_held(uri: str) -> None:
    """403 for those that are gone or foreign, which look the same."""
    part = {"fileData": {"fileUri": uri, "mimeType": "application/pdf"}}
    assert ask("x", resources=Held(), **pictured(**part))["candidates"]
    foreign = pictured(fileData={"fileUri": uri.replace("mine", "other")})
    with pytest.raises(ApiError, match="do not have permission to access the File") as caught:
        ask("x", resources=Held(), **foreign)
    assert (caught.value.code, caught.value.status) == (403, "PERMISSION_DENIED")


def test_files_in_function_responses_must_be_held() -> None:
    """Wherever a part stands."""
    part = {"fileData": {"fileUri": "files/other"}}
    with pytest.raises(ApiError, match="do not have permission"):
        ask("x", resources=Held(), **turns(says("user", part), says("model", {"text": "y"}), HELLO))


def test_a_cache_counts_and_its_tools_are_there() -> None:
    """Its tokens are in the prompt's, its functions are called."""
    response = ask("weather?", resources=Held(), cachedContent="cachedContents/mine")
    usage = response["usageMetadata"]
    assert usage["cachedContentTokenCount"] == 2000
    assert usage["promptTokenCount"] > 2000
    assert usage["cacheTokensDetails"] == [{"modality": "TEXT", "tokenCount": 2000}]
    assert parts_of(response)[-1]["functionCall"]["name"] == "get_weather"


def test_a_cache_must_be_held_and_of_the_model() -> None:
    """403 for one that is gone or foreign, 400 for another model's."""
    with pytest.raises(ApiError, match="CachedContent not found") as caught:
        ask("x", resources=Held(), cachedContent="cachedContents/other")
    assert caught.value.code == 403
    with pytest.raises(ApiError, match="has to be the same") as caught:
        ask("x", PRO, Held(), cachedContent="cachedContents/mine")
    assert caught.value.code == 400
