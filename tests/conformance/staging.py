"""Rules of files that lines name and of their copies, for every store."""

import asyncio
from dataclasses import replace

import pytest

from gateway.batches.batch import LIVE_STATUSES, Batch, BatchStatus
from gateway.batches.job import Failure, Job, JobState
from gateway.batches.staging import NamedFile, StagedFile, StagedState
from gateway.errors import ConflictError
from gateway.ports.store import Deletion, Store
from tests.conformance.moments import claim_staged_at
from tests.conformance.records import (
    OTHER,
    OWNER,
    a_file,
    a_job,
    add_file_with_blob,
    claim,
    claim_job,
    claimed_batch,
)

# Ends of windows and of copies' lives, far from everything else.
WINDOW = 10**8
LONG = 10**9
PDF = "application/pdf"


async def named_by_jobs(store: Store, *jobs: str, file: str = "pdf") -> None:
    """Jobs of one batch that all name one file."""
    await add_file_with_blob(store, file, purpose="user_data")
    await plan(store, "one", {job: {f"file-{file}": PDF} for job in jobs})


async def plan(store: Store, name: str, named: dict[str, dict[str, str]]) -> Batch:
    """A batch in progress whose jobs name files."""
    batch = await claimed_batch(store, name)
    jobs = [
        a_job(job, batch_id=batch.id, number=number, files=len(files))
        for number, (job, files) in enumerate(named.items())
    ]
    running = replace(batch, status=BatchStatus.IN_PROGRESS, due_at=None)
    assert await store.save_batch(running, jobs=jobs, named=named)
    return running


FAR = 2**50  # behind any clock, beyond any room


async def staged(store: Store, job_id: str, now: int = 1_000, room: int = FAR) -> list[StagedFile]:
    """The copies a job is given."""
    job = await claim_job(store, job_id, now)
    named = await store.stage_files(job, WINDOW, room, now)
    assert await store.save_job(replace(job, due_at=None))
    assert named is not None
    return [file.staged for file in named if file.staged is not None]


async def take(store: Store, copy: StagedFile, now: int = 1_000) -> StagedFile:
    """A claim that must succeed."""
    claimed = await claim_staged_at(store, copy.id, now, now + 60_000)
    assert claimed is not None
    return claimed


async def upload(store: Store, copy: StagedFile, **fields: object) -> StagedFile:
    """Make a copy ready."""
    claimed = await take(store, copy)
    values = {"state": StagedState.READY, "until": LONG, "due_at": None, **fields}
    ready = replace(claimed, **values)  # type: ignore[arg-type]  # any column
    assert await store.save_staged(ready)
    return replace(ready, lease_until=None)


async def end(store: Store, job_id: str, state: JobState = JobState.COLLECTED) -> None:
    """A job that is through."""
    job = await claim_job(store, job_id)
    assert await store.save_job(replace(job, state=state, due_at=None))


