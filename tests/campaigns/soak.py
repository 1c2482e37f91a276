"""Soak: clients for half an hour while the process is killed and stopped, and Google misbehaves.

``python -m tests.campaigns.soak`` runs four clients of OpenAI's SDK, two hundred batches, random
``SIGKILL`` and ``SIGSTOP`` of the gateway and of its workers, and random faults of the emulator.
At the end: every line once with its own answer, equal in a second download; one accepted create
for each planned job; memory, descriptors and disk flat. It prints a table.

``--minutes 1 --batches 24 --seed 7`` is what CI runs. The order of what happens comes from the
seed, its moment does not: a failing run can be tried again, not replayed.
"""

import argparse
import contextlib
import itertools
import os
import signal
import socket
import statistics
import sys
import tempfile
import threading
from abc import ABC, abstractmethod
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import FIRST_EXCEPTION, ThreadPoolExecutor, wait
from dataclasses import dataclass, field
from pathlib import Path
from random import Random  # noqa: TID251 - seeded: a failing run can be tried again
from typing import Final, TypeVar

import openai
import psutil
from openai.types import Batch

from gateway.emulator.running import Emulator, running
from gateway.emulator.testing import EmulatorOptions
from tests.e2e.harness import CLOCK, TERMINAL, GatewayProcess, chat_line, content_of, read_lines

MIB: Final = 2**20
# How long a client goes on asking a server that is not there, in seconds.
PATIENCE: Final = 240.0
# Seconds between two mishaps of each kind.
FAULT_PAUSE: Final = (0.5, 3.0)
BLOW_PAUSE: Final = (4.0, 15.0)
SAMPLE_PAUSE: Final = 1.0
# Growth from the first third of a run to its last that counts as flat.
MEMORY_GROWTH: Final = 24 * MIB
DESCRIPTOR_GROWTH: Final = 16
DISK_LEFT: Final = 24 * MIB
# A run of fewer samples is over before it is warm.
LEAST_SAMPLES: Final = 40

SETTINGS: Final = {
    "GATEWAY_LINE_ATTEMPTS": "50",
    "GATEWAY_RAW_RESULTS_SECONDS": "0",
    "GATEWAY_SETTLE_SECONDS": "1",
    "GATEWAY_CREATE_TIMEOUT_SECONDS": "3",
    "GATEWAY_ITEMS_PER_JOB": "150",
    "GATEWAY_GIVE_UP_SECONDS": "600",
}

# What Google does wrong, one at a time, once or twice.
FAULTS: Final[Sequence[tuple[str, dict[str, object]]]] = (
    ("drop-after", {"on": "create", "times": 1}),
    ("hang-after", {"on": "create", "times": 1}),
    ("hang", {"on": "create", "times": 1}),
    ("error-after", {"on": "create", "times": 2}),
    ("garbage-after", {"on": "create", "times": 1}),
    ("quota", {"times": 2}),
    ("overloaded", {"times": 5}),
    ("error", {"on": "get|list", "status": 500, "times": 4}),
    ("garbage", {"on": "get|download", "times": 2}),
    ("get-denied", {"seconds": 3, "times": 20}),
    ("download-denied", {"seconds": 3, "times": 20}),
    ("delete-refused", {"seconds": 2, "times": 20}),
    ("results-shuffled", {"times": 2}),
    ("results-doubled", {"times": 2, "share": 0.5}),
    ("results-dropped", {"times": 2, "share": 0.3}),
    ("results-keyless", {"times": 1, "share": 0.3}),
    ("results-garbled", {"times": 1, "share": 0.1}),
    ("results-fail", {"times": 2, "share": 0.5, "code": 13}),
    ("job-fails", {"times": 1, "code": 8}),
    ("job-slow", {"times": 2, "seconds": 4}),
    ("state-unknown", {"times": 3}),
    ("output-late", {"gets": 3}),
    ("list-empty", {"times": 1}),
    ("list-stale", {"times": 2}),
    ("upload-no-file", {"times": 1}),
    ("upload-cut", {"times": 1, "bytes": 2000}),
    ("file-expired", {"times": 1}),
    ("download-cut", {"times": 2, "bytes": 3000}),
)

# What a line came to that it must never come to.
LOST: Final = "lost"
DOUBLED: Final = "doubled or foreign"

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Plan:
    """How long, how much, and by which dice."""

    seconds: float = 1800.0
    batches: int = 200
    clients: int = 4
    seed: int = 0
    patience: float = PATIENCE
    sizes: tuple[int, ...] = (1, 3, 40, 120, 400)  # of batches, in lines


@dataclass(frozen=True)
class Sample:
    """What the gateway and its workers held at a moment."""

    memory: int
    descriptors: int
    disk: int


