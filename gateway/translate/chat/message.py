"""The parts of a candidate -> text, thoughts, calls and images of one assistant message."""

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from gateway.translate.answer.audio import Sound
from gateway.translate.answer.failure import Failure
from gateway.translate.answer.parts import called
from gateway.translate.contract import Context, Json
from gateway.translate.tools.server_steps import fenced, shown_step

# What no answer shows, in whatever form.
NEVER_SHOWN: Final = {
    "functionResponse": "left out: never part of an answer; alone, an error line",
    "fileData": "left out: never part of an answer; alone, an error line",
    "videoMetadata": "left out: describes inputs",
    "mediaResolution": "left out: describes inputs",
    "partMetadata": "left out: describes inputs",
    "audioTranscription": "left out: describes inputs",
    "mediaProcessing": "left out: describes inputs",
    "speechMetadata": "left out: describes inputs",
    "documentMetadata": "left out: describes inputs",
    "spreadsheetMetadata": "left out: describes inputs",
    "audioMetadata": "left out: describes inputs",
}
# Every field of Gemini's Part and what becomes of it in an answer; a test compares this with
# google-genai's type and with the schema.
PART: Final = {
    "text": "`content`; with `thought`, `reasoning_content`",
    "thought": "sends the text to `reasoning_content`",
    "thoughtSignature": "`extra_content.google.thought_signature` of the call or the message",
    "functionCall": "`tool_calls`, or `function_call` when the line used `functions`",
    "inlineData": "`images`, or `audio`; other media make an error line",
    "executableCode": "a fenced block in `content`; left out by setting",
    "codeExecutionResult": "a fenced block in `content`; left out by setting",
    "toolCall": "`extra_content.google.parts` of the message",
    "toolResponse": "`extra_content.google.parts` of the message",
    **NEVER_SHOWN,
}

# Nothing of these is shown; ``inlineData`` that is whole is output.
_UNUSABLE: Final = ("inlineData", "fileData", "functionResponse")


class Reply:
    """What the parts add up to; members beyond text are rare, their defaults stand here."""

    failure: Failure | None = None
    # Where a block of code stands among the visible text: the characters of visible text before
    # it, and its own length.
    fences: Sequence[tuple[int, int]] = ()
    sounds: Sequence[Sound] = ()
    # Whether code that the model ran is shown.
    code: bool = True

    def __init__(self) -> None:
        self.text = ""
        self.thoughts = ""
        self.calls: list[Json] = []
        self.call_ids: set[str] = set()
        self.images: list[Json] = []
        # Members of the message beside content, made once at the end.
        self.extras: Json = {}
        # What the message says to Google's own extension, `extra_content.google`.
        self.google: Json = {}

    def has_output(self) -> bool:
        """Whether a client gets anything: thoughts alone are no answer."""
        return bool(self.text or self.calls or self.images or self.sounds)


def read_parts(parts: object, context: Context, choice: int, *, code: bool = True) -> Reply:
    """Walk the parts in order; without ``code``, code that the model ran is left out.

    ``[{"text": "…", "thought": true}, {"text": "Hi"}, {"functionCall": {"name": "f"}}]`` ->
    thoughts, text ``"Hi"``, one call with ``arguments`` ``"{}"``. Missing parts are an empty
    reply: a thinking model out of budget answers so (recorded).
    """
    reply = Reply()
    if not code:
        reply.code = False
    if type(parts) is not list:
        return reply
    for part in parts:
        if type(part) is not dict:
            continue
        text = part.get("text")
        if type(text) is str and len(part) == 1:
            reply.text += text
        else:
            _read_part(part, reply, context, choice)
    if reply.thoughts:
        reply.extras["reasoning_content"] = reply.thoughts
    if reply.images:
        reply.extras["images"] = reply.images
    if not reply.has_output() and reply.failure is None:
        reply.failure = unusable_of(parts)
    return reply


