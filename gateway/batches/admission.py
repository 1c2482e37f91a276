"""Admission: which of the jobs that wait may be sent now.

Pure: from what waits, what is at Google, and limits. Owners take turns, the one with the least at
Google first; an owner's jobs go in the order of their batches, small ones before a large one that
does not fit. But none starves: what has waited for long comes first, and room is kept for it.
"""

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from enum import Enum
from itertools import chain, zip_longest
from typing import Final, NamedTuple

from gateway.batches.quota import LIVE_JOBS, Quota, QuotaRules, most_alone, room_of

# After this long a job is passed by no younger one of its model.
STARVING_MS: Final = 600_000


@dataclass(frozen=True, slots=True)
class Waiting:
    """A job that waits; ``tokens`` by our own count, ``since`` in ms.

    ``stopped``: its batch was cancelled or has run out of time. ``placed``: it keeps its
    credential; any other goes to the one with the most room.
    """

    job_id: str
    batch_id: str
    owner: str
    credential: str
    model: str
    tokens: int
    lines: int
    since: int
    stopped: bool = False
    placed: bool = False


class Unread(NamedTuple):
    """A batch that waits for its validation, since then (ms), and the bytes of its input."""

    batch_id: str
    owner: str
    since: int
    bytes: int


@dataclass(frozen=True, slots=True)
class Sent:
    """Jobs of one model and owner that are at Google, or under way to it."""

    credential: str
    model: str
    owner: str
    jobs: int
    tokens: int


class Verdict(Enum):
    """Outcome for a job that waits."""

    GO = "go"
    CUT = "cut"  # it is larger than what its model may have at all
    WAIT = "wait"
    STOP = "stop"  # it will never be sent


class Decision(NamedTuple):
    """Outcome for one job, with its reason."""

    job: Waiting
    verdict: Verdict


class Admission:
    """The limits of all credentials and what is at Google at one moment; released tokens count."""

    def __init__(
        self,
        rules: QuotaRules,
        quotas: Sequence[Quota],
        sent: Sequence[Sent],
        now: int,
        credentials: Collection[str] = (),
    ) -> None:
        self._credentials = credentials
        self._rules = rules
        self._quotas = {(quota.credential, quota.model): quota for quota in quotas}
        self._jobs: dict[str, int] = {}
        self._tokens: dict[tuple[str, str], int] = {}
        self.now = now
        for load in sent:
            self._note(load.credential, load.model, load.jobs, load.tokens)

    def _note(self, credential: str, model: str, jobs: int, tokens: int) -> None:
        key = (credential, model)
        self._jobs[credential] = self._jobs.get(credential, 0) + jobs
        corrected = self.quota(credential, model).tokens(tokens) if tokens else 0
        self._tokens[key] = self._tokens.get(key, 0) + corrected

    def quota(self, credential: str, model: str) -> Quota:
        """Return a limit, as far as it was learned."""
        return self._quotas.get((credential, model)) or Quota(credential, model)

    def used(self, credential: str, model: str) -> int:
        """Count tokens of a model at Google, corrected; jobs for :data:`LIVE_JOBS`."""
        if model == LIVE_JOBS:
            return self._jobs.get(credential, 0)
        return self._tokens.get((credential, model), 0)

    def room(self, credential: str, model: str) -> int:
        """Return what they may have."""
        return room_of(self.quota(credential, model), self._rules)

    def place(self, job: Waiting) -> Waiting:
        """Give a job that has no place yet to the credential with the most room for its model."""
        if job.placed or not self._credentials:
            return job
        best = max(self._credentials, key=lambda name: self._free(name, job.model))
        return replace(job, credential=best)

    def _free(self, credential: str, model: str) -> int:
        """Return the tokens that fit, less than none where nothing may go now."""
        quota, jobs = self.quota(credential, model), self.quota(credential, LIVE_JOBS)
        if self._is_blocked(quota) or self._is_blocked(jobs):
            return -1
        if self.used(credential, LIVE_JOBS) >= self.room(credential, LIVE_JOBS):
            return -1
        taken = self.used(credential, model) + quota.held_at(self.now)
        return max(room_of(quota, self._rules) - taken, 0)

    def decide(self, job: Waiting) -> Verdict:
        """Decide about a job; one that may go counts from now on."""
        verdict = self._verdict(job)
        if verdict is Verdict.GO:
            self._note(job.credential, job.model, 1, job.tokens)
        return verdict

    def _verdict(self, job: Waiting) -> Verdict:
        quota = self.quota(job.credential, job.model)
        jobs = self.quota(job.credential, LIVE_JOBS)
        if self._is_blocked(quota) or self._is_blocked(jobs):
            return Verdict.WAIT
        if self.used(job.credential, LIVE_JOBS) >= self.room(job.credential, LIVE_JOBS):
            return Verdict.WAIT
        tokens = quota.tokens(job.tokens)
        used = self.used(job.credential, job.model)
        room = room_of(quota, self._rules)
        if used == 0:
            return self._alone(quota, job, tokens)
        fits = tokens <= room - used - quota.held_at(self.now)
        return Verdict.GO if fits else Verdict.WAIT

    def _is_blocked(self, quota: Quota) -> bool:
        return quota.blocked_until is not None and self.now < quota.blocked_until

    def _alone(self, quota: Quota, job: Waiting, tokens: int) -> Verdict:
        """Let no tokens of cancelled jobs hold it up: a create shows whether they are free."""
        too_large = tokens > most_alone(quota, self._rules) and job.lines > 1
        return Verdict.CUT if too_large else Verdict.GO


