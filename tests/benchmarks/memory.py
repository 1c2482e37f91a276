"""Memory that does not grow with the file: peak anonymous memory of the gateway's process tree.

``python -m tests.benchmarks.memory`` runs a 20 MB batch, a 400 MB batch, a batch of a million
300-byte lines and a 2 GiB upload through the real program (the emulator is another process and
not counted) and prints each peak. Goals: the three batches within 30 MB of each other; the upload
within 30 MB of idle. ``--quick`` takes a tenth of each size. Needs up to 8 GB of disk.
"""

import argparse
import itertools
import tempfile
from collections.abc import Iterator
from functools import partial
from pathlib import Path

from tests.benchmarks.lines import KINDS
from tests.benchmarks.service import CLOCK, MIB, Service, anonymous_memory, service
from tests.sampling import highest

MB = 1_000_000
GIB = 1024 * MIB


def write(path: Path, lines: Iterator[bytes], *, size: int = 0, count: int = 0) -> int:
    """Write lines until there are enough; the size of the file."""
    written = 0
    with path.open("wb", buffering=MIB) as file:
        for number in itertools.count():
            if (size and written >= size) or (count and number == count):
                break
            written += file.write(next(lines) + b"\n")
    return written


def run_batch(gateway: Service, path: Path, size: int) -> tuple[int, float]:
    """One batch from upload to completion: peak memory and seconds."""
    started = CLOCK.monotonic()
    with highest(partial(anonymous_memory, gateway.pid)) as peak:
        with path.open("rb") as file:
            batch_id = gateway.create(gateway.upload(file, size))
        done = gateway.wait(batch_id, "completed")
    counts = done["request_counts"]
    assert counts["total"] == counts["completed"] + counts["failed"] > 0, counts
    return peak.value, CLOCK.monotonic() - started


def run_upload(gateway: Service, size: int) -> tuple[int, float]:
    """One upload of spaces, which look like text, and of zeros from a sparse file."""
    with tempfile.TemporaryFile() as file:
        file.write(b" " * 4096)
        file.truncate(size)
        started = CLOCK.monotonic()
        with highest(partial(anonymous_memory, gateway.pid)) as peak:
            file.seek(0)
            gateway.upload(file, size)
        return peak.value, CLOCK.monotonic() - started


def show(name: str, peak: int, seconds: float) -> None:
    """One row."""
    print(f"{name:<28}{peak / MB:9.1f} MB{seconds:9.1f} s", flush=True)


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of each size")
    share = 10 if parser.parse_args().quick else 1
    plans = {
        f"{20 // share} MB, mixed": ("mixed", 20 * MB // share, 0),
        f"{400 // share} MB, mixed": ("mixed", 400 * MB // share, 0),
        f"{1_000_000 // share:,} lines of 300 bytes": ("small", 0, 1_000_000 // share),
    }
    peaks = {}
    print(f"{'':<28}{'peak':>12}{'wall':>11}")
    with tempfile.TemporaryDirectory() as directory:
        for name, (kind, size, count) in plans.items():
            path = Path(directory) / "input.jsonl"
            written = write(path, KINDS[kind](), size=size, count=count)
            with service() as gateway:
                peaks[name], seconds = run_batch(gateway, path, written)
            show(name, peaks[name], seconds)
    spread = max(peaks.values()) - min(peaks.values())
    print(f"{'spread (goal: 30 MB)':<28}{spread / MB:9.1f} MB")
    with service() as gateway:
        idle = anonymous_memory(gateway.pid)
        show("idle", idle, 0)
        peak, seconds = run_upload(gateway, 2 * GIB // share)
        show(f"upload of {2048 // share} MiB", peak, seconds)
        print(f"{'over idle (goal: 30 MB)':<28}{(peak - idle) / MB:9.1f} MB")


if __name__ == "__main__":
    main()
