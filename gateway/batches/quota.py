"""Quota of a credential: what a model's jobs may hold at Google at a time, and what that taught.

Google counts the enqueued tokens of a model and the live jobs of a project, and refuses one more
with a 429 that tells neither which of the two was meant nor how much is left (gemini-wire 4.2). So
a limit begins with what a setting or the published table says and follows the answers: less after a
refusal, more after each create that used what there was.
"""

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.batches.batch import Counts, TokenUsage
from gateway.batches.job import Job

MILLION: Final = 1_000_000
BILLION: Final = 1000 * MILLION

# ai.google.dev, "Rate limits", batch enqueued tokens, up to 2026-08-28: tier 1, 2, 3. Where the
# page has none, that of the tier below. A family's row holds for its newer models too.
_TIERS: Final[Sequence[tuple[str, tuple[int, int, int]]]] = (
    (r".*(-image|imagen|nano-banana)", (2 * MILLION, 270 * MILLION, BILLION)),
    (r".*-tts", (25_000, 25_000, 25_000)),
    (r".*embedding", (500_000, 5 * MILLION, 10 * MILLION)),
    (r".*flash-lite", (10 * MILLION, 500 * MILLION, BILLION)),
    (r"gemini-2\.0-flash", (10 * MILLION, BILLION, 5 * BILLION)),
    (r".*-pro", (5 * MILLION, 500 * MILLION, BILLION)),
    (r".*", (3 * MILLION, 400 * MILLION, BILLION)),
)

# The row of a credential that is about live jobs, of whatever model.
LIVE_JOBS: Final = "*"
# A job is cut to this share of what its model may hold: two run while the next is uploaded.
JOBS_IN_ROOM: Final = 2
# Refusals in a row of a job that is alone, until it counts as too large. A passing 429 is no proof.
REFUSALS_OF_SIZE: Final = 3
# A job of this part of the smallest limit published for its model is never too large. Copies of
# Google's page differ by up to ten times (gemini-wire 4.1), and a 429 can be an outage, or about
# jobs that ended: those have held their tokens for days (python-genai#2495).
NEVER_TOO_LARGE: Final = 10
# What was refused is far below a limit of so many times as much.
FAR_BELOW: Final = 4
# For how long a limit stays flat after a refusal; not for as long when less was refused than the
# tier has at least, or a setting says: that refusal may have been a passing one.
QUIET_MS: Final = 4 * 3_600_000
QUIET_BELOW_BASE_MS: Final = 600_000
# Google has been seen to count the tokens of cancelled jobs on. For how long is not known.
HELD_MS: Final = 3_600_000
# The ratio begins as if this many tokens had been estimated rightly, and forgets beyond that many.
RATIO_START: Final = 100_000
RATIO_MEMORY: Final = 20 * MILLION
RATIO_BOUNDS: Final = (0.25, 4.0)


