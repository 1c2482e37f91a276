"""Kill sweep: ``kill -9`` at every state-changing system call of a scripted run.

``python -m tests.campaigns.kill_sweep`` runs each scenario again and again under strace, which
kills the process at the N-th call of one kind, for every N until a run ends without a death. After
each death the gateway is started again, without strace, and the batch must end as if nothing had
happened. ``gateway/runner/README.md`` has a table of them.

``--store postgresql`` keeps the records in PostgreSQL and the bytes in a bucket (moto): there most
calls that change something are sends, and what a dead process held is taken over when its lease has
run out.

``--every 10`` tries every tenth N; ``--sample 12 --seed 7`` tries a random dozen of points, as CI
does. A point is ``SCENARIO:CALL:N``: ``--point follow-up:fdatasync:3`` runs that one alone.

strace counts the calls of each thread by itself, so the N-th call of one kind is met first by the
thread that makes most of them. Worker processes are traced too: one that dies is a failed step.
``--seccomp-bpf`` would be quicker, but strace 6.1 injects nothing with it (tried).
"""

import argparse
import contextlib
import shutil
import sys
import tempfile
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random  # noqa: TID251 - seeded: a failing sample can be repeated
from typing import Any, Final

import openai
import psycopg
from openai.types import Batch

from gateway.emulator.running import Emulator, running
from gateway.emulator.testing import EmulatorOptions
from gateway.runner.rescue_step import ANSWER_LOST
from tests.e2e.harness import (
    SERVE,
    GatewayProcess,
    chat_line,
    extension,
    finished,
    read_lines,
)
from tests.engines.buckets import BUCKET, BucketServer
from tests.postgres_server import PostgresServer

# Calls after which the disk or Google is not what it was before. A file that is opened to be made
# is written next, so a death at that write is the death after the open. The numbers are about how
# many a thread makes in one run, so that a sample meets most of its points.
CALLS: Final = {
    "write": 60,
    "pwrite64": 300,
    "fsync": 20,
    "fdatasync": 50,
    "ftruncate": 2,
    "rename": 10,
    "linkat": 10,
    "unlink": 2,
    "unlinkat": 4,
    "mkdir": 10,
}
# The same over PostgreSQL and a bucket.
SHARED_CALLS: Final = {"sendto": 500, "writev": 40, "write": 60, "mkdir": 10, "unlink": 4}
LEASE: Final = {"GATEWAY_LEASE_SECONDS": "3"}
LINES: Final = 24
# Points of one call after which a sweep ends in any case.
MOST: Final = 2000
# Attempts of a client whose server dies under it.
TRIES: Final = 5
# Seconds after which a batch counts as one that never ends: a busy machine takes a minute.
LONGEST: Final = 300
JOBS: Final = "SELECT display_name, cause FROM jobs"
IDS: Final = [f"line-{number}" for number in range(LINES)]


@dataclass(frozen=True)
class Scenario:
    """What is run: settings of the gateway, faults of the emulator, a word in some prompts.

    ``cause``: why at least one job is made, so that a scenario cannot miss what it is for.
    ``gives_up``: a death may cost the answers of synchronous calls that were under way; then their
    lines say so, and none of them is paid again.
    """

    settings: dict[str, str] = field(default_factory=dict)
    faults: tuple[tuple[str, dict[str, object]], ...] = ()
    marker: str = ""
    model: str = "gemini-2.5-flash"
    cause: str = "first"
    gives_up: bool = False


# The model whose limit of enqueued tokens lies below the job of its scenario, which has about 650.
SCARCE: Final = "gemini-3.5-flash"
SCARCE_TOKENS: Final = 400

