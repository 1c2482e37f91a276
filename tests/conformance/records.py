"""Records for the suites: every field set to something, so that none is lost unseen."""

from typing import Any

from gateway.batches.batch import Batch
from gateway.batches.file import File, Segment
from gateway.batches.job import Job
from gateway.ports.store import BlobChange, Store
from tests.conformance.moments import claim_batch_at, claim_job_at

OWNER = "key-alice"
OTHER = "key-bob"


def a_file(name: str = "one", **fields: Any) -> File:
    """A file without blobs."""
    values: dict[str, Any] = {
        "id": f"file-{name}",
        "owner": OWNER,
        "purpose": "batch",
        "filename": f"{name}.jsonl",
        "bytes": 1000,
        "lines": 10,
        "sha256": "ab" * 32,
        "segments": (),
        "created_at": 1_000,
    }
    return File(**{**values, **fields})


def a_batch(name: str = "one", **fields: Any) -> Batch:
    """A batch just created over ``file-one``."""
    values: dict[str, Any] = {
        "id": f"batch_{name}",
        "owner": OWNER,
        "endpoint": "/v1/chat/completions",
        "input_file_id": "file-one",
        "created_at": 1_000,
        "expires_at": 86_401_000,
    }
    return Batch(**{**values, **fields})


def a_job(name: str = "one", **fields: Any) -> Job:
    """A job of ``batch_one``."""
    values: dict[str, Any] = {
        "id": name,
        "batch_id": "batch_one",
        "number": 1,
        "model": "gemini-9",
        "method": "generateContent",
        "items": 5,
        "lines": 4,
        "bytes": 300,
        "tokens": 70,
        "spool": f"spool-{name}",
        "echo": f"echo-{name}",
        "display_name": f"gw-{name}",
        "created_at": 1_000,
    }
    return Job(**{**values, **fields})


async def add_file_with_blob(store: Store, name: str = "one", **fields: Any) -> File:
    """A file of one registered blob."""
    await store.register_blob(f"blob-{name}", 500)
    return await store.add_file(a_file(name, segments=(Segment(f"blob-{name}", 1000),), **fields))


async def claimed_batch(store: Store, name: str = "one", **fields: Any) -> Batch:
    """A batch over a file of its own, claimed."""
    file = await store.add_file(a_file(f"of-{name}", owner=fields.get("owner", OWNER)))
    added = await store.add_batch(a_batch(name, input_file_id=file.id, **fields))
    assert added is not None
    return await claim(store, added.id)


async def claim(store: Store, batch_id: str, now: int = 1_000) -> Batch:
    """A claim that must succeed."""
    claimed = await claim_batch_at(store, batch_id, now, now + 60_000)
    assert claimed is not None
    return claimed


async def claim_job(store: Store, job_id: str, now: int = 1_000) -> Job:
    """A claim that must succeed."""
    claimed = await claim_job_at(store, job_id, now, now + 60_000)
    assert claimed is not None
    return claimed


async def make_live(store: Store, *names: str) -> None:
    """Blobs that something points at."""
    for name in names:
        await store.register_blob(name, 500)
    batch = await claimed_batch(store, f"for-{'-'.join(names)}")
    assert await store.save_batch(batch, blobs=BlobChange(live=names))
