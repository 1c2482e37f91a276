"""The ambiguity matrix: every call to Google crossed with every way in which its answer is lost.

Each cell is a whole batch of the real runner, store and upstream client before an emulator whose
journal says what was accepted and whose ledger says what was paid: one job for each that was
planned, one payment and one answer for each line, whatever the network did.
"""

import contextlib
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import httpx
import pytest

from gateway.batches.batch import Batch, BatchStatus
from gateway.batches.job import JobState
from gateway.clock import Clock
from gateway.emulator.testing import Emulator, EmulatorOptions, running
from gateway.ports.store import Work
from gateway.upstream.gemini import GeminiUpstream
from gateway.upstream.options import JOBS_PER_PAGE, GeminiOptions
from tests.runner.world import MODEL, OWNER, World, chat, world

pytestmark = pytest.mark.slow

IDS: Final = ("a", "b", "c")
# How often in turn a call has its fault; the next one goes well.
TIMES: Final = 2
# A cancel that was not heard is sent again after half a minute: time passes by this (ms) at a look.
A_MOMENT: Final = 500


@dataclass(frozen=True)
class Operation:
    """A call of the API: what it is to the emulator, and to whoever sees it leave."""

    on: str
    sends: Callable[[httpx.Request], bool]
    inline: bool = False
    # Faults without which the call is not made at all.
    needs: tuple[tuple[str, Mapping[str, object]], ...] = ()


def _to(method: str, path: str) -> Callable[[httpx.Request], bool]:
    return lambda request: request.method == method and path in request.url.path


def _uploads(command: str) -> Callable[[httpx.Request], bool]:
    return lambda request: command in request.headers.get("x-goog-upload-command", "")


def _gets_one(request: httpx.Request) -> bool:
    return request.method == "GET" and "/batches/" in request.url.path


def _lists(request: httpx.Request) -> bool:
    return request.method == "GET" and request.url.path.endswith("/batches")


OPERATIONS: Final = {
    "create": Operation("create", _to("POST", ":batchGenerateContent"), inline=True),
    "create from a file": Operation("create", _to("POST", ":batchGenerateContent")),
    "start of an upload": Operation("upload-start", _uploads("start")),
    "upload": Operation("upload", _uploads("upload")),
    "get": Operation("get", _gets_one),
    "get with results": Operation("get", _gets_one, inline=True),
    "list after a create that landed": Operation(
        "list", _lists, needs=(("drop-after", {"on": "create", "times": 1}),)
    ),
    "list after a create that did not": Operation(
        "list", _lists, needs=(("drop", {"on": "create", "times": 1}),)
    ),
    "cancel": Operation(
        "cancel", _to("POST", ":cancel"), needs=(("job-slow", {"seconds": 3600, "times": 1}),)
    ),
    "delete": Operation("delete|file-delete", _to("DELETE", "/")),
    "download": Operation("redirect|download", _to("GET", "/download/")),
}

NOT_SENT: Final = "timeout before sending"
CELLS: Final[Mapping[str, tuple[str, Mapping[str, object]]]] = {
    NOT_SENT: ("", {}),
    "timeout after sending": ("hang-after", {}),
    "reset before the answer": ("drop-after", {}),
    "reset mid-answer": ("cut-after", {"bytes": 9}),
    "500 after success": ("error-after", {"status": 500}),
    "408": ("error", {"status": 408}),
    "408 after success": ("error-after", {"status": 408}),
    "429": ("error", {"status": 429}),
    "503": ("error", {"status": 503}),
    "garbage": ("garbage-after", {}),
    "empty": ("garbage-after", {"body": "empty"}),
    "hang": ("hang", {}),
    "slow drip": ("drip-after", {"rate": 1}),
}


class Unreachable(httpx.AsyncHTTPTransport):
    """The network, over which the first calls of one kind get no connection in time."""

    def __init__(self, sends: Callable[[httpx.Request], bool], times: int) -> None:
        super().__init__()
        self.times = times
        self._sends = sends

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send, or time out before anything has left."""
        if self.times and self._sends(request):
            self.times -= 1
            raise httpx.ConnectTimeout("no connection", request=request)
        return await super().handle_async_request(request)

    async def __aexit__(self, *_: object) -> None:
        """A create's own client does not close what the others share."""


@pytest.fixture(scope="module")
def gemini() -> Iterator[Emulator]:
    """An emulator whose jobs end at once, and that knows what was paid."""
    with running(EmulatorOptions(job_seconds=0.05, ledger=True, max_live_jobs=10_000)) as emulator:
        yield emulator


@contextlib.asynccontextmanager
async def before(
    gemini: Emulator, tmp_path: Path, operation: Operation, network: Unreachable
) -> AsyncIterator[World]:
    """A runner whose upstream client is the real one, of little patience.

    It has its own connections, but where the network is down.
    """
    chosen = GeminiOptions(
        credentials={"default": f"key-{tmp_path.name}"},  # a project of its own
        base_url=gemini.base_url,
        stall_seconds=0.4,
        call_seconds=0.4,
        chunk_seconds=0.4,
        call_attempts=1,
        retry_min_seconds=0.01,
        retry_max_seconds=0.05,
    )

    def real(clock: Clock) -> GeminiUpstream:
        return GeminiUpstream(chosen, clock, network if network.times else None)

    changes: dict[str, Any] = {"inline_items": 100 if operation.inline else 0}
    async with world(tmp_path, real, create_seconds=0.5, settle=100, **changes) as w:
        yield w
    await network.aclose()


