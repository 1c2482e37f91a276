"""Slots and rates: what one client may have under way, and how often it may ask."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx
import pytest

from gateway.api import limits
from gateway.api.limits import MAX_OWNERS, Rate, Reading, Slots, Takes
from gateway.errors import TooManyRequestsError, UnavailableError
from tests.api.world import LINE, World, form_of, serving, until


class HandClock:
    """Moved by hand."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def now(self) -> int:
        """Milliseconds."""
        return int(self.seconds * 1000)

    def monotonic(self) -> float:
        """Seconds."""
        return self.seconds

    async def sleep(self, seconds: float) -> None:
        """At once."""
        self.seconds += seconds


def test_the_rate_of_each_owner() -> None:
    """A burst, then as many as the rate gives; another owner has its own."""
    clock = HandClock()
    rate = Rate(60, clock)
    for _ in range(10):
        rate.count("a")
    with pytest.raises(TooManyRequestsError) as refused:
        rate.count("a")
    assert (refused.value.status, refused.value.retry_after) == (429, 1)
    rate.count("b")
    clock.seconds = 1.5
    rate.count("a")
    with pytest.raises(TooManyRequestsError):
        rate.count("a")
    clock.seconds = 1000
    for _ in range(10):
        rate.count("a")


def test_a_slow_rate_says_when_to_come_again() -> None:
    """At most 120 s: longer and the SDKs give up."""
    rate = Rate(1, HandClock())
    rate.count("a")
    with pytest.raises(TooManyRequestsError) as refused:
        rate.count("a")
    assert refused.value.retry_after == 60


def test_no_rate_and_many_owners() -> None:
    """0 is any number; the memory of owners has an end."""
    unlimited = Rate(0, HandClock())
    for _ in range(1000):
        unlimited.count("a")
    rate = Rate(60, HandClock())
    for number in range(MAX_OWNERS + 2):
        rate.count(str(number))
    assert len(rate._left) <= MAX_OWNERS


async def test_one_owner_leaves_slots_to_others() -> None:
    """Three quarters are one owner's at most; those that wait too long are refused."""
    slots = Slots(Takes.UPLOAD, 4, wait_seconds=0.01)
    held = [slots.slot("a") for _ in range(3)]
    for one in held:
        await one.__aenter__()
    with pytest.raises(UnavailableError, match="uploads are under way"):
        await slots.slot("a").__aenter__()
    async with slots.slot("b"):
        with pytest.raises(UnavailableError):
            await slots.slot("c").__aenter__()
    for one in held:
        await one.__aexit__(None, None, None)
    async with slots.slot("a"), slots.slot("c"):
        assert set(slots._shares._own) == {"a", "c"}
    assert slots._shares._own == {}


async def test_a_slot_that_comes_free_is_given() -> None:
    """To the one that waits; a wait that is given up takes none."""
    slots = Slots(Takes.DOWNLOAD, 1, wait_seconds=60)
    async with slots.slot("a"):
        waiting = asyncio.ensure_future(slots.slot("b").__aenter__())
        given_up = asyncio.ensure_future(slots.slot("c").__aenter__())
        await asyncio.sleep(0)
        given_up.cancel()
    await waiting
    assert set(slots._shares._own) == {"b"}


