"""The parts of a candidate -> output items of a Response, in their order."""

from typing import Final

from gateway.translate.answer import parts as gemini
from gateway.translate.answer.failure import Failure, unsupported_output
from gateway.translate.contract import AnswerHints, Context, Json, Note
from gateway.translate.reading.table import answer_table
from gateway.translate.responses.reasoning import EncryptedContent
from gateway.translate.tools.custom import response_item

# Every field of Gemini's Part and what becomes of it in a Response; a test compares this with
# google-genai's type and with the schema.
PART: Final = answer_table(
    "Part, in a Response",
    {
        "text": "`output_text` of a message item; with `thought`, `summary` of a reasoning item",
        "thought": "sends the text to a reasoning item",
        "thoughtSignature": "`encrypted_content` of the reasoning item before, when asked for",
        "functionCall": "a function_call item, or a custom_tool_call item",
        "inlineData": "an image_generation_call item, or in `outputs` of the code before it; "
        "other media make an error line",
        "executableCode": "`code` of a code_interpreter_call item",
        "codeExecutionResult": "`status` of that item, and `outputs` when asked for",
        "toolCall": "a web_search_call item; as it is in `encrypted_content`, when asked for",
        "toolResponse": "in `encrypted_content`, when asked for",
        **gemini.NEVER_SHOWN,
    },
)
_OUTCOMES: Final = {"OUTCOME_FAILED": "failed", "OUTCOME_DEADLINE_EXCEEDED": "incomplete"}
# Items that wait for what the caller's own tools give back.
CALLS: Final = ("function_call", "custom_tool_call")
_IMAGES: Final = frozenset({"png", "webp", "jpeg", "gif", "svg"})


