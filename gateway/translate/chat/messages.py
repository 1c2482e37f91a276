"""Chat messages -> ``contents`` and ``systemInstruction``.

An assistant's message also returns what an earlier answer carried: signatures and steps of Google's
tools in ``extra_content``, images in ``images``, an extension that OpenRouter and LiteLLM share, so
that a later turn may edit them. Image models of Gemini 3 answer 400 "Image part is missing a
thought_signature" (langchain-google#1431), so each image keeps its own.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.translate.contract import Json
from gateway.translate.reading.checks import json_object, text_of
from gateway.translate.reading.refusal import at, each, invalid_choice, invalid_value, missing
from gateway.translate.reading.table import FieldTable, dropped, mapped, refused
from gateway.translate.request.content import (
    ASSISTANT_PARTS,
    TEXT_PARTS,
    USER_PARTS,
    PartReader,
    image_part,
    read_content,
)
from gateway.translate.request.conversation import Conversation
from gateway.translate.request.signatures import FOREIGN_HISTORY, message_signature, note_unread
from gateway.translate.tools.calls import read_legacy_call, read_tool_calls, result_of
from gateway.translate.tools.server_steps import returned_steps

_ROLE: Final = mapped("role", "`role`, or `systemInstruction`")
_NAME: Final = dropped(
    "name", "Gemini has no names for speakers; noted, or by setting put in front of the text"
)

SYSTEM_MESSAGE: Final = FieldTable(
    "messages[] of system, developer", _ROLE, mapped("content", "`systemInstruction.parts`"), _NAME
)
USER_MESSAGE: Final = FieldTable("messages[] of user", _ROLE, mapped("content", "`parts`"), _NAME)
ASSISTANT_MESSAGE: Final = FieldTable(
    "messages[] of assistant",
    _ROLE,
    _NAME,
    mapped("content", "`parts`"),
    mapped("refusal", "`text`"),
    mapped("tool_calls", "`functionCall` parts"),
    mapped("function_call", "a `functionCall` part"),
    mapped(
        "extra_content",
        "`google.thought_signature`: that of the last text part; `google.parts`: steps of "
        "Google's own tools",
    ),
    mapped("images", "`inlineData` after the text: a later turn may edit them"),
    refused("audio", "An earlier audio answer cannot be replayed to Gemini."),
    # What answers carry and clients send back as it was.
    dropped("parsed", "made by the SDK from the text"),
    dropped("annotations", "part of an earlier answer, not of the conversation"),
    dropped("reasoning", "useless to Gemini without its signature"),
    dropped("reasoning_content", "useless to Gemini without its signature"),
)
TOOL_MESSAGE: Final = FieldTable(
    "messages[] of tool",
    _ROLE,
    mapped("content", "`functionResponse.response`"),
    mapped("tool_call_id", "`functionResponse.id`, and `name` by way of the call"),
    dropped("name", "the call already names its function"),
)
FUNCTION_MESSAGE: Final = FieldTable(
    "messages[] of function",
    _ROLE,
    mapped("content", "`functionResponse.response`"),
    mapped("name", "`functionResponse.name`"),
)


def read_messages(value: Any, conversation: Conversation) -> None:  # noqa: ANN401 - parsed JSON
    """``{"role": "user", "content": "Hi"}`` -> ``{"role": "user", "parts": [{"text": "Hi"}]}``."""
    conversation.source = value
    at("messages", each, value, _read_message, conversation)
    conversation.close(value, _is_assistants)


def _read_message(value: object, conversation: Conversation) -> None:
    message = json_object(value)
    role = message.get("role")
    reader = _ROLES.get(role) if type(role) is str else None
    if role is None:
        missing("role")
    if reader is None:
        invalid_choice(role, _ROLES, "role")
    if conversation.calls is not None and role not in _RESULT_ROLES:
        conversation.close_calls()
    reader(message, conversation)


def _is_assistants(message: Json) -> bool:
    return bool(message["role"] == "assistant")


def _system(message: Json, conversation: Conversation) -> None:
    parts = _spoken(message, SYSTEM_MESSAGE, TEXT_PARTS, conversation)
    conversation.instruct(message, parts)


def _user(message: Json, conversation: Conversation) -> None:
    conversation.say("user", _spoken(message, USER_MESSAGE, USER_PARTS, conversation))


def _spoken(
    message: Json,
    table: FieldTable[Any],
    readers: Mapping[str, PartReader],
    conversation: Conversation,
) -> list[Json]:
    """Read a message that is nothing but what was said, and who said it."""
    if len(message) != 2:  # more than role and content
        table.check(message)
    parts = read_content(_content(message), readers, conversation)
    if "name" in message:
        _name(message, parts, conversation)
    return parts


def _name(message: Json, parts: list[Json], conversation: Conversation) -> None:
    """Note the name of a speaker, if there is one, or write it in front of the text."""
    if message.get("name") is None:
        return
    name = text_of(message, "name")
    if conversation.policy.message_names == "drop":
        conversation.note_of(message, "dropped", "name")
    elif parts and "text" in parts[0]:
        parts[0]["text"] = f"{name}: {parts[0]['text']}"
    else:
        parts.insert(0, {"text": f"{name}:"})


def _assistant(message: Json, conversation: Conversation) -> None:
    """Text in front of calls, as Gemini itself produces them."""
    # The three members of nearly every turn of calls need no second look.
    if len(message) != 3 or "tool_calls" not in message or "content" not in message:
        ASSISTANT_MESSAGE.check(message)
    content = message.get("content")
    parts: list[Json] = []
    if content is not None and content != "":
        parts = read_content(content, ASSISTANT_PARTS, conversation)
    if message.get("refusal") is not None:
        parts.append({"text": text_of(message, "refusal")})
    if "name" in message:
        _name(message, parts, conversation)
    if "extra_content" in message or "images" in message:
        parts = _with_returned(parts, message, conversation)
    _calls(message, parts, conversation)
    if parts:
        conversation.say("model", parts)


def _calls(message: Json, parts: list[Json], conversation: Conversation) -> None:
    """Append the calls of an assistant's message; their results are waited for."""
    if message.get("tool_calls") is not None:
        conversation.calls = read_tool_calls(message["tool_calls"], parts, conversation)
    if message.get("function_call") is not None:
        if conversation.calls is not None:
            invalid_value("it cannot be combined with tool_calls.", "function_call")
        # With no words before it, the message's own signature is the call's.
        signature = "" if parts else message_signature(message)
        call = message["function_call"]
        conversation.calls = at(
            "function_call", read_legacy_call, call, parts, conversation, signature
        )
    if conversation.calls is not None:
        conversation.calls.message = message