class NameRules:
    """A file that a line names is there until the batch ends."""

    async def test_copies_that_another_key_uploaded_are_counted(self, store: Store) -> None:
        await named_by_jobs(store, "one")
        [copy] = await staged(store, "one")
        held = await claim_staged_at(store, copy.id, 1_000, 61_000)
        assert held is not None
        there = replace(held, name="files/1", uri="u", made_by="first")
        assert await store.save_staged(replace(there, state=StagedState.UPLOADED), keep=True)
        assert await store.foreign_copies("one", "second") == 0
        assert await store.save_staged(replace(there, state=StagedState.READY))
        assert await store.foreign_copies("one", "second") == 1
        assert await store.foreign_copies("one", "first") == 0
        [again] = await staged(store, "one", 2_000)
        assert again.made_by == "first"

    async def test_the_files_of_an_owner(self, store: Store) -> None:
        one = await store.add_file(a_file("one"))
        await store.add_file(a_file("foreign", owner=OTHER))
        await store.add_file(a_file("expired", expires_at=1_000))
        await store.add_file(a_file("deleted"))
        await store.delete_file(OWNER, "file-deleted", 500)
        asked = [f"file-{name}" for name in ("one", "foreign", "expired", "deleted", "never")]
        assert await store.get_files(OWNER, asked, 1_000) == [one]
        assert await store.get_files(OWNER, [], 1_000) == []

    @pytest.mark.parametrize("status", list(BatchStatus))
    async def test_a_file_a_live_batch_names_stays(self, store: Store, status: BatchStatus) -> None:
        await named_by_jobs(store, "a", "b")
        batch = await claim(store, "batch_one")
        assert await store.save_batch(replace(batch, status=status))
        deletion = await store.delete_file(OWNER, "file-pdf", 2_000)
        assert deletion is (Deletion.IN_USE if status in LIVE_STATUSES else Deletion.DELETED)

    async def test_a_named_file_does_not_expire(self, store: Store) -> None:
        await add_file_with_blob(store, "pdf", expires_at=FAR)
        await plan(store, "one", {"a": {"file-pdf": PDF}})
        assert await store.expire_files(FAR, 10) == 0
        batch = await claim(store, "batch_one")
        await store.save_batch(replace(batch, status=BatchStatus.COMPLETED))
        assert await store.expire_files(FAR, 10) == 1

    @pytest.mark.parametrize("gone", ["deleted", "expired", "foreign", "never"])
    async def test_a_batch_cannot_name_what_is_gone(self, store: Store, gone: str) -> None:
        """Nothing is written; the claim goes on."""
        await store.add_file(a_file("there"))
        await store.add_file(a_file("deleted"))
        await store.delete_file(OWNER, "file-deleted", 500)
        await store.add_file(a_file("expired", expires_at=1))
        await store.add_file(a_file("foreign", owner=OTHER))
        batch = await claimed_batch(store)
        jobs = [a_job("a", number=1), a_job("b", number=2)]
        named = {"a": {"file-there": PDF}, "b": {f"file-{gone}": PDF}}
        with pytest.raises(ConflictError, match=gone):
            await store.save_batch(
                replace(batch, status=BatchStatus.IN_PROGRESS), jobs=jobs, named=named
            )
        work = await store.load_work("batch_one")
        assert work is not None
        assert (work.batch, work.jobs) == (batch, [])
        assert await store.delete_file(OWNER, "file-there", 2_000) is Deletion.DELETED
        assert await store.save_batch(batch, jobs=jobs)


