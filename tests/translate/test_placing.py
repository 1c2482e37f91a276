"""Every field the vendors' current types list stands in exactly one place of our tables."""

import types
from collections.abc import Iterator
from typing import Any, Union, get_args, get_origin, get_type_hints

import pytest
from google.genai import types as gemini
from openai.types import EmbeddingCreateParams, image_edit_params, image_generate_params
from openai.types import completion_create_params as legacy_create_params
from openai.types.chat import (
    ChatCompletionAllowedToolsParam,
    ChatCompletionAssistantMessageParam,
    ChatCompletionAudioParam,
    ChatCompletionContentPartImageParam,
    ChatCompletionContentPartInputAudioParam,
    ChatCompletionContentPartRefusalParam,
    ChatCompletionContentPartTextParam,
    ChatCompletionDeveloperMessageParam,
    ChatCompletionFunctionMessageParam,
    ChatCompletionSystemMessageParam,
    ChatCompletionToolMessageParam,
    ChatCompletionUserMessageParam,
    chat_completion_message_param,
    chat_completion_message_tool_call_union_param,
    chat_completion_tool_choice_option_param,
    chat_completion_tool_union_param,
    completion_create_params,
)
from openai.types.chat.chat_completion_assistant_message_param import FunctionCall as LegacyCall
from openai.types.chat.chat_completion_content_part_image_param import ImageURL
from openai.types.chat.chat_completion_content_part_input_audio_param import InputAudio
from openai.types.chat.chat_completion_content_part_param import (
    ChatCompletionContentPartParam,
    File,
    FileFile,
)
from openai.types.chat.chat_completion_custom_tool_param import Custom, CustomFormat
from openai.types.chat.chat_completion_message_custom_tool_call_param import (
    Custom as CalledCustom,
)
from openai.types.chat.chat_completion_message_function_tool_call_param import (
    Function as CalledFunction,
)
from openai.types.shared_params import FunctionDefinition, ResponseFormatJSONSchema
from openai.types.shared_params.response_format_json_schema import JSONSchema
from pydantic import BaseModel
from pydantic.alias_generators import to_camel

from gateway.translate import google as extension
from gateway.translate.answer import envelope as received
from gateway.translate.answer import finish, grounding
from gateway.translate.chat import answer as answers
from gateway.translate.chat import choice as choices
from gateway.translate.chat import message as replies
from gateway.translate.chat import messages
from gateway.translate.chat import request as chat
from gateway.translate.completions import request as completions
from gateway.translate.embeddings import answer as embeddings_answers
from gateway.translate.embeddings import request as embeddings
from gateway.translate.images import request as images
from gateway.translate.images_edits import request as edits
from gateway.translate.reading.table import TABLES as REGISTERED
from gateway.translate.reading.table import FieldTable
from gateway.translate.request import content as parts
from gateway.translate.request import modalities, response_format, safety, thinking
from gateway.translate.responses import answer as responses_answers
from gateway.translate.responses import item_kinds as responses_item_kinds
from gateway.translate.responses import items as responses_items
from gateway.translate.responses import output as output_items
from gateway.translate.responses import tools as responses_tools
from gateway.translate.tools import calls
from gateway.translate.tools import choice as tool_choice
from gateway.translate.tools import custom as custom_tools
from gateway.translate.tools import declarations as tools
from gateway.translate.tools import google as google_tools
from gateway.translate.tools import server_steps as steps
from tests.every import in_one_item
from tests.translate import placing_responses
from tests.translate.gemini_schema import DOCUMENT, SCHEMAS

Create = completion_create_params.CompletionCreateParamsNonStreaming


def _members(*objects: Any) -> set[str]:
    return {name for kind in objects for name in get_type_hints(kind)}


def _union(alias: Any) -> tuple[Any, ...]:
    return get_args(alias)