def _tool(message: Json, conversation: Conversation) -> None:
    # With three members these are the three it must have, or one of them is missed below.
    if len(message) != 3:
        TOOL_MESSAGE.check(message)
    text_of(message, "tool_call_id")
    conversation.answer(message, "tool_call_id", result_of(message, conversation))


def _function(message: Json, conversation: Conversation) -> None:
    FUNCTION_MESSAGE.check(message)
    text_of(message, "name")
    conversation.answer(message, "name", result_of(message, conversation))


def _content(message: Json) -> object:
    content = message.get("content")
    if content is None and "content" not in message:
        missing("content")
    return content


RETURNED_IMAGE: Final = FieldTable(
    "messages[].images[]",
    mapped("type", "image_url only"),
    mapped("image_url", "`inlineData` or `fileData`"),
    mapped("extra_content", "`thoughtSignature` of the image"),
)


def _with_returned(parts: list[Json], message: Json, conversation: Conversation) -> list[Json]:
    """Add to the text parts of an assistant's message what else its answer had, e.g. images.

    Steps of Google's own tools come before the words that rest on them, images after them.
    """
    if "extra_content" in message:
        note_unread(message, conversation)
        signature = message_signature(message)
        if signature and not parts and message.get("tool_calls"):
            # Gemini wrote a part of nothing but its signature.
            parts = [{"text": ""}]
        if signature and parts:
            parts[-1]["thoughtSignature"] = signature
        parts = returned_steps(message, conversation) + parts
    if message.get("images") is not None:
        parts = parts + at("images", each, message["images"], _image, conversation)
    return parts


def _image(value: object, conversation: Conversation) -> Json:
    image = RETURNED_IMAGE.check(value)
    part = image_part({"image_url": image.get("image_url")}, conversation)
    signature = message_signature(image)
    if not signature and conversation.can.signatures and conversation.can.media:
        signature = FOREIGN_HISTORY
    return {**part, "thoughtSignature": signature} if signature else part


_ROLES: Final[Mapping[str, Callable[[Json, Conversation], None]]] = {
    "system": _system,
    "developer": _system,
    "user": _user,
    "assistant": _assistant,
    "tool": _tool,
    "function": _function,
}
_RESULT_ROLES: Final = ("tool", "function")
