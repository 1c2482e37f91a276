"""``input`` -> ``contents`` and ``systemInstruction``.

Items are flat: a turn of the model is what stands between two words of the user, or between calls
and their results. Items of an earlier answer come back as they were, in their order.
"""

from collections.abc import Callable, Mapping
from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading.refusal import (
    Refused,
    invalid_choice,
    invalid_type,
    invalid_value,
    missing,
    unsupported_value,
)
from gateway.translate.request.content import read_content, string
from gateway.translate.request.conversation import Calls, Conversation
from gateway.translate.request.media import checked_base64
from gateway.translate.request.signatures import (
    FOREIGN_HISTORY,
    call_signature,
    message_signature,
    split_call_id,
)
from gateway.translate.responses.content import (
    ANSWER_PARTS,
    INPUT_PARTS,
    INSTRUCTION_PARTS,
    RESULT_PARTS,
)
from gateway.translate.responses.item_kinds import (
    CODE_ITEM,
    CUSTOM_CALL_ITEM,
    FUNCTION_CALL_ITEM,
    FUNCTION_OUTPUT_ITEM,
    IMAGE_ITEM,
    ITEM_KINDS,
    MESSAGE_ITEM,
    REASONING_ITEM,
    SEARCH_ITEM,
)
from gateway.translate.responses.reasoning import Kept, decode_kept
from gateway.translate.tools.calls import named_call, note_long_integers, parsed_result, sign
from gateway.translate.tools.custom import named_input
from gateway.translate.tools.server_steps import fenced

_ROLES: Final = ("user", "assistant", "system", "developer")
# Kinds of item that are not the model's.
_USERS: Final = ("message", "function_call_output", "custom_tool_call_output")
_IMAGES: Final = ("png", "jpeg", "webp", "gif")


def read_input(value: object, conversation: Conversation) -> None:
    """``[{"role": "user", "content": "Hi"}]`` -> ``[{"role": "user", "parts": [{"text": "Hi"}]}]``.

    A text is one message of the user: whoever calls this has made it one.
    """
    if type(value) is not list:
        invalid_type(value, "one of a string or array of objects", "input")
    if not value:
        invalid_value("the array is empty.", "input")
    items = _Items(conversation)
    conversation.source = value
    index = 0
    try:
        for index, item in enumerate(value):  # noqa: B007 - names the item in a refusal
            items.read(item)
        conversation.close_calls()
    except Refused as refusal:
        refusal.prefixed(f"input[{index}]")
        raise
    conversation.close(value, _is_models)


def _is_models(item: Json) -> bool:
    kind = item.get("type") or "message"
    return bool(item.get("role") == "assistant" or kind not in _USERS)