@dataclass
class Report:
    """What a run came to; ``wrong`` says every promise that was broken."""

    wrong: list[str] = field(default_factory=list)
    samples: list[Sample] = field(default_factory=list)
    happened: Counter[str] = field(default_factory=Counter)

    def table(self) -> str:
        """What happened, and what was held in the thirds of the run."""
        rows = [f"| {name} | {count} |" for name, count in sorted(self.happened.items())]
        head = ["| what | how often |", "| --- | --- |", *rows, ""]
        thirds = [_held(third) for third in self.thirds() if third]
        names = ("memory, MB", "descriptors", "disk, MB")
        held = [
            f"| {name} | {' | '.join(f'{third[number]:.1f}' for third in thirds)} |"
            for number, name in enumerate(names)
        ]
        title = ["| median of a third | first | second | last |", "| --- | --- | --- | --- |"]
        return "\n".join([*head, *title, *held])

    def thirds(self) -> list[list[Sample]]:
        """The samples in three parts, in order."""
        size = max(len(self.samples) // 3, 1)
        return [self.samples[:size], self.samples[size : 2 * size], self.samples[2 * size :]]


def _held(samples: Sequence[Sample]) -> tuple[float, float, float]:
    return (
        statistics.median(one.memory for one in samples) / MIB,
        statistics.median(one.descriptors for one in samples),
        statistics.median(one.disk for one in samples) / MIB,
    )


class Server:
    """The gateway, which may be killed at any moment, always on the same port."""

    def __init__(self, directory: Path, gemini: Emulator) -> None:
        (directory / "data").mkdir()
        self._port = _held_port()
        settings = {**SETTINGS, "GATEWAY_PORT": str(self._port.getsockname()[1])}
        self.process = GatewayProcess(directory / "data", gemini.base_url, settings)
        self._lock = threading.Lock()
        self.process.start()

    def close(self) -> None:
        """End it, and give its port back."""
        self.process.close()
        self._port.close()

    def kill_and_start(self) -> None:
        """SIGKILL, then a new one."""
        with self._lock:
            self.process.kill()
            self.process.start()

    def stop_for(self, seconds: float, over: threading.Event) -> None:
        """SIGSTOP, and SIGCONT after a while."""
        with self._lock:
            main = psutil.Process(self.process.pid)
            main.send_signal(signal.SIGSTOP)
            over.wait(seconds)
            main.send_signal(signal.SIGCONT)

    def kill_worker(self, random: Random) -> bool:
        """SIGKILL to one worker process, if there is one."""
        with self._lock:
            workers = self.process.workers()
            with contextlib.suppress(psutil.NoSuchProcess):
                if workers:
                    random.choice(workers).kill()
                    return True
        return False

    def sample(self) -> Sample | None:
        """What it holds now; None while it is being started."""
        if not self._lock.acquire(blocking=False):
            return None
        try:
            main = psutil.Process(self.process.pid)
            family = [main, *main.children(recursive=True)]
            memory = sum(one.memory_info().rss for one in family)
            return Sample(memory, main.num_fds(), _bytes_under(self.process.data))
        except psutil.NoSuchProcess:
            return None
        finally:
            self._lock.release()


class Campaign(ABC):
    """Clients of a gateway, and mishaps, each in threads of their own."""

    def __init__(self, plan: Plan, gemini: Emulator, clients: Sequence[openai.OpenAI]) -> None:
        self.report = Report()
        self._plan = plan
        self._gemini = gemini
        self._over = threading.Event()
        self._failed = threading.Event()
        self._clients = itertools.cycle(clients)

    @property
    def _client(self) -> openai.OpenAI:
        """The next one: each process of several answers in turn."""
        return next(self._clients)

    def run(self) -> Report:
        """All of it; the report."""
        plan = self._plan
        others = self._others()
        with ThreadPoolExecutor(plan.clients + len(others)) as pool:
            running_others = [pool.submit(self._to_the_end, other) for other in others]
            clients = [pool.submit(self._be_client, number) for number in range(plan.clients)]
            wait(clients, return_when=FIRST_EXCEPTION)
            self._over.set()
            for each in (*running_others, *clients):  # why a server did not start comes first
                each.result()
        self._gemini.clear_faults()
        self._check()
        return self.report

    def _others(self) -> Sequence[Callable[[], None]]:
        """What goes on next to the clients, until all is over."""
        return (self._strike_google, self._strike_gateway)

    def _to_the_end(self, other: Callable[[], None]) -> None:
        """Strike or watch; when that fails, as a start does, clients would ask on in vain."""
        try:
            other()
        except BaseException:
            self._failed.set()
            self._over.set()
            raise

    @abstractmethod
    def _strike_gateway(self) -> None:
        """Do to the gateway what this campaign is about, until all is over."""

    @abstractmethod
    def _check(self) -> None:
        """Hold the records against what the emulator has seen."""

    def _check_jobs(self, planned: set[str], batches: int, expected: int) -> None:
        """One accepted create for each planned job, and no batch twice."""
        wrong = self.report.wrong
        accepted = Counter(str(one["displayName"]) for one in self._gemini.journal("create"))
        self.report.happened.update(
            {"jobs planned": len(planned), "creates accepted": accepted.total()}
        )
        if doubled := [name for name, count in accepted.items() if count > 1]:
            wrong.append(f"created twice: {doubled}")
        if strangers := set(accepted) - planned:
            wrong.append(f"created without a record: {strangers}")
        if batches != expected:
            wrong.append(f"{batches} batches instead of {expected}")

    # --- clients ----------------------------------------------------------------------------

    def _be_client(self, number: int) -> None:
        plan = self._plan
        random = Random(f"{plan.seed} client {number}")
        mine = range(number, plan.batches, plan.clients)
        start = CLOCK.monotonic()
        for place, batch in enumerate(mine):
            due = start + place * plan.seconds / len(mine)
            self._over.wait(max(due - CLOCK.monotonic(), 0))
            self._one_batch(batch, random)

    def _one_batch(self, number: int, random: Random) -> None:
        ids = [f"b{number}-{line}" for line in range(random.choice(self._plan.sizes))]
        content = b"".join(chat_line(one, _prompt(one, random)) for one in ids)
        file = self._ask(
            lambda: self._client.files.create(file=("in.jsonl", content), purpose="batch")
        )
        batch = self._ask(
            lambda: self._client.batches.create(
                input_file_id=file.id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                extra_headers={"Idempotency-Key": f"soak-{number}"},
            )
        )
        done = self._followed(batch)
        self._check_batch(done, ids)
        self.report.happened.update(batches=1, lines=len(ids))
        for one in (file.id, done.output_file_id, done.error_file_id):
            if one is not None:
                self._delete(one)

    def _ask(self, call: Callable[[], Answer]) -> Answer:
        """The answer, however often the server dies meanwhile."""
        end = CLOCK.monotonic() + self._plan.patience
        while True:
            try:
                return call()
            except (openai.APIConnectionError, openai.InternalServerError) as error:
                if self._failed.is_set() or CLOCK.monotonic() > end:
                    raise AssertionError(f"no answer in time: {error}") from error
                self.report.happened["calls repeated"] += 1
                threading.Event().wait(0.2)

    def _followed(self, batch: Batch) -> Batch:
        end = CLOCK.monotonic() + self._plan.patience
        while True:
            now = self._ask(lambda: self._client.batches.retrieve(batch.id))
            if now.status in TERMINAL:
                return now
            if CLOCK.monotonic() > end:
                raise AssertionError(f"not ended: {now.to_json()}")
            threading.Event().wait(0.2)

    def _delete(self, file_id: str) -> None:
        with contextlib.suppress(openai.NotFoundError):  # the first answer was lost
            self._ask(lambda: self._client.files.delete(file_id))

    # --- mishaps ----------------------------------------------------------------------------

    def _strike_google(self) -> None:
        random = Random(f"{self._plan.seed} google")
        while not self._over.wait(random.uniform(*FAULT_PAUSE)):
            if random.random() < 0.3:  # those that met no occasion do not add up
                self._gemini.clear_faults()
            name, parameters = random.choice(FAULTS)
            self._gemini.fault(name, **parameters)
            self.report.happened["faults of Google armed"] += 1

    # --- invariants -------------------------------------------------------------------------

    def _check_batch(self, done: Batch, ids: Sequence[str]) -> None:
        files = (done.output_file_id, done.error_file_id)
        first, second = ([self._read(one) for one in files] for _ in range(2))
        wrong = [*_broken(done, ids, [row for rows in first for row in rows])]
        if first != second:
            wrong.append("a second download differs")
        self.report.wrong += [f"{done.id}: {one}" for one in wrong]

    def _read(self, file_id: str | None) -> list[dict[str, object]]:
        return self._ask(lambda: read_lines(self._client, file_id))


class Soak(Campaign):
    """One process that is killed and stopped, and watched for what it holds."""

    def __init__(self, plan: Plan, server: Server, gemini: Emulator) -> None:
        super().__init__(plan, gemini, [server.process.client(timeout=30)])
        self._server = server

    def _strike_gateway(self) -> None:
        random = Random(f"{self._plan.seed} gateway")
        while not self._over.wait(random.uniform(*BLOW_PAUSE)):
            blow = random.choice(("SIGKILL", "SIGSTOP", "SIGKILL of a worker"))
            if blow == "SIGKILL":
                self._server.kill_and_start()
            elif blow == "SIGSTOP":
                self._server.stop_for(random.uniform(0.5, 4), self._over)
            elif not self._server.kill_worker(random):
                continue
            self.report.happened[blow] += 1

    def _others(self) -> Sequence[Callable[[], None]]:
        return (*super()._others(), self._watch)

    def _watch(self) -> None:
        """Measure."""
        while not self._over.wait(SAMPLE_PAUSE):
            if sample := self._server.sample():
                self.report.samples.append(sample)

    def _check(self) -> None:
        process = self._server.process
        planned = {name for (name,) in process.rows("SELECT display_name FROM jobs")}
        [(batches,)] = process.rows("SELECT count(*) FROM batches")
        self._check_jobs(planned, batches, self._plan.batches)
        self._check_disk()
        self._check_flat()

    def _check_disk(self) -> None:
        """Nothing is left of files that clients have deleted, but records."""
        for file in list(self._ask(lambda: self._client.files.list(limit=10_000)).data):
            self._delete(file.id)
        end = CLOCK.monotonic() + 30
        while (left := _bytes_under(self._server.process.data)) > DISK_LEFT:
            if CLOCK.monotonic() > end:
                self.report.wrong.append(f"{left / MIB:.0f} MB are left on the disk")
                return
            threading.Event().wait(0.5)

    def _check_flat(self) -> None:
        if len(self.report.samples) < LEAST_SAMPLES:
            return
        first, _, last = map(_held, self.report.thirds())
        if last[0] - first[0] > MEMORY_GROWTH / MIB:
            self.report.wrong.append(f"memory grew from {first[0]:.0f} to {last[0]:.0f} MB")
        if last[1] - first[1] > DESCRIPTOR_GROWTH:
            self.report.wrong.append(f"descriptors grew from {first[1]:.0f} to {last[1]:.0f}")


def _prompt(custom_id: str, random: Random) -> str:
    """Words that end in the line's own name; a tenth of them fails once."""
    fails = "[[error:13,times=1]] " if random.random() < 0.1 else ""
    return f"{fails}{'word ' * random.choice((1, 20))}{custom_id}"


def _broken(done: Batch, ids: Sequence[str], rows: Sequence[dict[str, object]]) -> Iterator[str]:
    """Every promise that an ended batch breaks."""
    if done.status != "completed":
        errors = [] if done.errors is None else done.errors.data or []
        yield f"status {done.status}: {[(error.code, error.message) for error in errors]}"
    counts = Counter(str(row["custom_id"]) for row in rows)
    if lost := set(ids) - set(counts):
        yield f"{LOST}: {sorted(lost)[:5]}"
    if odd := [name for name, count in counts.items() if count > 1 or name not in set(ids)]:
        yield f"{DOUBLED}: {odd[:5]}"
    if failed := [row for row in rows if not _is_answered(row)]:
        yield f"{len(failed)} lines without an answer of their own, as {failed[0]}"
    told = done.request_counts
    if told is None or (told.total, told.completed) != (len(ids), len(ids)):
        yield f"counts {told}"


def _is_answered(row: dict[str, object]) -> bool:
    try:
        return content_of(row).endswith(str(row["custom_id"]))
    except (KeyError, TypeError, IndexError):
        return False


def _bytes_under(directory: Path) -> int:
    total = 0
    for place, _, names in os.walk(directory):  # what goes meanwhile is passed over
        for name in names:
            with contextlib.suppress(FileNotFoundError):
                total += Path(place, name).stat().st_size
    return total


def _held_port() -> socket.socket:
    """A port that no other program gets while the server is being started again.

    It is bound and does not listen: by SO_REUSEADDR the server may listen there, and whoever asks
    for any free port gets another.
    """
    held = socket.socket()
    held.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    held.bind(("127.0.0.1", 0))
    return held


def soak(plan: Plan, kept: Path | None = None) -> Report:
    """Run it; records and log are in ``kept`` afterwards, if that is a directory."""
    options = EmulatorOptions(job_seconds=0.5, max_live_jobs=10_000, seed=plan.seed)
    with tempfile.TemporaryDirectory() as directory, running(options) as gemini:
        server = Server(kept or Path(directory), gemini)
        try:
            return Soak(plan, server, gemini).run()
        finally:
            server.close()


def main() -> int:
    """Soak, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--minutes", type=float, default=30)
    parser.add_argument("--batches", type=int, default=200)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="an empty directory for its records and its log")
    given = parser.parse_args()
    report = soak(Plan(given.minutes * 60, given.batches, given.clients, given.seed), given.keep)
    print(report.table())
    for one in report.wrong:
        print(f"BROKEN {one}")
    return min(len(report.wrong), 1)


if __name__ == "__main__":
    sys.exit(main())
