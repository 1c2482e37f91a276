"""Rescue: lines that are left near a batch's deadline, asked one by one of synchronous calls.

A batch job may take longer than the window. Google's flex tier costs what a batch costs and answers
within minutes (page "Flex inference", preview); the standard tier costs twice as much. By setting,
what a job has not served shortly before the deadline is asked there, within a budget.

A call is never sent twice unless Google has said that it did not serve it: a call whose answer was
lost may be paid for, and its line is given up.
"""

from collections import deque
from dataclasses import dataclass
from typing import Final

from gateway.batches.batch import Batch
from gateway.batches.job import Cause, Job
from gateway.batches.lifecycle import stop_reason
from gateway.batches.patience import HOUR, elapsed
from gateway.wire.gemini import GENERATE_CONTENT

OFF: Final = "off"
FLEX: Final = "flex"

BILLION: Final = 1_000_000_000  # money is in billionths of a dollar
# What the synchronous calls of a project may cost in ten minutes, by its tier ("Rate limits").
SPEND_LIMITS: Final = {"1": 10 * BILLION, "2": 50 * BILLION, "3": 200 * BILLION}
SPEND_SECONDS: Final = 600.0

FIRST_CALLS: Final = 4  # under way at a time, until answers teach more or less
MOST_CALLS: Final = 64
# Google's sample for the flex tier: try again after 5 s, doubled.
FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 60.0
# Of what was spent in the window when a 429 came, so much is spent from then on.
LEARNED_SHARE: Final = 0.75


@dataclass(frozen=True, slots=True)
class RescueRules:
    """Which tier, ``off`` for none; ``before`` the deadline (ms); at what cost for each batch.

    ``spend``: what synchronous calls may cost in ten minutes, None when that is not known.
    """

    tier: str = OFF
    budget: int = 10 * BILLION
    before: int = 2 * HOUR
    spend: int | None = None


def may_rescue(batch: Batch, job: Job, rules: RescueRules, now: int) -> bool:
    """Whether what a job leaves is asked of synchronous calls now.

    Not of embeddings, which the flex tier does not have.
    """
    return (
        rules.tier != OFF
        and job.method == GENERATE_CONTENT
        and job.cause is not Cause.RESCUE
        and now >= batch.expires_at - rules.before
        and stop_reason(batch, now) is None
    )


# A job that has waited to be sent for less (ms) is being sent.
UNSENT_FOR: Final = 600_000


def may_rescue_unsent(batch: Batch, job: Job, rules: RescueRules, now: int) -> bool:
    """Whether the lines of a job that was never sent are asked of synchronous calls now.

    Not while a create of it may have landed: then it may be paid for. One that was planned so near
    to the deadline is sent.
    """
    return (
        may_rescue(batch, job, rules, now)
        and job.doubt is None
        and job.created_at < batch.expires_at - rules.before
        and elapsed(job.created_at, now) >= UNSENT_FOR
    )


def ignores_its_end(job: Job, now: int, ending: int) -> bool:
    """Whether a job was told to end for so long (ms) that the rest no longer waits for it.

    The one exception from "a line runs again only when its job has ended": what that may pay twice
    is counted.
    """
    return job.stuck_at is not None and elapsed(job.stuck_at, now) >= ending


class Rate:
    """Limit on a credential's calls under way, learned from answers; seconds, monotonic.

    Each answer allows a little more; each refusal for want of room half as many, after a pause that
    doubles. What is spent in ten minutes keeps to Google's limit, or to what a 429 has taught.
    """

    def __init__(self, spend: int | None) -> None:
        self._spend = spend
        self._calls = float(FIRST_CALLS)
        self._refusals = 0
        self._until = 0.0
        self._spent: deque[tuple[float, int]] = deque()
        self._total = 0

    def room(self, under_way: int) -> bool:
        """Whether one more call may be under way."""
        return under_way < int(self._calls)

    def pause(self, now: float) -> float:
        """Return how long to wait before the next call."""
        while self._spent and self._spent[0][0] <= now - SPEND_SECONDS:
            self._total -= self._spent.popleft()[1]
        pause = max(self._until - now, 0.0)
        if self._spend is not None and self._spent and self._total >= self._spend:
            return max(pause, self._spent[0][0] + SPEND_SECONDS - now)
        return pause

    def answered(self, now: float, cost: int) -> None:
        """Note an answer and what it cost."""
        self._refusals = 0
        self._calls = min(self._calls + 1 / max(self._calls, 1.0), float(MOST_CALLS))
        self._spent.append((now, cost))
        self._total += cost

    def full(self, now: float, hint: float | None = None, *, spent: bool = False) -> None:
        """Note a refusal for want of room; ``spent``: it may be the limit of what is spent."""
        if now < self._until:
            return  # of a call that was under way when the first was refused
        self._refusals += 1
        self._calls = max(self._calls / 2, 1.0)
        pause = min(FIRST_PAUSE * 2.0 ** min(self._refusals - 1, 8), LONGEST_PAUSE)
        self._until = now + max(pause, hint or 0.0)
        if spent and self._total:
            self._spend = max(int(self._total * LEARNED_SHARE), 1)
