"""Nothing waits in the gateway: from create to the first call, from a job's end to its files.

``python -m tests.benchmarks.turnaround`` runs batches of 1,000 and of 50,000 lines and prints, for
the first, the time from the answer to its create until the emulator received the first byte of its
spool; for the second, the time from the look that found its last job ended until its files are
there.
Beside each is a floor of the same run: what one process takes to read and write the same lines as
JSON, to and from the disk, with nothing in between. Goals: 1 s and 2 s. The medians of
``--rounds`` are printed.
"""

import argparse
import contextlib
import os
import sqlite3
import statistics
import tempfile
from datetime import datetime
from pathlib import Path
from urllib.request import urlopen

import orjson

from tests.benchmarks.lines import KINDS
from tests.benchmarks.memory import write
from tests.benchmarks.service import CLOCK, Service, service


def rewrite(lines: bytes, path: Path, times: int) -> float:
    """Seconds to parse every line and write it anew, so many times."""
    started = CLOCK.monotonic()
    for _ in range(times):
        with path.open("wb") as file:
            for line in lines.splitlines():
                file.write(orjson.dumps(orjson.loads(line)) + b"\n")
            file.flush()
            os.fsync(file.fileno())
    return CLOCK.monotonic() - started


def first_call(gateway: Service, since: int) -> float:
    """Seconds since the epoch at which the emulator received the first call about a file."""
    with urlopen(f"{gateway.upstream}/emulator/journal?kind=upload-start&since={since}") as answer:
        [entry, *_] = orjson.loads(answer.read())["entries"]
    return datetime.fromisoformat(entry["at"]).timestamp()


def last_entry(gateway: Service) -> int:
    """The number of the journal's last entry."""
    with urlopen(f"{gateway.upstream}/emulator/journal") as answer:
        entries = orjson.loads(answer.read())["entries"]
    return int(entries[-1]["seq"]) if entries else 0


def published_after(gateway: Service, batch_id: str) -> float:
    """Seconds from the look that found the end of the last job until the batch was completed."""
    uri = f"file:{gateway.data}/gateway.sqlite3?mode=ro"
    query = (
        "SELECT min(batches.completed_at - jobs.looked_at) FROM batches"
        " JOIN jobs ON jobs.batch_id = batches.id WHERE batches.id = ?"
    )
    with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=30)) as database:
        return int(database.execute(query, [batch_id]).fetchone()[0]) / 1000


def content(gateway: Service, file_id: str) -> bytes:
    """A file's bytes."""
    with contextlib.closing(gateway.connection()) as connection:
        headers = {"Authorization": "Bearer benchmark"}
        connection.request("GET", f"/v1/files/{file_id}/content", headers=headers)
        return connection.getresponse().read()


def run(gateway: Service, place: Path, lines: int) -> tuple[float, float, float, float]:
    """One batch: to the first call and its floor, to the files and theirs."""
    path = place / "input.jsonl"
    size = write(path, KINDS["small"](), count=lines)
    with path.open("rb") as file:
        file_id = gateway.upload(file, size)
    since, created = last_entry(gateway), CLOCK.now() / 1000
    batch_id = gateway.create(file_id)
    done = gateway.wait(batch_id, "completed")
    sent = first_call(gateway, since) - created
    floor = rewrite(path.read_bytes(), place / "rewritten", 1)
    output = content(gateway, done["output_file_id"])
    # Raw results are written once, rendered lines once more, and once as the file.
    last = rewrite(output, place / "rewritten", 3)
    return sent, floor, published_after(gateway, batch_id), last


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    given = parser.parse_args()
    settings = {"GATEWAY_POLL_MIN_SECONDS": "0.5", "GATEWAY_POLL_MAX_SECONDS": "0.5"}
    with tempfile.TemporaryDirectory() as directory, service("--control", **settings) as gateway:
        place = Path(directory)
        run(gateway, place, 1_000)  # the worker starts, modules are loaded
        short = [run(gateway, place, 1_000) for _ in range(given.rounds)]
        long = [run(gateway, place, 50_000) for _ in range(given.rounds)]
    sent, floor = (statistics.median(row[which] for row in short) for which in (0, 1))
    print(f"1,000 lines, create to first call: {sent:.2f} s (goal: 1; floor {floor:.3f} s)")
    ready, floor = (statistics.median(row[which] for row in long) for which in (2, 3))
    print(f"50,000 lines, end seen to files: {ready:.2f} s (goal: 2; floor {floor:.2f} s)")


if __name__ == "__main__":
    main()
