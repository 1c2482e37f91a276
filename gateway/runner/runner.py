"""The loop that does what :func:`gateway.batches.lifecycle.next_steps` says.

All state is in the store. Memory holds only the running tasks and a wake-up event, so a restart
loses nothing.
"""

import asyncio
import logging
from collections import Counter, deque
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, Final

from gateway.batches.admission import (
    Admission,
    Decision,
    Turns,
    Unread,
    Verdict,
    Waiting,
    admit,
    next_validations,
)
from gateway.batches.batch import LIVE_STATUSES, Batch, BatchStatus
from gateway.batches.job import Job, JobState
from gateway.batches.lifecycle import (
    SENDING,
    STATE_ACTS,
    WAITING_STATES,
    Act,
    Step,
    next_steps,
    rest_until,
    stop_reason,
)
from gateway.batches.pacing import (
    SMALL_JOB_ITEMS,
    YOUNG_FOR,
    PollBudget,
    next_retry,
    patient,
)
from gateway.batches.rescue import OFF, UNSENT_FOR, may_rescue_unsent
from gateway.batches.staging import FileStep, StagedFile, next_act
from gateway.errors import (
    DamagedBlobError,
    DamagedStoreError,
    InternalError,
    UnavailableError,
    UpstreamError,
    UpstreamHeldError,
    UpstreamUnavailableError,
)
from gateway.ids import jitter
from gateway.log_fields import bind
from gateway.ports.metrics import Series
from gateway.ports.store import Kind, Work
from gateway.runner import (
    batch_steps,
    file_steps,
    job_steps,
    quota_steps,
    recover_step,
    rescue_step,
    send_steps,
)
from gateway.runner.batch_end import tell_end
from gateway.runner.context import (
    DEFECTS,
    BatchClaim,
    FileClaim,
    JobClaim,
    LostClaimError,
    StepContext,
    describe,
)
from gateway.runner.fill_step import fill
from gateway.runner.mending import mend
from gateway.runner.model_list import ModelList
from gateway.runner.tally import tally_batch, tally_job
from gateway.units import counted

logger = logging.getLogger(__name__)

CLOCK_STEP: Final = 1000  # ms by which a wall clock may be set back unnoticed
REMINDER_SECONDS: Final = 60.0  # between two lines of the log that say the same
TICK_SECONDS: Final = 1.0  # how long to wait at most while work is due but nothing more may start
# Records that cannot be used are tried again after a tick, then after as long as they have failed.
LONGEST_OUTAGE_PAUSE: Final = 15.0
# How long (seconds) a stop waits for answers to what may be paid for: without its answer a job is
# looked for, for minutes, and a synchronous call's line ends with an error.
ANSWER_SECONDS: Final = 5.0
MAX_DUE: Final = 200
# How many jobs of an owner and model the admission is shown, and validations of an owner.
SENDING_SEEN: Final = 16
VALIDATIONS_SEEN: Final = 16
# How many of them are kept in their order, to start as slots come free until the next look.
VALIDATIONS_KEPT: Final = 32
# How often the admission is asked again because others have claimed meanwhile; then after a tick.
TURNS: Final = 8

# How many steps of a kind run at once.
SLOTS: Mapping[Act, int] = {
    Act.STAGE: 2,
    Act.SECURE: 4,
    Act.CREATE: 4,
    Act.RESCUE: 4,
    Act.UPLOAD: 8,
}
OTHER_SLOTS: Final = 16
# Slots that polls leave to the looks at jobs that must end.
SLOTS_TO_END: Final = 4

# An account that is not in order is not asked every second: the pause starts here on the ladder.
HELD_FAILURES: Final = 6


# The step that follows at once on one that has left a job in a state, without a look for work.
FOLLOWING: Mapping[tuple[Act, JobState], Act] = {
    (Act.POLL, JobState.ENDED): Act.SECURE,
    (Act.POLL, JobState.LOST): Act.COLLECT,
    (Act.POLL, JobState.SECURED): Act.COLLECT,
    (Act.SECURE, JobState.SECURED): Act.COLLECT,
    (Act.RESCUE, JobState.SECURED): Act.COLLECT,
    (Act.COLLECT, JobState.COLLECTED): Act.RELEASE,
}

FOREIGN_JOBS: Final = (
    "%s paid for with another Gemini key than the one that is set now for the credential %s: held."
    " Nothing is created in its place; it goes on once that key, or another of its project, is set."
)

# Said of a step that a key holds up: a person has to mend it, and may have several.
HELD: Final = "what waits for the key %s is held until Google accepts it, its project and its bill"

AnyStep = Step | FileStep
AnyClaim = BatchClaim | JobClaim | FileClaim
Key = tuple[str, str | None]


