"""What was downloaded is believed when it is results, and kept for as long as it is said."""

from collections.abc import AsyncGenerator, Callable
from pathlib import Path

import orjson
import pytest

from gateway.batches.batch import BatchStatus
from gateway.batches.follow_ups import RetryRules
from gateway.batches.job import JobState
from gateway.batches.pacing import Pace
from gateway.ports.store import Deletion, Work
from gateway.runner.batch_steps import validate
from gateway.runner.context import MAX_DEATHS, BatchClaim, Retention
from gateway.runner.cpu.archive import is_packed
from gateway.runner.denials import NO_RESULTS
from gateway.runner.model_list import ModelList
from tests.runner.world import (
    HOUR,
    OWNER,
    Place,
    ScriptedUpstream,
    World,
    chat,
    place_of,
    sweep,
    world,
)

WEEK = 7 * 24 * 3_600_000
ONCE = RetryRules(attempts=1)
KEPT = Retention(raw=WEEK, output=4 * WEEK, records=12 * WEEK)


def serving(upstream: ScriptedUpstream, *changes: Callable[[bytes], bytes]) -> None:
    """Change what the downloads bring, one after the other; then they are right."""
    whole, left = upstream.fetch, list(changes)

    async def fetch(name: str, output: str, credential: str) -> AsyncGenerator[bytes, None]:
        content = b"".join([block async for block in whole(name, output, credential)])
        yield left.pop(0)(content) if left else content

    upstream.fetch = fetch  # type: ignore[method-assign]


@pytest.mark.slow
@pytest.mark.parametrize(
    "garbage",
    [
        b"",
        b"{}",
        b"<html><body>502 Bad Gateway</body></html>\n",
        b'{"error":{"code":503}}',
        b'{"key":"9","response":{"candidates":[]}}\n',
        b"\x00" * 100,
    ],
)
async def test_garbage_in_place_of_results_is_not_believed(tmp_path: Path, garbage: bytes) -> None:
    """One wrong answer with status 200 once lost all lines of a paid job, and the job too."""
    async with world(tmp_path, inline_items=0) as w:
        serving(w.upstream, *[lambda _: garbage] * 3)
        batch = await w.ended(await w.submit(chat("a") + chat("b")))
        assert (batch.counts.completed, batch.counts.failed) == (2, 0)
        assert w.upstream.calls.count("fetch") == 4
        first = w.upstream.calls.index("fetch")
        assert "release" not in w.upstream.calls[first : first + 4]


async def test_results_cut_within_a_line_are_fetched_again(tmp_path: Path) -> None:
    """What came whole is not lost, what was cut is not an answer."""
    async with world(tmp_path, inline_items=0) as w:
        serving(w.upstream, lambda content: content[:-20])
        batch = await w.ended(await w.submit(chat("a") + chat("b")))
        assert batch.counts.completed == 2


async def test_while_it_is_asked_for_again_the_batch_says_so(tmp_path: Path) -> None:
    """The pauses grow, and the reason is on the job."""
    async with world(tmp_path, inline_items=0, retry=Pace(1000, 300_000)) as w:
        serving(w.upstream, *[lambda _: b"{}"] * 9)
        batch = await w.submit(chat("a"))
        work = await w.until(lambda work: work.jobs and work.jobs[0].denials, batch)
        (job,) = work.jobs
        assert job.state is JobState.ENDED
        assert job.raw is None
        assert job.last_error == NO_RESULTS
        assert job.due_at is not None
        assert job.due_at - w.clock.now() > 200


async def test_after_hours_of_garbage_the_job_is_left_at_the_upstream(tmp_path: Path) -> None:
    """The lines say what is missing; what is paid for can still be looked for."""
    async with world(tmp_path, inline_items=0, retries=ONCE) as w:
        serving(w.upstream, *[lambda _: b"{}"] * 99)
        batch = await w.submit(chat("a"))
        await w.until(lambda work: work.jobs and work.jobs[0].denials, batch)
        w.clock.ahead += 7 * 3_600_000
        batch = await w.ended(batch)
        (line,) = await w.lines(batch.error_file_id)
        assert line["response"]["body"]["error"]["code"] == "result_missing"
        await w.until(lambda work: work.jobs[0].state is JobState.RELEASED, batch)
        assert "release" not in w.upstream.calls


async def test_a_job_with_a_missing_line_is_not_deleted(tmp_path: Path) -> None:
    """Nothing is deleted at the upstream while a line of it is unmatched."""
    async with world(tmp_path, inline_items=0, retries=ONCE) as w:
        w.upstream.served = lambda key: key != "2"
        batch = await w.submit(chat("a") + chat("b"))
        work = await w.until(_all_released, batch)
        assert work.jobs[0].unmatched == 1
        assert "release" not in w.upstream.calls


def _all_released(work: Work) -> bool:
    return bool(work.jobs) and all(job.state is JobState.RELEASED for job in work.jobs)


