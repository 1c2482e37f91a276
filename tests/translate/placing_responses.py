"""What OpenAI's SDK lists for ``/v1/responses``, beside the tables that place it."""

from typing import Any, get_args, get_type_hints

from openai.types.responses import (
    response_create_params,
    response_input_item_param,
    response_input_param,
    tool_param,
    web_search_preview_tool_param,
    web_search_tool_param,
)
from openai.types.responses.custom_tool_param import CustomToolParam
from openai.types.responses.easy_input_message_param import EasyInputMessageParam
from openai.types.responses.function_tool_param import FunctionToolParam
from openai.types.responses.response_code_interpreter_tool_call_param import (
    ResponseCodeInterpreterToolCallParam,
)
from openai.types.responses.response_create_params import ResponseCreateParamsNonStreaming
from openai.types.responses.response_custom_tool_call_output_param import (
    ResponseCustomToolCallOutputParam,
)
from openai.types.responses.response_custom_tool_call_param import ResponseCustomToolCallParam
from openai.types.responses.response_format_text_config_param import ResponseFormatTextConfigParam
from openai.types.responses.response_function_call_output_item_param import (
    ResponseFunctionCallOutputItemParam,
)
from openai.types.responses.response_function_tool_call_param import ResponseFunctionToolCallParam
from openai.types.responses.response_function_web_search_param import (
    ResponseFunctionWebSearchParam,
)
from openai.types.responses.response_includable import ResponseIncludable
from openai.types.responses.response_input_audio_param import ResponseInputAudioParam
from openai.types.responses.response_input_content_param import ResponseInputContentParam
from openai.types.responses.response_input_file_content_param import ResponseInputFileContentParam
from openai.types.responses.response_input_file_param import ResponseInputFileParam
from openai.types.responses.response_input_image_content_param import (
    ResponseInputImageContentParam,
)
from openai.types.responses.response_input_image_param import ResponseInputImageParam
from openai.types.responses.response_input_text_content_param import ResponseInputTextContentParam
from openai.types.responses.response_input_text_param import ResponseInputTextParam
from openai.types.responses.response_output_message_param import ResponseOutputMessageParam
from openai.types.responses.response_output_refusal_param import ResponseOutputRefusalParam
from openai.types.responses.response_output_text_param import ResponseOutputTextParam
from openai.types.responses.response_reasoning_item_param import ResponseReasoningItemParam
from openai.types.responses.response_text_config_param import ResponseTextConfigParam
from openai.types.responses.tool_choice_allowed_param import ToolChoiceAllowedParam
from openai.types.responses.tool_choice_function_param import ToolChoiceFunctionParam
from openai.types.responses.tool_choice_types_param import ToolChoiceTypesParam
from openai.types.shared_params import Reasoning

from gateway.translate.reading.table import FieldTable
from gateway.translate.request import content as parts
from gateway.translate.request import thinking
from gateway.translate.request.response_format import FORMAT_TYPES
from gateway.translate.responses import content as responses_parts
from gateway.translate.responses import item_kinds as responses_item_kinds
from gateway.translate.responses import items as responses_items
from gateway.translate.responses import options as responses_options
from gateway.translate.responses import request as responses
from gateway.translate.responses import tool_choice as responses_tool_choice
from gateway.translate.responses import tools as responses_tools

CodeContainer = tool_param.CodeInterpreterContainerCodeInterpreterToolAuto


def members(*objects: Any) -> set[str]:
    """The names of all fields."""
    return {name for kind in objects for name in get_type_hints(kind)}


def literals(hint: Any) -> set[str]:
    """Every string that a type may be."""
    found = {argument for argument in get_args(hint) if isinstance(argument, str)}
    return found.union(*(literals(argument) for argument in get_args(hint)))


def kinds(union: Any) -> set[str]:
    """The ``type`` of every member of a union of objects."""
    return {
        kind
        for member in get_args(union)
        if hasattr(member, "__annotations__")
        for kind in literals(get_type_hints(member, include_extras=True)["type"])
    }