class CopyRules:
    """One copy for each content, media type and credential."""

    async def test_a_copy_is_made_once_for_all_jobs(self, store: Store) -> None:
        await named_by_jobs(store, "a", "b")
        [first] = await staged(store, "a", now=2_000)
        assert first == StagedFile(
            first.id, "ab" * 32, PDF, "default", 1000, created_at=2_000, due_at=2_000
        )
        assert await staged(store, "b", now=3_000) == [first]
        assert await staged(store, "a", now=4_000) == [first]
        assert await store.due_staged(2_000, 10) == [first]
        assert await store.next_due() == 2_000

    async def test_two_files_of_one_content_share_it(self, store: Store) -> None:
        await add_file_with_blob(store, "pdf")
        await add_file_with_blob(store, "again")
        await plan(store, "one", {"a": {"file-pdf": PDF, "file-again": PDF}})
        first, second = await staged(store, "a")
        assert first == second

    async def test_what_makes_a_copy_another_one(self, store: Store) -> None:
        await add_file_with_blob(store, "pdf")
        await add_file_with_blob(store, "other", sha256="cd" * 32)
        await add_file_with_blob(store, "text")
        named = {"file-pdf": PDF, "file-other": PDF, "file-text": "text/plain"}
        await plan(store, "one", {"a": named, "b": {"file-pdf": PDF}})
        job = await claim_job(store, "b")
        await store.save_job(replace(job, credential="second"))
        copies = [*await staged(store, "a"), *await staged(store, "b")]
        assert len({copy.id for copy in copies}) == 4
        keys = [(copy.sha256[:2], copy.media_type, copy.credential) for copy in copies]
        assert sorted(keys) == [
            ("ab", PDF, "default"),
            ("ab", PDF, "second"),
            ("ab", "text/plain", "default"),
            ("cd", PDF, "default"),
        ]

    async def test_every_field_of_a_copy_is_written(self, store: Store) -> None:
        await named_by_jobs(store, "a")
        [copy] = await staged(store, "a")
        claimed = await take(store, copy)
        changed = replace(
            claimed,
            state=StagedState.FAILED,
            name="files/1",
            uri="https://host/files/1",
            uploaded_at=3,
            until=4,
            failure=Failure("file_failed", "why", 400),
            denied_at=9,
            denials=5,
            due_at=6,
            failures=7,
            defects=8,
            last_error="slow",
        )
        assert await store.save_staged(changed)
        stored = replace(changed, lease_until=None)
        expected = [NamedFile("file-pdf", PDF, "ab" * 32, 1000, stored)]
        assert await store.failed_files("a") == expected
        assert await store.due_staged(6, 10) == [stored]
        assert await store.due_staged(5, 10) == []

    async def test_a_copy_that_will_not_last_is_replaced(self, store: Store) -> None:
        """And looked after: perhaps nobody needs it any more."""
        await named_by_jobs(store, "a", "b")
        [copy] = await staged(store, "a")
        old = await upload(store, copy, uploaded_at=1_000, until=61_000)
        assert await staged(store, "b", now=10_000) == [old]
        [new] = await staged(store, "b", now=11_000)
        assert (new.id != old.id, new.state) == (True, StagedState.WANTED)
        assert {one.id for one in await store.due_staged(11_000, 10)} == {old.id, new.id}
        held = await take(store, old, 11_000)
        assert held.state is StagedState.READY
        assert await staged(store, "a", now=10_000) == [held]

    async def test_a_failed_copy_is_kept_by_its_job_alone(self, store: Store) -> None:
        await named_by_jobs(store, "a", "b")
        [copy] = await staged(store, "a")
        failed = await upload(store, copy, state=StagedState.FAILED, until=None)
        assert await staged(store, "a") == [failed]
        [other] = await staged(store, "b")
        assert other.state is StagedState.WANTED
        assert await store.failed_files("b") == []

    async def test_a_failed_copy_is_kept_while_results_may_come_late(self, store: Store) -> None:
        """It says why a line has none; at the end of the batch it is due, to be removed."""
        await named_by_jobs(store, "a")
        [copy] = await staged(store, "a")
        await upload(store, copy, state=StagedState.FAILED, until=None)
        job = await claim_job(store, "a")
        late = replace(job, state=JobState.COLLECTED, due_at=None, recover_until=FAR)
        assert await store.save_job(late)
        held = await take(store, copy)
        assert held.state is StagedState.FAILED
        assert await store.save_staged(replace(held, due_at=None))
        assert await store.due_staged(FAR, 10) == []
        assert [file.file_id for file in await store.failed_files("a")] == ["file-pdf"]

        batch = await claim(store, "batch_one")
        assert await store.save_batch(replace(batch, status=BatchStatus.COMPLETED, due_at=None))
        assert [due.id for due in await store.due_staged(FAR, 10)] == [copy.id]
        assert (await take(store, copy)).state is StagedState.REMOVING

    async def test_a_job_gets_all_of_its_copies_or_none(self, store: Store) -> None:
        """Else two of them would wait for each other, each with a part of what fits."""
        await add_file_with_blob(store, "pdf")
        await add_file_with_blob(store, "other", sha256="cd" * 32)
        await add_file_with_blob(store, "again", sha256="cd" * 32)
        both = {"file-pdf": PDF, "file-other": PDF, "file-again": PDF}
        await plan(store, "one", {"a": {"file-pdf": PDF}, "b": both})
        [first] = await staged(store, "a", room=1_000)
        assert await staged(store, "b", room=1_999) == []
        assert await store.due_staged(FAR, 10) == [first]
        given = await staged(store, "b", room=2_000)
        assert len({copy.id for copy in given}) == 2
        assert first in given

    async def test_a_job_that_does_not_fit_lets_go(self, store: Store) -> None:
        """What it holds is somebody else's room."""
        await add_file_with_blob(store, "pdf")
        await add_file_with_blob(store, "other", sha256="cd" * 32)
        await plan(store, "one", {"a": {"file-pdf": PDF, "file-other": PDF}})
        old, young = [
            await upload(store, copy, uploaded_at=1_000, until=until)
            for copy, until in zip(await staged(store, "a"), (61_000, LONG), strict=True)
        ]
        assert await staged(store, "a", now=11_000, room=2_999) == []
        for copy in (old, young):
            removing = await take(store, copy)
            assert removing.state is StagedState.REMOVING
            assert await store.save_staged(removing, gone=True)
        assert len(await staged(store, "a", now=11_000, room=2_000)) == 2

    async def test_room_is_counted_for_each_credential(self, store: Store) -> None:
        await named_by_jobs(store, "a", "b")
        job = await claim_job(store, "b")
        await store.save_job(replace(job, credential="second"))
        assert len(await staged(store, "a", room=1_000)) == 1
        assert len(await staged(store, "b", room=1_000)) == 1

    async def test_who_lost_the_job_gets_no_copies(self, store: Store) -> None:
        await named_by_jobs(store, "a")
        job = await claim_job(store, "a")
        await claim_job(store, "a", 100_000)
        assert await store.stage_files(job, WINDOW, FAR, 100_000) is None
        assert await store.due_staged(WINDOW, 10) == []

    async def test_the_content_of_a_copy(self, store: Store) -> None:
        await named_by_jobs(store, "a")
        [copy] = await staged(store, "a")
        assert await store.content_of_staged(copy.id) == await store.get_file(OWNER, "file-pdf", 1)
        assert await store.content_of_staged("never") is None

    async def test_a_job_may_doubt_its_copies(self, store: Store) -> None:
        """Those that were ready, whoever let them rest; nobody else's."""
        await add_file_with_blob(store, "other", sha256="cd" * 32)
        await add_file_with_blob(store, "third", sha256="ef" * 32)
        await add_file_with_blob(store, "pdf")
        mine = {"file-pdf": PDF, "file-third": PDF}
        await plan(store, "one", {"a": mine, "b": {"file-other": PDF}})
        ready, failed = [
            await upload(store, copy, state=state)
            for copy, state in zip(
                sorted(await staged(store, "a"), key=lambda copy: copy.sha256),
                (StagedState.READY, StagedState.FAILED),
                strict=True,
            )
        ]
        [foreign] = [await upload(store, copy) for copy in await staged(store, "b")]
        resting = await take(store, ready)
        job = await claim_job(store, "a")
        assert await store.save_job(replace(job, due_at=None), doubt_files=True)
        assert not await store.save_staged(resting)
        after = {copy.id: copy.state for copy in await store.due_staged(FAR, 10)}
        assert after == {ready.id: StagedState.UPLOADED}
        assert (await take(store, failed)).state is StagedState.FAILED
        assert (await take(store, foreign)).state is StagedState.READY