class _Items:
    """Reads items into a conversation, and what reasoning items kept for those behind them."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._kept = Kept()

    def read(self, item: object) -> None:
        """Read one item by its kind."""
        if type(item) is not dict:
            invalid_type(item, "an object")
        kind = item.get("type")
        if kind is None:
            kind = _untyped(item)
        _READERS[ITEM_KINDS.kind(kind, "type" if "type" in item else "id")](self, item)

    def message(self, item: Json) -> None:
        """``{"role": "user", "content": "Hi"}``; the type may be absent."""
        if len(item) != 2:
            MESSAGE_ITEM.check(item)
        role = item.get("role")
        if role is None:
            missing("role")
        if role not in _ROLES:
            invalid_choice(role, _ROLES, "role")
        if "content" not in item:
            missing("content")
        conversation, content = self._conversation, item["content"]
        if role == "assistant":
            self._assistant(item, content)
            return
        conversation.close_calls()
        if role == "user":
            conversation.say("user", read_content(content, INPUT_PARTS, conversation))
        else:
            parts = read_content(content, INSTRUCTION_PARTS, conversation)
            conversation.instruct(item, parts)

    def _assistant(self, item: Json, content: object) -> None:
        if content == []:
            return
        parts = read_content(content, ANSWER_PARTS, self._conversation)
        signature = self._signature(item.get("id")) or message_signature(item)
        if signature:
            parts[-1]["thoughtSignature"] = signature
        elif parts == [{"text": ""}]:
            # How an answer without words comes back.
            return
        self._say(parts)

    def _say(self, parts: list[Json]) -> None:
        """Go on with the model's turn, unless results of its calls have begun."""
        calls = self._conversation.calls
        if calls is not None and calls.responses:
            self._conversation.close_calls()
        self._conversation.say("model", parts)

    def _signature(self, key: object) -> str:
        return self._kept.signatures.get(key, "") if type(key) is str else ""

    def _parts(self, key: object) -> list[Json]:
        return self._kept.parts.get(key, []) if type(key) is str else []

    def function_call(self, item: Json) -> None:
        """Calls that follow each other are parallel: they wait together for their results."""
        FUNCTION_CALL_ITEM.check(item)
        named = named_call(item)
        note_long_integers(item, self._conversation)
        self._call(item, named)

    def custom_call(self, item: Json) -> None:
        """A call of a custom tool is one of a function with one text."""
        CUSTOM_CALL_ITEM.check(item)
        self._call(item, named_input(item))

    def _call(self, item: Json, named: Json) -> None:
        _check_caller(item)
        key = string(item, "call_id")
        bare, hidden = split_call_id(key)
        conversation = self._conversation
        call: Json = {"id": bare, **named}
        part: Json = {"functionCall": call}
        signature = self._signature(key) or call_signature(item, hidden)
        sign(part, signature, conversation, first=conversation.calls is None)
        self._say([part, *self._parts(key)])
        if conversation.calls is None:
            conversation.calls = Calls("call_id")
            conversation.calls.message = item
        call["id"] = conversation.calls.id_of(key, bare)
        conversation.calls.expect(key, {"id": call["id"], "name": named["name"]})

    def function_output(self, item: Json) -> None:
        """``{"call_id": "call_1", "output": "21"}``; the output may be a list of parts."""
        FUNCTION_OUTPUT_ITEM.check(item)
        _check_caller(item)
        string(item, "call_id")
        output = item.get("output")
        if output is None:
            missing("output")
        try:
            parts = read_content(output, RESULT_PARTS, self._conversation)
        except Refused as refusal:
            refusal.param = refusal.param.replace("content", "output", 1)
            raise
        text = "".join(part["text"] for part in parts if "text" in part)
        media = [part for part in parts if "text" not in part]
        self._conversation.answer(item, "call_id", parsed_result(text), media)

    def reasoning(self, item: Json) -> None:
        """Nothing of it is sent by itself; what it keeps goes with the items behind it."""
        REASONING_ITEM.check(item)
        content = item.get("encrypted_content")
        if content is None:
            return
        if type(content) is not str:
            invalid_type(content, "a string", "encrypted_content")
        kept = decode_kept(content)
        if kept is None:
            self._conversation.note_of(item, "dropped", "encrypted_content")
        else:
            self._kept.update(kept)

    def code(self, item: Json) -> None:
        """As text: Gemini takes code and results as such only beside its own tool."""
        CODE_ITEM.check(item)
        code, outputs = item.get("code"), item.get("outputs")
        if code is not None and type(code) is not str:
            invalid_type(code, "a string", "code")
        if outputs is not None and type(outputs) is not list:
            invalid_type(outputs, "an array of objects", "outputs")
        text = fenced("python", code, "")
        for index, output in enumerate(outputs or ()):
            text += fenced("output", self._logs(output, f"outputs[{index}]"), text)
        if text:
            self._say([{"text": text}])

    def _logs(self, output: object, where: str) -> str:
        if type(output) is not dict:
            invalid_type(output, "an object", where)
        kind = output.get("type")
        if kind == "image":
            self._conversation.note_of(output, "dropped")
            return ""
        if kind != "logs":
            invalid_choice(kind, ("logs", "image"), f"{where}.type")
        return string(output, "logs", f"{where}.logs")

    def image(self, item: Json) -> None:
        """``{"result": "iVBO…", "output_format": "png"}`` -> ``{"inlineData": …}``."""
        IMAGE_ITEM.check(item)
        if item.get("result") is None:
            return
        kind = item.get("output_format") or "png"
        if kind not in _IMAGES:
            invalid_choice(kind, _IMAGES, "output_format")
        data = checked_base64(string(item, "result"), "result")
        part: Json = {"inlineData": {"mimeType": f"image/{kind}", "data": data}}
        signature = self._signature(item.get("id"))
        if signature:
            part["thoughtSignature"] = signature
        elif self._conversation.can.signatures:
            part["thoughtSignature"] = FOREIGN_HISTORY
        self._say([part])

    def search(self, item: Json) -> None:
        """Steps of Google's own tools, where a reasoning item kept them."""
        SEARCH_ITEM.check(item)
        steps = self._parts(item.get("id"))
        if steps and self._conversation.can.mixed_tools:
            self._say(list(steps))
        else:
            self._conversation.note_of(item, "dropped")


def _untyped(item: Json) -> str:
    """Easy messages and references need no type."""
    if "role" in item:
        return "message"
    if "id" in item:
        return "item_reference"
    return missing("type")


def _check_caller(item: Json) -> None:
    caller = item.get("caller")
    if caller is None:
        return
    if type(caller) is not dict:
        invalid_type(caller, "an object", "caller")
    if caller.get("type") != "direct":
        unsupported_value("Gemini's programs cannot call functions.", "caller")


_READERS: Final[Mapping[str, Callable[[_Items, Json], None]]] = {
    "message": _Items.message,
    "function_call": _Items.function_call,
    "function_call_output": _Items.function_output,
    "custom_tool_call": _Items.custom_call,
    "custom_tool_call_output": _Items.function_output,
    "reasoning": _Items.reasoning,
    "code_interpreter_call": _Items.code,
    "image_generation_call": _Items.image,
    "web_search_call": _Items.search,
}
