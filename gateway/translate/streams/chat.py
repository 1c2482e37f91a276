"""Pieces of an answer -> chunks of a chat completion.

One chunk says one thing, in the order that both SDKs' helpers need (measured): the role once, at
the head of every choice; text and thoughts as they come; a call whole, with the next index of its
choice; what belongs to the whole message once, before the end; the reason of the end; usage.
"""

from collections.abc import Iterator
from typing import Final

import orjson

from gateway.translate.answer.parts import declared_name
from gateway.translate.answer.usage import media_of, openai_usage
from gateway.translate.chat.answer import from_gemini
from gateway.translate.chat.choice import shown_call
from gateway.translate.chat.message import AssistantMessage
from gateway.translate.contract import AnswerHints, Context, Json, Rendered
from gateway.translate.streams.stream import AnswerStream, StreamOptions, parsed_choices
from gateway.wire.sse import DONE, data_event

# Members of a message that are shown as they come; the others once, when they are whole.
_SHOWN: Final = frozenset(
    ("role", "content", "refusal", "reasoning_content", "tool_calls", "function_call", "images")
)


class ChoiceSoFar:
    """One choice: what was read of it, and how much of that was sent."""

    def __init__(self, hints: AnswerHints, context: Context, index: int) -> None:
        self.index = index
        self.message = AssistantMessage(context, index, code="json" not in hints)
        self._hints = hints
        self._text = self._thoughts = self._images = 0
        self.calls = 0

    def deltas(self) -> Iterator[Json]:
        """Yield what was read since the last time, thoughts before text."""
        message = self.message
        if len(message.thoughts) > self._thoughts:
            yield {"reasoning_content": message.thoughts[self._thoughts :]}
            self._thoughts = len(message.thoughts)
        if len(message.text) > self._text:
            yield {"content": message.text[self._text :]}
            self._text = len(message.text)
        for image in message.images[self._images :]:
            yield {"images": [{"index": self._images, **image}]}
            self._images += 1
        while self.calls < len(message.calls) and not self._has_its_call():
            yield self._call(message.calls[self.calls])
            self.calls += 1

    def rest_of(self, content: object) -> str:
        """Return what the whole text has beyond what was sent: of indexes that make no sense."""
        return content[self._text :] if type(content) is str else ""

    def begins_with_call(self) -> bool:
        """Tell whether a call is the first thing there is: its message has no content then."""
        message = self.message
        return bool(message.calls) and not (message.text or message.thoughts or message.images)

    def _has_its_call(self) -> bool:
        one = "legacy" in self._hints or "one_call" in self._hints
        return one and self.calls > 0

    def _call(self, call: Json) -> Json:
        function = {**call["function"]}
        function["name"], _ = declared_name(function["name"], self._hints)
        shown = shown_call({**call, "function": function}, self._hints)
        if "legacy" in self._hints:
            return {"function_call": shown}
        return {"tool_calls": [{"index": self.calls, **shown}]}


class ChatStream(AnswerStream):
    """``data: {"object": "chat.completion.chunk", …}`` and at the end ``data: [DONE]``."""

    from_gemini = staticmethod(from_gemini)
    prefix = "chatcmpl-"
    kind = "chat.completion.chunk"
    tier = True
    # What all chunks have in common, written; from the opening on.
    _head: bytes

    def __init__(
        self, hints: AnswerHints, context: Context, items: int, options: StreamOptions
    ) -> None:
        super().__init__(hints, context, items, options)
        self._of_each = hints.get("candidates", 1)
        self.choices = [ChoiceSoFar(hints, context, n) for n in range(items * self._of_each)]

    def read(self, item: int, index: int, parts: object) -> None:
        """Read parts of a choice; candidates beyond those asked for are left out."""
        if 0 <= index < self._of_each:
            self.choices[item * self._of_each + index].message.add(parts)

    def has_output(self) -> bool:
        """Tell whether any choice has something to see."""
        return any(choice.message.has_output() for choice in self.choices)

    def open(self) -> Iterator[bytes]:
        """Yield the first chunk of every choice: Node's helper fails where 1 comes before 0."""
        self.opened = True
        self.frame()
        for choice in self.choices:
            content = None if choice.begins_with_call() else ""
            yield self.chunk(
                choice.index, {"role": "assistant", "content": content, "refusal": None}
            )

    def tell_tier(self, tier: str) -> None:
        """Name it in the chunks that are still to come."""
        super().tell_tier(tier)
        self.frame()

    def news(self) -> Iterator[bytes]:
        """Yield a chunk for each thing that was read."""
        for choice in self.choices:
            for delta in choice.deltas():
                yield self.chunk(choice.index, delta)

    def rest(self, rendered: Rendered) -> Iterator[bytes]:
        """Yield what belongs to whole messages, each choice's end, usage if asked for, ``DONE``."""
        _, body, *_ = rendered
        shown = {choice["index"]: choice for choice in parsed_choices(body)}
        for choice in self.choices:
            yield from self.end(choice, shown.get(choice.index, {}))
        if self.options.usage:
            yield data_event(self.framed(b"", self._usage(rendered)))
        yield DONE

    def end(self, choice: ChoiceSoFar, shown: Json) -> Iterator[bytes]:
        """Yield what the whole choice has that was not shown yet, and its finish_reason."""
        message = shown.get("message", {})
        if rest := choice.rest_of(message.get("content")):
            yield self.chunk(choice.index, {"content": rest})
        for name, value in message.items():
            if name == "refusal" and value:
                yield self.chunk(choice.index, {"refusal": value})
            elif name not in _SHOWN and value is not None:
                yield self.chunk(choice.index, {name: value})
        yield self.last_chunk(choice, shown)

    def last_chunk(self, choice: ChoiceSoFar, shown: Json) -> bytes:
        """Write the chunk that ends a choice, with what is known at the end alone."""
        known = ("finish_reason", "logprobs", "native_finish_reason")
        ended = {name: shown[name] for name in known if name in shown}
        return self.chunk(choice.index, {}, {"finish_reason": "stop", **ended})

    def shown(self, delta: Json) -> Json:
        """Give the members that show a delta."""
        return {"delta": delta}

    def chunk(self, index: int, delta: Json, ended: Json | None = None) -> bytes:
        """Write one chunk of one choice; ``ended`` are members of its end."""
        open_ended = {"logprobs": None, "finish_reason": None}
        choice = {"index": index, **self.shown(delta), **open_ended, **(ended or {})}
        return data_event(self.framed(orjson.dumps(choice), b"null"))

    def frame(self) -> None:
        """Write what all chunks have in common once."""
        self.name({})
        frame: Json = {
            "id": self.prefix + self.identity,
            "object": self.kind,
            "created": self.context.created,
            "model": self.model,
            "system_fingerprint": None,
        }
        if self.tier:
            frame["service_tier"] = self.options.tier
        self._head = orjson.dumps(frame)[:-1] + b',"choices":['

    def framed(self, choice: bytes, usage: bytes) -> bytes:
        """Put a choice into the frame; without the wish for it there is no ``usage`` at all."""
        if self.options.usage:
            return b'%b%b],"usage":%b}' % (self._head, choice, usage)
        return b"%b%b]}" % (self._head, choice)

    def _usage(self, rendered: Rendered) -> bytes:
        media = media_of(merged.response() for merged in self.merged)
        return orjson.dumps(openai_usage(rendered[2], media))
