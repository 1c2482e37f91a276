"""When a client's key is at hand, written down, and wiped."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gateway.batches.batch import BatchStatus
from gateway.batches.job import JobState
from gateway.keyring.keyring import Keyring
from gateway.keyring.sealing import Seals
from gateway.store.sqlite import SQLiteStore
from tests.api.world import START, TestClock
from tests.conformance.records import a_batch, a_file, a_job, claim, claim_job
from tests.store.timed import TimedSQLite

KEY = "AIzaSy-sentinel-of-a-client-0001"
SEALS = Seals(b"k" * 32)
OWNER = SEALS.owner_of(KEY)
GRACE = 1_000


@pytest.fixture
def clock() -> TestClock:
    """Moved by hand."""
    return TestClock()


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[SQLiteStore]:
    """Open and empty."""
    opened = TimedSQLite(tmp_path / "data" / "gateway.db")
    await opened.open(START)
    yield opened
    await opened.close()


def keyring(
    store: SQLiteStore, clock: TestClock, keys: dict[str, str], seals: Seals = SEALS
) -> Keyring:
    """A keyring over these."""
    return Keyring(seals, store, clock, keys, GRACE)


async def create_batch(store: SQLiteStore, **fields: Any) -> None:
    """A batch of the client's."""
    await store.add_file(a_file(owner=OWNER))
    assert await store.add_batch(a_batch(owner=OWNER, **fields)) is not None


async def test_a_key_is_at_hand_for_a_request(store: SQLiteStore, clock: TestClock) -> None:
    """Also while another of the same owner ends; and then no more."""
    keys: dict[str, str] = {}
    ring = keyring(store, clock, keys)
    with ring.lent(OWNER, KEY):
        with ring.lent(OWNER, KEY):
            assert keys == {OWNER: KEY}
        assert keys == {OWNER: KEY}
    assert keys == {}
    assert await store.client_keys() == {}


async def test_a_key_is_kept_while_a_batch_lives(store: SQLiteStore, clock: TestClock) -> None:
    """Sealed, over a restart, while a job has something due; then it is wiped."""
    keys: dict[str, str] = {}
    ring = keyring(store, clock, keys)
    with ring.lent(OWNER, KEY):
        await ring.keep(OWNER)
        await create_batch(store)
    assert keys == {OWNER: KEY}
    assert KEY not in str(await store.client_keys())

    again: dict[str, str] = {}
    ring = keyring(store, clock, again)
    clock.time += 2 * GRACE
    await ring.look()
    assert again == {OWNER: KEY}

    batch = await claim(store, "batch_one")
    job = a_job(credential=OWNER, due_at=5)
    batch = replace(batch, status=BatchStatus.IN_PROGRESS)
    assert await store.save_batch(batch, jobs=[job])
    batch = await claim(store, "batch_one", 10**9)
    assert await store.save_batch(replace(batch, status=BatchStatus.COMPLETED, due_at=None))
    await ring.look()
    assert again == {OWNER: KEY}  # the job is still to be released at Google

    released = replace(await claim_job(store, "one"), state=JobState.RELEASED, due_at=None)
    assert await store.save_job(released)
    with ring.lent(OWNER, KEY):
        await ring.look()
        assert again == {OWNER: KEY}  # a request is being served
    assert again == {}
    assert await store.client_keys() == {}


async def test_a_key_is_written_down_before_its_batch(store: SQLiteStore, clock: TestClock) -> None:
    """So it has some time without one; a batch that never came loses it."""
    keys: dict[str, str] = {}
    ring = keyring(store, clock, keys)
    with ring.lent(OWNER, KEY):
        await ring.keep(OWNER)
    clock.time += GRACE - 1
    await ring.look()
    assert keys == {OWNER: KEY}
    clock.time += 2
    await ring.look()
    assert keys == {}


async def test_a_key_of_another_setting_is_told_once(
    store: SQLiteStore, clock: TestClock, caplog: pytest.LogCaptureFixture
) -> None:
    """Its jobs wait; nothing is guessed."""
    ring = keyring(store, clock, {})
    with ring.lent(OWNER, KEY):
        await ring.keep(OWNER)
    keys: dict[str, str] = {}
    other = keyring(store, clock, keys, Seals(b"l" * 32))
    await other.look()
    await other.look()
    assert keys == {}
    assert [record.levelname for record in caplog.records] == ["ERROR"]
    assert KEY not in caplog.text
