"""Items of ``input`` -> ``contents`` and ``systemInstruction``.

Items are flat: a turn of the model is all items between two messages of the user, or between calls
and their results. Items of an earlier answer come back as they were, in their order.
"""

from collections.abc import Callable, Mapping
from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading import refusal
from gateway.translate.reading.checks import json_object, one_of, text_of
from gateway.translate.request import signatures
from gateway.translate.request.content import read_content
from gateway.translate.request.conversation import Calls, Conversation
from gateway.translate.request.media import checked_base64
from gateway.translate.responses import item_kinds
from gateway.translate.responses.content import (
    ANSWER_PARTS,
    INPUT_PARTS,
    INSTRUCTION_PARTS,
    RESULT_PARTS,
)
from gateway.translate.responses.reasoning import EncryptedContent, decode_content
from gateway.translate.tools.calls import called_name, named_call, parsed_result, sign
from gateway.translate.tools.custom import named_input
from gateway.translate.tools.server_steps import code_block

ROLES: Final = ("user", "assistant", "system", "developer")
_role: Final = one_of(*ROLES)
_output_type: Final = one_of("logs", "image")
# Kinds of item that are not the model's.
_USERS: Final = ("message", "function_call_output", "custom_tool_call_output")
_image_type: Final = one_of("png", "jpeg", "webp", "gif")


def read_input(value: object, conversation: Conversation) -> None:
    """``[{"role": "user", "content": "Hi"}]`` -> ``[{"role": "user", "parts": [{"text": "Hi"}]}]``.

    A text is one message of the user: whoever calls this has made it one.
    """
    if type(value) is not list:
        refusal.invalid_type(value, "one of a string or array of objects", "input")
    if not value:
        refusal.invalid_value("the array is empty.", "input")
    conversation.source = value
    refusal.at("input", refusal.each, value, _Items(conversation).read)
    conversation.close(value, _is_models)


def _is_models(item: Json) -> bool:
    kind = item.get("type") or "message"
    return bool(item.get("role") == "assistant" or kind not in _USERS)


class _Items:
    """Reads items into a conversation, and what reasoning items kept for those behind them."""

    def __init__(self, conversation: Conversation) -> None:
        self._conversation = conversation
        self._kept = EncryptedContent()

    def read(self, value: object) -> None:
        """Read one item by its kind."""
        item = json_object(value)
        kind = item.get("type")
        if kind is None:
            kind = _untyped(item)
        _READERS[item_kinds.ITEM_KINDS.kind(kind, "type" if "type" in item else "id")](self, item)

    def message(self, item: Json) -> None:
        """``{"role": "user", "content": "Hi"}``; the type may be absent."""
        if len(item) != 2:
            item_kinds.MESSAGE_ITEM.check(item)
        if item.get("role") is None:
            refusal.missing("role")
        role = refusal.at("role", _role, item["role"])
        if "content" not in item:
            refusal.missing("content")
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
        signature = self._signature(item.get("id")) or signatures.message_signature(item)
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
        """Read a call; calls that follow each other are parallel and wait together for results."""
        item_kinds.FUNCTION_CALL_ITEM(item)
        self._call(item, named_call(item, self._conversation))

    def custom_call(self, item: Json) -> None:
        """Read a call of a custom tool as one of a function with one text."""
        item_kinds.CUSTOM_CALL_ITEM(item)
        self._call(item, named_input(item, called_name(item, self._conversation)))

    def _call(self, item: Json, named: Json) -> None:
        key = text_of(item, "call_id")
        bare, hidden = signatures.split_call_id(key)
        conversation = self._conversation
        call: Json = {"id": bare, **named}
        part: Json = {"functionCall": call}
        signature = self._signature(key) or signatures.call_signature(item, hidden)
        sign(part, signature, conversation, first=conversation.calls is None)
        self._say([part, *self._parts(key)])
        if conversation.calls is None:
            conversation.calls = Calls("call_id")
            conversation.calls.message = item
        call["id"] = conversation.calls.id_of(key, bare)
        conversation.calls.expect(key, {"id": call["id"], "name": named["name"]})

    def function_output(self, item: Json) -> None:
        """``{"call_id": "call_1", "output": "21"}``; the output may be a list of parts."""
        item_kinds.FUNCTION_OUTPUT_ITEM(item)
        text_of(item, "call_id")
        output = item.get("output")
        if output is None:
            refusal.missing("output")
        try:
            parts = read_content(output, RESULT_PARTS, self._conversation)
        except refusal.Refused as error:
            error.param = error.param.replace("content", "output", 1)
            raise
        text = "".join(part["text"] for part in parts if "text" in part)
        media = [part for part in parts if "text" not in part]
        self._conversation.answer(item, "call_id", parsed_result(text), media)

    def reasoning(self, item: Json) -> None:
        """Keep the signatures in it, which are sent with the items that follow."""
        content = item_kinds.REASONING_ITEM(item).get("encrypted_content")
        if content is None:
            return
        kept = decode_content(content)
        if kept is None:
            self._conversation.note_of(item, "dropped", "encrypted_content")
        else:
            self._kept.update(kept)

    def code(self, item: Json) -> None:
        """As text: Gemini takes code and results as such only with its own tool."""
        read = item_kinds.CODE_ITEM(item)
        text = code_block("python", read.get("code"), "")
        for index, output in enumerate(read.get("outputs", ())):
            logs = refusal.at(f"outputs[{index}]", self._logs, output)
            text += code_block("output", logs, text)
        if text:
            self._say([{"text": text}])

    def _logs(self, output: Json) -> str:
        if refusal.at("type", _output_type, output.get("type")) == "logs":
            return text_of(output, "logs")
        self._conversation.note_of(output, "dropped")
        return ""

    def image(self, item: Json) -> None:
        """Read ``{"result": "iVBO…", "output_format": "png"}`` -> ``{"inlineData": …}``."""
        item_kinds.IMAGE_ITEM.check(item)
        if item.get("result") is None:
            return
        kind = refusal.at("output_format", _image_type, item.get("output_format") or "png")
        data = checked_base64(text_of(item, "result"), "result")
        part: Json = {"inlineData": {"mimeType": f"image/{kind}", "data": data}}
        signature = self._signature(item.get("id"))
        if signature:
            part["thoughtSignature"] = signature
        elif self._conversation.can.signatures:
            part["thoughtSignature"] = signatures.FOREIGN_HISTORY
        self._say([part])

    def search(self, item: Json) -> None:
        """Add the steps of Google's own tools that a reasoning item kept."""
        item_kinds.SEARCH_ITEM.check(item)
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
    return refusal.missing("type")


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