@dataclass(slots=True)
class _UnderWay:
    act: Act
    task: asyncio.Task[None]
    claim: AnyClaim | None = None
    begun: bool = False  # a task that is cancelled before does nothing: its claim would stay
    follows: Act | None = None  # what the claim is kept for, with a slot of its own

    @property
    def may_be_paid(self) -> bool:
        """Whether a create or synchronous calls may be under way, whose answers are still to come.

        An intent that may still be taken back says that its create was not sent.
        """
        if self.act is not Act.CREATE or not isinstance(self.claim, JobClaim):
            return self.act is Act.RESCUE
        return self.claim.before is None and self.claim.row.state is JobState.SUBMITTING


def _key(step: AnyStep) -> Key:
    """Return the row a step is about: one at a time."""
    if isinstance(step, FileStep):
        return step.staged_id, None
    return step.batch_id, step.job_id


def _named(step: AnyStep) -> str:
    """Describe a step as logs show it."""
    if isinstance(step, FileStep):
        return f"{step.act} of file {step.staged_id}"
    job = f" of job {step.job_id}" if step.job_id else ""
    return f"batch {step.batch_id}: {step.act}{job}"


class Runner:
    """Runs every batch of one store."""

    def __init__(self, context: StepContext) -> None:
        self._context = context
        self.models = ModelList(context)
        # Why the records cannot be read, or written, now.
        self._unread: str | None = None
        self._unwritten: str | None = None
        self._failed_since: float | None = None  # by the clock, while one of the two is so
        self._look_after = 0.0  # by the loop's clock: since the last look failed
        self._reminded: dict[str, float] = {}  # what the log has said, and when it may say it again
        self._bell = asyncio.Event()
        self._rung = False  # whether the bell calls for a look; else a slot has come free
        self._stopping = False
        self._drift: int | None = None  # of the wall clock against the monotonic one, in ms
        self._early: set[asyncio.Task[None]] = set()  # steps begun before it was set back
        self._soon: asyncio.TimerHandle | None = None  # the bell, about to ring
        self._looked = -1.0  # when work was last looked for, by the loop's clock
        # What is validated next, as the last look found it, and the last turn of each owner.
        self._unread_batches: deque[Unread] = deque()
        self._turns = Turns()
        self._under_way: dict[Key, _UnderWay] = {}
        self._to_claim: dict[str, Step] = {}  # by job: they have a slot, and no claim yet
        self._crowded: set[Act] = set()  # more of these are due than may run
        # Until when no new job is placed with a credential whose key Google refuses.
        self._refused: dict[str, int] = {}
        self._polls = PollBudget(context.options.polls_per_minute)
        # What must end has a budget of its own: a cancel waits behind no poll.
        self._ends = PollBudget(context.options.polls_per_minute)
        self._free = {act: SLOTS.get(act, OTHER_SLOTS) for act in Act}
        # A validation may hold a worker for minutes: no more of them than there are workers, and
        # the others wait their turn in the records, not in front of every collect.
        self._free[Act.VALIDATE] = context.workers.count

    def wake(self) -> None:
        """Look for work now, or as soon as some more steps may have ended.

        But not sooner after the last look than looks are apart: it has a price, whatever it finds.
        """
        options, now = self._context.options, asyncio.get_running_loop().time()
        self._ring_at(max(now + options.gather_seconds, self._looked + options.look_seconds))

    def _wake_soon(self) -> None:
        """Look for work as soon as some more slots may be free that work is known to wait for."""
        now = asyncio.get_running_loop().time()
        self._ring_at(now + self._context.options.gather_seconds)

    def _ring_at(self, moment: float) -> None:
        if self._rung or (self._soon is not None and self._soon.when() <= moment):
            return
        if self._soon is not None:
            self._soon.cancel()
        loop = asyncio.get_running_loop()
        if moment <= loop.time():
            self._ring()
        else:
            self._soon = loop.call_at(moment, self._ring)

    def _ring(self) -> None:
        self._soon = None
        self._rung = True
        self._bell.set()

    @property
    def trouble(self) -> str | None:
        """Why the records cannot be used now, if so: then no row can say what it waits for."""
        return self._unwritten or self._unread

    def stop(self) -> None:
        """Start nothing more and end what runs; :meth:`run` returns when it has.

        What may be paid for has some seconds to be answered.
        """
        if self._stopping:
            return  # a second cancel would reach what steps still write down
        self._stopping = True
        for step in self._under_way.values():
            if step.begun and step.may_be_paid:
                step.task.get_loop().call_later(ANSWER_SECONDS, step.task.cancel)
            elif step.begun:
                step.task.cancel()
        self._ring()

    async def run(self) -> None:
        """Run until :meth:`stop`. An exception that ends it is a defect, and ends the process."""
        await self._warn_of_another_key()
        async with asyncio.TaskGroup() as group:
            while not self._stopping:
                self._bell.clear()
                self._rung = False
                self._looked = asyncio.get_running_loop().time()
                try:
                    await self._pull_in()
                    now = self._context.clock.now()
                    more = await self._start_due(group, now)
                    due = now if more else await self._context.store.next_due(now)
                    self._unread = None  # the next step, which writes, may be due in an hour
                    if self._unwritten is None:
                        self._failed_since = None
                except UnavailableError as error:
                    self._remind("the records cannot be used now", error)
                    self._unread = error.message
                    self._put_off_looks()
                    due = None
                if not await self._sat_out():
                    await self._pause(group, due)

    async def _pull_in(self) -> None:
        """Pull due times in at the start, and whenever the wall clock was set back.

        Jobs stood still for as long as a clock had been ahead, also over restarts.
        """
        clock, options = self._context.clock, self._context.options
        now = clock.now()
        drift = now - int(clock.monotonic() * 1000)
        went_back = self._drift is None or drift < self._drift - CLOCK_STEP
        if went_back or self._outlived():
            longest = max(options.poll.longest, options.retry.longest, 2 * options.settle)
            await self._context.store.pull_in(now, now + longest)
            self._early = {step.task for step in self._under_way.values()} if went_back else set()
        self._drift = drift  # not before: on a full disk it is tried again in the next round

    def _outlived(self) -> bool:
        """Whether all steps have ended that had read the time before the clock was set back.

        What they have written since is due by that time.
        """
        return bool(self._early) and all(task.done() for task in self._early)

    async def _warn_of_another_key(self) -> None:
        context = self._context
        for credential in list(context.options.credentials):
            made_by = context.upstream.identity(credential, context.options.gateway_id)
            count = await context.store.foreign_jobs(credential, made_by)
            if count:
                logger.error(FOREIGN_JOBS, counted(count, "job"), credential)

    def _outage_pause(self) -> float:
        """Return for how long (seconds) the records are left alone after a failure, from now."""
        now = self._context.clock.monotonic()
        if self._failed_since is None:
            self._failed_since = now
        return min(max(now - self._failed_since, TICK_SECONDS), LONGEST_OUTAGE_PAUSE)

    def _put_off_looks(self) -> None:
        self._look_after = asyncio.get_running_loop().time() + self._outage_pause()

    def _wrote(self) -> None:
        """Note that the records can be written."""
        self._unwritten = self._failed_since = None

    async def _sat_out(self) -> bool:
        """Wait while looks are put off, whatever rings but the stop; False when they are not."""
        if self._look_after <= asyncio.get_running_loop().time():
            return False
        with suppress(TimeoutError):
            async with asyncio.timeout_at(self._look_after):
                while not self._stopping:
                    self._bell.clear()
                    await self._bell.wait()
        return True

    async def _pause(self, group: asyncio.TaskGroup, due: int | None) -> None:
        """Wait for the next look; meanwhile slots that come free are given to what is known."""
        seconds = TICK_SECONDS
        if due is not None:
            ahead = (due - self._context.clock.now()) / 1000
            apart = self._looked + self._context.options.look_seconds
            left = apart - asyncio.get_running_loop().time()
            seconds = min(max(ahead, left, 0), TICK_SECONDS)
        try:
            async with asyncio.timeout(seconds):
                while not self._rung:
                    await self._bell.wait()
                    self._bell.clear()
                    self._start_unread(group)
        except TimeoutError:
            pass

    async def _start_due(self, group: asyncio.TaskGroup, now: int) -> bool:
        """Start a task for every step that may run; True when more may start without waiting.

        Each kind of step is asked for by itself, as many as may start: what waits for one kind
        never delays another. What waits for a slot is looked at again when a step has ended.
        """
        store = self._context.store
        kinds = await store.due_kinds(now)
        self._crowded.clear()
        more = Kind.BATCH in kinds and await self._start_batches(group, now)
        if Kind.VALIDATION in kinds:
            await self._start_validations(group, now)
        for state, act in STATE_ACTS.items():
            if state in kinds:
                await self._start_jobs(group, state, act, now)
        if kinds & WAITING_STATES:
            await self._start_admitted(group, now)
        if Kind.COPY in kinds:
            for copy in await store.due_staged(now, MAX_DUE, uploads=self._free[Act.UPLOAD]):
                # Whether it is needed shows under the claim: a look may become a removal.
                self._start(group, FileStep(next_act(copy) or Act.LOOK, copy.id))
        await self._claim_jobs(group)
        return more

    async def _claim_jobs(self, group: asyncio.TaskGroup) -> None:
        """Claim what this look has found in one statement, and begin with it."""
        steps, self._to_claim = self._to_claim, {}
        jobs: Sequence[Job] = []
        try:
            if steps:
                lease = self._context.options.lease
                jobs = await self._context.store.claim_jobs(list(steps), lease)
                self._wrote()
        except UnavailableError as error:
            self._remind("what is due waits for the records", error)
            self._unwritten = error.message
            self._put_off_looks()
        finally:  # another process has the rest, or the records cannot be written
            for job_id in steps.keys() - {job.id for job in jobs}:
                self._free[steps[job_id].act] += 1
        batches = await self._batches_of(jobs)
        for job in jobs:
            step, claim = steps[job.id], self._claimed(job, batches.get(job.batch_id))
            if self._stopping:
                self._free[step.act] += 1
                await self._release_claim(claim)
            else:
                self._begin(group, step, claim)

    async def _batches_of(self, jobs: Sequence[Job]) -> Mapping[str, Batch]:
        """Read the batches of claimed jobs; none, and each step reads its own, where that fails.

        The claims are there: without their steps each would stay until its lease has run out.
        """
        try:
            if jobs:
                return await self._context.store.load_batches({job.batch_id for job in jobs})
        except UnavailableError as error:
            self._remind("the batches of claimed jobs cannot be read now", error)
        return {}

    def _claimed(self, job: Job, batch: Batch | None) -> JobClaim:
        store = self._context.store
        claim = JobClaim(job, store.save_job, self._keeps, lambda: self._stopping)
        claim.as_claimed = batch
        return claim

    async def _start_batches(self, group: asyncio.TaskGroup, now: int) -> bool:
        store = self._context.store
        due = await store.due_batches(now, MAX_DUE)
        for work in due:
            if self._is_held_elsewhere(work.batch, now):
                continue
            steps = self._next_steps(work, now)
            self._start_all(group, work, now)
            if all(step.job_id is not None for step in steps):
                await store.rest_batch(work.batch, rest_until(work.batch, now))
        return len(due) == MAX_DUE

    def _is_held_elsewhere(self, batch: Batch, now: int) -> bool:
        """Whether no step here has a claim that is alive: it would be asked for again at once."""
        held = batch.lease_until is not None and batch.lease_until > now
        return held and (batch.id, None) not in self._under_way

    async def _start_validations(self, group: asyncio.TaskGroup, now: int) -> None:
        under_way = {key[0] for key in self._under_way}
        due = await self._context.store.due_validations(now, VALIDATIONS_SEEN)
        fresh = [each for each in due if each.batch_id not in under_way]
        self._turns.see(each.owner for each in fresh)
        chosen = next_validations(fresh, now, VALIDATIONS_KEPT, self._turns.numbers)
        self._unread_batches = deque(chosen)
        self._start_unread(group)

    def _start_unread(self, group: asyncio.TaskGroup) -> None:
        """Start to validate what the last look found; what it has become shows under the claim."""
        while self._unread_batches and self._free[Act.VALIDATE] and not self._stopping:
            unread = self._unread_batches.popleft()
            self._start(group, Step(Act.VALIDATE, unread.batch_id))
            self._turns.took(unread.owner)

    async def _start_jobs(
        self, group: asyncio.TaskGroup, state: JobState, act: Act, now: int
    ) -> None:
        if act is Act.POLL:
            await self._start_polls(group, now)
            return
        free = self._free[act]
        if free > 0:
            due = await self._context.store.due_jobs(state, now, free)
            for work in due:
                self._start_all(group, work, now)
            if len(due) < free:
                return
        self._crowded.add(act)

    async def _start_polls(self, group: asyncio.TaskGroup, now: int) -> None:
        """Look at what is longest due; when that is more than may be, at young jobs as well."""
        await self._start_ends(group, now)
        store = self._context.store
        free = self._free[Act.POLL] - SLOTS_TO_END
        left = min(free, self._polls.left(self._context.clock.monotonic()))
        due = await store.due_jobs(JobState.RUNNING, now, left) if left > 0 else []
        for work in due:
            self._start_all(group, work, now, self._polls.take)
        kept = min(free - len(due), self._polls.left_for_young())
        if len(due) == max(left, 0) and kept > 0:
            since = now - YOUNG_FOR
            for work in await store.young_jobs(now, since, SMALL_JOB_ITEMS, kept):
                self._start_all(group, work, now, partial(self._polls.take, young=True))
        if self._free[Act.POLL] <= SLOTS_TO_END:
            self._crowded.add(Act.POLL)

    async def _start_ends(self, group: asyncio.TaskGroup, now: int) -> None:
        """Look at jobs of batches that must end, and tell them to end."""
        left = min(
            self._free[Act.POLL],
            self._free[Act.CANCEL],
            self._ends.left(self._context.clock.monotonic()),
        )
        if left > 0:
            for work in await self._context.store.ending_jobs(now, left):
                self._start_all(group, work, now, self._ends.take)

    def _start_all(
        self,
        group: asyncio.TaskGroup,
        work: Work,
        now: int,
        charge: Callable[[], None] | None = None,
    ) -> None:
        """Start everything that is next but sending, which waits for the admission."""
        for step in self._next_steps(work, now):
            if step.act not in SENDING:
                self._start(group, step, charge=charge)

    async def _start_admitted(self, group: asyncio.TaskGroup, now: int) -> None:
        """Ask the admission about what waits; anew when others have claimed meanwhile."""
        if self._context.options.rescue.tier != OFF:
            await self._rescue_unsent(group, now)
        for _ in range(TURNS):
            if not any(self._free[act] for act in SENDING):
                self._crowded.update(SENDING)
                return
            turn = await self._context.store.admission_turn()
            admission, decisions = await self._decide(now)
            chosen = []
            for job, verdict in decisions:
                if verdict is Verdict.GO:
                    chosen += await self._to_send(job, now)
                elif verdict is not Verdict.WAIT:
                    await self._start_waiting(group, job, verdict, now)
            if await self._send(group, chosen, turn, admission):
                return

    async def _decide(self, now: int) -> tuple[Admission | None, Sequence[Decision]]:
        """Let the admission decide about every job that waits and is in no step."""
        store = self._context.store
        under_way = {*(job_id for _, job_id in self._under_way), *self._to_claim}
        seen = await store.waiting_jobs(now, SENDING_SEEN)
        waiting = [job for job in seen if job.job_id not in under_way]
        if not waiting:
            return None, []
        sent = await store.sent_jobs(claimed=True)
        quotas = await store.quotas()
        rules, works = self._context.options.quota, self._credentials_that_work(now)
        admission = Admission(rules, quotas, sent, now, works)
        return admission, admit(admission, waiting, sent, now)

    async def _to_send(self, job: Waiting, now: int) -> list[tuple[Step, Job]]:
        """Return the step that sends a job, with the job under the credential that it goes by."""
        work = await self._context.store.load_job(job.job_id)
        if work is None:
            return []
        steps = [step for step in self._next_steps(work, now) if step.act in SENDING]
        return [(step, replace(work.jobs[0], credential=job.credential)) for step in steps]

    async def _send(
        self,
        group: asyncio.TaskGroup,
        chosen: Sequence[tuple[Step, Job]],
        turn: str,
        admission: Admission | None,
    ) -> bool:
        """Claim what has a slot in one transaction and start it; False when the turn was over."""
        starting: dict[str, tuple[Step, Job]] = {}
        free = Counter({act: self._free[act] for act in SENDING})
        for step, job in chosen:
            if free[step.act] > 0:
                free[step.act] -= 1
                starting[job.id] = step, job
            else:
                self._crowded.add(step.act)
        if not starting:
            return True
        works = await self._claim_to_send(starting, turn)
        for work in works or ():
            [claimed] = work.jobs
            claim = self._claimed(claimed, work.batch)
            claim.seen = admission
            step, job = starting[claim.row.id]
            claim.before = job if claim.row.state is JobState.SUBMITTING else None
            if self._stopping:
                send_steps.withdraw(claim)
                await self._release_claim(claim)
            else:
                self._start(group, step, claim)
        return works is not None

    async def _claim_to_send(
        self, starting: Mapping[str, tuple[Step, Job]], turn: str
    ) -> Sequence[Work] | None:
        """Claim jobs, with the intents of those that are created at once."""
        context = self._context
        placed = {job_id: job.credential for job_id, (_, job) in starting.items()}
        found = {
            job_id: send_steps.intent_of(context, job)
            for job_id, (step, job) in starting.items()
            if step.act is Act.CREATE
        }
        intents = {job_id: intent for job_id, intent in found.items() if intent is not None}
        return await context.store.claim_to_send(placed, turn, context.options.lease, intents)

    async def _rescue_unsent(self, group: asyncio.TaskGroup, now: int) -> None:
        """Start to ask for the lines of jobs that wait to be sent near their deadline."""
        store = self._context.store
        for job in await store.waiting_jobs(now, SENDING_SEEN):
            if now - job.since < UNSENT_FOR or job.stopped:
                continue
            work = await store.load_job(job.job_id)
            if work is not None and self._may_rescue(work, now):
                self._start(group, Step(Act.RESCUE, job.batch_id, job.job_id))

    def _may_rescue(self, work: Work, now: int) -> bool:
        [job] = work.jobs
        return may_rescue_unsent(work.batch, job, self._context.options.rescue, now)

    def _credentials_that_work(self, now: int) -> list[str]:
        """List where a job may be placed: all, if Google refuses the key of each."""
        every = list(self._context.options.credentials)
        return [name for name in every if self._refused.get(name, 0) <= now] or every

    async def _start_waiting(
        self, group: asyncio.TaskGroup, job: Waiting, verdict: Verdict, now: int
    ) -> None:
        """Start what is done with a job in the place of sending it."""
        if verdict is Verdict.CUT:
            for step, _ in await self._to_send(job, now):
                self._start(group, replace(step, act=Act.RECUT))
            return
        work = await self._context.store.load_job(job.job_id)
        if work is not None:
            self._start_all(group, work, now)

    def _start(
        self,
        group: asyncio.TaskGroup,
        step: AnyStep,
        claim: JobClaim | None = None,
        *,
        charge: Callable[[], None] | None = None,
    ) -> None:
        key = _key(step)
        other = self._under_way.get(key)
        if other is not None:
            # The worker reads a file whose batch was cancelled. One that is still claiming looks at
            # the batch when it has its claim, whose lease would stay behind if it were ended now.
            if step.act is Act.END_UNVALIDATED and other.act is Act.VALIDATE and other.claim:
                other.task.cancel()
            return
        if self._stopping or key[1] in self._to_claim:
            return
        if not self._free[step.act]:
            self._crowded.add(step.act)
            return
        self._free[step.act] -= 1
        if charge is not None:
            charge()
        if isinstance(step, Step) and step.job_id is not None and claim is None:
            self._to_claim[step.job_id] = step
        else:
            self._begin(group, step, claim)

    def _begin(
        self, group: asyncio.TaskGroup, step: AnyStep, claim: JobClaim | None = None
    ) -> None:
        key = _key(step)
        task = group.create_task(self._run(step, claim), name=_named(step))
        self._under_way[key] = _UnderWay(step.act, task, claim)
        task.add_done_callback(lambda _: self._done(key))

    def _done(self, key: Key) -> None:
        ended = self._under_way.pop(key)
        self._free[ended.act] += 1
        if ended.follows is not None:
            self._free[ended.follows] += 1
        if ended.act is Act.VALIDATE:
            self._bell.set()
        if ended.act in self._crowded:
            self._wake_soon()
        else:
            self.wake()

    def _keeps(self, job: Job) -> bool:
        """Whether a job stays claimed, because its next step may run at once.

        Not when others wait for such a step: they have waited for longer.
        """
        under_way = self._under_way[job.batch_id, job.id]
        act = FOLLOWING.get((under_way.act, job.state))
        now = self._context.clock.now()
        if act is None or job.due_at is None or job.due_at > now or self._stopping:
            return False
        if under_way.follows is not None or act in self._crowded or not self._free[act]:
            return False
        self._free[act] -= 1
        under_way.follows = act
        return True

    def held(self) -> Sequence[Batch | Job | StagedFile]:
        """Return the rows that steps hold a claim on."""
        claims = [step.claim for step in self._under_way.values()]
        return [claim.row for claim in claims if claim is not None and claim.open]

    def give_up(self, ids: Collection[str]) -> None:
        """End the steps on rows that another process has taken over.

        A create goes on: the process that has taken over waits for its deadline, and its outcome
        is still found by the job's name.
        """
        for step in self._under_way.values():
            claim = step.claim
            lost = claim is not None and claim.open and claim.row.id in ids
            if lost and step.act is not Act.CREATE:
                step.task.cancel()

    def _following(self, step: AnyStep, claim: AnyClaim) -> AnyStep | None:
        """Return the step that the claim was kept for."""
        under_way = self._under_way[_key(step)]
        act = under_way.follows
        if act is None or not claim.open or self._stopping:
            return None
        self._free[under_way.act] += 1
        if under_way.act in self._crowded:
            self._wake_soon()  # its slot is free
        elif under_way.act is Act.COLLECT:
            self.wake()  # it may be the last that its batch waited for
        under_way.act, under_way.follows = act, None
        return replace(step, act=act)

    async def _run(self, step: AnyStep, claimed: JobClaim | None = None) -> None:
        if isinstance(step, Step):
            bind(batch_id=step.batch_id, job_id=step.job_id)
        self._under_way[_key(step)].begun = True
        try:
            claim = claimed or await self._claim(step)
            self._wrote()
            if claim is not None:
                self._under_way[_key(step)].claim = claim
                await self._carry_out(step, claim)
        except UnavailableError as error:
            await self._wait_for_records(step.act, error)

    def _remind(self, what: str, error: UnavailableError) -> None:
        """Log once a minute a reason that is met every second by every step: a full disk, say."""
        now = self._context.clock.monotonic()
        self._reminded = {told: again for told, again in self._reminded.items() if again > now}
        if error.message not in self._reminded:
            self._reminded[error.message] = now + REMINDER_SECONDS
            logger.warning("%s: %s", what, error.message)

    async def _carry_out(self, step: AnyStep, claim: AnyClaim) -> None:
        """Do the step, and those that follow on it at once, under one claim."""
        following = None if self._stopping else step
        try:
            while following is not None:
                await self._supervise(following, claim)
                following = self._following(following, claim)
        finally:
            if isinstance(claim, JobClaim):
                send_steps.withdraw(claim)
            await self._release_claim(claim)

    async def _claim(self, step: AnyStep) -> AnyClaim | None:
        store, lease = self._context.store, self._context.options.lease
        if isinstance(step, FileStep):
            copy = await store.claim_staged(step.staged_id, lease)
            return None if copy is None else FileClaim(copy, store.save_staged)
        batch = await store.claim_batch(step.batch_id, lease)
        return None if batch is None else BatchClaim(batch, store.save_batch)

    async def _supervise(self, step: AnyStep, claim: AnyClaim) -> None:
        """Do a step; a claim may be lost in it, and when its failure is written down."""
        try:
            await self._attempt(step, claim)
        except LostClaimError:
            logger.info("%s: the claim is lost", _named(step))

    async def _attempt(self, step: AnyStep, claim: AnyClaim) -> None:
        """Do a step: one of the two places that may catch Exception.

        A step that fails, in whatever way, is recorded and backs off by itself; other batches
        never notice.
        """
        meters, clock = self._context.meters, self._context.clock
        if step.act is Act.POLL and claim.row.due_at is not None and claim.row.due_at > 0:
            meters.observe(Series.POLL_LAG, max(clock.now() - claim.row.due_at, 0) / 1000)
        began = clock.monotonic()
        try:
            if isinstance(claim, FileClaim):
                await self._act_on_file(claim)
            elif isinstance(step, Step):
                work = await self._still_wanted(step, claim)
                if work is not None:
                    await self._act(step, work, claim)
        except (LostClaimError, DamagedStoreError):
            raise  # after damage the process ends: nothing that is read or written can be trusted
        except Exception as error:  # noqa: BLE001 - the supervisor named in this docstring
            await self._back_off(step, claim, error)
        finally:
            took = clock.monotonic() - began
            meters.observe(Series.STEP_SECONDS, took, step=step.act.value)

    async def _release_claim(self, claim: AnyClaim) -> None:
        """End a claim, however long the records cannot be written: a lease must not stay behind.

        A full disk, say. When the process ends first, the next one clears all leases.
        """
        while claim.open:
            try:
                await claim.end()
                self._wrote()
            except LostClaimError:
                return
            except UnavailableError as error:
                if self._stopping:
                    return
                await self._wait_for_records("what was under way", error)

    async def _wait_for_records(self, what: str, error: UnavailableError) -> None:
        """Say that the records cannot be written now, and pause."""
        self._remind(f"{what} waits for the records", error)
        self._unwritten = error.message
        await self._context.clock.sleep(self._outage_pause())

    async def _still_wanted(self, step: Step, claim: BatchClaim | JobClaim) -> Work | None:
        """Return the rows as they are under the claim, if they still ask for this step."""
        work = await self._load(claim)
        if work is None:
            return None
        if isinstance(claim, JobClaim) and claim.before is not None:
            return self._still_sent(step, work.batch, claim)
        steps = self._next_steps(work, self._context.clock.now())
        if step.act is Act.RECUT:  # in the place of being sent
            return work if any(other.act in SENDING for other in steps) else None
        waits = isinstance(claim, JobClaim) and claim.row.state in WAITING_STATES
        if step.act is Act.RESCUE and waits:
            return work if self._may_rescue(work, self._context.clock.now()) else None
        return work if step in steps else None

    def _still_sent(self, step: Step, batch: Batch, claim: JobClaim) -> Work | None:
        """Judge a job that was claimed with its intent by what it was before."""
        waiting = [] if claim.before is None else [claim.before]
        sends = step in self._next_steps(Work(batch, waiting), self._context.clock.now())
        return Work(batch, [claim.row]) if sends else None

    async def _load(self, claim: BatchClaim | JobClaim) -> Work | None:
        store = self._context.store
        if isinstance(claim, BatchClaim):
            if claim.row.status is BatchStatus.VALIDATING:
                return Work(claim.row, [])  # as it was claimed just now, and has no jobs
            return await store.load_work(claim.row.id)
        as_claimed, claim.as_claimed = claim.as_claimed, None
        batch = claim.batch or as_claimed or await store.load_batch(claim.row.batch_id)
        return None if batch is None else Work(batch, [claim.row])

    def _next_steps(self, work: Work, now: int) -> list[Step]:
        ending_wait = self._context.options.patience.ending
        return next_steps(work.batch, work.jobs, now, ending_wait)

    async def _act(self, step: Step, work: Work, claim: BatchClaim | JobClaim) -> None:
        bind(owner=work.batch.owner)
        context, before = self._context, claim.row
        job = before if isinstance(before, Job) else None
        try:
            with context.tracer.step(step.act.value, work.batch, job) as span:
                try:
                    await self._do(step, work, claim)
                finally:
                    if isinstance(claim, JobClaim) and isinstance(before, Job):
                        span.came_to(claim.row)
                        tally_job(context.meters, before, claim.row)
        finally:  # a step that is stopped has ended its batch all the same, if that was saved
            self._tell_end(work.batch, claim)

    def _tell_end(self, before: Batch, claim: BatchClaim | JobClaim) -> None:
        """Tell that a batch has ended by what was saved, if it has: log, metrics and trace."""
        ended = claim.ended if isinstance(claim, JobClaim) else claim.row
        if ended is None or ended.status in LIVE_STATUSES:
            return
        if isinstance(claim, JobClaim):
            # Told once: other steps may follow under this claim. It never changes again.
            claim.batch, claim.ended = ended, None
        tell_end(ended)
        tally_batch(self._context.meters, before, ended)
        self._context.tracer.batch_ended(ended)

    async def _do(self, step: Step, work: Work, claim: BatchClaim | JobClaim) -> None:
        context, act = self._context, step.act
        if isinstance(claim, JobClaim):
            claim.row = _stopping(claim.row, work.batch, context.clock.now())
            try:
                await _JOB_STEPS[act](context, work.batch, claim)
            except DamagedBlobError as damage:
                await mend(context, work.batch, claim, damage)
        elif act is Act.VALIDATE:
            await batch_steps.validate(context, self.models, claim)
        elif act is Act.END_UNVALIDATED:
            await batch_steps.end_unvalidated(context, claim)
        else:
            await batch_steps.publish(context, claim, work.jobs)

    async def _act_on_file(self, claim: FileClaim) -> None:
        """Do what the row asks for now; it rests when that is nothing."""
        act = next_act(claim.row)
        if act is None:
            await claim.save(replace(claim.row, due_at=None))
        else:
            await _FILE_STEPS[act](self._context, claim)

    async def _back_off(self, step: AnyStep, claim: AnyClaim, error: Exception) -> None:
        self._count_failure(step, claim, error)
        if isinstance(error, InternalError):
            # A blob's name was given up, by a replica whose clock is a day ahead, say: so were all.
            self._context.names.drop()
        failures = claim.row.failures + 1
        pause = self._pause_after(failures, error, claim)
        held, said = isinstance(error, UpstreamHeldError), _said(error, claim)
        if held and isinstance(claim, JobClaim):
            self._refused[claim.row.credential] = self._context.clock.now() + pause
        logger.warning(
            "%s failed (%d in a row), again in %.1f s%s: %s",
            _named(step),
            failures,
            pause / 1000,
            "; held until the account is in order" if held else "",
            said,
        )
        if claim.open:
            due = self._context.clock.now() + pause
            changes: dict[str, Any] = {
                "last_error": said,
                "due_at": due,
                "defects": claim.row.defects + isinstance(error, DEFECTS),
            }
            match claim:  # one line for each kind of row: a type checker cannot tell them apart
                case BatchClaim():
                    await claim.save(replace(claim.row, failures=failures, **changes))
                case JobClaim():
                    changes["due_at"] = self._context.while_ending(claim.row, due)
                    await claim.save(replace(claim.row, failures=failures, **changes))
                case FileClaim():
                    await claim.save(replace(claim.row, failures=failures, **changes))

    def _count_failure(self, step: AnyStep, claim: AnyClaim, error: Exception) -> None:
        meters = self._context.meters
        meters.count(Series.STEP_FAILURES, step=step.act.value)
        if isinstance(error, UpstreamError) and error.status == quota_steps.TOO_MANY_REQUESTS:
            meters.count(Series.RATE_LIMITED, call="other")
        if isinstance(error, UpstreamHeldError) and not isinstance(claim, BatchClaim):
            meters.count(Series.HELD, credential=claim.row.credential)

    def _pause_after(self, failures: int, error: Exception, claim: AnyClaim) -> int:
        hint = error.retry_after if isinstance(error, UpstreamUnavailableError) else None
        if isinstance(error, UpstreamHeldError):
            failures = max(failures, HELD_FAILURES)
        pace = self._context.options.retry
        if isinstance(error, DEFECTS) or _is_recovering(claim):
            pace = patient(pace)
        return next_retry(failures, pace, jitter(), hint)


