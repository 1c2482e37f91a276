"""Uploaded files that lines name: staged once, written into the job, removed afterwards."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.batches.batch import Batch, BatchStatus
from gateway.batches.file import File
from gateway.batches.job import JobState
from gateway.errors import (
    UpstreamError,
    UpstreamGoneError,
    UpstreamHeldError,
    UpstreamRefusedError,
    UpstreamStaleError,
    UpstreamUnavailableError,
)
from gateway.ports.store import Deletion
from gateway.ports.upstream import FileState
from tests.runner.world import HOUR, OWNER, World, chat, naming, sweep, world

PDF = b"%PDF-1.7 some pages"
PNG = b"\x89PNG some pixels"


def sent(here: World, job: int = 0) -> list[Any]:
    """What each line of a created job names."""
    rows = [orjson.loads(line) for line in here.upstream.jobs[job].spool.splitlines()]
    parts = [row["request"]["contents"][0]["parts"] for row in rows]
    return [[part["fileData"] for part in some if "fileData" in part] for some in parts]


async def released(here: World) -> None:
    """Wait until nothing of any file is left at the upstream or in the records."""
    await here.sees(lambda: not (here.upstream.there or copies(here)))


async def nothing_is_due(here: World) -> None:
    """Wait until no copy has anything to be done."""
    ask = here.store.engine.reader.connection.execute
    due = "SELECT 1 FROM staged_files WHERE due_at IS NOT NULL OR lease_until IS NOT NULL"
    await here.sees(lambda: not ask(due).fetchall())


async def nothing_leaks(here: World, batch: Batch) -> None:
    """After the sweep there are the bytes of files and no others."""
    await here.until(lambda work: work.jobs[0].state is JobState.RELEASED, batch)
    here.clock.ahead += 1000
    await sweep(here.context)
    ask = here.store.engine.reader.connection.execute
    blobs = {row[0] for row in ask("SELECT name FROM blobs")}
    unused = {name for name, _ in here.context.names.left}
    assert blobs - unused == {
        blob for row in ask("SELECT segments FROM files") for blob, _ in orjson.loads(row[0])
    }


def copies(here: World) -> Sequence[str]:
    """Ids of every copy there is a row of."""
    rows = here.store.engine.reader.connection.execute("SELECT id FROM staged_files").fetchall()
    return [row[0] for row in rows]


def texts(rows: Sequence[dict[str, Any]]) -> list[str]:
    """The answers."""
    return [row["response"]["body"]["choices"][0]["message"]["content"] for row in rows]


def errors(rows: Sequence[dict[str, Any]]) -> dict[str, tuple[int, str]]:
    """Status and code by custom_id."""
    return {
        row["custom_id"]: (
            row["response"]["status_code"],
            row["response"]["body"]["error"]["code"],
        )
        for row in rows
    }


@pytest.mark.parametrize("inline_items", [100, 0], ids=["inline", "file"])
async def test_a_line_names_files(tmp_path: Path, inline_items: int) -> None:
    """Their bytes are uploaded whole, their URIs stand in the job, and then they are removed."""
    async with world(tmp_path, inline_items=inline_items) as here:
        pdf = await here.upload(PDF, "report.PDF")
        png = await here.upload(PNG, "a.b.png", purpose="vision")
        lines = naming("a", pdf.id) + chat("b") + naming("c", png.id, pdf.id)

        batch = await here.submit(lines)
        done = await here.ended(batch)

        assert done.status is BatchStatus.COMPLETED
        assert texts(await here.lines(done.output_file_id)) == ["re a", "re x", "re c"]
        assert sorted(here.upstream.uploaded.values()) == sorted([PDF, PNG])
        first, second, third = sent(here)
        assert [file["mimeType"] for file in third] == ["image/png", "application/pdf"]
        assert (first, second) == (third[1:], [])
        names = {file["fileUri"].removeprefix("https://upstream/") for file in third}
        assert names == here.upstream.uploaded.keys()
        await released(here)
        assert here.upstream.calls.count("release_file") == 2
        assert here.upstream.calls.count("create") == 1
        await nothing_leaks(here, batch)


async def test_one_copy_for_one_content(tmp_path: Path) -> None:
    """Two ids, two jobs, two batches; a copy of its own for another media type."""
    async with world(tmp_path) as here:
        here.upstream.state = "RUNNING"
        one = await here.upload(PDF, "one.pdf")
        two = await here.upload(PDF, "two.pdf", purpose="assistants")
        text = await here.upload(PDF, "three.txt")
        first = await here.submit(naming("a", one.id, two.id) + naming("b", one.id))
        second = await here.submit(naming("c", two.id, text.id))
        for batch in (first, second):
            await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, batch)
        assert len(here.upstream.uploaded) == 2

        for job in here.upstream.jobs:
            job.state = "SUCCEEDED"
        for batch in (first, second):
            assert (await here.ended(batch)).counts.completed == len(
                await here.lines((await here.get(batch)).output_file_id)
            )

        uris = {file["fileUri"] for job in (0, 1) for line in sent(here, job) for file in line}
        assert len(uris) == 2
        await released(here)


async def test_files_that_cannot_be_used(tmp_path: Path) -> None:
    """Each is its line's 400, which names the field; the others go on."""
    async with world(tmp_path) as here:
        good = await here.upload(PDF, "good.pdf")
        deleted = await here.upload(PNG, "deleted.png")
        await here.store.delete_file(OWNER, deleted.id, here.clock.now())
        bad = {
            "deleted": deleted,
            "foreign": await here.upload(PNG, "foreign.png", owner="other"),
            "input": await here.upload(PNG, "input.jsonl", purpose="fine-tune"),
            "empty": await here.upload(b"", "empty.pdf"),
            "word": await here.upload(PNG, "letter.docx"),
            "nameless": await here.upload(PNG, "pdf"),
        }
        lines = [naming(name, good.id, file.id) for name, file in bad.items()]
        lines += [naming("never", "file-" + "0" * 24), naming("good", good.id)]
        done = await here.ended(await here.submit(b"".join(lines)))

        rows = await here.lines(done.error_file_id)
        assert errors(rows) == {
            "deleted": (400, "file_not_found"),
            "foreign": (400, "file_not_found"),
            "input": (400, "invalid_value"),
            "empty": (400, "invalid_value"),
            "word": (400, "unsupported_value"),
            "nameless": (400, "unsupported_value"),
            "never": (400, "file_not_found"),
        }
        for row in rows:
            error = row["response"]["body"]["error"]
            place = 1 if row["custom_id"] == "never" else 2
            assert error["param"] == f"messages[0].content[{place}].file.file_id"
            assert error["param"] in error["message"]
        assert texts(await here.lines(done.output_file_id)) == ["re good"]
        assert list(here.upstream.uploaded.values()) == [PDF]
        await released(here)