SCENARIOS: Final = {
    "inline": Scenario(),
    "file": Scenario({"GATEWAY_INLINE_MAX_ITEMS": "0", "GATEWAY_ITEMS_PER_JOB": "10"}),
    "follow-up": Scenario(
        faults=(("results-fail", {"code": 13, "share": 0.5, "times": 1}),), cause="retry"
    ),
    "recut": Scenario(
        {
            "GATEWAY_INLINE_MAX_ITEMS": "0",
            # Believed: a job is not cut below a tenth of it.
            "GATEWAY_ENQUEUED_TOKENS": f'{{"{SCARCE}":2000}}',
        },
        marker="word " * 20,
        model=SCARCE,
        cause="recut",
    ),
    "rescue": Scenario(
        {"GATEWAY_RESCUE": "flex", "GATEWAY_RESCUE_BEFORE_SECONDS": "90000"},
        faults=(("job-stuck", {"times": 1}),),
        cause="rescue",
        gives_up=True,
    ),
}


@dataclass(frozen=True)
class Point:
    """Where the process is killed: the N-th call of one kind in a scenario."""

    scenario: str
    call: str
    number: int

    def __str__(self) -> str:
        return f"{self.scenario}:{self.call}:{self.number}"


@dataclass
class Outcome:
    """What a run came to; ``wrong`` says every promise that was broken."""

    died: bool
    wrong: list[str]


class Stores:
    """Where a run keeps its records and bytes: its data directory."""

    def settings(self, run: int) -> dict[str, str]:
        """What a run is told of it."""
        del run
        return {}

    def jobs(self, gateway: GatewayProcess, run: int) -> list[tuple[Any, ...]]:
        """Display names of the jobs of a run, with their causes; the gateway ends."""
        del run
        return gateway.rows(JOBS)


class SharedStores(Stores):
    """A database of its own in one PostgreSQL, and a prefix of its own in one bucket."""

    def __init__(self, server: PostgresServer, bucket: BucketServer) -> None:
        self._server = server
        self._bucket = bucket

    def settings(self, run: int) -> dict[str, str]:
        """An empty database and an empty prefix."""
        self._server.run(f"CREATE DATABASE run_{run}")
        return {
            **self._bucket.environment(),
            **LEASE,
            "GATEWAY_STORE": self._server.url(f"run_{run}"),
            "GATEWAY_BLOBS": f"s3://{BUCKET}/run-{run}",
        }

    def jobs(self, gateway: GatewayProcess, run: int) -> list[tuple[Any, ...]]:
        """Ask the database, which is no longer needed then."""
        with psycopg.connect(self._server.url(f"run_{run}")) as connection:
            found = connection.execute(JOBS.encode()).fetchall()
        gateway.close()
        self._server.run(f"DROP DATABASE run_{run} WITH (FORCE)")
        return found


class Sweep:
    """Runs points against one emulator, each in a data directory of its own."""

    def __init__(self, gemini: Emulator, directory: Path, stores: Stores) -> None:
        self._gemini = gemini
        self._directory = directory
        self._stores = stores
        self._runs = 0

    def run(self, point: Point) -> Outcome:
        """Run a scenario to its end, with one death on the way if the point is reached."""
        self._runs += 1
        place = self._directory / f"run-{self._runs}"
        (place / "data").mkdir(parents=True)
        scenario = SCENARIOS[point.scenario]
        self._gemini.clear_faults()
        for name, parameters in scenario.faults:
            self._gemini.fault(name, **parameters)
        where = self._stores.settings(self._runs)
        settings = {"GEMINI_API_KEY": f"key-{self._runs}", **scenario.settings, **where}
        command = (*_strace(point), *SERVE)
        gateway = GatewayProcess(place / "data", self._gemini.base_url, settings, command)
        before = len(self._gemini.journal("create")), len(self._synchronous())
        try:
            return self._ended(gateway, scenario, *before)
        finally:
            gateway.close()
            shutil.rmtree(place, ignore_errors=True)

    def _ended(
        self, gateway: GatewayProcess, scenario: Scenario, before: int, paid: int
    ) -> Outcome:
        client = Client(gateway)
        batch = client.submit(scenario)
        done = client.finished(batch)
        died = gateway.command is SERVE
        wrong = list(_broken(gateway, done, gives_up=scenario.gives_up and died))
        created = [str(entry["displayName"]) for entry in self._gemini.journal("create")[before:]]
        rows = self._stores.jobs(gateway, self._runs)
        planned = [name for name, _ in rows]
        if scenario.cause not in {cause for _, cause in rows}:
            wrong.append(f"no job was made for the cause {scenario.cause}")
        if doubled := [name for name, count in Counter(created).items() if count > 1]:
            wrong.append(f"created twice: {doubled}")
        if strangers := set(created) - set(planned):
            wrong.append(f"created without a record: {strangers}")
        calls = Counter(each["prompt"] for each in self._synchronous()[paid:])
        if twice := [prompt for prompt, count in calls.items() if count > 1]:
            wrong.append(f"paid twice: {twice}")
        return Outcome(died, wrong)

    def _synchronous(self) -> list[dict[str, Any]]:
        """Synchronous calls that were paid for, in their order; lines of jobs come before all."""
        return [each for each in self._gemini.ledger() if each["tier"] != "batch"]


