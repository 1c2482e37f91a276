"""The parts of a candidate -> text, thoughts, calls and media of one assistant message."""

from collections.abc import Sequence
from typing import Final

from gateway.translate.answer import parts as gemini
from gateway.translate.answer.audio import Sound
from gateway.translate.answer.failure import Failure, unsupported_output
from gateway.translate.contract import Context, Json, Note
from gateway.translate.reading.table import answer_table
from gateway.translate.tools.server_steps import code_block, shown_step

# Every field of Gemini's Part and what becomes of it in an answer; a test compares this with
# google-genai's type and with the schema.
PART: Final = answer_table(
    "Part",
    {
        "text": "`content`; with `thought`, `reasoning_content`",
        "thought": "sends the text to `reasoning_content`",
        "thoughtSignature": "`extra_content.google.thought_signature` of the call or the message",
        "functionCall": "`tool_calls`, or `function_call` when the line used `functions`",
        "inlineData": "`images`, or `audio`; other media make an error line",
        "executableCode": "a fenced block in `content`; left out by setting",
        "codeExecutionResult": "a fenced block in `content`; left out by setting",
        "toolCall": "`extra_content.google.parts` of the message",
        "toolResponse": "`extra_content.google.parts` of the message",
        **gemini.NEVER_SHOWN,
    },
)


class AssistantMessage:
    """Sum of the parts. Members beyond text are rare, so their defaults are the class's.

    Without ``code``, code that the model ran is left out of ``text``.
    """

    failure: Failure | None = None
    # Where blocks of code are inserted: the characters of the answer's own text before each, and
    # the length of the block.
    blocks: Sequence[tuple[int, int]] = ()
    sounds: Sequence[Sound] = ()
    images: Sequence[Json] = ()
    # Output of Gemini's that no answer shows.
    lost: Sequence[Note] = ()
    thoughts = ""

    def __init__(self, context: Context, choice: int, *, code: bool = True) -> None:
        self.text = ""
        self.calls: list[Json] = []
        # Members of the message in addition to content.
        self.extras: Json = {}
        # Members of `extra_content.google`, Google's own extension of OpenAI's protocol.
        self.google: Json = {}
        self._context = context
        self._choice = choice
        self._code = code

    def has_output(self) -> bool:
        """Whether a client gets anything: thoughts alone are no answer."""
        return bool(self.text or self.calls or self.images or self.sounds)

    def read(self, parts: object) -> None:
        """Add the parts in order.

        ``[{"text": "…", "thought": true}, {"text": "Hi"}, {"functionCall": {"name": "f"}}]`` ->
        thoughts, text ``"Hi"``, one call with ``arguments`` ``"{}"``. Missing parts are an empty
        message: a thinking model out of budget answers so (recorded).
        """
        self.add(parts)
        if self.thoughts:
            self.extras["reasoning_content"] = self.thoughts
        if self.images:
            self.extras["images"] = list(self.images)
        if not self.has_output() and self.failure is None:
            self.failure = gemini.unusable_of(parts)

    def add(self, parts: object) -> None:
        """Add parts of an answer that may go on, as the pieces of a stream bring them."""
        for part in gemini.parts_of(parts):
            self._show(part)

    def _show(self, part: gemini.Part) -> None:
        match part:
            case gemini.Call():
                self._show_call(part.part)
            case gemini.Text(text, signature):
                self.text += text
                self._sign(signature)
            case gemini.Thought(text, signature):
                self.thoughts += text
                self._sign(signature)
            case gemini.Media():
                self._show_media(part)
            case gemini.Code(code, signature):
                self._sign(signature)
                self._show_code("python", code or "")
            case gemini.CodeResult(_, output, signature):
                self._sign(signature)
                self._show_code("output", output)
            case gemini.ToolStep(_, raw):
                step = shown_step(raw)
                if step is not None:
                    self.google.setdefault("parts", []).append(step)
            case gemini.Bare(signature, unusable):
                self._sign(signature)
                self._lose(unusable)

    def _lose(self, member: str) -> None:
        if member:
            where = f"choices[{self._choice}].message"
            self.lost = (*self.lost, Note("dropped", where, member))

    def _sign(self, signature: str) -> None:
        """Keep the message's own signature: the last one that no call or image has."""
        if signature:
            self.google["thought_signature"] = signature

    def _show_call(self, part: Json) -> None:
        """``{"functionCall": {"name": "f", "args": {"a": 1}}}`` -> one ``tool_calls`` entry."""
        number = len(self.calls)
        taken = [call["id"] for call in self.calls] if number else ()
        call = gemini.read_function_call(part, self._context, self._choice, number, taken)
        if isinstance(call, Failure):
            self.failure = call
            return
        function = {"name": call.name, "arguments": call.arguments}
        entry: Json = {"id": call.call_id, "type": "function", "function": function}
        if call.signature:
            entry.update(_signed(call.signature))
        self.calls.append(entry)

    def _show_code(self, label: str, text: str) -> None:
        """Append code that the model ran, or what it printed, as a fenced block."""
        block = code_block(label, text, self.text)
        if block and self._code and gemini.shows_code(self._context):
            spoken = len(self.text) - sum(length for _, length in self.blocks)
            self.blocks = (*self.blocks, (spoken, len(block)))
            self.text += block

    def _show_media(self, media: gemini.Media) -> None:
        """Add a medium. An image keeps its signature: image models of Gemini 3 want both back."""
        kind, data, signature = media
        if kind.startswith("image/"):
            url = {"url": f"data:{kind};base64,{data}"}
            image = {"type": "image_url", "image_url": url, **_signed(signature)}
            self.images = (*self.images, image)
        elif kind.startswith("audio/"):
            self.sounds = (*self.sounds, (kind, data))
        else:
            self.failure = unsupported_output(kind)


def _signed(signature: str) -> Json:
    """Write a signature as Google documents it for OpenAI's protocol; without one, nothing."""
    if not signature:
        return {}
    return {"extra_content": {"google": {"thought_signature": signature}}}
