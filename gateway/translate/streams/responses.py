"""Pieces of an answer -> the events of a Response.

Items follow each other as OpenAI's do: an item is announced, grows, and is closed before the next
one is announced. Two things wait for the end, which both SDKs' helpers allow (measured): reasoning
items whose ``encrypted_content`` later parts add to, and searches, which Gemini reports last.
The last event holds the whole Response as a batch would answer it.
"""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from typing import Final

import orjson

from gateway.translate.contract import AnswerHints, Context, Json, Rendered
from gateway.translate.responses.answer import from_gemini
from gateway.translate.responses.output import CALLS, Output
from gateway.translate.streams.stream import AnswerStream, StreamOptions
from gateway.wire.openai_errors import response_error_code
from gateway.wire.sse import named_event

# A Response that is shown again has its members already: no line gives any.
_NO_HINTS: Final[AnswerHints] = {"repeats": ""}
_NO_LINE: Final = Context("", 1, 0)
# The statuses that have an event of their own.
_ENDS: Final = ("completed", "incomplete", "failed")


class ResponseStream(AnswerStream):
    """``event: response.output_text.delta`` and the like; numbered, without ``[DONE]``."""

    from_gemini = staticmethod(from_gemini)

    def __init__(
        self, hints: AnswerHints, context: Context, items: int, options: StreamOptions
    ) -> None:
        super().__init__(hints, context, items, options)
        self._number = 0
        self._output: Output | None = None
        self._places: dict[str, int] = {}
        self._seen: set[str] = set()
        self._current: _Item | None = None
        self._late: list[str] = []
        self._calls = 0

    def read(self, item: int, index: int, parts: object) -> None:  # noqa: ARG002 - one item
        """Read parts of the answer, which is the first candidate."""
        if index == 0:
            self._items().add_parts(parts)

    def has_output(self) -> bool:
        """Tell whether there is an item to see."""
        return self._output is not None and self._output.has_output()

    def open(self) -> Iterator[bytes]:
        """Yield ``response.created`` and ``response.in_progress``."""
        self.opened = True
        self.name({})
        body = self._unfinished("in_progress")
        for name in ("response.created", "response.in_progress"):
            yield self._written(name, b'"response":%b' % body)

    def news(self) -> Iterator[bytes]:
        """Yield the events of what was read since the last time."""
        for item in self._items().items:
            if item["id"] in self._seen:
                if self._current is not None and item["id"] == self._current.identity:
                    yield from self._events(self._current.grow(item))
                continue
            self._seen.add(item["id"])
            if self._is_left_out(item):
                continue
            yield from self._close_current()
            yield from self._announce(item)

    def whole(self) -> Rendered:
        """Render the whole answer, with the tier that has served."""
        status, body, usage, notes = super().whole()
        if status < 400 and self.options.tier != "default":
            body = orjson.dumps({**orjson.loads(body), "service_tier": self.options.tier})
        return status, body, usage, notes

    def rest(self, rendered: Rendered) -> Iterator[bytes]:
        """Yield items that were not shown yet, and the whole Response as the last event."""
        _, body, *_ = rendered
        response = orjson.loads(body)
        final = {item["id"]: item for item in response["output"]}
        yield from self._close_current(final)
        for identity in self._late:
            yield from self._done(final.get(identity))
        for item in response["output"]:
            if item["id"] not in self._places:
                yield from self._announce(item)
                yield from self._close_current(late=False)
        yield self._written(f"response.{response['status']}", b'"response":%b' % body)

    def resume(self, number: int) -> None:
        """Go on with the event of that number; those that begin a Response were sent."""
        self._number = number

    def replay(self, response: Json) -> Iterator[bytes]:
        """Yield the items of a Response that has ended, and the last event."""
        for item in response["output"]:
            yield from self._announce(item)
            yield from self._close_current(late=False)
        status = response["status"] if response["status"] in _ENDS else "failed"
        yield self._written(f"response.{status}", b'"response":%b' % orjson.dumps(response))

    def fail(self, envelope: bytes) -> Iterator[bytes]:
        """Yield ``error`` in both of its shapes, the documented and the real, then the Response."""
        error = orjson.loads(envelope)["error"]
        flat = {name: error[name] for name in ("code", "message", "param")}
        members = orjson.dumps({**flat, "error": error})[1:-1]
        yield self._written("error", members)
        told = {"code": response_error_code(error), "message": error["message"]}
        body = self._unfinished("failed", told)
        yield self._written("response.failed", b'"response":%b' % body)

    # --- items ------------------------------------------------------------------------------

    def _items(self) -> Output:
        if self._output is None:
            self._output = Output(self.hints, self.context, self.identity)
        return self._output

    def _is_left_out(self, item: Json) -> bool:
        """Leave out calls after the first where one is allowed, and reasoning put in behind.

        A reasoning item without a summary holds what a later item was signed with: it comes with
        the last event, before the item that it belongs to.
        """
        if item["type"] in CALLS:
            self._calls += 1
            return self._calls > 1 and "one_call" in self.hints
        return item["type"] == "reasoning" and not item["summary"]

    def _announce(self, item: Json) -> Iterator[bytes]:
        place = self._places[item["id"]] = len(self._places)
        kind = _KINDS.get(item["type"], _Item)
        self._current = kind(item, place)
        yield from self._events(self._current.begin())
        yield from self._events(self._current.grow(item))

    def _close_current(
        self, final: dict[str, Json] | None = None, *, late: bool = True
    ) -> Iterator[bytes]:
        current, self._current = self._current, None
        if current is None:
            return
        item = (final or {}).get(current.identity, current.item)
        yield from self._events(current.end(item))
        if late and item["type"] == "reasoning" and "signatures" in self.hints:
            self._late.append(current.identity)
        else:
            yield from self._done(item)

    def _done(self, item: Json | None) -> Iterator[bytes]:
        if item is not None:
            done = {"output_index": self._places[item["id"]], "item": item}
            yield self._event("response.output_item.done", done)

    # --- writing ----------------------------------------------------------------------------

    def _events(self, events: Iterator[tuple[str, Json]]) -> Iterator[bytes]:
        for name, members in events:
            yield self._event(f"response.{name}", members)

    def _event(self, name: str, members: Json) -> bytes:
        return self._written(name, orjson.dumps(members)[1:-1])

    def _written(self, name: str, members: bytes) -> bytes:
        """Write an event with its number."""
        head = orjson.dumps({"type": name, "sequence_number": self._number})[:-1]
        self._number += 1
        return named_event(name, b"%b,%b}" % (head, members))

    def _unfinished(self, status: str, error: Json | None = None) -> bytes:
        """Write the Response without its output, as it is before the end."""
        body: Json = {
            "id": "resp_" + self.identity,
            "object": "response",
            "created_at": self.context.created,
            "status": status,
            "completed_at": None,
            "model": self.model,
            "output": [],
            "incomplete_details": None,
            "usage": None,
        }
        repeats = self.hints["repeats"].encode()
        if error is None:
            return orjson.dumps(body)[:-1] + b"," + repeats
        # What failed repeats its request too, but for the error that it has.
        whole = {**body, **orjson.loads(b"{" + repeats), "error": error}
        return orjson.dumps(whole)