def unusable_of(parts: object) -> Failure | None:
    """What fails an answer without output: a part that none has, or a medium without its bytes.

    ``[{"fileData": {"fileUri": "https://x/y"}}]`` -> a failure; thoughts and steps are none.
    """
    for part in parts if type(parts) is list else ():
        for name in _UNUSABLE if type(part) is dict and part.get("thought") is not True else ():
            if name in part:
                why = f"Gemini answered with {name} that has no place in this answer."
                return Failure(502, "unsupported_output", why)
    return None


def _read_part(part: Json, reply: Reply, context: Context, choice: int) -> None:
    if "functionCall" in part:
        _read_call(part, reply, context, choice)
    elif "toolCall" in part or "toolResponse" in part:
        step = shown_step(part)
        if step is not None:
            reply.google.setdefault("parts", []).append(step)
    elif "inlineData" in part and part.get("thought") is not True:
        _read_media(part, reply)
    else:
        _read_words(part, reply, context)


def _read_words(part: Json, reply: Reply, context: Context) -> None:
    signature = part.get("thoughtSignature")
    if type(signature) is str and signature:
        reply.google["thought_signature"] = signature
    text = part.get("text")
    if part.get("thought") is True:
        # Drafts of images are thoughts too: only texts are kept.
        reply.thoughts += text if type(text) is str else ""
    elif type(text) is str:
        reply.text += text
    else:
        for name, read in _CODE.items():
            value = part.get(name)
            if type(value) is dict and reply.code and shows_code(context):
                read(value, reply)


def _read_call(part: Json, reply: Reply, context: Context, choice: int) -> None:
    """``{"functionCall": {"name": "f", "args": {"a": 1}}}`` -> one ``tool_calls`` entry."""
    call = called(part, context, choice, len(reply.calls), reply.call_ids)
    if isinstance(call, Failure):
        reply.failure = call
        return
    reply.call_ids.add(call.call_id)
    entry: Json = {
        "id": call.call_id,
        "type": "function",
        "function": {"name": call.name, "arguments": call.arguments},
    }
    if call.signature:
        entry.update(_extra_content(call.signature))
    reply.calls.append(entry)


def _extra_content(signature: str) -> Json:
    """Where Google documents the signature for OpenAI's protocol."""
    return {"extra_content": {"google": {"thought_signature": signature}}}


def shows_code(context: Context) -> bool:
    """Whether code that the model ran is part of its answer."""
    return context.policy.executed_code == "show"


def _read_code(value: Json, reply: Reply) -> None:
    _fence("python", value.get("code"), reply)


def _read_code_result(value: Json, reply: Reply) -> None:
    _fence("output", value.get("output"), reply)


def _fence(label: str, text: object, reply: Reply) -> None:
    block = fenced(label, text, reply.text)
    if block:
        spoken = len(reply.text) - sum(length for _, length in reply.fences)
        reply.fences = (*reply.fences, (spoken, len(block)))
        reply.text += block


def _read_media(part: Json, reply: Reply) -> None:
    """An image keeps its own signature: image models of Gemini 3 want it back with the image."""
    blob, signature = part["inlineData"], part.get("thoughtSignature")
    if type(blob) is not dict:
        return
    kind, data = blob.get("mimeType"), blob.get("data")
    if type(kind) is not str or type(data) is not str or not data:
        return
    if kind.startswith("image/"):
        url = f"data:{kind};base64,{data}"
        image: Json = {"type": "image_url", "image_url": {"url": url}}
        if type(signature) is str and signature:
            image.update(_extra_content(signature))
        reply.images.append(image)
    elif kind.startswith("audio/"):
        reply.sounds = (*reply.sounds, (kind, data))
    else:
        why = f"Gemini answered with {kind[:100]}, which has no place in this answer."
        reply.failure = Failure(502, "unsupported_output", why)


_CODE: Final[Mapping[str, Callable[[Json, Reply], None]]] = {
    "executableCode": _read_code,
    "codeExecutionResult": _read_code_result,
}