class CopyClaimRules:
    """Of many who want to work on a copy one may; what nobody needs is removed."""

    async def test_of_two_claims_on_a_copy_exactly_one_wins(self, store: Store) -> None:
        await named_by_jobs(store, "a")
        [copy] = await staged(store, "a")
        claims = (claim_staged_at(store, copy.id, 1_000, 2_000) for _ in range(10))
        won = [one for one in await asyncio.gather(*claims) if one is not None]
        assert [(one.fence, one.lease_until) for one in won] == [(1, 2_000)]
        assert await store.due_staged(1_999, 10) == []
        assert await store.next_due() == 2_000
        assert (await take(store, copy, 2_000)).fence == 2
        assert await claim_staged_at(store, "never", 1, 2) is None

    async def test_who_lost_a_copys_claim_changes_nothing(self, store: Store) -> None:
        await named_by_jobs(store, "a")
        [copy] = await staged(store, "a")
        first = await take(store, copy)
        second = await take(store, copy, 100_000)
        assert not await store.save_staged(replace(first, state=StagedState.READY))
        assert not await store.save_staged(replace(first, state=StagedState.REMOVING), gone=True)
        assert await store.save_staged(second)

    async def test_a_save_may_keep_a_copys_claim(self, store: Store) -> None:
        await named_by_jobs(store, "a")
        [copy] = await staged(store, "a")
        held = await take(store, copy)
        assert await store.save_staged(held, keep=True)
        assert await store.renew_claims([held], 199_000) == set()
        assert await claim_staged_at(store, copy.id, 199_999, LONG) is None
        assert await store.save_staged(held)
        assert (await take(store, copy)).fence == 2

    @pytest.mark.parametrize(
        "state", [state for state in JobState if state is not JobState.COLLECTED]
    )
    async def test_a_copy_is_needed_until_its_jobs_are_collected(
        self, store: Store, state: JobState
    ) -> None:
        await named_by_jobs(store, "a", "b")
        [copy] = [await upload(store, one) for one in await staged(store, "a")]
        await staged(store, "b")
        await end(store, "a")
        await end(store, "b", state)
        through = state is JobState.RELEASED
        assert (await take(store, copy)).state is (
            StagedState.REMOVING if through else StagedState.READY
        )

    async def test_the_last_job_makes_its_copies_due(self, store: Store) -> None:
        await named_by_jobs(store, "a")
        [copy] = [await upload(store, one) for one in await staged(store, "a")]
        assert await store.due_staged(LONG, 10) == []
        assert await store.next_due() is None
        await end(store, "a")
        assert [one.id for one in await store.due_staged(FAR, 10)] == [copy.id]

    async def test_uploads_stand_before_nothing_else(self, store: Store) -> None:
        """However many there are, and however long they have been due."""
        names = [f"f{number}" for number in range(5)]
        for number, name in enumerate(names):
            await add_file_with_blob(store, name, sha256=f"{number:064x}")
        await plan(store, "one", {"a": {f"file-{name}": PDF for name in names}})
        copies = await staged(store, "a")
        await upload(store, copies[3], state=StagedState.UPLOADED, due_at=9_000)
        due = await store.due_staged(9_000, 2, uploads=3)
        states = [copy.state for copy in due]
        assert states == [StagedState.UPLOADED, *[StagedState.WANTED] * 3]
        [only] = await store.due_staged(9_000, 2, uploads=0)
        assert only.id == copies[3].id
        assert len(await store.due_staged(9_000, 2)) == 1 + 2

    async def test_a_need_that_ends_during_a_claim_is_not_forgotten(self, store: Store) -> None:
        """The upload goes on, and is removed at once."""
        await named_by_jobs(store, "a")
        [copy] = await staged(store, "a")
        uploading = await take(store, copy)
        await end(store, "a")
        ready = replace(uploading, state=StagedState.READY, name="files/1", due_at=None)
        assert await store.save_staged(ready)
        assert [one.id for one in await store.due_staged(FAR, 10)] == [copy.id]
        removing = await take(store, copy)
        assert (removing.state, removing.name) == (StagedState.REMOVING, "files/1")

    async def test_a_removal_that_waits_is_not_hurried(self, store: Store) -> None:
        await named_by_jobs(store, "a")
        [copy] = await staged(store, "a")
        await end(store, "a")
        removing = await take(store, copy)
        assert await store.save_staged(replace(removing, due_at=LONG))
        assert await store.due_staged(LONG - 1, 10) == []

    async def test_no_job_takes_a_copy_that_is_being_removed(self, store: Store) -> None:
        await named_by_jobs(store, "a", "b")
        [copy] = [await upload(store, one) for one in await staged(store, "a")]
        await end(store, "a")
        removing = await take(store, copy)
        [other] = await staged(store, "b")
        assert other.id != copy.id
        assert await store.save_staged(removing, gone=True)
        assert not await store.save_staged(removing, gone=True)
        assert await claim_staged_at(store, copy.id, LONG, LONG + 1) is None
        assert await staged(store, "b") == [other]

    async def test_only_what_is_being_removed_is_forgotten(self, store: Store) -> None:
        await named_by_jobs(store, "a")
        [copy] = await staged(store, "a")
        assert not await store.save_staged(await take(store, copy), gone=True)
        assert [one.id for one in await staged(store, "a")] == [copy.id]

    async def test_a_copy_outlives_the_end_of_its_batch_as_superfluous(self, store: Store) -> None:
        """The names go with the batch; what they held is removed all the same."""
        await named_by_jobs(store, "a")
        [copy] = [await upload(store, one) for one in await staged(store, "a")]
        await end(store, "a")
        batch = await claim(store, "batch_one")
        await store.save_batch(replace(batch, status=BatchStatus.COMPLETED))
        assert [one.id for one in await store.due_staged(FAR, 10)] == [copy.id]
        assert (await take(store, copy)).state is StagedState.REMOVING