def replayed(response: Json, number: int) -> Iterator[tuple[int, bytes]]:
    """Yield the events that a Response ends with, numbered from there: each item, whole, and it.

    A cancelled one ends as ``response.failed`` does: the SDKs know no other event, and Node's
    helper fails at one that it does not know (measured). Its status says what it is.
    """
    stream = ResponseStream(_NO_HINTS, _NO_LINE, 1, StreamOptions())
    stream.resume(number)
    for event in stream.replay(response):
        yield number, event
        number += 1


class _Item:
    """An item that is announced: how it begins, grows and ends; this kind has no events inside."""

    def __init__(self, item: Json, place: int) -> None:
        self.item = item
        self.identity: str = item["id"]
        self.place = {"item_id": item["id"], "output_index": place}

    def begin(self) -> Iterator[tuple[str, Json]]:
        """Announce it, empty."""
        shown = {**self.item, **self.empty()}
        if "status" in shown:
            shown["status"] = "in_progress"
        yield "output_item.added", {"output_index": self.place["output_index"], "item": shown}
        for step in self.steps()[:-1]:
            yield step, {**self.place}

    def grow(self, item: Json) -> Iterator[tuple[str, Json]]:
        """Yield what came since the last time."""
        self.item = item
        yield from ()

    def end(self, item: Json) -> Iterator[tuple[str, Json]]:  # noqa: ARG002 - others read it
        """Yield what comes before it is done."""
        for step in self.steps()[-1:]:
            yield step, {**self.place}

    def empty(self) -> Json:
        """Give the members that are empty at the beginning."""
        return {}

    def steps(self) -> tuple[str, ...]:
        """Name the events of its progress: the last one comes at the end."""
        return ()


class _Text(_Item, ABC):
    """An item whose one text grows."""

    _sent = 0

    @abstractmethod
    def text(self) -> str:
        """Return all of the text so far."""

    @abstractmethod
    def delta(self, more: str) -> tuple[str, Json]:
        """Make the event of what came."""

    def grow(self, item: Json) -> Iterator[tuple[str, Json]]:
        self.item = item
        text = self.text()
        if len(text) > self._sent:
            yield self.delta(text[self._sent :])
            self._sent = len(text)


