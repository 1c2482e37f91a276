"""``/v1/batches/{id}/results``, ``?wait=`` and ``/events``: what is known while a batch runs."""

import asyncio
import hashlib
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import httpx
import orjson
import pytest

from gateway.api import results
from gateway.batches.batch import Batch, BatchStatus
from gateway.batches.file import File, Segment
from gateway.batches.job import JobState
from gateway.batches.runs import RECORD, Kind
from gateway.ids import new_blob_name, new_file_id
from gateway.ports.store import BlobChange
from tests.api.world import START, World, serving
from tests.conformance.moments import take_job
from tests.conformance.records import a_job

Json = dict[str, Any]
Make = Callable[..., Awaitable[Json]]
NEXT = "x-gateway-next-after"
# Within so many seconds, on a machine with ten times its work; what waits here would wait for 500.
AT_ONCE = 120.0
FINALIZING: Json = {"status": BatchStatus.FINALIZING, "finalizing_at": START}


def text_of(line: int) -> bytes:
    """A rendered line; every third is long."""
    return orjson.dumps({"line": line, "text": "x" * (line % 3) * 50}) + b"\n"


@dataclass
class Running:
    """A batch whose jobs end when a test says so, past the runner."""

    world: World
    id: str
    lines: dict[int, Kind] = field(default_factory=dict)

    async def collect(self, number: int, lines: Mapping[int, Kind]) -> None:
        """Have a job's lines rendered; line 5 has a note too."""
        self.lines |= lines
        run, index = b"", b""
        for line, kind in sorted(lines.items()):
            index += RECORD.pack(line, kind, len(run), len(text_of(line)))
            run += text_of(line)
            if line == 5:
                index += RECORD.pack(line, Kind.NOTES, len(run), 6)
                run += b'{"a"}\n'
        names = [await self._blob(run), await self._blob(index)]
        job = a_job(
            str(number),
            batch_id=self.id,
            number=number,
            state=JobState.COLLECTED,
            run=names[0],
            index=names[1],
        )
        await self._save(jobs=[job], blobs=BlobChange(live=names))

    async def end(self) -> None:
        """Publish what was collected, as the runner does: in the order of the input."""
        kinds = sorted(self.lines.items())
        outputs = [text_of(line) for line, kind in kinds if kind == Kind.OUTPUT]
        errors = [text_of(line) for line, kind in kinds if kind != Kind.OUTPUT]
        files = [await self._file(b"".join(texts)) for texts in (outputs, errors)]
        await self._save(
            files=files,
            status=BatchStatus.COMPLETED,
            completed_at=START,
            output_file_id=files[0].id,
            error_file_id=files[1].id,
        )

    async def _file(self, data: bytes) -> File:
        return File(
            id=new_file_id(),
            owner="alice",
            purpose="batch_output",
            filename="out.jsonl",
            bytes=len(data),
            lines=data.count(b"\n"),
            sha256=hashlib.sha256(data).hexdigest(),
            segments=(Segment(await self._blob(data), len(data)),),
            created_at=START,
        )

    async def _blob(self, data: bytes) -> str:
        name = new_blob_name()
        await self.world.store.register_blob(name, START)
        async with self.world.blobs.create(name) as writer:
            await writer.write(data)
        return name

    async def _save(self, **changes: Any) -> None:
        store = self.world.store
        claimed = await store.claim_batch(self.id, 1000)
        assert claimed is not None
        others = {name: changes.pop(name) for name in ("jobs", "blobs", "files") if name in changes}
        assert await store.save_batch(replace(claimed, **changes), **others)


@pytest.fixture
async def running(world: World, create: Make) -> Running:
    """A batch in progress."""
    batch_id = (await create())["id"]
    await world.move(batch_id, status=BatchStatus.IN_PROGRESS, in_progress_at=START)
    return Running(world, batch_id)


FIRST = {1: Kind.OUTPUT, 3: Kind.ERROR, 5: Kind.OUTPUT, 6: Kind.OUTPUT}
SECOND = {2: Kind.OUTPUT, 4: Kind.UNSERVED, 7: Kind.ERROR, 8: Kind.OUTPUT}