async def test_a_batch_whose_files_are_all_unknown(tmp_path: Path) -> None:
    """Makes no job and ends completed."""
    async with world(tmp_path) as here:
        done = await here.ended(await here.submit(naming("a", "file-" + "0" * 24)))

        assert done.status is BatchStatus.COMPLETED
        assert errors(await here.lines(done.error_file_id)) == {"a": (400, "file_not_found")}
        assert here.upstream.jobs == []


async def test_a_file_cannot_be_deleted_while_the_input_is_read(tmp_path: Path) -> None:
    """What its lines name is not known yet: a line was refused whose file was there at create."""
    async with world(tmp_path) as here:
        file = await here.upload(PDF, "a.pdf")
        find, tried = here.store.get_files, list[Deletion]()

        async def late(owner: str, file_ids: Sequence[str], now: int) -> Sequence[File]:
            tried.append(await here.store.delete_file(OWNER, file.id, now))
            return await find(owner, file_ids, now)

        here.store.get_files = late  # type: ignore[method-assign]  # the moment before that call
        done = await here.ended(await here.submit(naming("a", file.id) + chat("b")))

        assert set(tried) == {Deletion.IN_USE}
        assert texts(await here.lines(done.output_file_id)) == ["re a", "re x"]
        assert await here.store.delete_file(OWNER, file.id, here.clock.now()) is Deletion.DELETED