class _Message(_Text):
    """A message: its text, or the refusal of a prompt that was blocked."""

    def empty(self) -> Json:
        return {"content": []}

    def begin(self) -> Iterator[tuple[str, Json]]:
        yield from super().begin()
        self.place["content_index"] = 0
        part = {**self.item["content"][0]}
        part[self._member()] = ""
        if "annotations" in part:
            part |= {"annotations": [], "logprobs": []}
        yield "content_part.added", {**self.place, "part": part}

    def text(self) -> str:
        return str(self.item["content"][0][self._member()])

    def delta(self, more: str) -> tuple[str, Json]:
        logprobs: Json = {"logprobs": []} if self._member() == "text" else {}
        return f"{self._kind()}.delta", {**self.place, "delta": more, **logprobs}

    def end(self, item: Json) -> Iterator[tuple[str, Json]]:
        yield from self.grow(item)
        part = item["content"][0]
        for number, annotation in enumerate(part.get("annotations", ())):
            told = {"annotation_index": number, "annotation": annotation}
            yield "output_text.annotation.added", {**self.place, **told}
        whole = {self._member(): part[self._member()]}
        if "logprobs" in part:
            whole["logprobs"] = part["logprobs"]
        yield f"{self._kind()}.done", {**self.place, **whole}
        yield "content_part.done", {**self.place, "part": part}

    def _member(self) -> str:
        return "text" if self.item["content"][0]["type"] == "output_text" else "refusal"

    def _kind(self) -> str:
        return "output_text" if self._member() == "text" else "refusal"


class _Reasoning(_Text):
    """Thoughts: one part of a summary for each run of them; none for a signature alone."""

    def empty(self) -> Json:
        return {"summary": []}

    def begin(self) -> Iterator[tuple[str, Json]]:
        yield from super().begin()
        self.place["summary_index"] = 0
        if self.item["summary"]:
            part = {"type": "summary_text", "text": ""}
            yield "reasoning_summary_part.added", {**self.place, "part": part}

    def text(self) -> str:
        return str(self.item["summary"][0]["text"]) if self.item["summary"] else ""

    def delta(self, more: str) -> tuple[str, Json]:
        return "reasoning_summary_text.delta", {**self.place, "delta": more}

    def end(self, item: Json) -> Iterator[tuple[str, Json]]:
        yield from self.grow(item)
        if item["summary"]:
            part = item["summary"][0]
            yield "reasoning_summary_text.done", {**self.place, "text": part["text"]}
            yield "reasoning_summary_part.done", {**self.place, "part": part}


class _Call(_Item):
    """A call, whose arguments come in one delta: Gemini gives them whole."""

    _member = "arguments"
    _events = "function_call_arguments"

    def empty(self) -> Json:
        return {self._member: ""}

    def end(self, item: Json) -> Iterator[tuple[str, Json]]:
        text = item[self._member]
        if text:
            yield f"{self._events}.delta", {**self.place, "delta": text}
        name = {"name": item["name"]} if self._member == "arguments" else {}
        yield f"{self._events}.done", {**self.place, self._member: text, **name}


class _CustomCall(_Call):
    """A call of a custom tool, whose input is a text."""

    _member = "input"
    _events = "custom_tool_call_input"


class _Code(_Item):
    """Code that Google runs: it is there at once, and how it ended comes later."""

    def empty(self) -> Json:
        return {"code": "", "outputs": None}

    def steps(self) -> tuple[str, ...]:
        return ("code_interpreter_call.in_progress", "code_interpreter_call.completed")

    def end(self, item: Json) -> Iterator[tuple[str, Json]]:
        code = item["code"] or ""
        if code:
            yield "code_interpreter_call_code.delta", {**self.place, "delta": code}
        yield "code_interpreter_call_code.done", {**self.place, "code": code}
        yield "code_interpreter_call.interpreting", {**self.place}
        yield self.steps()[-1], {**self.place}


class _Search(_Item):
    """A search, or a page that was read."""

    def steps(self) -> tuple[str, ...]:
        return (
            "web_search_call.in_progress",
            "web_search_call.searching",
            "web_search_call.completed",
        )


class _Image(_Item):
    """An image, which comes whole."""

    def empty(self) -> Json:
        return {"result": None}

    def steps(self) -> tuple[str, ...]:
        return (
            "image_generation_call.in_progress",
            "image_generation_call.generating",
            "image_generation_call.completed",
        )


_KINDS: Final[dict[str, type[_Item]]] = {
    "message": _Message,
    "reasoning": _Reasoning,
    "function_call": _Call,
    "custom_tool_call": _CustomCall,
    "code_interpreter_call": _Code,
    "web_search_call": _Search,
    "image_generation_call": _Image,
}