def job_with_copies(job: Job, **fields: object) -> Job:
    """The columns of a job that sends a filled spool."""
    values = {"filled": "blob", "filled_bytes": 5, "filled_until": 6, **fields}
    return replace(job, **values)  # type: ignore[arg-type]  # any column


class FilledRules:
    """What a job keeps of its filled spool."""

    async def test_a_filled_spool_is_written_and_forgotten_again(self, store: Store) -> None:
        await named_by_jobs(store, "a")
        job = job_with_copies(await claim_job(store, "a"))
        assert await store.save_job(job)
        work = await store.load_work("batch_one")
        assert work is not None
        assert work.jobs == [replace(job, lease_until=None)]
        assert (work.jobs[0].files, work.jobs[0].outgoing) == (1, ("blob", 5))
        again = await claim_job(store, "a")
        await store.save_job(replace(again, filled=None))
        work = await store.load_work("batch_one")
        assert work is not None
        assert work.jobs[0].outgoing == ("spool-a", 300)


class StagingRules(NameRules, CopyRules, CopyClaimRules, FilledRules):
    """All of it."""

    async def test_jobs_that_go_on_take_over_the_copies(self, store: Store) -> None:
        """In the transaction that ends the one before them: no copy is without need between."""
        await named_by_jobs(store, "whole")
        (copy,) = await staged(store, "whole")
        ready = await upload(store, copy)
        whole = await claim_job(store, "whole")
        halves = [a_job(name, number=0, files=1, follows="whole") for name in ("first", "second")]
        assert await store.save_job(
            replace(whole, state=JobState.COLLECTED, due_at=None),
            jobs=halves,
            named={"first": ["file-pdf"]},
        )
        assert (await take(store, copy)).state is ready.state
        assert await staged(store, "second") == []
        work = await store.load_work("batch_one")
        assert work is not None
        told = [(job.number, job.id, job.follows) for job in work.jobs]
        assert told == [(0, "whole", None), (1, "first", "whole"), (2, "second", "whole")]