async def test_a_named_file_is_kept(tmp_path: Path) -> None:
    """As an input is, until the batch ends; not a moment longer."""
    async with world(tmp_path) as here:
        here.upstream.state = "RUNNING"
        file = await here.upload(PDF, "a.pdf")
        batch = await here.submit(naming("a", file.id))
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, batch)
        now = here.clock.now()
        assert await here.store.delete_file(OWNER, file.id, now) is Deletion.IN_USE

        here.upstream.jobs[0].state = "SUCCEEDED"
        await here.ended(batch)

        assert await here.store.delete_file(OWNER, file.id, now) is Deletion.DELETED


@pytest.mark.parametrize(
    ("files", "code"), [(21, "too_many_files"), (3, "files_too_large")], ids=["number", "bytes"]
)
async def test_limits_of_what_a_batch_names(tmp_path: Path, files: int, code: str) -> None:
    """The batch fails before anything is uploaded."""
    async with world(tmp_path) as here:
        ids = [(await here.upload(bytes([n]) * 400, f"{n}.txt")).id for n in range(files)]
        lines = [naming(f"l{n}", file_id) for n, file_id in enumerate(ids)]

        done = await here.ended(await here.submit(b"".join(lines)))

        assert done.status is BatchStatus.FAILED
        assert [error.code for error in done.errors] == [code]
        assert here.upstream.uploaded == {}


async def test_bytes_are_counted_once_for_one_content(tmp_path: Path) -> None:
    """As they are stored."""
    async with world(tmp_path) as here:
        ids = [(await here.upload(b"x" * 400, f"{n}.txt")).id for n in range(3)]

        done = await here.ended(await here.submit(naming("a", *ids)))

        assert done.status is BatchStatus.COMPLETED


@pytest.mark.slow
async def test_a_job_waits_for_room(tmp_path: Path) -> None:
    """And says so; two that need more than there is do not wait for each other."""
    async with world(tmp_path) as here:
        here.upstream.state = "RUNNING"
        files = [await here.upload(bytes([n]) * 400, f"{n}.txt") for n in range(4)]
        first = await here.submit(naming("a", files[0].id, files[1].id))
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, first)
        second = await here.submit(naming("b", files[1].id, files[2].id))
        third = await here.submit(naming("c", files[2].id, files[3].id))
        waits = "files of other batches leave no room for this one's at the upstream"
        for batch in (second, third):
            await here.until(lambda work: work.batch.last_error == waits, batch)
        assert len(here.upstream.uploaded) == 2

        here.upstream.state = "SUCCEEDED"
        here.upstream.jobs[0].state = "SUCCEEDED"
        for batch in (first, second, third):
            assert (await here.ended(batch)).counts.completed == 1
        await released(here)


@pytest.mark.parametrize(
    "error",
    [UpstreamUnavailableError("quota", status=429), UpstreamHeldError("billing", status=403)],
)
async def test_an_upload_that_waits_is_told(tmp_path: Path, error: UpstreamError) -> None:
    """The batch says what it waits for, and goes on when it can."""
    async with world(tmp_path) as here:
        here.upstream.script["stage_file"] = [error] * 9999
        file = await here.upload(PDF, "a.pdf")
        batch = await here.submit(naming("a", file.id) + chat("b"))

        seen = await here.until(lambda work: "answered" in (work.batch.last_error or ""), batch)
        assert (seen.batch.last_error or "").startswith(
            f"1 of 1 file being copied to the upstream: the upstream answered {error.status}"
        )
        here.upstream.script["stage_file"] = []
        done = await here.ended(batch)

        assert texts(await here.lines(done.output_file_id)) == ["re a", "re x"]
        assert done.last_error is None
        assert len(here.upstream.uploaded) == 1


async def test_a_file_that_is_processed_is_waited_for(tmp_path: Path) -> None:
    """Asked for again and again, uploaded once."""
    async with world(tmp_path) as here:
        here.upstream.file_states = [FileState.PROCESSING] * 3
        file = await here.upload(PDF, "a.mp4")

        done = await here.ended(await here.submit(naming("a", file.id)))

        assert done.counts.completed == 1
        assert here.upstream.calls.count("observe_file") == 3
        assert here.upstream.calls.count("stage_file") == 1


