"""The oldest SDKs that speak batches: openai-python 1.20 and openai-node 4, of spring 2024."""

import asyncio
import os
import shutil
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator
from pathlib import Path

import orjson
import pytest

from tests.api.world import new_world, serving
from tests.authorities import PUBLIC_ENVIRONMENT
from tests.sdk.nodejs import OLDEST_NODE, run_version

pytestmark = pytest.mark.slow

# 1.20 wants an httpx that still knows ``proxies``.
OLD_PYTHON = ("openai==1.20.0", "httpx==0.27.2")


@pytest.fixture
async def url(tmp_path: Path) -> AsyncGenerator[str, None]:
    """A gateway without a runner."""
    async with new_world(tmp_path) as world, serving(world.app()) as base:
        yield base


def _installed() -> Path:
    """A directory with the old SDK, fetched once."""
    cache = Path(tempfile.gettempdir()) / f"openai-python-1.20.0-{os.getuid()}"
    if cache.exists():
        return cache
    fresh = Path(tempfile.mkdtemp(prefix=f"{cache.name}-"))
    command = [sys.executable, "-m", "pip", "install", "-q", "--no-input", "--target", str(fresh)]
    subprocess.run(
        [*command, *OLD_PYTHON],
        check=True,
        timeout=150,
        stderr=subprocess.DEVNULL,
        env=PUBLIC_ENVIRONMENT,
    )
    try:
        fresh.rename(cache)
    except OSError:  # another test process was faster
        shutil.rmtree(fresh)
    return cache


async def test_openai_python_1_20(url: str) -> None:
    """Every method of files, batches and models."""
    program = Path(__file__).parent / "old_python.py"
    packages = await asyncio.to_thread(_installed)
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        str(program),
        f"{url}/v1",
        "secret-a",
        env={"PYTHONPATH": str(packages), "PATH": os.defpath},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()
    told = orjson.loads(out)

    assert told["version"] == "1.20.0"
    assert all(told[name] for name in ("retrieved", "listed", "content", "batch", "deleted"))
    assert (told["waited"], told["status"], told["cancelled"]) == (
        "processed",
        "validating",
        "cancelling",
    )
    assert (told["models"], told["model"]) == (["gemini-2.5-flash"], "gemini-2.5-flash")
    assert told["in use"] == "id"
    assert "batch_none" in told["unknown"]


@pytest.mark.parametrize("scenario", ["files", "batches", "pages", "errors"])
async def test_openai_node_4(url: str, tmp_path: Path, scenario: str) -> None:
    """The same program as the current one runs."""
    programs = tmp_path / "programs"
    programs.mkdir()
    words = (f"{url}/v1", scenario, "secret-a")
    saw = await run_version(OLDEST_NODE, programs, words, {"files": 3})

    match scenario:
        case "files":
            assert saw["retrieved"] == saw["made"]
            assert (saw["listed"], saw["content"].count("\n")) == ([saw["made"]], 1)
            assert saw["deleted"]["deleted"]
            assert saw["gone"]["status"] == 404
        case "batches":
            assert saw["created"]["status"] == "validating"
            assert saw["listed"] == [saw["created"]]
            assert saw["inUse"]["status"] == 409
            assert saw["again"] == saw["cancelled"]
        case "pages":
            # Its list of files has one page, here of two.
            assert saw["listed"] == saw["made"][:0:-1]
        case _:
            assert saw["unknown"]["status"] == 404
            assert (saw["endpoint"]["status"], saw["endpoint"]["code"]) == (400, "invalid_value")
            assert saw["stranger"]["status"] == 401