class Output:
    """The items so far; the last one may still grow."""

    def __init__(self, hints: AnswerHints, context: Context, identity: str) -> None:
        self.items: list[Json] = []
        self.notes: list[Note] = []
        self.failure: Failure | None = None
        self._hints = hints
        self._context = context
        self._identity = identity
        self._made = self._calls = 0
        # What the last part was: parts of one kind are joined.
        self._kind = ""
        # Each reasoning item and its encrypted content; the last one takes what comes.
        self._kept: list[tuple[Json, EncryptedContent]] = []
        # A thought's own signature waits for the item behind it.
        self._waiting = ""
        self._call_ids: set[str] = set()

    def has_output(self) -> bool:
        """Whether a client gets anything: thoughts alone are no answer."""
        return any(item["type"] != "reasoning" for item in self.items)

    def read(self, parts: object) -> None:
        """Walk the parts in order.

        ``[{"text": "Hm.", "thought": true}, {"text": "Hi"}, {"functionCall": {"name": "f"}}]`` ->
        a reasoning item, a message item, a function_call item.
        """
        self.add_parts(parts)
        if not self.has_output() and self.failure is None:
            self.failure = gemini.unusable_of(parts)
        if "one_call" in self._hints:
            self._keep_first_call()
        for item, kept in self._kept:
            content = kept.encode()
            if content:
                item["encrypted_content"] = content

    def add_parts(self, parts: object) -> None:
        """Add parts of an answer that may go on, as the pieces of a stream bring them."""
        for part in gemini.parts_of(parts):
            self._show(part)

    def add(self, prefix: str, item: Json, at: int | None = None) -> Json:
        """Put in an item, at the end unless said otherwise; its id is the answer's and a number."""
        made = {"id": f"{prefix}_{self._identity}_{self._made}", **item}
        self._made += 1
        self.items.insert(len(self.items) if at is None else at, made)
        return made

    def _keep_first_call(self) -> None:
        """Leave out all calls but the first, and say which."""
        indices = [n for n, item in enumerate(self.items) if item["type"] in CALLS][1:]
        for index in reversed(indices):
            del self.items[index]
        self.notes += [Note("dropped", f"output[{index}]") for index in indices]

    def add_empty_message(self) -> None:
        """Add a message with an empty text, because clients expect a message in every answer."""
        self.add("msg", _message())

    def _show(self, part: gemini.Part) -> None:
        match part:
            case gemini.Text(text, signature):
                self._say(text, signature)
            case gemini.Thought(text, signature):
                self._waiting = signature or self._waiting
                self._think(text)
            case gemini.Call(raw):
                self._call(raw)
            case gemini.Media():
                self._show_media(part)
            case gemini.Code():
                self._show_code(part)
            case gemini.CodeResult():
                self._show_result(part)
            case gemini.ToolStep():
                self._show_step(part)
            case gemini.Bare(signature, unusable):
                self._say("", signature)
                if unusable:
                    self.notes.append(Note("dropped", "output", unusable))

    def _think(self, text: str) -> None:
        if not text:
            return
        if self._kind != "thought":
            self._kind = "thought"
            self._reason([{"type": "summary_text", "text": ""}])
        self._kept[-1][0]["summary"][0]["text"] += text

    def _reason(self, summary: list[Json], at: int | None = None) -> None:
        self._kept.append(
            (self.add("rs", {"type": "reasoning", "summary": summary}, at), EncryptedContent())
        )

    def _say(self, text: str, signature: str) -> None:
        if text and self._kind != "text":
            self._kind = "text"
            self.add("msg", _message())
        if self._kind == "text":
            item = self.items[-1]
            item["content"][0]["text"] += text
            self._sign(item["id"], signature)
        elif signature and self._kind == "call":
            # A part of nothing but its signature.
            key = self.items[-1]["call_id"]
            self._keep_part(key, {"text": "", "thoughtSignature": signature})

    def _call(self, part: Json) -> None:
        call = gemini.read_function_call(part, self._context, 0, self._calls, self._call_ids)
        if isinstance(call, Failure):
            self.failure = call
            return
        self._call_ids.add(call.call_id)
        name, noted = gemini.declared_name(call.name, self._hints)
        where = f"output[{len(self.items)}].name"
        self.notes += [Note("undeclared", where, why) for why in noted]
        self._kind = "call"
        self._calls += 1
        if name in self._hints.get("custom", ()):
            item, prefix = response_item(call.arguments), "ctc"
        else:
            item = {"type": "function_call", "status": "completed", "arguments": call.arguments}
            prefix = "fc"
        self.add(prefix, {**item, "call_id": call.call_id, "name": name})
        self._sign(call.call_id, call.signature)

    def _sign(self, key: str, signature: str) -> None:
        """Keep a signature of the last item."""
        signature = signature or self._waiting
        self._waiting = ""
        if signature and "signatures" in self._hints:
            self._keeper().signatures[key] = signature

    def _keep_part(self, key: str, part: Json) -> None:
        """Keep a part that belongs to the last item."""
        if "signatures" in self._hints:
            self._keeper().parts.setdefault(key, []).append(part)

    def _keeper(self) -> EncryptedContent:
        """Find the content of the reasoning item before the last item; one is made if needed."""
        if not self._kept:
            self._reason([], len(self.items) - 1)
        return self._kept[-1][1]

    def _show_code(self, part: gemini.Code) -> None:
        """``{"executableCode": {"code": "print(7)"}}`` -> a call that has not ended yet."""
        if gemini.shows_code(self._context):
            item = self._code_item(part.code)
            self._sign(item["id"], part.signature)

    def _show_result(self, part: gemini.CodeResult) -> None:
        """``{"codeExecutionResult": {"outcome": "OUTCOME_OK", "output": "7"}}`` ends the call."""
        if not gemini.shows_code(self._context):
            return
        item = self.items[-1] if self._kind == "code" else self._code_item(None)
        item["status"] = _OUTCOMES.get(part.outcome, "completed")
        if "outputs" in self._hints:
            logs = [{"type": "logs", "logs": part.output}] if part.output else []
            item["outputs"] = [*(item["outputs"] or ()), *logs]
        self._sign(item["id"], part.signature)

    def _code_item(self, code: str | None) -> Json:
        self._kind = "code"
        item = {"type": "code_interpreter_call", "status": "incomplete", "code": code}
        return self.add("ci", {**item, "container_id": f"cntr_{self._identity}", "outputs": None})

    def _show_media(self, part: gemini.Media) -> None:
        """Add an image as an item of its own, or to the outputs of the code before it."""
        kind, data, signature = part
        if not kind.startswith("image/"):
            self.failure = unsupported_output(kind)
        elif self._kind == "code":
            # Shown whether or not outputs were asked for: it is nowhere else.
            item = self.items[-1]
            image = {"type": "image", "url": f"data:{kind};base64,{data}"}
            item["outputs"] = [*(item["outputs"] or ()), image]
        else:
            self._kind = "image"
            word = kind.removeprefix("image/")
            made = {"type": "image_generation_call", "status": "completed", "result": data}
            if word in _IMAGES:
                made["output_format"] = word
            self._sign(self.add("ig", made)["id"], signature)

    def _show_step(self, part: gemini.ToolStep) -> None:
        """``{"toolCall": {"toolType": "GOOGLE_SEARCH_WEB", "args": {"queries": […]}}}``.

        What a step found, a ``toolResponse``, belongs to the item of its call.
        """
        if part.kind == "toolCall":
            self._kind = "step"
            self._show_tool_call(part.part["toolCall"])
        if self._kind == "step":
            self._keep_part(self.items[-1]["id"], part.part)

    def _show_tool_call(self, call: Json) -> None:
        args = call.get("args")
        if type(args) is not dict:
            args = {}
        urls = texts_of(args.get("urls"))
        if call.get("toolType") == "URL_CONTEXT" and urls:
            for url in urls:
                self.add("ws", opened(url))
        else:
            self.add("ws", searched(texts_of(args.get("queries"))))


def _message() -> Json:
    text = {"type": "output_text", "annotations": [], "logprobs": [], "text": ""}
    return {"type": "message", "status": "completed", "role": "assistant", "content": [text]}


def searched(queries: list[str]) -> Json:
    """Make the item of a search, without its id."""
    action = {"type": "search", "query": queries[0] if queries else "", "queries": queries}
    return {"type": "web_search_call", "status": "completed", "action": action}


def opened(url: str) -> Json:
    """Make the item of a page that was read, without its id."""
    action = {"type": "open_page", "url": url}
    return {"type": "web_search_call", "status": "completed", "action": action}


def texts_of(value: object) -> list[str]:
    """List the texts in a value that are not empty."""
    return [text for text in value if type(text) is str and text] if type(value) is list else []
