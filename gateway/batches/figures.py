"""Figures of the live work at one moment: what a scrape of the metrics reads from the records."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class JobFigures:
    """Live jobs of one model, state and upstream state. The times are those of the oldest."""

    model: str
    state: str
    upstream_state: str | None
    jobs: int
    created_at: int
    upstream_since: int | None
    ended_at: int | None


@dataclass(frozen=True, slots=True)
class Figures:
    """Jobs that still want something, live batches by status, and deliveries that are due.

    ``responses``: those in the background whose answers may still come, ``queued``, ``sent`` or,
    after that, ``cancelled``.
    """

    jobs: Sequence[JobFigures]
    batches: Mapping[str, int]
    deliveries: int
    responses: Mapping[str, int] = field(default_factory=dict)
