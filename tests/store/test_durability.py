"""Real processes, killed: what they said was written is there."""

import asyncio
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.store.sqlite import SQLiteStore
from tests.conformance.records import OWNER

_WRITE = """
import asyncio, itertools, pathlib, sys
from gateway.batches.batch import Batch
from gateway.batches.file import File, Segment
from gateway.store.sqlite import SQLiteStore

async def write(store, names):
    for name in names:
        await store.register_blob(f"blob-{name}", 1)
        file = File(f"file-{name}", "key-alice", "batch", "x", 1, 1, "s",
                    (Segment(f"blob-{name}", 1),), 1)
        await store.add_file(file)
        await store.add_batch(Batch(f"batch_{name}", "key-alice", "/v1", file.id, 1, 2))
        print(name, flush=True)

async def main():
    store = SQLiteStore(pathlib.Path(sys.argv[1]))
    await store.open(0)
    names = itertools.count()
    await asyncio.gather(*(write(store, names) for _ in range(8)))

asyncio.run(main())
"""


@pytest.mark.slow
@pytest.mark.parametrize("lines", [1, 20, 333])
def test_what_was_answered_survives_a_kill(path: Path, lines: int) -> None:
    """Files, batches and the states of blobs, with eight writers at once."""
    command = [sys.executable, "-W", "error", "-c", _WRITE, str(path)]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        said = [process.stdout.readline() for _ in range(lines)]
        process.kill()
        said += process.stdout.read().splitlines(keepends=True)
    names = [line.decode().strip() for line in said if line.endswith(b"\n")]
    assert len(names) >= lines
    asyncio.run(_all_there(path, names))


async def _all_there(path: Path, names: list[str]) -> None:
    store = SQLiteStore(path)
    await store.open(5)
    swept = set(await store.sweepable_blobs(10**9, 10**6))
    for name in names:
        file = await store.get_file(OWNER, f"file-{name}", 5)
        batch = await store.get_batch(OWNER, f"batch_{name}")
        assert (file and file.id, batch and batch.id) == (f"file-{name}", f"batch_{name}")
        assert f"blob-{name}" not in swept
    await store.close()
