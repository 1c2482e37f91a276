"""What a step has made of a job is counted once."""

from collections import Counter
from dataclasses import replace
from itertools import pairwise

from gateway.batches.job import Job, JobState
from gateway.ports.metrics import Series
from gateway.runner.tally import tally_job
from tests.conformance.records import a_job


class Sums:
    """Meters that keep the sum of each counter."""

    def __init__(self) -> None:
        self.of = Counter[Series]()

    def count(self, series: Series, amount: float = 1, **_: str) -> None:
        """Add."""
        self.of[series] += int(amount)

    def observe(self, series: Series, value: float, **_: str) -> None:
        """Forget it."""


def counted(*states: Job) -> Counter[Series]:
    """What is counted while a job goes from one to the next."""
    sums = Sums()
    for before, after in pairwise(states):
        tally_job(sums, before, after)
    return sums.of


def test_what_travels_inside_a_create_is_sent_once() -> None:
    """Also when its results cannot be kept, so that the job runs again and is looked at anew."""
    planned = a_job(inline=True, bytes=70)
    intent = replace(planned, state=JobState.SUBMITTING)
    running = replace(intent, state=JobState.RUNNING, upstream_name="batches/1")
    secured = replace(running, state=JobState.SECURED, raw="raw")
    found = counted(planned, intent, running, secured, running, secured)
    assert (found[Series.UPSTREAM_SENT], found[Series.JOBS_CREATED]) == (70, 1)