async def read(
    client: httpx.AsyncClient, running: Running, after: str | None = None, **query: Any
) -> tuple[list[int], str | None]:
    """The numbers of the lines of one answer, and the cursor."""
    url = f"/v1/batches/{running.id}/results"
    asked = {**query, **({} if after is None else {"after": after})}
    answer = await client.get(url, params=asked)
    assert answer.status_code == 200, answer.text
    assert answer.headers["content-length"] == str(len(answer.content))
    rows = [orjson.loads(line) for line in answer.content.splitlines()]
    for row in rows:
        assert text_of(row["line"]) in answer.content
    return [row["line"] for row in rows], answer.headers.get(NEXT)


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
@pytest.mark.parametrize("read_before", [0, 1, 2, 3, 4, 5])
async def test_every_line_once_across_the_end(
    alice: httpx.AsyncClient, running: Running, limit: int, read_before: int
) -> None:
    """However much was read of the first job, of the second, and after the end."""
    assert await read(alice, running) == ([], "Ly8")
    await running.collect(1, SECOND)
    seen, after = await read(alice, running, limit=limit)
    assert seen == list(SECOND)[:limit]
    await running.collect(0, FIRST)
    for _ in range(read_before):
        some, after = await read(alice, running, after, limit=limit)
        seen += some
    await running.end()

    while after is not None:
        some, after = await read(alice, running, after, limit=limit)
        assert len(some) <= limit
        seen += some

    assert sorted(seen) == list(range(1, 9))


@pytest.mark.parametrize("limit", [1, 3, 100])
@pytest.mark.parametrize("status", [None, "completed", "failed"])
async def test_after_the_end_alone(
    alice: httpx.AsyncClient, running: Running, limit: int, status: str | None
) -> None:
    """The output file and the error file, one after the other."""
    await running.collect(0, FIRST)
    await running.collect(1, SECOND)
    await running.end()
    seen: list[int] = []
    after: str | None = None
    query = {"limit": limit, **({} if status is None else {"status": status})}
    while True:
        some, after = await read(alice, running, after, **query)
        seen += some
        if after is None:
            break

    answers, failures = [1, 2, 5, 6, 8], [3, 4, 7]
    wanted = {None: answers + failures, "completed": answers, "failed": failures}
    assert seen == wanted[status]


@pytest.mark.parametrize("status", ["completed", "failed"])
async def test_one_kind_across_the_end(
    alice: httpx.AsyncClient, running: Running, status: str
) -> None:
    """What was not asked for is passed by, and does not come later."""
    await running.collect(0, FIRST)
    seen, after = await read(alice, running, status=status, limit=1)
    await running.collect(1, SECOND)
    await running.end()
    while after is not None:
        some, after = await read(alice, running, after, status=status, limit=1)
        seen += some

    assert sorted(seen) == ([1, 2, 5, 6, 8] if status == "completed" else [3, 4, 7])


