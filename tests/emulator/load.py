"""What an emulator can carry: a rerunnable measurement, not a test.

    PYTHONPATH=. python tests/emulator/load.py [--lines 1000000] [--gib 2] [--jobs 10000]

It runs an emulator in a process of its own and prints, for each load, how long it took, the most
memory the process held (its own, not shared) and how long a GET took beside it. Conditions (cores,
what else ran) are the reader's to note.
"""

import argparse
import asyncio
import multiprocessing
import statistics
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import httpx
import orjson
import psutil

from gateway.emulator import EmulatorOptions
from gateway.emulator.app import create_app
from gateway.emulator.serve import listen, make_server
from tests.sampling import sampled

HEADERS = {"x-goog-api-key": "k"}
CREATE = "/v1beta/models/gemini-2.5-flash:batchGenerateContent"
BLOCK = bytes(1 << 20)
LINES_PER_BLOCK = 1000
WATCH_SECONDS = 0.25


def run_emulator(port: "multiprocessing.Queue[int]") -> None:
    """The child process: serve until terminated."""
    options = EmulatorOptions(max_live_jobs=100_000)
    listener = listen("127.0.0.1", 0)
    port.put(listener.getsockname()[1])
    server = make_server(create_app(options), "127.0.0.1", 0)
    asyncio.run(server.serve(sockets=[listener]))


class Watcher:
    """Memory of a process and the time of a small GET, while something else goes on."""

    def __init__(self, pid: int, base_url: str) -> None:
        self._process = psutil.Process(pid)
        self._base_url = base_url

    def memory(self) -> float:
        """Megabytes of its own."""
        return float(self._process.memory_full_info().uss / 1e6)

    @contextmanager
    def watching(self, what: str) -> Iterator[None]:
        """Measure what happens inside and print it."""
        with httpx.Client(base_url=self._base_url, headers=HEADERS, timeout=60) as client:
            memory: list[float] = []
            times: list[float] = []

            def look() -> None:
                memory.append(self.memory())
                started = time.perf_counter()
                client.get("/v1beta/models/gemini-2.5-flash")
                times.append(time.perf_counter() - started)

            started = time.perf_counter()
            with sampled(look, WATCH_SECONDS):
                yield
            took = time.perf_counter() - started
        worst, median = max(times) * 1000, statistics.median(times) * 1000
        print(
            f"{what}: {took:.1f} s, {memory[0]:.0f} MB before, {max(memory):.0f} MB at most,"
            f" GET {median:.1f} ms, worst {worst:.0f} ms",
            flush=True,
        )


def upload(client: httpx.Client, blocks: Iterator[bytes], size: int) -> str:
    """Send ``size`` bytes in one chunk; the file's name."""
    start = client.post(
        "/upload/v1beta/files",
        headers={
            "X-Goog-Upload-Command": "start",
            "X-Goog-Upload-Header-Content-Length": str(size),
        },
    )
    headers = {
        "X-Goog-Upload-Command": "upload, finalize",
        "X-Goog-Upload-Offset": "0",
        "Content-Length": str(size),
    }
    done = client.post(start.headers["x-goog-upload-url"], content=blocks, headers=headers)
    return str(done.json()["file"]["name"])


def large_upload(client: httpx.Client, watcher: Watcher, gib: float) -> None:
    """One file of zeros."""
    count = int(gib * 1024)
    with watcher.watching(f"upload of {gib:g} GiB"):
        name = upload(client, (BLOCK for _ in range(count)), count << 20)
    client.delete(f"/v1beta/{name}")


def large_job(client: httpx.Client, watcher: Watcher, lines: int) -> None:
    """One file job, and its download."""
    block = b"".join(_line(number) for number in range(LINES_PER_BLOCK))
    count = lines // LINES_PER_BLOCK
    name = upload(client, (block for _ in range(count)), len(block) * count)
    with watcher.watching(f"job of {lines} lines"):
        body = {"batch": {"inputConfig": {"fileName": name}}}
        ended = _until_done(client, client.post(CREATE, json=body).json()["name"])
    print(f"  {ended['metadata']['batchStats']}")
    path = f"/download/v1beta/{ended['response']['responsesFile']}:download"
    with watcher.watching("  its download"), client.stream("GET", path) as response:
        for _ in response.iter_raw():
            pass


def _line(number: int) -> bytes:
    text = f"Question number {number}: " + "lorem ipsum " * 15
    request = {"contents": [{"role": "user", "parts": [{"text": text}]}]}
    return orjson.dumps({"key": str(number), "request": request}) + b"\n"


def _until_done(client: httpx.Client, name: str) -> Any:
    pause = threading.Event()
    while not (job := client.get(f"/v1beta/{name}").json()).get("done"):
        pause.wait(0.5)
    return job


def many_jobs(client: httpx.Client, watcher: Watcher, jobs: int) -> None:
    """Inline jobs of one item, one after the other; then all of them listed."""
    item = {"request": {"contents": [{"parts": [{"text": "x"}]}]}}
    body = orjson.dumps({"batch": {"inputConfig": {"requests": {"requests": [item]}}}})
    with watcher.watching(f"{jobs} jobs"):
        for _ in range(jobs):
            client.post(CREATE, content=body).raise_for_status()
    token, listed = "", 0
    with watcher.watching("  listed"):
        while listed < jobs:
            page = client.get("/v1beta/batches", params={"pageSize": 1000, "pageToken": token})
            listed += len(page.json()["operations"])
            token = page.json().get("nextPageToken", "")


def main() -> None:
    """Start an emulator, load it, print."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--gib", type=float, default=2)
    parser.add_argument("--jobs", type=int, default=10_000)
    asked = parser.parse_args()
    context = multiprocessing.get_context("spawn")
    port: multiprocessing.Queue[int] = context.Queue()
    process = context.Process(target=run_emulator, args=(port,), daemon=True)
    process.start()
    base_url = f"http://127.0.0.1:{port.get()}"
    watcher = Watcher(process.pid or 0, base_url)
    try:
        with httpx.Client(base_url=base_url, headers=HEADERS, timeout=600) as client:
            client.get("/v1beta/batches")
            print(f"idle: {watcher.memory():.0f} MB")
            large_upload(client, watcher, asked.gib)
            large_job(client, watcher, asked.lines)
            many_jobs(client, watcher, asked.jobs)
    finally:
        process.terminate()
        process.join()


if __name__ == "__main__":
    main()