TABLES: list[tuple[str, FieldTable[Any], set[str]]] = [
    ("chat", chat.CHAT, _members(Create)),
    (
        "completions",
        completions.COMPLETIONS,
        _members(legacy_create_params.CompletionCreateParamsNonStreaming),
    ),
    (
        "images",
        images.IMAGES,
        _members(image_generate_params.ImageGenerateParamsNonStreaming),
    ),
    ("images_edits", edits.EDITS, _members(image_edit_params.ImageEditParamsNonStreaming)),
    ("embeddings", embeddings.EMBEDDINGS, _members(EmbeddingCreateParams)),
    ("system", messages.SYSTEM_MESSAGE, _members(ChatCompletionSystemMessageParam)),
    ("developer", messages.SYSTEM_MESSAGE, _members(ChatCompletionDeveloperMessageParam)),
    ("user", messages.USER_MESSAGE, _members(ChatCompletionUserMessageParam)),
    ("assistant", messages.ASSISTANT_MESSAGE, _members(ChatCompletionAssistantMessageParam)),
    ("tool", messages.TOOL_MESSAGE, _members(ChatCompletionToolMessageParam)),
    ("function", messages.FUNCTION_MESSAGE, _members(ChatCompletionFunctionMessageParam)),
    ("text part", parts.TEXT_PART, _members(ChatCompletionContentPartTextParam)),
    ("refusal part", parts.REFUSAL_PART, _members(ChatCompletionContentPartRefusalParam)),
    ("image part", parts.IMAGE_PART, _members(ChatCompletionContentPartImageParam)),
    ("image url", parts.IMAGE_URL, _members(ImageURL)),
    ("audio part", parts.AUDIO_PART, _members(ChatCompletionContentPartInputAudioParam)),
    ("input audio", parts.INPUT_AUDIO, _members(InputAudio)),
    ("file part", parts.FILE_PART, _members(File)),
    ("file", parts.FILE, _members(FileFile)),
    (
        "tool call",
        calls.TOOL_CALL,
        _members(
            *_union(
                chat_completion_message_tool_call_union_param.ChatCompletionMessageToolCallUnionParam
            )
        ),
    ),
    ("custom tool", custom_tools.CUSTOM, _members(Custom)),
    ("custom format", custom_tools.CUSTOM_FORMAT, _members(*_union(CustomFormat))),
    ("called custom tool", custom_tools.CUSTOM_CALL, _members(CalledCustom)),
    ("called function", calls.FUNCTION_CALL, _members(CalledFunction)),
    (
        "legacy call",
        calls.LEGACY_CALL,
        _members(LegacyCall),
    ),
    (
        "tool",
        tools.TOOL,
        _members(*_union(chat_completion_tool_union_param.ChatCompletionToolUnionParam)),
    ),
    ("function definition", tools.FUNCTION, _members(FunctionDefinition)),
    ("legacy function", tools.LEGACY_FUNCTION, _members(completion_create_params.Function)),
    (
        "tool choice",
        tool_choice.NAMED_CHOICE,
        _members(
            *_union(chat_completion_tool_choice_option_param.ChatCompletionToolChoiceOptionParam)[
                1:
            ]
        ),
    ),
    ("allowed tools", tool_choice.ALLOWED_TOOLS, _members(ChatCompletionAllowedToolsParam)),
    ("audio", modalities.AUDIO, _members(ChatCompletionAudioParam)),
    (
        "web search",
        google_tools.WEB_SEARCH,
        _members(completion_create_params.WebSearchOptions),
    ),
    ("response format", response_format.RESPONSE_FORMAT, _members(ResponseFormatJSONSchema)),
    ("json schema", response_format.JSON_SCHEMA, _members(JSONSchema)),
    *placing_responses.TABLES,
    *placing_responses.UNIONS,
]


@in_one_item
@pytest.mark.parametrize(
    ("table", "listed"), [row[1:] for row in TABLES], ids=[r[0] for r in TABLES]
)
def test_every_request_field_is_placed(table: FieldTable[Any], listed: set[str]) -> None:
    """A field that a new SDK brings fails here until somebody says what becomes of it."""
    assert listed - table.by_name.keys() == set()


@in_one_item
@pytest.mark.parametrize("table", [row[1] for row in TABLES], ids=[row[0] for row in TABLES])
def test_a_field_stands_in_one_place_and_says_why(table: FieldTable[Any]) -> None:
    """Two rows of one name would hide each other; a row without words explains nothing."""
    assert len(table.rows) == len(table.by_name)
    assert [row.name for row in table.rows if not row.about] == []


def test_every_role_is_read() -> None:
    """Each member of the SDK's union of messages has a reader."""
    roles = {
        role
        for message in _union(chat_completion_message_param.ChatCompletionMessageParam)
        for role in get_args(get_args(get_type_hints(message, include_extras=True)["role"])[0])
    }
    assert roles == messages._ROLES.keys()


