"""Messages -> ``contents`` and ``systemInstruction``.

Turns of one role that follow each other become one; results of tools never share a turn with
words of the user, because Gemini 3 counts functionResponse parts against the calls before them.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from gateway.translate.calls import Calls, read_legacy_call, read_tool_calls, result_of
from gateway.translate.draft import Draft
from gateway.translate.fields import FieldTable, dropped, mapped, refused
from gateway.translate.parts import (
    ASSISTANT_PARTS,
    TEXT_PARTS,
    USER_PARTS,
    read_content,
    string,
)
from gateway.translate.refusal import (
    Refused,
    invalid_type,
    invalid_value,
    missing,
    one_of,
    unsupported_value,
)
from gateway.translate.shapes import Json
from gateway.translate.signatures import message_signature

_ROLE: Final = mapped("role", "`role`, or `systemInstruction`")
_NAME: Final = dropped("name", "Gemini has no names for speakers; in the text it would change it")

SYSTEM_MESSAGE: Final = FieldTable(_ROLE, mapped("content", "`systemInstruction.parts`"), _NAME)
USER_MESSAGE: Final = FieldTable(_ROLE, mapped("content", "`parts`"), _NAME)
ASSISTANT_MESSAGE: Final = FieldTable(
    _ROLE,
    _NAME,
    mapped("content", "`parts`"),
    mapped("refusal", "`text`"),
    mapped("tool_calls", "`functionCall` parts"),
    mapped("function_call", "a `functionCall` part"),
    mapped("extra_content", "`thoughtSignature` of the last text part"),
    refused("audio", "An earlier audio answer cannot be replayed to Gemini."),
    # What answers carry and clients send back as it was.
    dropped("annotations", "part of an earlier answer, not of the conversation"),
    dropped("images", "part of an earlier answer, not of the conversation"),
    dropped("reasoning", "useless to Gemini without its signature"),
    dropped("reasoning_content", "useless to Gemini without its signature"),
)
TOOL_MESSAGE: Final = FieldTable(
    _ROLE,
    mapped("content", "`functionResponse.response`"),
    mapped("tool_call_id", "`functionResponse.id`, and `name` by way of the call"),
    dropped("name", "the call already names its function"),
)
FUNCTION_MESSAGE: Final = FieldTable(
    _ROLE,
    mapped("content", "`functionResponse.response`"),
    mapped("name", "`functionResponse.name`"),
)


class Conversation:
    """The turns so far, and which calls still wait for their results."""

    def __init__(self, draft: Draft, last: str) -> None:
        self.draft = draft
        self.calls: Calls | None = None
        # The role whose last turn may still grow; none after the results of tools.
        self.open = last

    def say(self, role: str, parts: list[Json]) -> None:
        """Add parts to the role's open turn, or begin one."""
        if self.open == role:
            self.draft.contents[-1]["parts"].extend(parts)
        else:
            self.draft.contents.append({"role": role, "parts": parts})
            self.open = role

    def answer(self, key: str, param: str, message: Json) -> None:
        """Keep a tool's result; the last one that was waited for closes the turn of results."""
        calls = self.calls
        if calls is None:
            invalid_value("there is no preceding call that this is the result of.", param)
        calls.answer(key, param, result_of(message, self.draft))
        if calls.complete():
            self.draft.contents.append({"role": "user", "parts": calls.results()})
            self.open = ""
            self.calls = None


def read_messages(value: object, draft: Draft) -> None:
    """``{"role": "user", "content": "Hi"}`` -> ``{"role": "user", "parts": [{"text": "Hi"}]}``."""
    if type(value) is not list:
        invalid_type(value, "an array of objects", "messages")
    draft.contents = contents = []
    draft.system = system = []
    last = ""
    # Most conversations are roles and strings alone, and a small line consists of little else:
    # reading these here, without a call, costs a third. From the first that is more, _read_rest.
    for message in value:
        try:
            role, content = message["role"], message["content"]
        except (KeyError, TypeError):
            break
        if type(content) is not str or not content or len(message) != 2:
            break
        if role == "user" and last != "user":
            contents.append({"role": "user", "parts": [{"text": content}]})
            last = "user"
        elif role == "system" or role == "developer":  # noqa: PLR1714 - twice as fast
            system.append({"text": content})
        elif role == "assistant" and last != "model":
            contents.append({"role": "model", "parts": [{"text": content}]})
            last = "model"
        else:
            break
    read = len(contents) + len(system)  # each message became one turn or one part
    if last != "user" or read != len(value):
        _read_rest(value, read, last, draft)


