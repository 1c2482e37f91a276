"""The event loop stays responsive: p99 of ``GET /v1/batches/{id}`` while 400 MB are translated.

``python -m tests.benchmarks.latency`` asks one after the other over one connection, first with
the gateway idle, then while it validates a 400 MB batch with its default workers, and prints the
ratio. Goal: at most 3. ``--megabytes`` changes the size.
"""

import argparse
import contextlib
import io
import tempfile
from collections.abc import Callable
from pathlib import Path

from tests.benchmarks.lines import KINDS
from tests.benchmarks.memory import MB, write
from tests.benchmarks.service import CLOCK, Service, service

IDLE_REQUESTS = 5_000


def ask(gateway: Service, batch_id: str, more: Callable[[int, bytes], bool]) -> list[float]:
    """Milliseconds of each GET, for as long as ``more(count, last body)``."""
    took: list[float] = []
    body = b""
    with contextlib.closing(gateway.connection()) as connection:
        while more(len(took), body):
            started = CLOCK.monotonic()
            connection.request(
                "GET", f"/v1/batches/{batch_id}", headers={"Authorization": "Bearer benchmark"}
            )
            body = connection.getresponse().read()
            took.append((CLOCK.monotonic() - started) * 1000)
    return took


def row(name: str, took: list[float]) -> float:
    """Print percentiles; the p99."""
    took.sort()
    p50, p99 = (took[int(len(took) * share)] for share in (0.5, 0.99))
    print(f"{name:<28}{len(took):9d}{p50:9.2f}{p99:9.2f}", flush=True)
    return p99


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=int, default=400)
    size = parser.parse_args().megabytes * MB
    print(f"{'':<28}{'requests':>9}{'p50 ms':>9}{'p99 ms':>9}")
    with tempfile.TemporaryDirectory() as directory, service() as gateway:
        path = Path(directory) / "input.jsonl"
        written = write(path, KINDS["mixed"](), size=size)
        with path.open("rb") as file:
            file_id = gateway.upload(file, written)
        tiny = next(KINDS["small"]()) + b"\n"
        done = gateway.create(gateway.upload(io.BytesIO(tiny), len(tiny)))
        gateway.wait(done, "completed")
        idle = row("idle", ask(gateway, done, lambda count, _: count < IDLE_REQUESTS))
        busy_id = gateway.create(file_id)
        took = ask(gateway, busy_id, lambda count, body: not count or b'"validating"' in body)
        busy = row(f"validating {size // MB} MB", took)
        print(f"{'ratio (goal: 3)':<28}{busy / idle:27.2f}")
        gateway.call("POST", f"/v1/batches/{busy_id}/cancel")


if __name__ == "__main__":
    main()