async def test_a_file_that_fails_costs_its_lines(tmp_path: Path) -> None:
    """These are error lines that say why; the job runs without them."""
    async with world(tmp_path) as here:
        here.upstream.file_states = [FileState.FAILED, FileState.READY]
        spoilt = await here.upload(PNG, "spoilt.mp4")
        batch = await here.submit(naming("a", spoilt.id) + chat("b") + naming("c", spoilt.id))

        done = await here.ended(batch)

        assert errors(await here.lines(done.error_file_id)) == {
            "a": (400, "file_failed"),
            "c": (400, "file_failed"),
        }
        [first, _] = await here.lines(done.error_file_id)
        assert first["response"]["body"]["error"]["message"] == (
            f"File '{spoilt.id}', which this request names, cannot be used: the upstream could not"
            " process it."
        )
        assert texts(await here.lines(done.output_file_id)) == ["re x"]
        assert (done.counts.total, done.counts.completed, done.counts.failed) == (3, 1, 2)
        await released(here)


async def test_a_failed_file_is_tried_anew_by_the_next_batch(tmp_path: Path) -> None:
    """While the first batch still stands with its failure."""
    async with world(tmp_path) as here:
        here.upstream.state = "RUNNING"
        here.upstream.file_states = [FileState.PROCESSING, FileState.FAILED]
        file = await here.upload(PNG, "a.mp4")
        first = await here.submit(naming("a", file.id) + chat("b"))
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, first)
        second = await here.submit(naming("c", file.id))
        await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, second)

        for job in here.upstream.jobs:
            job.state = "SUCCEEDED"

        done = await here.ended(first)
        [row] = await here.lines(done.error_file_id)
        assert row["response"]["body"]["error"]["message"].endswith("process it: spoilt")
        assert (await here.ended(second)).counts.completed == 1
        await released(here)


@pytest.mark.parametrize("inline_items", [100, 0], ids=["inline", "file"])
async def test_a_job_of_nothing_but_refused_files(tmp_path: Path, inline_items: int) -> None:
    """Is never created; the upstream's own words stand in its lines."""
    async with world(tmp_path, inline_items=inline_items) as here:
        here.upstream.script["stage_file"] = [UpstreamRefusedError("no such type", status=415)]
        file = await here.upload(PDF, "a.pdf")
        batch = await here.submit(naming("a", file.id) + naming("b", file.id))

        done = await here.ended(batch)

        rows = await here.lines(done.error_file_id)
        assert errors(rows) == {"a": (415, "file_failed"), "b": (415, "file_failed")}
        assert rows[0]["response"]["body"]["error"]["message"].endswith("no such type")
        assert here.upstream.jobs == []
        await released(here)


@pytest.mark.parametrize("inline_items", [100, 0], ids=["inline", "file"])
@pytest.mark.parametrize("gone", [True, False], ids=["gone", "still there"])
async def test_a_create_that_misses_a_file(tmp_path: Path, inline_items: int, gone: bool) -> None:
    """Each file is looked at; one denial is no proof that it is gone. The job is created once."""
    async with world(tmp_path, inline_items=inline_items) as here:
        here.upstream.script["create"] = [UpstreamStaleError("File c0 may not exist", status=403)]
        if gone:
            here.upstream.script["observe_file"] = [UpstreamGoneError("no such file", status=403)]
        file = await here.upload(PDF, "a.pdf")

        done = await here.ended(await here.submit(naming("a", file.id)))

        assert done.counts.completed == 1
        await nothing_leaks(here, done)
        assert len(here.upstream.jobs) == 1
        assert here.upstream.calls.count("stage_file") == 1
        assert here.upstream.calls.count("observe_file") == 1 + gone
        [[data]] = sent(here)
        assert data["fileUri"] == "https://upstream/files/c0"


async def test_a_file_that_is_always_missed(tmp_path: Path) -> None:
    """Not for ever."""
    async with world(tmp_path) as here:
        here.upstream.script["create"] = [UpstreamStaleError("gone", status=403)] * 9999
        file = await here.upload(PDF, "a.pdf")

        batch = await here.submit(naming("a", file.id))
        await here.until(lambda _: here.upstream.calls.count("create") > 8, batch)
        here.clock.ahead = 7 * HOUR
        done = await here.ended(batch)

        assert errors(await here.lines(done.error_file_id)) == {"a": (500, "upstream_file_lost")}
        await released(here)