def test_every_content_part_is_read() -> None:
    """Each member of the SDK's union of user parts has a reader."""
    kinds = {
        kind
        for part in _union(ChatCompletionContentPartParam)
        for kind in get_args(get_args(get_type_hints(part, include_extras=True)["type"])[0])
    }
    assert kinds == parts.USER_PARTS.keys()


GOOGLES: list[tuple[FieldTable[Any], type[BaseModel], str]] = [
    (extension.GOOGLE, gemini.GenerateContentConfig, ""),
    (parts.VIDEO, gemini.VideoMetadata, "VideoMetadata"),
    (safety.SAFETY_SETTING, gemini.SafetySetting, "SafetySetting"),
    (thinking.THINKING, gemini.ThinkingConfig, "ThinkingConfig"),
    (google_tools.GOOGLE_TOOL, gemini.Tool, "Tool"),
    (google_tools.GOOGLE_SEARCH, gemini.GoogleSearch, "GoogleSearch"),
    (google_tools.SEARCH_TYPES, gemini.SearchTypes, "SearchTypes"),
    (google_tools.TIME_RANGE, gemini.Interval, "Interval"),
    (google_tools.GOOGLE_MAPS, gemini.GoogleMaps, "GoogleMaps"),
    (google_tools.FILE_SEARCH, gemini.FileSearch, "FileSearch"),
    (extension.RETRIEVAL, gemini.RetrievalConfig, "RetrievalConfig"),
    (extension.PLACE, gemini.LatLng, "LatLng"),
    (extension.IMAGE, gemini.ImageConfig, "ImageConfig"),
    (extension.SPEECH, gemini.SpeechConfig, "SpeechConfig"),
    (extension.VOICE, gemini.VoiceConfig, "VoiceConfig"),
    (extension.PREBUILT_VOICE, gemini.PrebuiltVoiceConfig, "PrebuiltVoiceConfig"),
    (extension.SPEAKER, gemini.SpeakerVoiceConfig, "SpeakerVoiceConfig"),
    (extension.SPEAKERS, gemini.MultiSpeakerVoiceConfig, "MultiSpeakerVoiceConfig"),
]
# Objects that no vendor's type lists: our own extensions, and kinds that a test below lists.
OURS = {
    "/v1/embeddings google",
    "extra_body",
    # The SDKs have no type of the JSON body: EditImageBodyJsonParam and ImageRefParam of the spec.
    "images[]",
    "messages[].images[]",
}


def test_every_table_is_compared_with_a_vendors_type() -> None:
    """A new table fails here until its object is compared with what its vendor publishes."""
    compared = {row[1].path for row in TABLES} | {row[0].path for row in GOOGLES}
    assert {table.path for table in REGISTERED} - compared == OURS


@in_one_item
@pytest.mark.parametrize(("table", "model", "message"), GOOGLES)
def test_every_member_of_googles_objects_is_placed(
    table: FieldTable[Any], model: type[BaseModel], message: str
) -> None:
    """As google-genai's types and the discovery document list them."""
    assert model.model_fields.keys() - table.by_name.keys() == set()
    ours = {to_camel(name) for name in table.by_name}
    assert SCHEMAS.get(message, {}).keys() - ours == set()


def test_every_tool_without_members_has_none() -> None:
    """Tools that are only named take a new member of Google's as soon as there is one."""
    for model in (gemini.UrlContext, gemini.ToolCodeExecution, gemini.WebSearch):
        assert model.model_fields == {}
    for message in ("UrlContext", "CodeExecution", "WebSearch", "ImageSearch"):
        assert SCHEMAS[message] == {}


def test_every_voice_format_and_modality_is_placed() -> None:
    """The words of the SDK's types for sound."""
    hints = get_type_hints(ChatCompletionAudioParam, include_extras=True)
    assert set(_literals(hints["voice"])) <= modalities.VOICES.keys()
    formats = {*modalities.FORMATS, *modalities.COMPRESSED}
    assert set(_literals(hints["format"])) == formats
    assert set(_literals(get_type_hints(Create)["modalities"])) <= set(modalities.MODALITIES)


def test_every_kind_of_step_is_known() -> None:
    """Google-genai's enum, the discovery document's and its additions."""
    listed = {member.value for member in gemini.ToolType}
    listed |= set(SCHEMAS["ToolCall"]["toolType"]["enum"])
    listed |= set(DOCUMENT["newer_than_this_revision"]["ToolType"])
    assert listed == steps.TOOL_TYPES


