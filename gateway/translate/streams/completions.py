"""Pieces of an answer -> chunks of a text completion."""

from collections.abc import Iterator

from gateway.translate.completions.answer import from_gemini
from gateway.translate.contract import Json
from gateway.translate.streams.chat import ChatStream, ChoiceSoFar


class CompletionStream(ChatStream):
    """``data: {"object": "text_completion", "choices": [{"text": …}]}``; texts, and no more."""

    from_gemini = staticmethod(from_gemini)
    prefix = "cmpl-"
    kind = "text_completion"
    tier = False

    def has_output(self) -> bool:
        """Tell whether any choice has a text: what is no text fails a choice without one."""
        return any(choice.message.text for choice in self.choices)

    def open(self) -> Iterator[bytes]:
        """Yield the prompts, where each choice begins with its own; there are no roles."""
        self.opened = True
        self.frame()
        prompts = self.hints.get("echo_prompts")
        each = self.hints.get("candidates", 1) * self.hints.get("items", 1)
        for choice in self.choices if prompts else ():
            yield self.chunk(choice.index, {"content": (prompts or ())[choice.index // each]})

    def news(self) -> Iterator[bytes]:
        """Yield a chunk for each new text."""
        for choice in self.choices:
            for delta in choice.deltas():
                if "content" in delta:
                    yield self.chunk(choice.index, delta)

    def end(self, choice: ChoiceSoFar, shown: Json) -> Iterator[bytes]:
        """Yield the end of a choice."""
        yield self.last_chunk(choice, shown)

    def shown(self, delta: Json) -> Json:
        """Give the text that a delta adds."""
        return {"text": delta.get("content", "")}