class Client:
    """A program of OpenAI's SDK whose server may die under it; it starts the server again."""

    def __init__(self, gateway: GatewayProcess) -> None:
        self._gateway = gateway
        self._alive(first=True)

    def submit(self, scenario: Scenario) -> Batch:
        """Upload and create; what got no answer is asked again, the create by its key."""
        texts = {name: f"{scenario.marker} {name}".strip() for name in IDS}
        lines = [chat_line(name, text, scenario.model) for name, text in texts.items()]
        for _ in range(TRIES):
            with contextlib.suppress(openai.APIConnectionError, openai.InternalServerError):
                client = self._gateway.client()
                file = client.files.create(file=("in.jsonl", b"".join(lines)), purpose="batch")
                return client.batches.create(
                    input_file_id=file.id,
                    endpoint="/v1/chat/completions",
                    completion_window="24h",
                    extra_headers={"Idempotency-Key": "sweep"},
                )
            self._alive()
        raise AssertionError("the batch could not be created")

    def finished(self, batch: Batch) -> Batch:
        """Poll to the end."""
        for _ in range(TRIES):
            with contextlib.suppress(openai.APIConnectionError):
                return finished(self._gateway.client(), batch, LONGEST)
            self._alive()
        raise AssertionError("the batch could not be followed")

    def _alive(self, *, first: bool = False) -> None:
        """Start the server unless it runs; after a death without strace."""
        gateway = self._gateway
        if not first:
            assert gateway.process is not None
            gateway.process.wait(30)
            gateway.close()
            gateway.command = SERVE
        try:
            gateway.start()
        except AssertionError:
            if gateway.command is SERVE:
                raise
            self._alive()  # killed before it listened


def _strace(point: Point) -> tuple[str, ...]:
    return (
        "strace",
        "--follow-forks",
        "--quiet=all",
        "--output=/dev/null",
        f"--trace={point.call}",
        f"--inject={point.call}:signal=KILL:when={point.number}",
    )


def _broken(gateway: GatewayProcess, done: Batch, *, gives_up: bool) -> Iterator[str]:
    """Every promise that the ended batch breaks."""
    if done.status != "completed":
        yield f"status {done.status}"
    client = gateway.client()
    rows = [*read_lines(client, done.output_file_id), *read_lines(client, done.error_file_id)]
    counts = Counter(row["custom_id"] for row in rows)
    if missing := set(IDS) - set(counts):
        yield f"lost: {sorted(missing)}"
    if doubled := [name for name, count in counts.items() if count > 1]:
        yield f"doubled: {doubled}"
    lost = (extension(done)["rescue"] or {"lost": 0})["lost"] if gives_up else 0
    given_up = 0
    for row in rows:
        body = row["response"]["body"] if row["response"] else {}
        answer = body.get("choices")
        if gives_up and body.get("error", {}).get("message") == ANSWER_LOST:
            given_up += 1
        elif not answer or not answer[0]["message"]["content"].endswith(row["custom_id"]):
            yield f"{row['custom_id']} has no answer of its own"
    if given_up != lost:
        yield f"{given_up} lines given up, {lost} calls lost"
    counted = done.request_counts
    if counted is None or (counted.total, counted.completed) != (LINES, LINES - lost):
        yield f"counts {counted}"