def _read_rest(messages: list[Any], index: int, last: str, draft: Draft) -> None:
    """Read on from a message, whatever it is, and judge the whole."""
    conversation = Conversation(draft, last)
    try:
        while index < len(messages):
            _read_message(messages[index], conversation)
            index += 1
        if conversation.calls is not None:
            conversation.calls.refuse_unanswered()
    except Refused as refusal:
        refusal.under(f"messages[{min(index, len(messages) - 1)}]")
        raise
    _close(draft, index - 1)


def _read_message(message: object, conversation: Conversation) -> None:
    if type(message) is not dict:
        invalid_type(message, "an object")
    role = message.get("role")
    if role is None:
        missing("role")
    reader = _ROLES.get(role) if type(role) is str else None
    if reader is None:
        one_of(role, _ROLES, "role")
    if conversation.calls is not None and role not in _RESULT_ROLES:
        conversation.calls.refuse_unanswered()
    reader(message, conversation)


def _close(draft: Draft, last: int) -> None:
    """Check what only the whole conversation shows."""
    contents = draft.contents
    if not contents:
        # OpenAI answers a conversation of instructions alone; Gemini wants a turn.
        if not draft.system:
            invalid_value("there is no message with content.", "messages")
        contents.append({"role": "user", "parts": draft.system})
        draft.system = []
    elif contents[-1]["role"] == "model" and not draft.can.prefill:
        unsupported_value(
            "this model refuses a conversation that ends with the assistant's words.",
            f"messages[{last}]",
        )


def _system(message: Json, conversation: Conversation) -> None:
    if len(message) != 2:
        SYSTEM_MESSAGE.check(message)
    conversation.draft.system += read_content(_content(message), TEXT_PARTS, conversation.draft)


def _user(message: Json, conversation: Conversation) -> None:
    if len(message) != 2:
        USER_MESSAGE.check(message)
    parts = read_content(_content(message), USER_PARTS, conversation.draft)
    conversation.say("user", parts)


def _assistant(message: Json, conversation: Conversation) -> None:
    """Text in front of calls, as Gemini itself produces them."""
    # The three members of nearly every turn of calls need no second look.
    if len(message) != 3 or "tool_calls" not in message or "content" not in message:
        ASSISTANT_MESSAGE.check(message)
    content = message.get("content")
    parts: list[Json] = []
    if content is not None and content != "":
        parts = read_content(content, ASSISTANT_PARTS, conversation.draft)
    if message.get("refusal") is not None:
        parts.append({"text": string(message, "refusal")})
    if parts and "extra_content" in message:
        signature = message_signature(message)
        if signature:
            parts[-1]["thoughtSignature"] = signature
    if message.get("tool_calls") is not None:
        conversation.calls = read_tool_calls(message["tool_calls"], parts, conversation.draft)
    elif message.get("function_call") is not None:
        conversation.calls = read_legacy_call(message["function_call"], parts, conversation.draft)
    if parts:
        conversation.say("model", parts)


def _tool(message: Json, conversation: Conversation) -> None:
    # With three members these are the three it must have, or one of them is missed below.
    if len(message) != 3:
        TOOL_MESSAGE.check(message)
    conversation.answer(string(message, "tool_call_id"), "tool_call_id", message)


def _function(message: Json, conversation: Conversation) -> None:
    FUNCTION_MESSAGE.check(message)
    conversation.answer(string(message, "name"), "name", message)


def _content(message: Json) -> object:
    content = message.get("content")
    if content is None and "content" not in message:
        missing("content")
    return content


_ROLES: Final[Mapping[str, Callable[[Json, Conversation], None]]] = {
    "system": _system,
    "developer": _system,
    "user": _user,
    "assistant": _assistant,
    "tool": _tool,
    "function": _function,
}
_RESULT_ROLES: Final = ("tool", "function")
