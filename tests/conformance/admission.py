"""Rules of the admission that several processes share, for every store."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace

from gateway.batches.admission import Admission, Verdict, admit
from gateway.batches.batch import BatchStatus
from gateway.batches.job import Job, JobState
from gateway.batches.quota import QuotaRules
from gateway.ports.store import Intent, Store
from tests.conformance.moments import at
from tests.conformance.records import a_job, claim_job, claimed_batch

NOW = 1_000
LEASE = 60_000


async def waiting_jobs(store: Store, count: int) -> None:
    """So many jobs that wait, of 70 tokens each."""
    batch = await claimed_batch(store)
    jobs = [a_job(f"j{number}", number=number, due_at=1) for number in range(count)]
    assert await store.save_batch(replace(batch, status=BatchStatus.IN_PROGRESS), jobs=jobs)


async def decided(store: Store, rules: QuotaRules) -> tuple[str, dict[str, str]]:
    """A turn, and what the admission lets go in it."""
    turn = await store.admission_turn()
    waiting = await store.waiting_jobs(NOW, 16)
    sent = await store.sent_jobs(claimed=True)
    decisions = admit(Admission(rules, await store.quotas(), sent, NOW), waiting, sent, NOW)
    return turn, {job.job_id: "default" for job, verdict in decisions if verdict is Verdict.GO}


async def race(stores: Sequence[Store], rules: QuotaRules) -> list[list[Job]]:
    """Let all decide by the same rows before any claims, round after round; what each has got."""
    got: list[list[Job]] = [[] for _ in stores]
    while True:
        decisions = await asyncio.gather(*(decided(store, rules) for store in stores))
        if not any(placed for _, placed in decisions):
            return got
        claims = await asyncio.gather(
            *(
                store.claim_to_send(placed, turn, LEASE)
                for store, (turn, placed) in zip(stores, decisions, strict=True)
            )
        )
        assert sum(claim is not None for claim in claims) == 1
        for mine, claim in zip(got, claims, strict=True):
            mine.extend(work.jobs[0] for work in claim or ())


class AdmissionRules:
    """What is claimed to be sent never exceeds what the decisions of all were made by."""

    async def test_of_several_that_decide_at_once_one_claims(self, store: Store) -> None:
        """Live jobs: three may be, of eight that wait, whoever asks and however often."""
        await waiting_jobs(store, 8)
        got = await race([store] * 4, QuotaRules(max_live_jobs=3))
        assert sum(map(len, got)) == 3

    async def test_tokens_of_all_are_counted_together(self, store: Store) -> None:
        await waiting_jobs(store, 8)
        got = await race([store] * 3, QuotaRules(enqueued_tokens={"*": 200}))
        assert sum(map(len, got)) == 2  # three would be 210

    async def test_claims_come_in_the_order_in_which_they_are_asked_for(self, store: Store) -> None:
        """Which is that of their owners' turns, whatever the jobs are called."""
        await waiting_jobs(store, 3)
        turn = await store.admission_turn()
        placed = {"j1": "default", "j0": "default", "j2": "default"}
        claimed = await store.claim_to_send(placed, turn, LEASE)
        assert [work.jobs[0].id for work in claimed or ()] == ["j1", "j0", "j2"]

    async def test_a_job_is_placed_for_good_by_its_claim(self, store: Store) -> None:
        await waiting_jobs(store, 1)
        turn = await store.admission_turn()
        claimed = await store.claim_to_send({"j0": "second"}, turn, LEASE)
        assert claimed is not None
        [job] = claimed[0].jobs
        assert (job.credential, job.placed, job.fence) == ("second", True, 1)
        [sent] = await store.sent_jobs(claimed=True)
        assert (sent.credential, sent.jobs, sent.tokens) == ("second", 1, 70)
        assert await store.save_job(replace(job, state=JobState.STAGING))
        work = await store.load_job("j0")
        assert work is not None
        assert (work.jobs[0].credential, work.jobs[0].placed) == ("second", True)

    async def test_an_intent_is_saved_with_the_claim(self, store: Store) -> None:
        """From then on it is being submitted, by all that its row says; its batch comes with it."""
        await waiting_jobs(store, 1)
        turn = await store.admission_turn()
        intents = {"j0": Intent(0, 61_000, 65_000, "key")}
        claimed = await store.claim_to_send({"j0": "second"}, turn, LEASE, intents)
        assert claimed is not None
        [job] = claimed[0].jobs
        assert claimed[0].batch.status is BatchStatus.IN_PROGRESS
        assert (job.state, job.credential, job.fence) == (JobState.SUBMITTING, "second", 1)
        assert (job.send_deadline, job.due_at, job.made_by) == (61_000, 65_000, "key")
        assert await store.save_job(replace(job, state=JobState.RUNNING, upstream_name="it"))

    async def test_an_intent_holds_for_the_row_that_it_was_made_by(self, store: Store) -> None:
        """One that was claimed since, has failed or says why it waits is left out."""
        await waiting_jobs(store, 3)
        await store.save_job(await claim_job(store, "j0"))
        failed = replace(await claim_job(store, "j1"), failures=1, last_error="busy")
        await store.save_job(failed)
        turn = await store.admission_turn()
        intents = {f"j{number}": Intent(number, 61_000, 65_000, "key") for number in range(2)}
        placed = dict.fromkeys(("j0", "j1", "j2"), "default")
        claimed = await store.claim_to_send(placed, turn, LEASE, intents)
        assert [work.jobs[0].id for work in claimed or ()] == ["j2"]

    async def test_a_turn_that_is_over_claims_nothing(self, store: Store) -> None:
        """Also when what ended it claimed something else."""
        await waiting_jobs(store, 2)
        turn = await store.admission_turn()
        assert await store.claim_to_send({"j0": "default"}, turn, LEASE)
        assert await store.claim_to_send({"j1": "default"}, turn, LEASE) is None
        assert [job.job_id for job in await store.waiting_jobs(NOW, 9)] == ["j1"]
        assert await store.admission_turn() != turn

    async def test_what_a_dead_process_was_about_to_send_counts_no_more(self, store: Store) -> None:
        """Else it would keep the room that it waits for itself; one that was paused is refused."""
        await waiting_jobs(store, 2)
        turn = await store.admission_turn()
        claimed = await store.claim_to_send({"j0": "default", "j1": "default"}, turn, LEASE)
        assert claimed is not None
        assert len(claimed) == 2
        await at(store, NOW + LEASE - 1)
        await store.admission_turn()
        [sent] = await store.sent_jobs(claimed=True)
        assert sent.jobs == 2
        await at(store, NOW + LEASE)
        await store.admission_turn()
        assert await store.sent_jobs(claimed=True) == []
        jobs = [job for work in claimed for job in work.jobs]
        for job in jobs:
            assert not await store.save_job(replace(job, state=JobState.SUBMITTING))
        assert await store.renew_claims(jobs, LEASE) == {"j0", "j1"}
        [got] = await race([store], QuotaRules(enqueued_tokens={"*": 80}))
        assert len(got) == 1

    async def test_what_does_not_wait_or_is_held_is_left_out(self, store: Store) -> None:
        await waiting_jobs(store, 4)
        await store.save_job(replace(await claim_job(store, "j0"), state=JobState.RUNNING))
        await claim_job(store, "j1")
        turn = await store.admission_turn()
        placed = dict.fromkeys(("j0", "j1", "j2", "none"), "default")
        claimed = await store.claim_to_send(placed, turn, LEASE)
        assert [work.jobs[0].id for work in claimed or ()] == ["j2"]
