"""A move whose bytes are in a bucket already: they stay, and are looked at."""

from dataclasses import replace
from hashlib import sha256
from pathlib import Path

import pytest

from gateway.batches.file import Segment
from gateway.blobs.objects import ObjectBlobs
from gateway.blobs.recorded import RecordedBlobs
from gateway.clock import SystemClock
from gateway.errors import SettingsError
from gateway.moving import Move, move
from gateway.ports.store import Seal
from gateway.store.sqlite import SQLiteStore
from tests.conformance.blobs import get, put
from tests.conformance.records import a_file
from tests.engines.buckets import BUCKET

DATABASE = "gateway.sqlite3"
BYTES = b"some bytes"
SMALL = "rec_0001"
SEAL = Seal(len(BYTES), sha256(BYTES).hexdigest())

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("found_buckets")]


@pytest.fixture
def plan(tmp_path: Path) -> Move:
    """From one directory to another, with a bucket of the test's own."""
    url = f"s3://{BUCKET}/moving-{tmp_path.name}"
    return Move(tmp_path / "old", str(tmp_path / "new"), url)


@pytest.fixture
async def bucket(plan: Move) -> ObjectBlobs:
    """The bucket of a stopped gateway, which has one file there and one in the records."""
    assert plan.blobs is not None
    store = SQLiteStore(plan.directory / DATABASE)
    await store.open(0)
    blobs = ObjectBlobs(plan.blobs, await store.gateway_id(), new=True)
    await blobs.open()
    await store.register_blobs({"blob0001": SEAL}, 0)
    await put(blobs, "blob0001", BYTES)
    await store.add_file(a_file(segments=(Segment("blob0001", SEAL.bytes),)))
    small = a_file("small", bytes=3, sha256=sha256(b"row").hexdigest())
    await store.add_file(replace(small, segments=(Segment(SMALL, 3),)), b"row")
    await store.close()
    return blobs


async def test_bytes_in_a_bucket_stay_there(plan: Move, bucket: ObjectBlobs) -> None:
    """They were compared all the same. Small blobs go with the records, and are read there."""
    moved = await move(plan, SystemClock(), print)
    assert (moved.blobs, moved.bytes) == (1, len(BYTES))
    assert moved.rows is not None
    assert (moved.rows["files"], moved.rows["blob_contents"]) == (2, 1)
    assert await get(bucket.read("blob0001")) == BYTES
    again = await move(plan, SystemClock(), print)
    assert again.rows is None
    store = SQLiteStore(Path(plan.to) / DATABASE)
    await store.open(0)
    assert await get(RecordedBlobs(bucket, store, 0).read(SMALL)) == b"row"
    await store.close()


async def test_their_bucket_must_be_named(plan: Move, bucket: ObjectBlobs) -> None:
    """Nothing says where it is but the setting."""
    assert await bucket.size("blob0001") == len(BYTES)
    with pytest.raises(SettingsError, match="name it"):
        await move(Move(plan.directory, plan.to, None), SystemClock(), print)
    with pytest.raises(SettingsError, match="holds no bytes of this gateway"):
        await move(Move(plan.directory, plan.to, f"{plan.blobs}-x"), SystemClock(), print)


@pytest.mark.parametrize("found", [None, b"other bytes"])
async def test_bytes_that_are_not_what_they_were_stop_it(
    plan: Move, bucket: ObjectBlobs, found: bytes | None
) -> None:
    """Before anything is marked: the gateway goes on where it is."""
    await bucket.delete("blob0001")
    if found is not None:
        await put(bucket, "blob0001", found)
    with pytest.raises(SettingsError, match="the first is blob0001"):
        await move(plan, SystemClock(), print)
    store = SQLiteStore(plan.directory / DATABASE)
    await store.open(0)
    await store.close()