@dataclass(frozen=True, slots=True)
class QuotaRules:
    """Settings of quotas. ``tier`` None: begin with tier 1, and grow as far as Google lets."""

    tier: int | None = None
    enqueued_tokens: Mapping[str, int] = field(default_factory=dict)
    max_live_jobs: int = 100

    def base(self, model: str) -> int:
        """Return where a limit begins: a setting for the model, else the tier's for its family."""
        if model == LIVE_JOBS:
            return self.max_live_jobs
        given = self._given(model)
        return self._published(model)[(self.tier or 1) - 1] if given is None else given

    def floor(self, model: str) -> int:
        """Return the size up to which no job is cut, whatever is refused; a setting is believed."""
        given = self._given(model)
        smallest = self._published(model)[0] if given is None else given
        return max(1, smallest // NEVER_TOO_LARGE)

    def most(self, model: str) -> int | None:
        """Return what no answer raises it above; None in tier ``auto`` without a setting."""
        known = model == LIVE_JOBS or self.tier is not None or self._given(model) is not None
        return self.base(model) if known else None

    def _given(self, model: str) -> int | None:
        given = self.enqueued_tokens
        return given.get(model, given.get("*"))

    @staticmethod
    def _published(model: str) -> tuple[int, int, int]:
        return next(row for pattern, row in _TIERS if re.match(pattern, model))


@dataclass(frozen=True, slots=True)
class Quota:
    """One limit of one credential, as answers have taught it. In tokens, or jobs.

    ``room`` is what all jobs together may have, ``ceiling`` about what was refused at
    ``refused_at``: below it a limit that fell comes back fast, above it with time. None: nothing
    has been learned. ``accepted`` is 1 once a create was accepted after the last refusal (it does
    not count on: a row that stays as it is need not be written), ``refusals`` are those in a row.
    ``held`` are
    tokens of cancelled jobs that may count on at Google, until ``held_until``. ``estimated`` and
    ``counted`` are tokens of jobs that came back, by our count and by Google's.
    """

    credential: str
    model: str
    room: int | None = None
    ceiling: int | None = None
    accepted: int = 0
    refusals: int = 0
    blocked_until: int | None = None
    held: int = 0
    held_until: int | None = None
    estimated: int = 0
    counted: int = 0
    refused_at: int | None = None

    @property
    def ratio(self) -> float:
        """The tokens that Google counts for one that is estimated here."""
        ratio = (self.counted + RATIO_START) / (self.estimated + RATIO_START)
        return min(max(ratio, RATIO_BOUNDS[0]), RATIO_BOUNDS[1])

    def tokens(self, estimated: int) -> int:
        """Return an estimate, corrected."""
        return max(1, round(estimated * self.ratio))

    def held_at(self, now: int) -> int:
        """Count tokens of cancelled jobs that are not known to be free."""
        return self.held if self.held_until is not None and now < self.held_until else 0


def room_of(quota: Quota, rules: QuotaRules) -> int:
    """Return what all jobs together may have now."""
    room = rules.base(quota.model) if quota.room is None else quota.room
    most = rules.most(quota.model)
    return room if most is None else min(room, most)


def most_alone(quota: Quota, rules: QuotaRules) -> int:
    """Return what a job may have that is alone at Google; a larger one is cut again.

    While nothing at all is accepted the refusals decide, but for the smallest sizes: those wait.
    Afterwards what was refused before may have been an outage, and one that is no larger is tried
    as it is.
    """
    room = max(room_of(quota, rules), rules.floor(quota.model))
    if quota.refusals >= REFUSALS_OF_SIZE or quota.ceiling is None:
        return room
    most = rules.most(quota.model)
    return max(room, quota.ceiling if most is None else min(quota.ceiling, most))


def tokens_per_job(quota: Quota, rules: QuotaRules) -> int:
    """Return where a job is cut at planning, by our own count of tokens."""
    return max(1, int(most_alone(quota, rules) / quota.ratio) // JOBS_IN_ROOM)


def accepted(quota: Quota, rules: QuotaRules, used: int, now: int) -> Quota:
    """Learn from a create; ``used`` is what is at Google now, the new job with it."""
    room = room_of(quota, rules)
    free = quota.held_at(now) and used > room - quota.held_at(now)
    learned = replace(
        quota,
        accepted=min(quota.accepted + 1, 1),
        refusals=0,
        blocked_until=None,
        held=0 if free else quota.held_at(now),
    )
    if 2 * used < room:
        return learned
    # More than was ever refused has been accepted: what was learned is outdated.
    outdated = quota.ceiling is not None and 3 * used > 4 * quota.ceiling
    quota = replace(quota, ceiling=None) if outdated else quota
    grown = _grown(quota, rules, room, used, now)
    most = rules.most(quota.model)
    grown = grown if most is None else min(grown, most)
    return replace(learned, room=grown, ceiling=quota.ceiling)


def _grown(quota: Quota, rules: QuotaRules, room: int, used: int, now: int) -> int:
    """Return the limit after a create that used at least half of it.

    Up to what was refused it comes back fast. Beyond, time decides, as in CUBIC (RFC 9438): flat
    while the refusal is young, so that a fixed limit that was found is not tried again and again,
    then ever faster, so that a limit that has risen is found all the same.
    """
    most = 2 * max(room, used)
    if quota.ceiling is None:
        return most
    if room < quota.ceiling:
        return min(most, quota.ceiling)
    quiet = QUIET_BELOW_BASE_MS if 4 * quota.ceiling < 3 * rules.base(quota.model) else QUIET_MS
    waited = (now - (quota.refused_at or 0)) / quiet - 1
    if waited <= 0:
        return room
    return max(room, min(most, quota.ceiling + int(quota.ceiling * min(waited, 10.0) ** 3)))


def refused(
    quota: Quota, rules: QuotaRules, used: int, more: int, *, until: int, now: int
) -> Quota:
    """Learn from a 429: ``used`` was at Google, ``more`` is the job's; wait ``until`` then.

    With something else there the sum was too much; far below what all may have, only if
    refusals come in a row (a passing one left one job at a time for ten minutes). Alone, only a row
    of refusals counts, and then the job itself is too large: half of it is tried. But while tokens
    of cancelled jobs may count on, it may be these; and the smallest jobs are never too large.
    """
    room, refusals = room_of(quota, rules), quota.refusals + 1
    learned = replace(quota, accepted=0, blocked_until=until, room=room)
    if used:
        counted_on = replace(learned, refusals=refusals)
        if FAR_BELOW * (used + more) < room and refusals < REFUSALS_OF_SIZE:
            return counted_on
        most = max(used, (used + more) * 3 // 4)
        return replace(counted_on, room=min(most, room), ceiling=most, refused_at=now)
    if quota.held_at(now):
        return learned
    floor = min(rules.floor(quota.model), room)
    if more <= floor:
        return replace(learned, refusals=refusals)
    streak = quota.accepted == 0 and quota.refusals > 0
    ceiling = quota.ceiling if streak and quota.ceiling else max(floor, more * 3 // 4)
    if refusals >= REFUSALS_OF_SIZE:
        room = max(floor, more // 2)
    return replace(learned, refusals=refusals, room=room, ceiling=ceiling, refused_at=now)


def cancelled(quota: Quota, estimated: int, now: int) -> Quota:
    """Hold the tokens of a job that was told to end: they may count on."""
    held = quota.held_at(now) + quota.tokens(estimated)
    return replace(quota, held=held, held_until=now + HELD_MS)


def counted(quota: Quota, estimated: int, told: int) -> Quota:
    """Learn how many tokens prompts had that were estimated at so many."""
    both = (quota.estimated + estimated, quota.counted + told)
    if both[0] > RATIO_MEMORY:
        both = (both[0] // 2, both[1] // 2)
    return replace(quota, estimated=both[0], counted=both[1])


Lesson = Callable[[Quota], Quota]


def lesson(job: Job, counts: Counts, usage: TokenUsage, now: int) -> Lesson | None:
    """Return what a job teaches that came back with so many answers; None when it is nothing.

    Of a line with several items the client is told the prompt once: nothing is learned from it.
    """
    served = counts.completed if job.items == job.lines and usage.input_tokens else 0
    if job.cancel_sent_at is None and not served:
        return None

    def learned(quota: Quota) -> Quota:
        if job.cancel_sent_at is not None:
            quota = cancelled(quota, job.tokens, now)
        if served:
            quota = counted(quota, job.tokens * served // job.lines, usage.input_tokens)
        return quota

    return learned