def _stopping(job: Job, batch: Batch, now: int) -> Job:
    """Return the job with the moment its end was first looked after, while it is to end."""
    if stop_reason(batch, now) is None:
        return job
    return replace(job, stop_at=now if job.stop_at is None else min(job.stop_at, now))


def _said(error: Exception, claim: AnyClaim) -> str:
    """Return what a row shows of a failure; of a key that Google refuses, which one it is."""
    said = describe(error)
    if isinstance(error, UpstreamHeldError) and error.status and not isinstance(claim, BatchClaim):
        return f"{said}; {HELD % claim.row.credential}"
    return said


def _is_recovering(claim: AnyClaim) -> bool:
    return isinstance(claim, JobClaim) and claim.row.recover_until is not None


_JOB_STEPS: Final = {
    Act.FILL: fill,
    Act.STAGE: send_steps.stage,
    Act.RECUT: quota_steps.recut,
    Act.CREATE: quota_steps.create,
    Act.RECONCILE: send_steps.reconcile,
    Act.POLL: job_steps.poll,
    Act.RESCUE: rescue_step.rescue,
    Act.CANCEL: job_steps.cancel,
    Act.ABANDON: job_steps.abandon,
    Act.REFUSE: send_steps.refuse,
    Act.SECURE: job_steps.secure,
    Act.COLLECT: job_steps.collect,
    Act.RECOVER: recover_step.recover,
    Act.RELEASE: job_steps.release,
}
_FILE_STEPS: Final = {
    Act.UPLOAD: file_steps.upload,
    Act.LOOK: file_steps.look,
    Act.REMOVE: file_steps.remove,
}