# Objects: their name, their table, the fields that the SDK lists.
TABLES: list[tuple[str, FieldTable[Any], set[str]]] = [
    ("responses", responses.RESPONSES, members(ResponseCreateParamsNonStreaming)),
    (
        "message item",
        responses_item_kinds.MESSAGE_ITEM,
        members(EasyInputMessageParam, response_input_param.Message, ResponseOutputMessageParam),
    ),
    (
        "function call item",
        responses_item_kinds.FUNCTION_CALL_ITEM,
        members(ResponseFunctionToolCallParam),
    ),
    (
        "function output item",
        responses_item_kinds.FUNCTION_OUTPUT_ITEM,
        members(response_input_param.FunctionCallOutput, ResponseCustomToolCallOutputParam),
    ),
    (
        "custom call item",
        responses_item_kinds.CUSTOM_CALL_ITEM,
        members(ResponseCustomToolCallParam),
    ),
    ("reasoning item", responses_item_kinds.REASONING_ITEM, members(ResponseReasoningItemParam)),
    ("code item", responses_item_kinds.CODE_ITEM, members(ResponseCodeInterpreterToolCallParam)),
    (
        "image item",
        responses_item_kinds.IMAGE_ITEM,
        members(response_input_param.ImageGenerationCall),
    ),
    ("search item", responses_item_kinds.SEARCH_ITEM, members(ResponseFunctionWebSearchParam)),
    (
        "input text",
        responses_parts.INPUT_TEXT,
        members(ResponseInputTextParam, ResponseInputTextContentParam),
    ),
    (
        "input image",
        responses_parts.INPUT_IMAGE,
        members(ResponseInputImageParam, ResponseInputImageContentParam),
    ),
    (
        "input file",
        responses_parts.INPUT_FILE,
        members(ResponseInputFileParam, ResponseInputFileContentParam),
    ),
    ("input audio of responses", parts.AUDIO_PART, members(ResponseInputAudioParam)),
    ("output text", responses_parts.OUTPUT_TEXT, members(ResponseOutputTextParam)),
    ("output refusal", parts.REFUSAL_PART, members(ResponseOutputRefusalParam)),
    ("function tool", responses_tools.FUNCTION_TOOL, members(FunctionToolParam)),
    ("custom tool", responses_tools.CUSTOM_TOOL, members(CustomToolParam)),
    (
        "web search tool",
        responses_tools.WEB_SEARCH_TOOL,
        members(
            web_search_tool_param.WebSearchToolParam,
            web_search_preview_tool_param.WebSearchPreviewToolParam,
        ),
    ),
    (
        "search filters",
        responses_tools.SEARCH_FILTERS,
        members(web_search_tool_param.Filters),
    ),
    (
        "user location",
        responses_tools.USER_LOCATION,
        members(web_search_tool_param.UserLocation, web_search_preview_tool_param.UserLocation),
    ),
    (
        "code interpreter tool",
        responses_tools.CODE_INTERPRETER_TOOL,
        members(tool_param.CodeInterpreter),
    ),
    ("container", responses_tools.CONTAINER, members(CodeContainer)),
    (
        "function choice",
        responses_tool_choice.FUNCTION_CHOICE,
        members(ToolChoiceFunctionParam),
    ),
    ("allowed choice", responses_tool_choice.ALLOWED_CHOICE, members(ToolChoiceAllowedParam)),
    ("hosted choice", responses_tool_choice.HOSTED_CHOICE, members(ToolChoiceTypesParam)),
    ("text", responses_options.TEXT, members(ResponseTextConfigParam)),
    (
        "text format",
        responses_options.TEXT_FORMAT,
        members(*get_args(ResponseFormatTextConfigParam)),
    ),
    ("reasoning", responses_options.REASONING, members(Reasoning)),
]

# Unions: their name, the table of their members, those that the SDK lists.
UNIONS: list[tuple[str, FieldTable[Any], set[str]]] = [
    (
        "items",
        responses_item_kinds.ITEM_KINDS,
        kinds(response_input_param.ResponseInputItemParam)
        | kinds(response_input_item_param.ResponseInputItemParam),
    ),
    ("tools", responses_tools.TOOL_KINDS, kinds(tool_param.ToolParam)),
    ("tool choices", responses_tool_choice.CHOICE_KINDS, kinds(response_create_params.ToolChoice)),
    ("include", responses_options.INCLUDE, literals(ResponseIncludable)),
]

# Small vocabularies: their name, the words that are read, those that the SDK lists.
WORDS: list[tuple[str, set[str], set[str]]] = [
    (
        "input",
        set(responses_parts.INPUT_PARTS),
        kinds(ResponseInputContentParam)
        | literals(get_type_hints(ResponseInputAudioParam)["type"]),
    ),
    (
        "results",
        set(responses_parts.RESULT_PARTS),
        kinds(ResponseFunctionCallOutputItemParam),
    ),
    (
        "answers",
        set(responses_parts.ANSWER_PARTS),
        kinds(get_args(get_type_hints(ResponseOutputMessageParam)["content"])[0]),
    ),
    ("formats", set(FORMAT_TYPES), kinds(ResponseFormatTextConfigParam)),
    (
        "roles",
        set(responses_items.ROLES),
        literals(get_type_hints(EasyInputMessageParam, include_extras=True)["role"]),
    ),
    (
        "efforts",
        set(thinking.EFFORTS),
        literals(get_type_hints(Reasoning)["effort"]),
    ),
    (
        "summaries",
        set(responses_options.SUMMARIES),
        literals(get_type_hints(Reasoning)["summary"]),
    ),
]