async def test_a_file_the_upstream_loses_again_and_again(tmp_path: Path) -> None:
    """Is asked for by its name for minutes, uploaded anew, and given up after hours."""
    async with world(tmp_path) as here:
        here.upstream.file_states = [FileState.PROCESSING] * 99
        here.upstream.script["observe_file"] = [UpstreamGoneError("gone", status=403)] * 9999
        file = await here.upload(PDF, "a.pdf")

        batch = await here.submit(naming("a", file.id) + chat("b"))
        await here.until(lambda _: here.upstream.calls.count("observe_file") > 8, batch)
        assert here.upstream.calls.count("stage_file") == 1
        here.clock.ahead = 301_000
        await here.until(lambda _: here.upstream.calls.count("stage_file") == 2, batch)
        here.clock.ahead = 7 * HOUR
        done = await here.ended(batch)

        assert errors(await here.lines(done.error_file_id)) == {"a": (500, "upstream_file_lost")}


async def running_with(here: World, file: File, custom_id: str) -> Batch:
    """A batch whose job runs."""
    batch = await here.submit(naming(custom_id, file.id))
    await here.until(lambda work: work.jobs and work.jobs[0].upstream_name, batch)
    return batch


async def test_a_copy_is_refreshed_in_time(tmp_path: Path) -> None:
    """A job gets one that outlives its batch; the old one stays as long as its own job runs."""
    async with world(tmp_path) as here:
        here.upstream.state = "RUNNING"
        file = await here.upload(PDF, "a.pdf")
        first = await running_with(here, file, "a")
        here.clock.ahead = 21 * HOUR
        second = await running_with(here, file, "b")
        here.clock.ahead = 23 * HOUR
        third = await running_with(here, file, "c")

        uris = [line[0]["fileUri"] for job in range(3) for line in sent(here, job)]
        assert uris == [f"https://upstream/files/c{n}" for n in (0, 0, 1)]
        assert here.upstream.there == {"files/c0", "files/c1"}
        here.upstream.jobs[0].state = "SUCCEEDED"
        await here.ended(first)
        assert here.upstream.there == {"files/c0", "files/c1"}
        here.upstream.jobs[1].state = "SUCCEEDED"
        await here.ended(second)
        await here.sees(lambda: here.upstream.there == {"files/c1"})
        here.upstream.jobs[2].state = "SUCCEEDED"
        assert (await here.ended(third)).counts.completed == 1
        await released(here)


async def test_a_job_that_waits_to_be_sent_gets_fresh_copies(tmp_path: Path) -> None:
    """Where no copy outlives the batch, one is used in the first part of its life alone."""
    async with world(tmp_path, inline_items=0) as here:
        here.upstream.file_life = 12 * HOUR
        here.upstream.script["create"] = [UpstreamUnavailableError("quota", status=429)] * 10_000
        file = await here.upload(PDF, "a.pdf")
        batch = await here.submit(naming("a", file.id))
        await here.until(lambda work: work.jobs and work.jobs[0].failures > 1, batch)
        assert here.upstream.calls.count("stage_file") == 1

        here.clock.ahead = 2 * HOUR
        await here.until(lambda _: here.upstream.calls.count("stage_file") == 2, batch)
        here.upstream.script["create"] = []
        done = await here.ended(batch)

        assert done.counts.completed == 1
        [[data]] = sent(here)
        assert data["fileUri"] == "https://upstream/files/c1"
        await released(here)
        await nothing_leaks(here, done)


async def test_a_cancel_does_not_wait_for_files(tmp_path: Path) -> None:
    """Nothing is sent, and nothing is left."""
    async with world(tmp_path) as here:
        here.upstream.script["stage_file"] = [UpstreamUnavailableError("busy", status=503)] * 9999
        file = await here.upload(PDF, "a.pdf")
        batch = await here.submit(naming("a", file.id))
        await here.until(lambda work: work.jobs and work.jobs[0].last_error, batch)

        await here.store.request_cancel(OWNER, batch.id, here.clock.now())
        here.runner.wake()
        done = await here.ended(batch)

        assert done.status is BatchStatus.CANCELLED
        [row] = await here.lines(done.error_file_id)
        assert row["error"]["code"] == "batch_cancelled"
        assert here.upstream.jobs == []
        await released(here)