def admit(
    admission: Admission, waiting: Sequence[Waiting], sent: Sequence[Sent], now: int
) -> list[Decision]:
    """Decide about every job; those that go first come first."""
    decisions = [Decision(job, Verdict.STOP) for job in waiting if job.stopped]
    shut: set[tuple[str, str]] = set()
    turns = in_turn([job for job in waiting if not job.stopped], sent, now)
    for job in map(admission.place, turns):
        key = (job.credential, job.model)
        verdict = Verdict.WAIT if key in shut else admission.decide(job)
        if verdict is Verdict.CUT or (verdict is Verdict.WAIT and is_starving(job.since, now)):
            shut.add(key)  # nothing goes in front of it
        decisions.append(Decision(job, verdict))
    return decisions


def is_starving(since: int, now: int) -> bool:
    """Whether something has waited for so long that younger work waits."""
    return now - since >= STARVING_MS


def in_turn(waiting: Sequence[Waiting], sent: Sequence[Sent], now: int) -> list[Waiting]:
    """Order jobs as they are asked: starving ones by age, then the owners take turns."""
    by_age = sorted(waiting, key=lambda job: (job.since, job.job_id))
    starving = [job for job in by_age if is_starving(job.since, now)]
    loads = Counter[str]()
    for load in sent:
        loads[load.owner] += load.tokens
    return [*starving, *_turns(by_age[len(starving) :], loads)]


def _turns(jobs: Sequence[Waiting], loads: Mapping[str, int]) -> Iterator[Waiting]:
    """Yield jobs: the owner with the least at Google first, then by age, in each owner's order."""
    queues: dict[str, list[Waiting]] = {}
    for job in jobs:
        queues.setdefault(job.owner, []).append(job)
    owners = sorted(queues, key=lambda owner: loads.get(owner, 0))
    for turn in zip_longest(*map(queues.__getitem__, owners)):
        yield from (job for job in turn if job is not None)


# Of how many owners it is known when they had the last turn.
OWNERS_KNOWN: Final = 1000


class Turns:
    """When each owner had the last turn: the larger the number, the later."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def see(self, owners: Iterable[str]) -> None:
        """Give owners who wait and are new the number of the last turn but one.

        They go before the owner of the last turn, and behind all who wait already: were they always
        the first, new ones who keep coming would have one who is known wait for ever.
        """
        number = max(self.numbers.values(), default=0) - 1
        for owner in owners:
            self.numbers.setdefault(owner, number)
        self._forget()

    def took(self, owner: str) -> None:
        """Put an owner behind all others."""
        number = max(self.numbers.values(), default=0) + 1
        self.numbers.pop(owner, None)
        self.numbers[owner] = number
        self._forget()

    def _forget(self) -> None:
        while len(self.numbers) > OWNERS_KNOWN:
            del self.numbers[next(iter(self.numbers))]


def next_validations(
    waiting: Sequence[Unread], now: int, free: int, turns: Mapping[str, int]
) -> list[Unread]:
    """Choose which of the batches that wait are validated now, the next one first.

    The owners take turns, who had none for longest first: ``turns`` numbers the last of each (see
    :class:`Turns`). Of an owner what has waited for long goes first, by age, then the smallest
    input; so it is among owners whose numbers are equal.
    """
    queues: dict[str, list[Unread]] = {}
    for each in sorted(waiting, key=lambda each: _urgency(each, now)):
        queues.setdefault(each.owner, []).append(each)
    owners = sorted(queues, key=lambda owner: turns.get(owner, -1))
    rounds = chain.from_iterable(zip_longest(*(queues[owner] for owner in owners)))
    return [each for each in rounds if each is not None][:free]


def _urgency(each: Unread, now: int) -> tuple[bool, int]:
    starving = is_starving(each.since, now)
    return not starving, each.since if starving else each.bytes
