"""The tally: what a step came to, told to the metrics from the record before it and after it."""

from typing import Final

from gateway.batches.batch import LIVE_STATUSES, Batch, TokenUsage
from gateway.batches.job import Job
from gateway.ports.metrics import Meters, Series

# Of a batch that ended before it was known.
NO_MODEL: Final = "none"
NANODOLLARS: Final = 1e9


def tally_batch(meters: Meters, before: Batch, after: Batch) -> None:
    """Count a batch that has ended, and its lines."""
    if after.status in LIVE_STATUSES or before.status not in LIVE_STATUSES:
        return
    model, counts = after.model or NO_MODEL, after.counts
    meters.count(Series.BATCHES, status=after.status.value, model=model)
    lines = {
        "completed": counts.completed,
        "failed": counts.failed,
        "not_run": counts.total - counts.completed - counts.failed,
    }
    for status, number in lines.items():
        if number:
            meters.count(Series.LINES, number, status=status, model=model)


def tally_job(meters: Meters, before: Job, after: Job) -> None:
    """Count what a step has made of a job: created, in doubt, answered."""
    if after.upstream_name is not None and before.upstream_name is None:
        meters.count(Series.JOBS_CREATED, model=after.model)
        if after.inline:
            meters.count(Series.UPSTREAM_SENT, before.outgoing[1])
    if after.doubt is not None and before.doubt is None:
        meters.count(Series.AMBIGUOUS_CREATES)
    if after.staged is not None and after.staged != before.staged:
        meters.count(Series.UPSTREAM_SENT, after.outgoing[1])
    for kind, number in tokens_by_kind(after.usage - before.usage).items():
        meters.count(Series.TOKENS, number, kind=kind, model=after.model)
    cost = (after.cost or 0) - (before.cost or 0)
    if cost > 0:
        meters.count(Series.COST, cost / NANODOLLARS, model=after.model)


def tokens_by_kind(usage: TokenUsage) -> dict[str, int]:
    """Name the kinds of tokens of which there are any; counters never fall."""
    kinds = {
        "input": usage.input_tokens,
        "cached": usage.cached_tokens,
        "output": usage.output_tokens,
        "reasoning": usage.reasoning_tokens,
    }
    return {kind: number for kind, number in kinds.items() if number > 0}