def struck(gemini: Emulator, fault: str, network: Unreachable) -> bool:
    """Whether the fault of the cell has happened."""
    if not fault:
        return network.times == 0
    return any(one["name"] == fault and one["applied"] for one in gemini.faults())


async def cancelled(w: World, batch: Batch) -> Batch:
    """Cancel a batch that runs, and let time pass until it has ended."""
    await w.until(lambda work: work.jobs and work.jobs[0].state is JobState.RUNNING, batch)
    await w.store.request_cancel(OWNER, batch.id, w.clock.now())
    w.runner.wake()

    def is_over(work: Work) -> bool:
        w.clock.ahead += A_MOMENT
        w.runner.wake()
        return work.batch.status is BatchStatus.CANCELLED

    return (await w.until(is_over, batch)).batch


@pytest.mark.parametrize("cell", CELLS)
@pytest.mark.parametrize("name", OPERATIONS)
async def test_one_job_and_one_answer_whatever_is_lost(
    gemini: Emulator, tmp_path: Path, name: str, cell: str
) -> None:
    """Every line once, with its own answer; one accepted create for each planned job."""
    operation, (fault, parameters) = OPERATIONS[name], CELLS[cell]
    network = Unreachable(operation.sends, 0 if fault else TIMES)
    gemini.clear_faults()
    for needed, others in operation.needs:
        gemini.fault(needed, **others)
    if fault:
        gemini.fault(fault, on=operation.on, times=TIMES, **parameters)
    created, paid = len(gemini.journal("create")), len(gemini.ledger())

    async with before(gemini, tmp_path, operation, network) as w:
        batch = await w.submit(b"".join(chat(i, f"say {i}") for i in IDS))
        end = await (cancelled(w, batch) if name == "cancel" else w.ended(batch))
        answers, errors = await w.lines(end.output_file_id), await w.lines(end.error_file_id)
        # A job that ended without an output is left at Google, and looked at for days.
        work = await w.until(_all_collected if name == "cancel" else _all_released, batch)

    assert struck(gemini, fault, network), "the fault of this cell never happened"
    accepted = [entry["displayName"] for entry in gemini.journal("create")[created:]]
    assert accepted == [job.display_name for job in work.jobs]
    if name == "cancel":
        assert end.status is BatchStatus.CANCELLED
        assert [row["custom_id"] for row in errors] == [*IDS]
        assert {row["error"]["code"] for row in errors} == {"batch_cancelled"}
        assert answers == []
        return
    assert end.status is BatchStatus.COMPLETED
    assert [(row["custom_id"], _said(row)) for row in answers] == [
        (i, f"Echo: say {i}") for i in IDS
    ]
    assert errors == []
    assert (end.counts.completed, end.counts.failed) == (len(IDS), 0)
    lines = Counter(charge["prompt"] for charge in gemini.ledger()[paid:])
    assert sorted(lines.values()) == [1, 1, 1]


async def test_a_listing_cut_at_a_full_page_is_no_absence(gemini: Emulator, tmp_path: Path) -> None:
    """With a hundred newer jobs, the one that landed is on the page that never comes."""
    operation = OPERATIONS["list after a create that landed"]
    gemini.clear_faults()
    created = len(gemini.journal("create"))
    network = Unreachable(operation.sends, 1_000_000)
    async with before(gemini, tmp_path, operation, network) as w:
        gemini.fault("drop-after", on="create", times=1)
        gemini.fault("list-short", times="all")
        batch = await w.submit(b"".join(chat(i, f"say {i}") for i in IDS))
        await w.until(lambda work: work.jobs and work.jobs[0].doubt, batch)
        await _crowd(gemini, tmp_path)
        network.times = 0
        looks = gemini.calls().get("list", 0)
        work = await w.until(lambda _: gemini.calls().get("list", 0) >= looks + 12, batch)
        assert work.jobs[0].state is JobState.SUBMITTING

        gemini.clear_faults()
        assert (await w.ended(batch)).status is BatchStatus.COMPLETED
        mine = (await w.work(batch)).jobs[0].display_name
    accepted = [entry["displayName"] for entry in gemini.journal("create")[created:]]
    assert accepted.count(mine) == 1


async def _crowd(gemini: Emulator, tmp_path: Path) -> None:
    """Make a page of jobs with the same key, as another program does."""
    request = {"request": {"contents": [{"parts": [{"text": "x"}]}]}}
    requests = {"requests": {"requests": [request]}}
    body = {"batch": {"displayName": "another's", "inputConfig": requests}}
    url = f"{gemini.base_url}/v1beta/models/{MODEL}:batchGenerateContent"
    async with httpx.AsyncClient(
        headers={"x-goog-api-key": f"key-{tmp_path.name}"}, timeout=60
    ) as client:
        for _ in range(JOBS_PER_PAGE):
            (await client.post(url, json=body)).raise_for_status()


def _all_collected(work: Work) -> bool:
    return all(job.state is JobState.COLLECTED for job in work.jobs)


def _all_released(work: Work) -> bool:
    return all(job.state is JobState.RELEASED for job in work.jobs)


def _said(row: dict[str, Any]) -> str:
    return str(row["response"]["body"]["choices"][0]["message"]["content"])
