"""Ids of spans: random, but of a batch's own span, which its record names."""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Final, NamedTuple

from opentelemetry.sdk.trace.id_generator import IdGenerator, RandomIdGenerator


class Ids(NamedTuple):
    """A trace's id and a span's."""

    trace: int
    span: int


_CHOSEN: Final[ContextVar[Ids | None]] = ContextVar("chosen_ids", default=None)


class ChosenIds(IdGenerator):
    """Gives random ids, or those that were chosen for the next span."""

    def __init__(self) -> None:
        self._random = RandomIdGenerator()

    @contextmanager
    def next_are(self, ids: Ids) -> Iterator[None]:
        """Give these to the span that is started in the block."""
        token = _CHOSEN.set(ids)
        try:
            yield
        finally:
            _CHOSEN.reset(token)

    def generate_span_id(self) -> int:
        """Return the next span's."""
        chosen = _CHOSEN.get()
        return self._random.generate_span_id() if chosen is None else chosen.span

    def generate_trace_id(self) -> int:
        """Return the next trace's, asked for spans without a parent alone."""
        chosen = _CHOSEN.get()
        return self._random.generate_trace_id() if chosen is None else chosen.trace

    def is_trace_id_random(self) -> bool:
        """Tell that all bits are: those of a batch's id are too."""
        return True
