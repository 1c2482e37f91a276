"""Field tables of the items of ``input``: every kind, and every field of those that are read."""

from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading.checks import json_object, list_of, string, words
from gateway.translate.reading.refusal import unsupported_value
from gateway.translate.reading.table import FieldTable, dropped, mapped, refused

NO_PROGRAMS: Final = "Gemini's programs cannot call functions."
_STATELESS: Final = "No item is stored here: send the item itself."
_NO_SUCH_TOOL: Final = "There is no such tool here: leave out what it did."
# Every kind of item, and what becomes of it.
ITEM_KINDS: Final = FieldTable(
    "/v1/responses input[]",
    mapped("message", "a turn of user or model, or `systemInstruction`"),
    mapped("function_call", "a `functionCall` part"),
    mapped("function_call_output", "a `functionResponse` part"),
    mapped("custom_tool_call", "a `functionCall` part with one text, `input`"),
    mapped("custom_tool_call_output", "a `functionResponse` part"),
    mapped("reasoning", "`thoughtSignature` of the items behind it"),
    mapped("code_interpreter_call", "a fenced block in the model's text"),
    mapped("image_generation_call", "`inlineData` of the model's turn"),
    dropped("web_search_call", "what was found is in the answer behind it; noted"),
    refused("item_reference", _STATELESS),
    refused("file_search_call", _NO_SUCH_TOOL),
    refused("computer_call", _NO_SUCH_TOOL),
    refused("computer_call_output", _NO_SUCH_TOOL),
    refused("tool_search_call", _NO_SUCH_TOOL),
    refused("tool_search_output", _NO_SUCH_TOOL),
    refused("additional_tools", "Declare every function in 'tools'."),
    refused("configuration_update", "Gemini has one configuration for a whole request."),
    refused("compaction", "It can be read by OpenAI alone."),
    refused("compaction_trigger", "Gemini does not compact a conversation."),
    refused("local_shell_call", _NO_SUCH_TOOL),
    refused("local_shell_call_output", _NO_SUCH_TOOL),
    refused("shell_call", _NO_SUCH_TOOL),
    refused("shell_call_output", _NO_SUCH_TOOL),
    refused("apply_patch_call", _NO_SUCH_TOOL),
    refused("apply_patch_call_output", _NO_SUCH_TOOL),
    refused("mcp_list_tools", _NO_SUCH_TOOL),
    refused("mcp_approval_request", _NO_SUCH_TOOL),
    refused("mcp_approval_response", _NO_SUCH_TOOL),
    refused("mcp_call", _NO_SUCH_TOOL),
    refused("program", _NO_SUCH_TOOL),
    refused("program_output", _NO_SUCH_TOOL),
)
_TYPE: Final = mapped("type", "selects the kind of item")
_ID: Final = dropped("id", "names an item at OpenAI")
_STATUS: Final = dropped("status", "part of an earlier answer, not of the conversation")


def _direct(value: object) -> Json:
    caller = json_object(value)
    return caller if caller.get("type") == "direct" else unsupported_value(NO_PROGRAMS)


_CALLER: Final = mapped("caller", "direct only", _direct)
_NAMESPACE: Final = refused("namespace", "Gemini has no namespaces of tools.")
_CALLED: Final = (
    _TYPE,
    mapped("call_id", "`functionCall.id`"),
    mapped("name", "`functionCall.name`"),
)
_OF_CALLS: Final = (
    mapped("extra_content", "`thoughtSignature`"),
    _CALLER,
    _ID,
    _STATUS,
    _NAMESPACE,
    dropped("async", "the call has its result, whenever it came"),
    dropped("async_", "how OpenAI's Python SDK dumps `async`"),
)
MESSAGE_ITEM: Final = FieldTable(
    "/v1/responses input[] message",
    _TYPE,
    mapped("role", "`role`, or `systemInstruction`"),
    mapped("content", "`parts`"),
    mapped("id", "finds `thoughtSignature` in the reasoning item before"),
    mapped("extra_content", "`thoughtSignature` of the last text part"),
    _STATUS,
    dropped("phase", "OpenAI's models alone tell comments from answers"),
)
FUNCTION_CALL_ITEM: Final = FieldTable(
    "/v1/responses input[] function_call",
    *_CALLED,
    mapped("arguments", "`functionCall.args`; what is no object goes as its text, noted"),
    *_OF_CALLS,
    dropped("parsed_arguments", "made by the SDK from the arguments"),
)
CUSTOM_CALL_ITEM: Final = FieldTable(
    "/v1/responses input[] custom_tool_call",
    *_CALLED,
    mapped("input", "`functionCall.args.input`"),
    *_OF_CALLS,
)
FUNCTION_OUTPUT_ITEM: Final = FieldTable(
    "/v1/responses input[] function_call_output, custom_tool_call_output",
    _TYPE,
    mapped("call_id", "`functionResponse.id`, and `name` by way of the call"),
    mapped(
        "output",
        "`functionResponse.response`; PNG, JPEG, WEBP, PDF, plain text in `parts`, others after it",
    ),
    _CALLER,
    _ID,
    _STATUS,
    _NAMESPACE,
    dropped("name", "the call already names its function"),
)
REASONING_ITEM: Final = FieldTable(
    "/v1/responses input[] reasoning",
    _TYPE,
    mapped(
        "encrypted_content", "`thoughtSignature` of the items behind it; OpenAI's is noted", string
    ),
    dropped("summary", "useless to Gemini without its signature"),
    dropped("content", "useless to Gemini without its signature"),
    _ID,
    _STATUS,
)
CODE_ITEM: Final = FieldTable(
    "/v1/responses input[] code_interpreter_call",
    _TYPE,
    mapped("code", "a fenced block in the model's text", string),
    mapped(
        "outputs",
        "a fenced block in the model's text; images are noted",
        list_of(json_object, of="objects"),
    ),
    _ID,
    _STATUS,
    dropped("container_id", "names a container at OpenAI"),
)
IMAGE_ITEM: Final = FieldTable(
    "/v1/responses input[] image_generation_call",
    _TYPE,
    mapped("result", "`inlineData.data`"),
    mapped("output_format", "`inlineData.mimeType`"),
    mapped("id", "finds `thoughtSignature` in the reasoning item before"),
    _STATUS,
    *(
        dropped(name, "part of an earlier answer, not of the conversation")
        for name in words("action background error quality revised_prompt size svg_usage")
    ),
)
SEARCH_ITEM: Final = FieldTable(
    "/v1/responses input[] web_search_call",
    _TYPE,
    _ID,
    _STATUS,
    dropped("action", "what was found is in the answer behind it"),
)