@pytest.mark.usefixtures("files_only")
async def test_uploads_wait_for_a_slot(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    """A31: one that stalls keeps the next waiting, no longer than it is there itself."""
    asked, inside, second_asks, slot = list[str](), list[str](), asyncio.Event(), Slots.slot

    @asynccontextmanager
    async def counted(self: Slots, owner: str) -> AsyncIterator[None]:
        asked.append(owner)
        if len(asked) == 2:
            second_asks.set()
        async with slot(self, owner):
            inside.append(owner)
            yield

    monkeypatch.setattr(Slots, "slot", counted)
    body, headers = form_of(b"{}\n", purpose="user_data")
    key = {"authorization": "Bearer secret-a"}
    holding = asyncio.Event()

    async def stalled() -> None:
        async def pieces() -> object:
            yield body[:50]
            holding.set()
            await asyncio.Event().wait()

        await client.post("/v1/files", content=pieces(), headers=headers)  # type: ignore[arg-type]

    async with (
        serving(world.app(max_uploads=1)) as url,
        httpx.AsyncClient(base_url=url, headers=key, timeout=60) as client,
    ):
        first = asyncio.ensure_future(stalled())
        await holding.wait()
        second = asyncio.ensure_future(client.post("/v1/files", content=body, headers=headers))
        await second_asks.wait()
        assert (await client.get("/v1/files")).status_code == 200
        assert len(inside) == 1
        first.cancel()
        assert (await second).status_code == 200
        assert len(inside) == 2
        await until(lambda: len(world.blob_files()) == 1)


async def test_too_many_requests(world: World) -> None:
    """429 with OpenAI's words, and when to come again; probes are not counted."""
    transport = httpx.ASGITransport(world.app(requests_per_minute=6))
    async with httpx.AsyncClient(
        transport=transport, base_url="http://gateway", headers={"authorization": "Bearer secret-a"}
    ) as client:
        assert (await client.get("/v1/files")).status_code == 200
        refused = await client.get("/v1/files")
        assert refused.status_code == 429
        assert 0 < int(refused.headers["retry-after"]) <= 120
        error = refused.json()["error"]
        assert (error["type"], error["code"]) == ("requests", "rate_limit_exceeded")
        assert (await client.get("/healthz")).status_code == 200


async def test_watchers_beyond_their_number_are_told_at_once(world: World, watched: str) -> None:
    """`?wait=` and `/events` together; another key has room, and so has who does not wait."""
    with_key = [{"authorization": f"Bearer {secret}"} for secret in ("secret-a", "secret-b")]
    async with (
        serving(world.app(max_watchers=4)) as url,
        httpx.AsyncClient(base_url=url, headers=with_key[0], timeout=120) as client,
    ):
        path = f"/v1/batches/{watched}"
        async with (
            client.stream("GET", f"{path}/events") as first,
            client.stream("GET", f"{path}/events") as second,
        ):
            assert (first.status_code, second.status_code) == (200, 200)
            waiting = asyncio.ensure_future(client.get(path, params={"wait": 100}))
            await becomes(lambda: _refused(client, path))
            refused = await client.get(f"{path}/events")
            assert refused.status_code == 429
            assert 0 < int(refused.headers["retry-after"]) <= 120
            assert refused.json()["error"]["code"] == "rate_limit_exceeded"
            assert (await client.get(path)).status_code == 200
            other = await client.get(f"{path}/events", headers=with_key[1])
            assert other.status_code == 404
            waiting.cancel()
        await becomes(lambda: _waits(client, path))


async def _refused(client: httpx.AsyncClient, path: str) -> bool:
    return (await client.head(path, params={"wait": 0})).status_code == 429


async def _waits(client: httpx.AsyncClient, path: str) -> bool:
    return (await client.head(path, params={"wait": 0})).status_code == 200


@pytest.fixture
async def watched(world: World) -> str:
    """A batch that does not change."""
    async with httpx.AsyncClient(
        transport=httpx.ASGITransport(world.app()),
        base_url="http://gateway",
        headers={"authorization": "Bearer secret-a"},
    ) as client:
        body, headers = form_of(LINE, purpose="batch")
        file = (await client.post("/v1/files", content=body, headers=headers)).json()
        wanted = {
            "input_file_id": file["id"],
            "endpoint": "/v1/embeddings",
            "completion_window": "24h",
        }
        return str((await client.post("/v1/batches", json=wanted)).json()["id"])


def test_bodies_that_are_read_together_are_bounded() -> None:
    """Three quarters are one owner's; what is larger than all is read alone; all is given back."""
    reading = Reading(100)
    with reading.body("a") as first, reading.body("a") as second, reading.body("b") as third:
        first(50)
        second(25)
        with pytest.raises(TooManyRequestsError) as refused:
            second(1)
        assert (refused.value.status, refused.value.retry_after) == (429, 2)
        third(20)
        with pytest.raises(TooManyRequestsError):
            third(10)
    with reading.body("c") as alone:
        alone(1_000)
        with reading.body("d") as other, pytest.raises(TooManyRequestsError):
            other(1)
    assert reading._own == {}


async def test_a_body_beyond_what_is_read_is_told_to_come_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the program: one body stalls, the next one of its owner does not fit beside it."""
    monkeypatch.setattr(limits, "MOST_READ_BYTES", 2_000)
    holding = asyncio.Event()

    async def stalled() -> None:
        async def pieces() -> AsyncIterator[bytes]:
            yield b'{"input_file_id":"' + b"x" * 1_000
            holding.set()
            await asyncio.Event().wait()

        await client.post("/v1/batches", content=pieces())

    async with (
        serving(world.app()) as url,
        httpx.AsyncClient(
            base_url=url, headers={"authorization": "Bearer secret-a"}, timeout=60
        ) as client,
    ):
        first = asyncio.ensure_future(stalled())
        await holding.wait()
        wanted = {"input_file_id": "x" * 1_000, "endpoint": "/", "completion_window": "24h"}

        async def fits() -> bool:
            return (await client.post("/v1/batches", json=wanted)).status_code != 429

        await becomes(lambda: _not(fits))
        refused = await client.post("/v1/batches", json=wanted)
        assert refused.headers["retry-after"] == "2"
        first.cancel()
        await becomes(fits)


async def _not(condition: Callable[[], Awaitable[bool]]) -> bool:
    return not await condition()


async def becomes(condition: Callable[[], Awaitable[bool]]) -> None:
    """Ask until it is so."""
    async with asyncio.timeout(60):
        while not await condition():  # noqa: ASYNC110 - what another process does
            await asyncio.sleep(0.005)
