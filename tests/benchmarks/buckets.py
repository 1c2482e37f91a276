"""Bytes of files through a bucket, against obstore's own copy of them in the same run.

``python -m tests.benchmarks.buckets [--megabytes N] [--rounds N] [--engine moto|gcs|azurite]``. The
server is a process of its own, on the same cores; ratios hold better than seconds.
"""

import argparse
import asyncio
import contextlib
import hashlib
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Final

import obstore
import psutil

from gateway.api.content import Span, read_span
from gateway.batches.file import Segment
from gateway.blobs.buckets import open_bucket
from gateway.blobs.objects import ObjectBlobs
from gateway.clock import SystemClock
from tests.conformance.records import a_file
from tests.engines.buckets import BUCKET, BucketServer, azurite, environment_of

CLOCK: Final = SystemClock()
MIB: Final = 1 << 20
SCHEMES: Final = {"moto": "s3", "gcs": "gs", "azurite": "az"}
SERVE: Final = "serve"

Work = tuple[str, Callable[[], Awaitable[object]]]


@contextlib.contextmanager
def moto() -> Iterator[dict[str, str]]:
    """The server in a process of its own."""
    command = [sys.executable, "-m", "tests.benchmarks.buckets", SERVE]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as process:
        assert process.stdout is not None
        url = process.stdout.readline().decode().strip()
        try:
            yield environment_of(url)
        finally:
            process.kill()


def _serve() -> None:
    with BucketServer().running() as server:
        print(server.url, flush=True)
        sys.stdin.read()


async def _timed(work: Callable[[], Awaitable[object]]) -> float:
    begun = CLOCK.monotonic()
    await work()
    return CLOCK.monotonic() - begun


def turned(works: list[Work], by: int) -> list[Work]:
    """Begin with another one each time: whoever comes first finds the server as it was left."""
    by %= len(works)
    return [*works[by:], *works[:by]]


class _Trial:
    """The same bytes up and down, ours and obstore's in turn."""

    def __init__(self, url: str, size: int, directory: Path) -> None:
        self._bucket = open_bucket(url)
        self._blobs = ObjectBlobs(url, "benchmark", new=True)
        self._size = size
        self._source = directory / "source"
        self._directory = directory
        block = os.urandom(MIB)
        digest = hashlib.sha256()
        with self._source.open("wb") as file:
            for _ in range(size // MIB):
                file.write(block)
                digest.update(block)
        self._sha256 = digest.hexdigest()
        self.peak = 0

    async def run(self, rounds: int) -> dict[str, list[float]]:
        """Seconds by what was done."""
        await self._blobs.open()
        found: dict[str, list[float]] = {}
        for number in range(rounds):
            name = f"blob-{number:04}"
            ups: list[Work] = [
                ("obstore put", self._put),
                ("a file goes up", partial(self._adopt, f"{name}-file")),
                ("an upload goes up", partial(self._upload, name)),
            ]
            downs: list[Work] = [
                ("obstore get", self._get),
                ("a file comes down", partial(self._copy, name)),
                ("a download", partial(self._read, name)),
                ("a download, compared", partial(self._compare, name)),
            ]
            for what, work in (*turned(ups, number), *turned(downs, number)):
                found.setdefault(what, []).append(await _timed(work))
                self.peak = max(self.peak, psutil.Process().memory_info().rss)
            for path in ("theirs", f"blobs/{name}", f"blobs/{name}-file"):
                await obstore.delete_async(self._bucket, path)
        return found

    async def _put(self) -> None:
        await obstore.put_async(self._bucket, "theirs", self._source, max_concurrency=4)

    async def _adopt(self, name: str) -> None:
        made = self._directory / "made"
        os.link(self._source, made)
        await self._blobs.adopt({name: made})

    async def _upload(self, name: str) -> None:
        with self._source.open("rb") as file:
            async with self._blobs.create(name) as writer:
                while block := await asyncio.to_thread(file.read, MIB):
                    await writer.write(block)

    async def _get(self) -> None:
        found = await obstore.get_async(self._bucket, "theirs")
        with (self._directory / "back").open("wb") as file:
            async for block in found.stream(min_chunk_size=MIB):
                await asyncio.to_thread(file.write, block)

    async def _copy(self, name: str) -> None:
        back = self._directory / "copied"
        await self._blobs.copy_to(name, back)
        back.unlink()

    async def _read(self, name: str) -> None:
        size = 0
        async for block in self._blobs.read(name):
            size += len(block)
        assert size == self._size

    async def _compare(self, name: str) -> None:
        """As a client's download of a whole file is: with its digest."""
        segments = (Segment(name, self._size),)
        file = a_file(bytes=self._size, sha256=self._sha256, segments=segments)
        async for _ in read_span(file, self._blobs, Span(0, self._size)):
            pass


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--megabytes", type=int, default=256)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--engine", choices=SCHEMES, default="azurite")
    given = parser.parse_args()
    engine = azurite if given.engine == "azurite" else moto
    with engine() as environment, tempfile.TemporaryDirectory() as directory:
        os.environ.update(environment)  # noqa: TID251 - obstore finds the server there
        url = f"{SCHEMES[given.engine]}://{BUCKET}/benchmark"
        trial = _Trial(url, given.megabytes * MIB, Path(directory))
        found = asyncio.run(trial.run(given.rounds))
    for what, times in found.items():
        floor = "obstore put" if what.endswith("up") or what == "obstore put" else "obstore get"
        ratio = statistics.median(found[floor]) / statistics.median(times)
        spread = f"{min(times):.2f} to {max(times):.2f} s"
        print(f"{what:20} {spread:18} {ratio:.2f} of obstore's rate")
    print(f"at most {trial.peak // MIB} MiB resident")


if __name__ == "__main__":
    if sys.argv[1:] == [SERVE]:
        _serve()
    else:
        main()
