"""What the sweeper leaves of small blobs, which are rows."""

import shutil
from pathlib import Path

from gateway.ids import new_recorded_name
from gateway.ports.placing import sealed_content
from gateway.runner.sweeper import FORGOTTEN_AT_ONCE, LONGEST_WRITE
from tests.runner.world import HOUR, sweep, world

SECRET = b"a prompt that was deleted"


async def test_a_sweep_leaves_nothing_of_what_was_deleted(tmp_path: Path) -> None:
    """Some at a time, and none of it in the database's log either."""
    count = 2 * FORGOTTEN_AT_ONCE + 1
    async with world(tmp_path) as w:
        old = w.clock.now() - LONGEST_WRITE - HOUR
        names = [new_recorded_name() for _ in range(count)]
        content = sealed_content(SECRET * 20)
        await w.store.register_blobs(dict.fromkeys(names, content), old)
        assert await sweep(w.context) == count
        assert await w.store.known_blobs(names) == set()
        files = [path for path in (tmp_path / "data").rglob("*") if path.is_file()]
        assert [path.name for path in files if SECRET in path.read_bytes()] == []


async def test_what_a_dead_process_deleted_is_gone_after_the_first_sweep(tmp_path: Path) -> None:
    """It died before its log was emptied."""
    async with world(tmp_path / "first") as w:
        names = [new_recorded_name() for _ in range(3)]
        await w.store.register_blobs(dict.fromkeys(names, sealed_content(SECRET * 20)), 1)
        await w.store.forget_blobs(names)
        shutil.copytree(tmp_path / "first" / "data", tmp_path / "second" / "data")
    async with world(tmp_path / "second") as w:
        files = [path for path in (tmp_path / "second").rglob("*") if path.is_file()]
        assert any(SECRET in path.read_bytes() for path in files), "it looks where they are"
        await sweep(w.context)
        assert [path.name for path in files if SECRET in path.read_bytes()] == []