def without_keys(content: bytes) -> bytes:
    """The same results, none of which says whose it is."""
    rows = [orjson.loads(line) for line in content.splitlines()]
    return b"".join(orjson.dumps({"response": row["response"]}) + b"\n" for row in rows)


async def test_one_item_and_one_answer_need_no_key(tmp_path: Path) -> None:
    """Google left the metadata out of inline answers for weeks (python-genai#2008)."""
    async with world(tmp_path, inline_items=0) as w:
        serving(w.upstream, without_keys)
        batch = await w.ended(await w.submit(chat("a", "one")))
        (line,) = await w.lines(batch.output_file_id)
        assert line["response"]["body"]["choices"][0]["message"]["content"] == "re one"


async def test_several_answers_without_keys_are_matched_to_nothing(tmp_path: Path) -> None:
    """By position they might be each other's; job and results are kept."""
    async with world(tmp_path, inline_items=0, retention=KEPT, retries=ONCE) as w:
        serving(w.upstream, without_keys)
        batch = await w.submit(chat("a") + chat("b"))
        work = await w.until(_all_released, batch)
        assert work.jobs[0].unmatched == 4
        assert await raw_of(w, work)
        assert "release" not in w.upstream.calls


async def raw_of(w: World, work: Work) -> bytes:
    """The raw results of the first job."""
    assert work.jobs[0].raw is not None
    return b"".join([block async for block in w.context.blobs.read(work.jobs[0].raw)])


@pytest.mark.slow
async def test_raw_results_and_hints_outlive_publishing(tmp_path: Path) -> None:
    """Compressed where that gains something; spools and runs go at once."""
    async with world(tmp_path, inline_items=0, retention=KEPT) as w:
        batch = await w.ended(await w.submit(chat("a", "x" * 200_000) + chat("b", model="")))
        assert batch.status is BatchStatus.FAILED
        batch = await w.ended(await w.submit(chat("a", "x" * 200_000) + chat("b", n=-1)))
        work = await w.work(batch)
        assert batch.raw_until == (batch.completed_at or 0) + WEEK
        raw = await raw_of(w, work)
        assert len(raw) < 10_000
        (tmp_path / "raw").write_bytes(raw)
        assert is_packed(tmp_path / "raw")
        await sweep(w.context)
        (job,) = work.jobs
        left = await w.store.known_blobs(
            [job.echo, job.raw or "", batch.run or "", job.spool, job.run or "", job.index or ""]
        )
        assert left == {job.echo, job.raw, batch.run, job.index}


async def test_raw_results_go_when_their_time_is_over(tmp_path: Path) -> None:
    """Bytes and names."""
    async with world(tmp_path, inline_items=0, retention=KEPT) as w:
        batch = await w.ended(await w.submit(chat("a")))
        raw = (await w.work(batch)).jobs[0].raw
        w.clock.ahead += WEEK + 1
        await sweep(w.context)
        await sweep(w.context)
        work = await w.work(batch)
        assert (work.batch.raw_until, work.batch.run, work.jobs[0].raw) == (None, None, None)
        with pytest.raises(FileNotFoundError):
            await w.context.blobs.size(raw or "")


async def test_deleting_what_a_batch_wrote_deletes_its_raw_results(tmp_path: Path) -> None:
    """One of two files is not enough."""
    async with world(tmp_path, inline_items=0, retention=KEPT) as w:
        batch = await w.ended(await w.submit(chat("a") + chat("b", n=-1)))
        for file_id, kept in ((batch.output_file_id, True), (batch.error_file_id, False)):
            deleted = await w.store.delete_file(OWNER, file_id or "", w.clock.now())
            assert deleted is Deletion.DELETED
            assert ((await w.get(batch)).raw_until is not None) is kept
        assert (await w.work(batch)).jobs[0].raw is None


async def test_without_retention_everything_goes_at_publishing(tmp_path: Path) -> None:
    """0 is for whom answers must not lie about."""
    async with world(tmp_path, inline_items=0) as w:
        batch = await w.ended(await w.submit(chat("a")))
        job = (await w.work(batch)).jobs[0]
        await sweep(w.context)
        assert batch.raw_until is None
        assert await w.store.known_blobs([job.raw or "", job.echo]) == set()


async def test_output_files_expire_and_records_go(tmp_path: Path) -> None:
    """First the files, then the rows; a live batch's stay."""
    async with world(tmp_path, inline_items=0, retention=KEPT) as w:
        batch = await w.ended(await w.submit(chat("a")))
        live = await w.submit(chat("b"), output_expires_after=60)
        live = await w.ended(live)
        file = await w.store.get_file(OWNER, batch.output_file_id or "", w.clock.now())
        assert file is not None
        assert file.expires_at == file.created_at + 4 * WEEK
        short = await w.store.get_file(OWNER, live.output_file_id or "", w.clock.now())
        assert short is not None
        assert short.expires_at == short.created_at + 60_000
        w.clock.ahead += 4 * WEEK + 1
        await sweep(w.context)
        assert await w.store.get_batch(OWNER, batch.id)
        assert await w.store.get_file(OWNER, file.id, w.clock.now()) is None
        w.clock.ahead += 12 * WEEK + 1
        await sweep(w.context)
        assert await w.store.get_batch(OWNER, batch.id) is None
        assert await w.store.list_files(OWNER, 0, limit=9, after=file.id) is None


