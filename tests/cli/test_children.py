"""Child processes import nothing from the working directory and inherit no key."""

import asyncio
from collections.abc import Mapping
from pathlib import Path

import psutil
import pytest
from openai import AsyncOpenAI

from gateway.clock import SystemClock
from tests.cli.processes import Server, loopback, run, serving, without_affinity

pytestmark = pytest.mark.slow

LINE = (
    b'{"custom_id":"1","method":"POST","url":"/v1/chat/completions","body":'
    b'{"model":"gemini-3.8-flash","messages":[{"role":"user","content":"Say hello."}]}}\n'
)
SECRETS = {
    "GEMINI_API_KEY": "a key of Google's",
    "GOOGLE_API_KEY": "another",
    "AWS_SECRET_ACCESS_KEY": "of a bucket",
    "AZURE_STORAGE_KEY": "of another",
    "OPENAI_API_KEY": "of a client",
    "PGPASSWORD": "of a database",
}
KEPT = {"TMPDIR": "/tmp", "LANG": "C.UTF-8", "PYTHONWARNINGS": "error", "MALLOC_ARENA_MAX": "2"}


@pytest.fixture(name="trap")
def _trap(tmp_path: Path) -> Path:
    """A directory whose modules have the names of real ones, and tell when they are imported."""
    trap = tmp_path / "trap"
    (trap / "gateway").mkdir(parents=True)
    for name in ("gateway/__init__.py", "random.py", "orjson.py"):
        (trap / name).write_text(f"open({str(tmp_path / 'imported')!r}, 'a').write({name!r})\n")
    return trap


async def complete(server: Server) -> str:
    """Run a batch of one line to its end; its status."""
    client = AsyncOpenAI(base_url=server.url, api_key="any")
    file = await client.files.create(file=("one.jsonl", LINE), purpose="batch")
    batch = await client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    async with client, asyncio.timeout(60):
        while batch.completed_at is None:
            await SystemClock().sleep(0.1)
            batch = await client.batches.retrieve(batch.id)
    return batch.status


def environments(server: Server) -> list[Mapping[str, str]]:
    """What the worker processes of a gateway inherited."""
    children = psutil.Process(server.process.pid).children(recursive=True)
    return [child.environ() for child in children]


async def test_the_service_imports_nothing_from_the_working_directory(trap: Path) -> None:
    """Its worker processes neither: a batch completes, and no module of the directory ran."""
    with serving(trap, "emulator", "--port", "0") as emulator:
        env = loopback(trap, GATEWAY_GEMINI_BASE_URL=emulator.url)
        with serving(trap, "serve", env=env) as server:
            assert await complete(server) == "completed"

    assert not (trap.parent / "imported").exists()


async def test_commands_on_a_machine_without_affinity(tmp_path: Path) -> None:
    """Such as macOS: no command and no worker process asks for ``sched_getaffinity`` alone."""
    (tmp_path / "lines.jsonl").write_bytes(LINE)
    env = loopback(tmp_path, **without_affinity(tmp_path))
    configured = await asyncio.to_thread(run, "config", env=env)
    translated = await asyncio.to_thread(run, "translate", str(tmp_path / "lines.jsonl"), env=env)
    with serving(tmp_path, "emulator", "--port", "0", env=env) as emulator:
        google = {"GATEWAY_GEMINI_BASE_URL": emulator.url}
        with serving(tmp_path, "serve", env=env | google) as server:
            assert await complete(server) == "completed"

    assert "GATEWAY_TRANSLATE_WORKERS=" in configured.stdout
    assert (configured.returncode, translated.returncode) == (0, 0)


async def test_workers_inherit_no_key(tmp_path: Path) -> None:
    """They read and write files: what they need is where Python and its temporary files are."""
    with serving(tmp_path, "emulator", "--port", "0") as emulator:
        env = loopback(tmp_path, GATEWAY_GEMINI_BASE_URL=emulator.url, **SECRETS, **KEPT)
        with serving(tmp_path, "serve", env=env) as server:
            assert await complete(server) == "completed"
            inherited = environments(server)

    assert inherited
    for one in inherited:
        assert {name for name in one if name.startswith(("GATEWAY", "GEMINI"))} == set()
        assert SECRETS.keys().isdisjoint(one)
        assert KEPT.items() <= one.items()
        assert "PATH" in one


def test_the_demo_imports_nothing_from_the_working_directory(trap: Path) -> None:
    """Neither its servers nor its programs."""
    done = run("demo", "--keep", str(trap.parent / "kept"), cwd=trap, env=SECRETS)

    assert (done.returncode, done.stderr) == (0, "")
    assert not (trap.parent / "imported").exists()