def sweep(runner: Sweep, scenario: str, call: str, every: int) -> Iterator[tuple[Point, Outcome]]:
    """Every point of one call until a run ends without a death."""
    for number in range(1, MOST + 1, every):
        point = Point(scenario, call, number)
        outcome = runner.run(point)
        yield point, outcome
        if not outcome.died:
            return


def sample(count: int, seed: int, of: Mapping[str, int] = CALLS) -> list[Point]:
    """Random points."""
    random = Random(seed)
    calls = [random.choice(list(of)) for _ in range(count)]
    return [
        Point(random.choice(sorted(SCENARIOS)), call, random.randint(1, of[call])) for call in calls
    ]


def report(results: Sequence[tuple[Point, Outcome]]) -> int:
    """Print the table, then what was broken; the number of broken runs."""
    by_call: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for point, outcome in results:
        row = by_call[point.scenario, point.call]
        row.update(runs=1, deaths=int(outcome.died), broken=int(bool(outcome.wrong)))
    print("| scenario | call | runs | deaths | broken |\n| --- | --- | --- | --- | --- |")
    for (scenario, call), row in sorted(by_call.items()):
        print(f"| {scenario} | `{call}` | {row['runs']} | {row['deaths']} | {row['broken']} |")
    broken = [(point, outcome.wrong) for point, outcome in results if outcome.wrong]
    for point, wrong in broken:
        print(f"BROKEN {point}: {'; '.join(wrong)}")
    return len(broken)


@contextlib.contextmanager
def ready(*, shared: bool = False) -> Iterator[Sweep]:
    """An emulator and a directory for a sweep; ``shared``: a database and a bucket besides."""
    options = EmulatorOptions(
        job_seconds=0.3,
        max_live_jobs=10_000,
        enqueued_tokens={SCARCE: SCARCE_TOKENS},
        ledger=True,
        flex_seconds=0.1,
    )
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        gemini = stack.enter_context(running(options))
        stores = Stores()
        if shared:
            server = PostgresServer()
            stack.callback(server.close)
            stores = SharedStores(server, stack.enter_context(BucketServer().running()))
        yield Sweep(gemini, directory, stores)


def main() -> int:
    """Sweep, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), action="append")
    parser.add_argument("--call", choices=sorted({*CALLS, *SHARED_CALLS}), action="append")
    parser.add_argument("--every", type=int, default=1, help="every how many points")
    parser.add_argument("--sample", type=int, metavar="COUNT", help="so many random points")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--point", metavar="SCENARIO:CALL:N")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    arguments = parser.parse_args()
    shared = arguments.store == "postgresql"
    calls = SHARED_CALLS if shared else CALLS
    if shutil.which("strace") is None:
        sys.exit("This needs strace: apt-get install strace")
    results: list[tuple[Point, Outcome]] = []
    # Ended by Ctrl-C, it prints the table of what was run: all of it takes hours.
    with ready(shared=shared) as runner, contextlib.suppress(KeyboardInterrupt):
        for point, outcome in _runs(runner, arguments, calls):
            results.append((point, outcome))
            print(point, outcome, flush=True)
    return min(report(results), 1)


def _runs(
    runner: Sweep, arguments: argparse.Namespace, calls: Mapping[str, int]
) -> Iterator[tuple[Point, Outcome]]:
    """Run what was asked for: one point, a sample, or every point."""
    points = sample(arguments.sample, arguments.seed, calls) if arguments.sample else []
    if arguments.point:
        scenario, call, number = arguments.point.split(":")
        points = [Point(scenario, call, int(number))]
    for point in points:
        yield point, runner.run(point)
    if not points:
        for scenario in arguments.scenario or SCENARIOS:
            for call in arguments.call or calls:
                yield from sweep(runner, scenario, call, arguments.every)


if __name__ == "__main__":
    sys.exit(main())