async def test_a_blob_that_cannot_be_removed_holds_up_no_other(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Nothing was swept any more for as long as it was there."""
    async with world(tmp_path) as w:
        names = [await w.context.new_blob() for _ in range(3)]
        for name in names:
            async with w.context.blobs.create(name) as writer:
                await writer.write(b"x")
        path = tmp_path / "data" / "blobs" / names[0][:2] / names[0]
        path.unlink()
        path.mkdir()
        w.clock.ahead += 48 * 3_600_000
        for _ in range(3):
            await sweep(w.context)
        assert await w.store.known_blobs(names) == {names[0]}
        assert f"blob {names[0]} cannot be removed" in caplog.text


async def test_what_kills_the_process_is_given_up_after_ten_deaths(tmp_path: Path) -> None:
    """One client's line was everybody's outage: the lease is the attempt, counted before it."""
    async with world(tmp_path, alone=True, max_warnings=1) as w:
        w.runner.stop()
        batch = await w.submit(chat("a"))
        for deaths in range(MAX_DEATHS):
            now = w.clock.now() + 10_000_000 * deaths
            claimed = await w.store.claim_batch(batch.id, 1000)
            assert claimed is not None
            assert claimed.defects == deaths
            await w.store.close()
            await w.store.open(now)
            row = await w.get(batch)
            assert row.due_at == now + 1000 * 2**deaths
        claim = BatchClaim(await w.store.claim_batch(batch.id, 1000) or batch, w.store.save_batch)
        await validate(w.context, ModelList(w.context), claim)
        batch = await w.get(batch)
        assert batch.status is BatchStatus.FAILED
        assert [error.code for error in batch.errors] == ["internal_error"]
        assert w.context.workers._all == set()


@pytest.mark.slow
@pytest.mark.usefixtures("both_places")
@pytest.mark.parametrize("damage", ["flipped", "cut", "gone"])
async def test_raw_results_that_the_disk_loses_are_fetched_again(
    tmp_path: Path, damage: str
) -> None:
    """A flipped bit was one line in error, a cut 50 lines missing and the job deleted."""
    async with world(tmp_path, inline_items=0) as w:
        whole = w.context.blobs.copy_to
        hurt: list[str] = []

        async def copy_to(name: str, path: Path) -> None:
            if path.name == "raw" and not hurt:
                hurt.append(name)
                spoil(place_of(tmp_path, name), damage)
            await whole(name, path)

        w.context.blobs.copy_to = copy_to  # type: ignore[method-assign]
        batch = await w.ended(await w.submit(chat("a") + chat("b")))
        assert (batch.counts.completed, len(hurt)) == (2, 1)
        assert w.upstream.calls.count("fetch") == 2


def spoil(place: Place, damage: str) -> None:
    """What disks do."""
    content = place.read_bytes()
    if damage == "flipped":
        place.write_bytes(content.replace(b"STOP", b"STOQ", 1))
    if damage == "cut":
        place.write_bytes(content[: content.index(b"\n") + 1])
    if damage == "gone":
        place.unlink()


async def test_an_input_that_has_changed_is_not_run(tmp_path: Path) -> None:
    """50 of 100 lines were run, and no word was said."""
    async with world(tmp_path) as w:
        whole = w.context.blobs.copy_to

        async def copy_to(name: str, path: Path) -> None:
            await whole(name, path)
            if path.name == "input":
                spoil(path, "cut")

        w.context.blobs.copy_to = copy_to  # type: ignore[method-assign]
        batch = await w.ended(await w.submit(chat("a") + chat("b")))
        assert batch.status is BatchStatus.FAILED
        assert w.upstream.jobs == []


async def test_after_inline_results_without_their_keys_jobs_go_by_file(tmp_path: Path) -> None:
    """The service itself has left them out for weeks: then each batch was paid for twice."""
    async with world(tmp_path, retries=RetryRules(attempts=1)) as w:
        w.upstream.served = lambda key: key != "2"
        first = await w.submit(chat("a") + chat("b"))
        await w.ended(first)
        w.upstream.served = lambda _: True
        second = await w.submit(chat("a") + chat("b"))
        assert (await w.ended(second)).counts.completed == 2
        w.clock.ahead = 25 * HOUR
        later = await w.submit(chat("a") + chat("b"))
        await w.ended(later)

        batches = (first, second, later)
        inline = [(await w.work(batch)).jobs[0].inline for batch in batches]
        assert inline == [True, False, True]