@pytest.mark.parametrize("for_ever", [False, True], ids=["for a while", "for ever"])
async def test_a_removal_that_fails(tmp_path: Path, for_ever: bool) -> None:
    """Tried again until the upstream has dropped it by itself, 48 hours after its upload."""
    async with world(tmp_path) as here:
        error = UpstreamUnavailableError("busy", status=503)
        here.upstream.script["release_file"] = [error] * (9999 if for_ever else 9)
        file = await here.upload(PDF, "a.pdf")

        await here.ended(await here.submit(naming("a", file.id)))
        await here.sees(lambda: here.upstream.calls.count("release_file") >= 10)
        here.clock.ahead = 49 * HOUR if for_ever else 0
        await here.sees(lambda: not copies(here))

        assert here.upstream.there == ({"files/c0"} if for_ever else set())


async def lose(here: World, *names: str) -> None:
    """Remove bytes behind the gateway's back."""
    for name in names:
        await here.context.blobs.delete(name)


async def test_bytes_that_are_lost_end_visibly(tmp_path: Path) -> None:
    """The file's: its lines say so, after three attempts; the others go on."""
    async with world(tmp_path) as here:
        file = await here.upload(PDF, "a.pdf")
        await lose(here, *(segment.blob for segment in file.segments))

        done = await here.ended(await here.submit(naming("a", file.id) + chat("b")))

        assert errors(await here.lines(done.error_file_id)) == {"a": (500, "internal_error")}
        assert texts(await here.lines(done.output_file_id)) == ["re x"]
        assert here.upstream.calls.count("stage_file") == 3


async def test_a_spool_that_is_lost_is_made_again(tmp_path: Path) -> None:
    """From the input file, before anything was sent."""
    async with world(tmp_path) as here:
        here.upstream.script["stage_file"] = [UpstreamUnavailableError("busy", status=503)] * 9999
        file = await here.upload(PDF, "a.pdf")
        batch = await here.submit(naming("a", file.id) + chat("b"))
        work = await here.until(lambda work: work.jobs and work.jobs[0].last_error, batch)
        await lose(here, work.jobs[0].spool)
        here.upstream.script["stage_file"] = []

        done = await here.ended(batch)

        assert set(texts(await here.lines(done.output_file_id))) == {"re a", "re x"}
        assert done.error_file_id is None
        assert len(here.upstream.jobs) == 1
        await released(here)


async def test_many_files_and_jobs(tmp_path: Path) -> None:
    """Each content once, whatever the order."""
    async with world(tmp_path, inline_items=0) as here:
        files = [await here.upload(bytes([n]) * 9, f"{n}.txt") for n in range(20)]
        lines = [naming(f"l{n}", files[n % 20].id, files[n % 7].id) for n in range(60)]

        batches = [await here.submit(b"".join(lines[start::3])) for start in range(3)]

        for batch in batches:
            assert (await here.ended(batch)).counts.completed == 20
        assert len(here.upstream.uploaded) >= 20
        await released(here)
        assert len(here.upstream.jobs) == 3


@pytest.mark.slow
@pytest.mark.parametrize("late", [True, False], ids=["late", "never"])
async def test_late_results_leave_a_failed_file_its_reason(tmp_path: Path, *, late: bool) -> None:
    """Lines that were never sent have none: with the others theirs were told to be lost."""
    async with world(tmp_path) as here:
        here.upstream.state = "RUNNING"
        here.upstream.file_states = [FileState.FAILED]
        spoilt = await here.upload(PNG, "spoilt.mp4")
        other = chat("z", "last", model="gemini-3-flash-preview")
        batch = await here.submit(naming("a", spoilt.id) + chat("b", "two") + other)
        job = await here.lose_first(batch, failed=2)
        await nothing_is_due(here)

        if late:
            job.state = "SUCCEEDED"
            here.upstream.jobs.append(job)
            here.clock.ahead = 9 * HOUR
            here.runner.wake()
            await here.until(lambda work: work.jobs[0].recover_until is None, batch)
        for made in here.upstream.jobs:
            made.state = "SUCCEEDED"
        done = await here.ended(batch)

        lost = {} if late else {"b": (500, "upstream_job_lost")}
        answered = ["re two", "re last"] if late else ["re last"]
        assert texts(await here.lines(done.output_file_id)) == answered
        assert errors(await here.lines(done.error_file_id)) == {"a": (400, "file_failed"), **lost}
        await released(here)
