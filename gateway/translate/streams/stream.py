"""The stream of one answer: its pieces, its end, its failures, for every endpoint."""

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Final

import orjson

from gateway.translate.answer import envelope
from gateway.translate.answer.failure import Failure
from gateway.translate.answer.usage import total_usage, usage_of
from gateway.translate.contract import Answer, AnswerHints, Context, FromGemini, Rendered, Usage
from gateway.translate.streams.pieces import MergedAnswer
from gateway.wire.sse import data_event

CUT_OFF: Final = Failure(
    502, "stream_interrupted", "Gemini's stream ended before the answer did; send it again."
)


@dataclass(frozen=True, slots=True)
class StreamOptions:
    """Options of the stream itself: ``usage`` for a last chunk that counts tokens.

    ``tier`` is the service tier that its chunks name: the one that was asked for, until Google's
    last piece says which has served.
    """

    usage: bool = False
    tier: str = "default"


class AnswerStream(ABC):
    """The events of one answer, which may come from several calls (``items``) side by side.

    The caller gives pieces to :meth:`add` as they come and sends what it returns. Nothing is
    written before :meth:`open` was called, so an answer that fails at once can still have its HTTP
    status. Then :meth:`finish`, or :meth:`fail`, is the end.
    """

    from_gemini: FromGemini

    def __init__(
        self, hints: AnswerHints, context: Context, items: int, options: StreamOptions
    ) -> None:
        self.hints = hints
        self.context = context
        self.options = options
        self.merged = [MergedAnswer() for _ in range(items)]
        self.opened = False
        self.identity = ""
        self.model = ""

    def add(self, item: int, piece: Mapping[str, Any]) -> bool:
        """Take a piece of an item's answer; True when it is time to open the stream.

        A piece that ends its answer may be all of it, and a failure.
        """
        merged = self.merged[item]
        self.name(piece)
        for index, parts in merged.add(piece):
            self.read(item, index, parts)
        return not merged.finished() or self.has_output()

    def name(self, piece: Mapping[str, Any]) -> None:
        """Settle the id and the model by the first piece: all events have the same."""
        if not self.identity:
            self.identity = envelope.identity_of(dict(piece), self.context)
        if not self.model:
            self.model = envelope.model_of(piece.get("modelVersion"), self.hints, self.context)

    @abstractmethod
    def read(self, item: int, index: int, parts: object) -> None:
        """Read new parts of a candidate."""

    @abstractmethod
    def has_output(self) -> bool:
        """Tell whether a client has anything to see yet."""

    @abstractmethod
    def open(self) -> Iterator[bytes]:
        """Begin the stream: the events before any output."""

    @abstractmethod
    def news(self) -> Iterator[bytes]:
        """Yield the events of what was read since the last time."""

    def whole(self) -> Rendered:
        """Render the whole answer, as a batch would."""
        self.name({})
        for merged in self.merged:
            if not merged.finished():
                return CUT_OFF.rendered()
        tier = self._served_tier()
        if tier is not None:
            self.tell_tier(tier)
        return type(self).from_gemini(self.hints, self.answers(), self.context)

    def tell_tier(self, tier: str) -> None:
        """Name another service tier from now on: the one that was asked for may not have served."""
        self.options = replace(self.options, tier=tier)

    def _served_tier(self) -> str | None:
        """Return the tier that Google says has served, in OpenAI's words; None: it does not say."""
        usages = [merged.response().get("usageMetadata", {}) for merged in self.merged]
        tiers = [usage.get("serviceTier") for usage in usages]
        if None in tiers:
            return None
        return "flex" if all(tier == "flex" for tier in tiers) else "default"

    def answers(self) -> Sequence[Answer]:
        """Return the answers so far as calls without a stream give them, under one id."""
        named = {"responseId": self.identity}
        return [{"response": {**merged.response(), **named}} for merged in self.merged]

    def used(self) -> Usage:
        """Sum up the tokens so far, as far as Gemini has told them."""
        return total_usage([usage_of(each.response().get("usageMetadata")) for each in self.merged])

    def finish(self, rendered: Rendered) -> Iterator[bytes]:
        """Yield what is still missing of the whole answer, and the end; of a failure its error."""
        status, body, *_ = rendered
        if status >= 400:
            yield from self.fail(body)
            return
        if not self.opened:
            yield from self.open()
        yield from self.news()
        yield from self.rest(rendered)

    @abstractmethod
    def rest(self, rendered: Rendered) -> Iterator[bytes]:
        """Yield what only the whole answer tells, and the end."""

    def fail(self, envelope: bytes) -> Iterator[bytes]:
        """End a stream that was opened with an error; ``envelope`` is OpenAI's, written.

        Both SDKs raise an error for it (measured); no ``[DONE]`` follows.
        """
        yield data_event(envelope)


def envelope_of(failure: Failure) -> bytes:
    """Write a failure's envelope."""
    return failure.rendered()[1]


def parsed_choices(body: bytes) -> Sequence[dict[str, Any]]:
    """Return the choices of a rendered completion."""
    choices: Sequence[dict[str, Any]] = orjson.loads(body)["choices"]
    return choices