async def test_an_answer_has_an_end_in_bytes(
    alice: httpx.AsyncClient, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But has one line at least."""
    monkeypatch.setattr(results, "MAX_BYTES", 1)
    await running.collect(0, FIRST)

    assert (await read(alice, running))[0] == [1]
    await running.end()
    assert (await read(alice, running))[0] == [1]


async def test_late_results_are_read_anew(
    world: World, alice: httpx.AsyncClient, running: Running
) -> None:
    """A job that was given up and then found has another run: its lines come with answers."""
    await running.collect(0, {1: Kind.ERROR, 2: Kind.OUTPUT})
    seen, after = await read(alice, running)
    assert seen == [1, 2]
    work = await world.store.load_work(running.id)
    assert work is not None
    claimed = await take_job(world.store, work.jobs[0].id, 1000)
    assert claimed is not None
    names = [new_blob_name(), new_blob_name()]
    for name, old in zip(names, (claimed.run, claimed.index), strict=True):
        await world.store.register_blob(name, START)
        async with world.blobs.create(name) as writer:
            async for block in world.blobs.read(old or ""):
                await writer.write(block)
    late = replace(claimed, run=names[0], index=names[1])
    assert await world.store.save_job(late, blobs=BlobChange(live=names))

    assert (await read(alice, running, after))[0] == [1, 2]


@pytest.mark.parametrize("after", ["x", "Ly8=", "é", "LzEsMg", "MS5hOjEvLw", "e.30", "Ly8vLw"])
async def test_cursors_that_are_none(
    alice: httpx.AsyncClient, running: Running, after: str
) -> None:
    """400; one whose run is unknown reads it from its beginning."""
    await running.collect(0, FIRST)
    url = f"/v1/batches/{running.id}/results"
    answer = await alice.get(url, params={"after": after})

    if answer.status_code == 200:
        assert after in {"Ly8=", "MS5hOjEvLw"}
    else:
        error = answer.json()["error"]
        assert (answer.status_code, error["param"]) == (400, "after")


async def test_what_is_not_kept(world: World, alice: httpx.AsyncClient, running: Running) -> None:
    """A cursor from before the end, when indexes are gone; a file that was deleted."""
    await running.collect(0, FIRST)
    _, before = await read(alice, running)
    await running.end()
    _, after = await read(alice, running, limit=1)
    work = await world.store.load_work(running.id)
    assert work is not None
    assert after is not None
    await world.blobs.delete(work.jobs[0].index or "")
    url = f"/v1/batches/{running.id}/results"
    gone = await alice.get(url, params={"after": before or ""})
    assert (gone.status_code, gone.json()["error"]["param"]) == (400, "after")
    assert (await read(alice, running, after, limit=100))[0] == [5, 6, 3]

    assert (await alice.delete(f"/v1/files/{work.batch.output_file_id}")).status_code == 200
    assert (await alice.get(url)).status_code == 404
    assert (await read(alice, running, status="failed"))[0] == [3]


@pytest.mark.parametrize(
    ("query", "param"),
    [("limit=0", "limit"), ("limit=10001", "limit"), ("status=x", "status"), ("wait=x", None)],
)
async def test_wrong_queries(
    alice: httpx.AsyncClient, running: Running, query: str, param: str | None
) -> None:
    """Each is named."""
    answer = await alice.get(f"/v1/batches/{running.id}/results?{query}")

    if param is None:
        assert answer.status_code == 200
    else:
        assert (answer.status_code, answer.json()["error"]["param"]) == (400, param)


async def test_a_failed_batch_has_none(
    world: World, alice: httpx.AsyncClient, create: Make
) -> None:
    """And no cursor."""
    batch_id = (await create())["id"]
    await world.move(batch_id, status=BatchStatus.FAILED, failed_at=START)

    assert await read(alice, Running(world, batch_id)) == ([], None)
    head = await alice.head(f"/v1/batches/{batch_id}/results")
    assert (head.status_code, head.content) == (200, b"")


@pytest.mark.slow
async def test_waiting_ends_with_a_change(
    world: World, alice: httpx.AsyncClient, running: Running, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With what changed; without one when the time is over; at once after the end."""
    url = f"/v1/batches/{running.id}"
    original, read = world.store.get_batch, asyncio.Event()

    async def reading(owner: str, batch_id: str) -> Batch | None:
        found = await original(owner, batch_id)
        read.set()
        return found

    monkeypatch.setattr(world.store, "get_batch", reading)
    waiting = asyncio.ensure_future(alice.get(url, params={"wait": "500"}))
    await read.wait()
    await world.move(running.id, **FINALIZING)
    async with asyncio.timeout(AT_ONCE):
        changed = (await waiting).json()
    assert changed["status"] == "finalizing"

    assert (await alice.get(url, params={"wait": "1"})).json() == changed
    await running.end()
    async with asyncio.timeout(AT_ONCE):
        ended = (await alice.get(url, params={"wait": "500"})).json()
    assert ended["status"] == "completed"


@pytest.mark.parametrize("wait", ["x", "-1", "1.5", "", "²"])
async def test_wrong_waits(alice: httpx.AsyncClient, running: Running, wait: str) -> None:
    """Whole seconds."""
    answer = await alice.get(f"/v1/batches/{running.id}", params={"wait": wait})

    assert (answer.status_code, answer.json()["error"]["param"]) == (400, "wait")


async def test_nothing_is_waited_for_on_the_way_down(
    world: World, alice: httpx.AsyncClient, running: Running
) -> None:
    """Neither by a request nor by a stream."""
    world.is_ready = False

    async with asyncio.timeout(AT_ONCE):
        answer = await alice.get(f"/v1/batches/{running.id}", params={"wait": "500"})
    assert answer.json()["status"] == "in_progress"
    stream = await alice.get(f"/v1/batches/{running.id}/events")
    assert stream.text.count("event: batch") == 1


@pytest.mark.slow
async def test_events(world: World, running: Running) -> None:
    """The batch, and again with each change, until its end."""
    seen = []
    headers = {"authorization": "Bearer secret-a"}
    async with (
        asyncio.timeout(60),
        serving(world.app()) as url,
        httpx.AsyncClient(base_url=url, headers=headers, timeout=60) as client,
        client.stream("GET", f"/v1/batches/{running.id}/events") as answer,
    ):
        assert answer.headers["content-type"].startswith("text/event-stream")
        async for line in answer.aiter_lines():
            if not line.startswith("data: "):
                continue
            batch = orjson.loads(line.removeprefix("data: "))
            seen.append(batch["status"])
            if len(seen) == 1:
                await world.move(running.id, **FINALIZING)
            if len(seen) == 2:
                await running.end()
        head = await client.head(f"/v1/batches/{running.id}/events")
        assert head.status_code == 200

    assert seen == ["in_progress", "finalizing", "completed"]