@pytest.mark.parametrize(
    ("read", "listed"),
    [row[1:] for row in placing_responses.WORDS],
    ids=[row[0] for row in placing_responses.WORDS],
)
def test_every_word_of_responses_is_read(read: set[str], listed: set[str]) -> None:
    """Content parts, formats, roles and the like: what the SDK lists is what readers know."""
    assert listed
    assert listed - read == set()


def test_every_item_that_is_not_refused_has_a_reader() -> None:
    """The table of kinds and the readers behind it agree."""
    assert responses_item_kinds.ITEM_KINDS.accepted == responses_items._READERS.keys()
    hosted = responses_tools.TOOL_KINDS.accepted - {"function", "custom"}
    assert hosted == responses_tools._HOSTED.keys()


def test_every_effort_is_known() -> None:
    """The SDK's ReasoningEffort and every family's table have the same words."""
    efforts = set(_literals(get_type_hints(Create)["reasoning_effort"]))
    assert efforts == set(thinking.EFFORTS)


def _literals(hint: Any) -> Iterator[str]:
    for argument in get_args(hint):
        if isinstance(argument, str):
            yield argument
        elif get_origin(argument) in (Union, types.UnionType) or get_args(argument):
            yield from _literals(argument)


def _wire_names(model: type[BaseModel]) -> set[str]:
    return {to_camel(name) for name in model.model_fields}


def test_every_finish_reason_is_placed() -> None:
    """Google-genai's enum, the discovery document's and its additions."""
    listed = {member.value for member in gemini.FinishReason}
    listed |= set(SCHEMAS["Candidate"]["finishReason"]["enum"])
    listed |= set(DOCUMENT["newer_than_this_revision"]["FinishReason"])
    assert listed == finish.FINISH.keys()


def test_every_block_reason_is_placed() -> None:
    """Google-genai's enum, the discovery document's and its additions."""
    listed = {member.value for member in gemini.BlockedReason}
    listed |= set(SCHEMAS["PromptFeedback"]["blockReason"]["enum"])
    listed |= set(DOCUMENT["newer_than_this_revision"]["BlockReason"])
    assert listed == received.BLOCKED.keys()


@pytest.mark.parametrize(
    ("table", "model", "message"),
    [
        (replies.PART, gemini.Part, "Part"),
        (choices.CANDIDATE, gemini.Candidate, "Candidate"),
        (output_items.PART, gemini.Part, "Part"),
        (responses_answers.CANDIDATE, gemini.Candidate, "Candidate"),
        (
            responses_answers.RESPONSE,
            gemini.GenerateContentResponse,
            "GenerateContentResponse",
        ),
        (
            responses_answers.USAGE,
            gemini.GenerateContentResponseUsageMetadata,
            "UsageMetadata",
        ),
        (grounding.GROUNDING, gemini.GroundingMetadata, "GroundingMetadata"),
        (grounding.CHUNK, gemini.GroundingChunk, "GroundingChunk"),
        (
            grounding.SUPPORT,
            gemini.GroundingSupport,
            "GoogleAiGenerativelanguageV1alphaGroundingSupport",
        ),
        (grounding.SEGMENT, gemini.Segment, "GoogleAiGenerativelanguageV1alphaSegment"),
        (grounding.URL_CONTEXT, gemini.UrlContextMetadata, "UrlContextMetadata"),
        (answers.RESPONSE, gemini.GenerateContentResponse, "GenerateContentResponse"),
        (answers.USAGE, gemini.GenerateContentResponseUsageMetadata, "UsageMetadata"),
        (received.FEEDBACK, gemini.GenerateContentResponsePromptFeedback, "PromptFeedback"),
        (embeddings_answers.RESPONSE, gemini.EmbedContentResponse, "EmbedContentResponse"),
    ],
)
def test_every_response_field_is_placed(
    table: dict[str, str], model: type[BaseModel], message: str
) -> None:
    """Each field of an answer has a row that says what becomes of it."""
    newer = DOCUMENT["newer_than_this_revision"].get(message, [])
    listed = _wire_names(model) | SCHEMAS[message].keys()
    listed |= {name.split(" ")[0] for name in newer}
    assert listed - table.keys() == set()
    assert [name for name, about in table.items() if not about] == []
