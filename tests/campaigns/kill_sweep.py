"""Kill sweep: ``kill -9`` at every state-changing system call of a scripted run.

``python -m tests.campaigns.kill_sweep`` runs each scenario again and again. ``kill_at.c`` kills the
process that makes the N-th call of one kind, counted over the gateway and its workers, for every N
until three runs in a row end without a death: how many calls a run makes varies. After each death
the gateway is started again (a worker by the gateway itself), and the batch must end as if nothing
had happened, down to the release of what is at Google. ``gateway/runner/README.md`` has a table.

``--store postgresql`` keeps the records in PostgreSQL and the bytes in a bucket (moto): there most
calls that change something are sends, and what a dead process held is taken over when its lease has
run out.

``--every 10`` tries every tenth N; ``--sample 12 --seed 7`` tries a random dozen of points, as CI
does. A point is ``SCENARIO:CALL:N``: ``--point follow-up:fdatasync:3`` runs that one alone.
``--count`` prints how many calls of each kind each scenario makes.

``--deaths 2`` kills twice in each run of a sample, the second time at a random call after the
first death: half of them early, in the start that follows. Such a point names both, and counts the
second from the first: ``follow-up:fdatasync:3+send:12`` is twelve sends later.

The whole is thousands of runs. ``--shard 1/3`` runs a third of them, and ``--journal FILE`` has one
line for each run of all shards: a sweep goes on where the file ends, and its table is of all of it.
Gateways are forked from a process that has imported them (``forking.py``).
"""

import argparse
import contextlib
import itertools
import shutil
import ssl
import sys
import tempfile
import threading
from collections import Counter, defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random  # noqa: TID251 - seeded: a failing sample can be repeated
from typing import Any, Final, TypeVar

import httpx
import openai
import orjson
import psycopg
from openai.types import Batch

from gateway.emulator.running import Emulator, running
from gateway.emulator.testing import EmulatorOptions
from gateway.runner.rescue_step import ANSWER_LOST
from tests.campaigns.forking import forking
from tests.campaigns.kill_at import DEATHS, KINDS, Counted
from tests.e2e.harness import (
    CLOCK,
    TERMINAL,
    GatewayProcess,
    chat_line,
    extension,
    read_lines,
)
from tests.engines.buckets import BUCKET, BucketServer
from tests.postgres_server import PostgresServer

# Calls after which the disk or Google is not what it was before, the rarest first. A file that is
# opened to be made is written next, so a death at that write is the death after the open. The
# numbers are about how many there are in one run, so that a sample meets most of its points.
CALLS: Final = {
    "fsync": 20,
    "fdatasync": 50,
    "rename": 10,
    "link": 10,
    "unlink": 6,
    "mkdir": 10,
    "rmdir": 1,
    "truncate": 2,
    "copy": 1,
    "write": 60,
    "send": 100,
    "pwrite": 300,
}
# The same over PostgreSQL and a bucket.
SHARED_CALLS: Final = {"send": 500, "write": 60, "mkdir": 10, "unlink": 4}
# Every blob is a file; in other scenarios those of a few lines are in the records.
FILES: Final = {"GATEWAY_RECORDED_BLOB_BYTES": "0"}
LEASE: Final = {"GATEWAY_LEASE_SECONDS": "3"}
LINES: Final = 24
# Points of one call after which a sweep ends in any case.
MOST: Final = 10_000
# Runs in a row without a death that end a sweep: one may only have made fewer calls than others.
BEYOND: Final = 3
# Attempts of a client whose server dies under it.
TRIES: Final = 5
# Seconds after which a batch counts as one that never ends: a busy machine takes a minute.
LONGEST: Final = 300
JOBS: Final = "SELECT display_name, cause, state FROM jobs"
# Seconds between two looks of the client.
PAUSE: Final = 0.05
PLAIN: Final = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
# How a broken promise begins; the last is any other.
BROKEN: Final = ("lost", "doubled", "created twice", "paid twice", "else")
IDS: Final = [f"line-{number}" for number in range(LINES)]

Answer = TypeVar("Answer")


@dataclass(frozen=True)
class Scenario:
    """What is run: settings of the gateway, faults of the emulator, a word in some prompts.

    ``cause``: why at least one job is made, so that a scenario cannot miss what it is for.
    ``gives_up``: a death may cost the answers of synchronous calls that were under way; then their
    lines say so, and none of them is paid again. ``over``: states in which a job asks for nothing
    more. ``empty``: begin with nothing on the disk, in place of what a first start has left there
    (the database and its migrations).
    """

    settings: dict[str, str] = field(default_factory=dict)
    faults: tuple[tuple[str, dict[str, object]], ...] = ()
    marker: str = ""
    model: str = "gemini-2.5-flash"
    cause: str = "first"
    gives_up: bool = False
    over: frozenset[str] = frozenset({"released"})
    empty: bool = False


# The model whose limit of enqueued tokens lies below the job of its scenario, which has about 860:
# it is refused three times and cut in halves, and the second, a little the larger, is cut again.
SCARCE: Final = "gemini-3.5-flash"
SCARCE_TOKENS: Final = 500

OPTIONS: Final = EmulatorOptions(
    job_seconds=0.1,
    max_live_jobs=10_000,
    enqueued_tokens={SCARCE: SCARCE_TOKENS},
    ledger=True,
    flex_seconds=0.1,
)

SCENARIOS: Final = {
    "inline": Scenario(empty=True),
    "file": Scenario({"GATEWAY_INLINE_MAX_ITEMS": "0", "GATEWAY_ITEMS_PER_JOB": "10", **FILES}),
    "follow-up": Scenario(
        {"GATEWAY_RECORDED_BLOB_BYTES": "2000"},  # of this scenario's blobs about half
        faults=(("results-fail", {"code": 13, "share": 0.5, "times": 1}),),
        cause="retry",
    ),
    "recut": Scenario(
        {
            "GATEWAY_INLINE_MAX_ITEMS": "0",
            # Believed: a job is cut at half of it when it is planned, and never below a tenth.
            "GATEWAY_ENQUEUED_TOKENS": f'{{"{SCARCE}":2000}}',
        },
        marker="word " * 12,
        model=SCARCE,
        cause="recut",
    ),
    "rescue": Scenario(
        {"GATEWAY_RESCUE": "flex", "GATEWAY_RESCUE_BEFORE_SECONDS": "90000", **FILES},
        faults=(("job-stuck", {"times": 1}),),
        cause="rescue",
        gives_up=True,
        over=frozenset({"released", "collected"}),  # the stuck job's results may still come
    ),
}


@dataclass(frozen=True)
class Point:
    """Where the process is killed: the N-th call of one kind in a scenario.

    ``again``: where it, or another, is killed a second time, counted from the first death.
    """

    scenario: str
    call: str
    number: int
    again: tuple[str, int] | None = None

    def __str__(self) -> str:
        second = "" if self.again is None else f"+{self.again[0]}:{self.again[1]}"
        return f"{self.scenario}:{self.call}:{self.number}{second}"

    @property
    def deaths(self) -> list[tuple[str, int]]:
        """Each kind of call, and its number."""
        first = (self.call, self.number)
        return [first] if self.again is None else [first, self.again]

    @classmethod
    def named(cls, name: str) -> "Point":
        """Read what ``str`` has written."""
        first, _, second = name.partition("+")
        scenario, call, number = first.split(":")
        if not second:
            return cls(scenario, call, int(number))
        again, later = second.split(":")
        return cls(scenario, call, int(number), (again, int(later)))


@dataclass(frozen=True)
class Outcome:
    """What a run came to; ``wrong`` says every promise that was broken."""

    died: str  # "gateway", "worker", or "" when the point was not reached
    wrong: list[str]
    calls: Mapping[str, int] = field(default_factory=dict)
    died_again: str = ""


class Stores:
    """Where a run keeps its records and bytes: its data directory."""

    def settings(self, run: int) -> dict[str, str]:
        """What a run is told of it."""
        del run
        return {}

    def fill(self, data: Path, begun: Path) -> None:
        """Begin with what a first start has left."""
        shutil.copytree(begun, data, dirs_exist_ok=True)

    def jobs(self, gateway: GatewayProcess, run: int) -> list[tuple[Any, ...]]:
        """Display names of the jobs of a run, with their causes and states."""
        del run
        return gateway.rows(JOBS)

    def close(self, gateway: GatewayProcess, run: int) -> None:
        """Nothing of the run is needed any more."""


class SharedStores(Stores):
    """A database of its own in one PostgreSQL, and a prefix of its own in one bucket."""

    def __init__(self, server: PostgresServer, bucket: BucketServer) -> None:
        self._server = server
        self._bucket = bucket

    def fill(self, data: Path, begun: Path) -> None:
        """Begin empty all the same: the records are elsewhere."""

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
        """Ask the database."""
        del gateway
        with psycopg.connect(self._server.url(f"run_{run}")) as connection:
            return connection.execute(JOBS.encode()).fetchall()

    def close(self, gateway: GatewayProcess, run: int) -> None:
        """Drop the database, once the gateway has ended."""
        gateway.close()
        self._server.run(f"DROP DATABASE run_{run} WITH (FORCE)")


class Sweep:
    """Runs points, each in a data directory and against an emulator of its own."""

    def __init__(
        self, python: str, environment: Mapping[str, str], directory: Path, stores: Stores
    ) -> None:
        self._command = (python, "-m", "gateway.cli.lifeline", "gateway", "serve")
        self._environment = environment
        self._directory = directory
        self._stores = stores
        self._runs = 0

    def run(self, point: Point) -> Outcome:
        """Run a scenario to its end, with the deaths on the way whose points are reached."""
        self._runs += 1
        place = self._directory / f"run-{self._runs}"
        (place / "data").mkdir(parents=True)
        scenario = SCENARIOS[point.scenario]
        if not scenario.empty:
            self._stores.fill(place / "data", self._first_start())
        counted = Counted(place / "tally", *point.deaths)
        settings = {
            "GEMINI_API_KEY": f"key-{self._runs}",
            "GATEWAY_TRANSLATE_WORKERS": "1",
            **scenario.settings,
            **self._stores.settings(self._runs),
            **self._environment,
            **counted.environment(),
        }
        with running(OPTIONS) as gemini:
            for name, parameters in scenario.faults:
                gemini.fault(name, **parameters)
            gateway = GatewayProcess(place / "data", gemini.base_url, settings, self._command)
            try:
                wrong = [*self._ended(gateway, scenario, gemini, counted)]
            except AssertionError as error:
                wrong = [f"{error}"]
            finally:
                gateway.close()
        tally = counted.read()
        if wrong:
            wrong.append(f"its log: {_kept(place / 'gateway.log', point)}")
        shutil.rmtree(place, ignore_errors=True)
        first, again, *_ = *tally.struck, "", ""
        return Outcome(first, wrong, tally.calls, again)

    def _ended(
        self, gateway: GatewayProcess, scenario: Scenario, gemini: Emulator, counted: Counted
    ) -> Iterator[str]:
        """Follow a batch to the end of its last job, then say each promise that was broken."""
        client = Client(gateway, counted)
        done = client.finished(client.submit(scenario))
        client.until(lambda: self._states(gateway) <= scenario.over, "its jobs are released")
        gives_up = scenario.gives_up and bool(counted.read().struck)
        yield from client.asked(lambda: list(_broken(gateway, done, gives_up=gives_up)))
        rows = self._stores.jobs(gateway, self._runs)
        if scenario.cause not in {cause for _, cause, _ in rows}:
            yield f"no job was made for the cause {scenario.cause}"
        yield from _paid_again({str(name) for name, _, _ in rows}, gemini)
        self._stores.close(gateway, self._runs)

    def _states(self, gateway: GatewayProcess) -> set[str]:
        return {str(state) for _, _, state in self._stores.jobs(gateway, self._runs)}

    def _first_start(self) -> Path:
        """What a first start leaves, made once."""
        begun = self._directory / "begun"
        if not begun.exists():
            begun.mkdir()
            settings = {"GEMINI_API_KEY": "key", **self._environment}
            with running(OPTIONS) as gemini:
                gateway = GatewayProcess(begun, gemini.base_url, settings, self._command)
                gateway.start()
                gateway.terminate()
        return begun


def _paid_again(planned: set[str], gemini: Emulator) -> Iterator[str]:
    """Second jobs, and second synchronous calls, as the emulator saw them."""
    created = [str(entry["displayName"]) for entry in gemini.journal("create")]
    if doubled := [name for name, count in Counter(created).items() if count > 1]:
        yield f"created twice: {doubled}"
    if strangers := set(created) - planned:
        yield f"created without a record: {strangers}"
    calls = Counter(each["prompt"] for each in gemini.ledger() if each["tier"] != "batch")
    if twice := [prompt for prompt, count in calls.items() if count > 1]:
        yield f"paid twice: {twice}"


def _kept(log: Path, point: Point) -> Path:
    """Keep the log of a run that broke a promise."""
    kept = Path(tempfile.gettempdir()) / f"kill-sweep-{str(point).replace(':', '-')}.log"
    return Path(shutil.copy(log, kept))


class Client:
    """A program of OpenAI's SDK whose server may die under it; it starts the server again."""

    def __init__(self, gateway: GatewayProcess, counted: Counted) -> None:
        self._gateway = gateway
        self._counted = counted
        self._revived = 0
        self._start()

    def submit(self, scenario: Scenario) -> Batch:
        """Upload and create; what got no answer is asked again, the create by its key."""
        texts = {name: f"{scenario.marker} {name}".strip() for name in IDS}
        lines = [chat_line(name, text, scenario.model) for name, text in texts.items()]

        content = b"".join(lines)
        file = self.asked(
            lambda: self._client().files.create(file=("in.jsonl", content), purpose="batch")
        )
        return self.asked(
            lambda: self._client().batches.create(
                input_file_id=file.id,
                endpoint="/v1/chat/completions",
                completion_window="24h",
                extra_headers={"Idempotency-Key": "sweep"},
            )
        )

    def finished(self, batch: Batch) -> Batch:
        """Poll to the end."""
        last = batch

        def ended() -> bool:
            nonlocal last
            last = self._client().batches.retrieve(batch.id)
            return last.status in TERMINAL

        self.until(ended, f"{batch.id} ends")
        return last

    def until(self, condition: Callable[[], bool], what: str) -> None:
        """Wait for it, over a death."""
        pause, end = threading.Event(), CLOCK.monotonic() + LONGEST
        while not self.asked(condition):
            assert CLOCK.monotonic() < end, f"not within {LONGEST} s: {what}"
            pause.wait(PAUSE)

    def asked(self, call: Callable[[], Answer]) -> Answer:
        """Answer, from the next start if the server dies meanwhile."""
        for _ in range(TRIES):
            if self._revived < self._killed():
                self._revive()
            with contextlib.suppress(openai.APIConnectionError, openai.InternalServerError):
                return call()
        raise AssertionError("the server does not answer")

    def _client(self) -> openai.OpenAI:
        clients = self._gateway.clients
        return clients[-1] if clients else self._gateway.client(http_client=_http_client())

    def _killed(self) -> int:
        """How often the sweep has killed the gateway itself."""
        return [*self._counted.read().struck].count("gateway")

    def _start(self) -> None:
        """Start the server; it may be killed before it listens."""
        try:
            self._gateway.start()
        except AssertionError:
            self._revive()

    def _revive(self) -> None:
        """Start the server again after a death of the sweep: any other is a fault."""
        assert self._revived < self._killed(), self._gateway.log()[-3000:]
        assert self._gateway.process is not None
        self._gateway.process.wait(60)  # its last word comes before its death
        self._revived += 1
        self._gateway.close()
        self._gateway.clients.clear()
        self._start()


def _http_client() -> httpx.Client:
    """Without the 30 ms that a TLS context takes, which no client needs here."""
    return httpx.Client(verify=PLAIN, timeout=60)


def _broken(gateway: GatewayProcess, done: Batch, *, gives_up: bool) -> Iterator[str]:
    """Every promise that the ended batch breaks."""
    if done.status != "completed":
        yield f"status {done.status}"
    client = gateway.client(http_client=_http_client())
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


def every_point(scenario: str, call: str, numbers: Iterable[int]) -> Iterator[Point]:
    """Points of one call, in order."""
    return (Point(scenario, call, number) for number in numbers)


def sample(count: int, seed: int, of: Mapping[str, int] = CALLS, *, deaths: int = 1) -> list[Point]:
    """Random points."""
    random = Random(seed)
    calls = [random.choice(list(of)) for _ in range(count)]
    points = [
        Point(random.choice(sorted(SCENARIOS)), call, random.randint(1, of[call])) for call in calls
    ]
    return points if deaths == 1 else [replace(one, again=_later(random, of)) for one in points]


def _later(random: Random, of: Mapping[str, int]) -> tuple[str, int]:
    """Choose a call after the first death, by its order of magnitude: a start has few of each."""
    call = random.choice(list(of))
    return call, round(of[call] ** random.random())


class Journal:
    """What was run, a line of JSON for each point; kept in a file, if there is one."""

    def __init__(self, place: Path | None) -> None:
        self._place = place
        self.results: dict[str, Outcome] = {}
        self.read()

    def read(self) -> None:
        """Take in what other shards have written."""
        if self._place is not None and self._place.exists():
            for line in self._place.read_bytes().splitlines():
                point, outcome = orjson.loads(line)
                self.results[point] = Outcome(**outcome)

    def add(self, point: Point, outcome: Outcome) -> None:
        """Keep it, and show it."""
        print(point, outcome.died or "no death", outcome.died_again, *outcome.wrong, flush=True)
        self.results[str(point)] = outcome
        if self._place is not None:
            with self._place.open("ab") as file:  # one write for each line: shards append
                file.write(orjson.dumps([str(point), outcome]) + b"\n")


def report(results: Mapping[str, Outcome]) -> int:
    """Print the table, then what was broken; the number of broken runs."""
    rows: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    for name, outcome in results.items():
        point = Point.named(name)
        died = [f"died {outcome.died}", f"again {outcome.died_again}"]
        rows[point.scenario, point.call].update(["runs", *died, *_kinds(outcome)])
    twice = [
        f"again {role}" for role in ("gateway", "worker") if any("+" in one for one in results)
    ]
    columns = ("runs", "died gateway", "died worker", *twice, *BROKEN)
    print(f"| scenario | call | {' | '.join(columns)} |")
    print(f"| --- | --- |{' --- |' * len(columns)}")
    for (scenario, call), row in sorted(rows.items()):
        print(f"| {scenario} | `{call}` | {' | '.join(str(row[one]) for one in columns)} |")
    broken = {point: outcome for point, outcome in results.items() if outcome.wrong}
    for name, outcome in broken.items():
        print(f"BROKEN {name}: {'; '.join(outcome.wrong)}")
    return len(broken)


def _kinds(outcome: Outcome) -> set[str]:
    """Say which promises a run broke."""
    if not outcome.wrong:
        return set()
    found = {kind for kind in BROKEN for one in outcome.wrong if one.startswith(kind)}
    return found or {BROKEN[-1]}


@contextlib.contextmanager
def ready(*, shared: bool = False) -> Iterator[Sweep]:
    """A process that forks and a directory; ``shared``: a database and a bucket besides."""
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        python, environment = stack.enter_context(forking())
        stores = Stores()
        if shared:
            server = PostgresServer()
            stack.callback(server.close)
            stores = SharedStores(server, stack.enter_context(BucketServer().running()))
        yield Sweep(python, environment, directory, stores)


def main() -> int:
    """Sweep, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", choices=sorted(SCENARIOS), action="append")
    parser.add_argument("--call", choices=KINDS, action="append")
    parser.add_argument("--every", type=int, default=1, help="every how many points")
    parser.add_argument("--sample", type=int, metavar="COUNT", help="so many random points")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--deaths", type=int, choices=(1, DEATHS), default=1, help="of a sample")
    parser.add_argument("--point", metavar="SCENARIO:CALL:N[+CALL:M]")
    parser.add_argument("--count", action="store_true", help="count the calls, kill nothing")
    parser.add_argument("--shard", default="1/1", metavar="I/N")
    parser.add_argument("--journal", type=Path, help="a file of what was run")
    parser.add_argument("--store", choices=("sqlite", "postgresql"), default="sqlite")
    given = parser.parse_args()
    if given.deaths > 1 and not given.sample:
        parser.error("--deaths 2 is of a sample: give --sample COUNT as well")
    if shutil.which("cc") is None:
        sys.exit("This needs a C compiler: apt-get install gcc")
    journal = Journal(given.journal)
    # Ended by Ctrl-C, it prints the table of what was run: all of it takes hours.
    shared = given.store == "postgresql"
    with ready(shared=shared) as runner, contextlib.suppress(KeyboardInterrupt):
        _run(runner, given, journal)
    journal.read()
    return min(report(journal.results), 1)


def _run(runner: Sweep, given: argparse.Namespace, journal: Journal) -> None:
    """Run what was asked for: one point, a sample, or every point."""
    scenarios = given.scenario or list(SCENARIOS)
    calls = SHARED_CALLS if given.store == "postgresql" else CALLS
    points = _sampled(given, calls, journal) if given.sample else []
    if given.point:
        points = [Point.named(given.point)]
    if given.count:
        points = [Point(scenario, KINDS[0], 0) for scenario in scenarios]
    for point in points:
        outcome = runner.run(point)
        journal.add(point, outcome)
        if given.count:
            print(outcome.calls)
    if not (points or given.sample):
        for call, scenario in itertools.product(given.call or calls, scenarios):
            _sweep(runner, every_point(scenario, call, _numbers(given)), journal)


def _sampled(given: argparse.Namespace, of: Mapping[str, int], journal: Journal) -> list[Point]:
    """Choose those of a shard and of the scenarios and calls that were named, not yet run."""
    shard, shards = map(int, given.shard.split("/"))
    points = list(dict.fromkeys(sample(given.sample, given.seed, of, deaths=given.deaths)))
    return [
        point
        for point in points[shard - 1 :: shards]
        if str(point) not in journal.results
        and point.scenario in (given.scenario or SCENARIOS)
        and point.call in (given.call or of)
    ]


def _numbers(given: argparse.Namespace) -> range:
    """Those of a shard."""
    shard, shards = map(int, given.shard.split("/"))
    return range(1 + (shard - 1) * given.every, MOST + 1, given.every * shards)


def _sweep(runner: Sweep, points: Iterable[Point], journal: Journal) -> None:
    """Each, until several runs in a row end without a death."""
    beyond = 0
    for point in points:
        if (outcome := journal.results.get(str(point))) is None:
            outcome = runner.run(point)
            journal.add(point, outcome)
        beyond = 0 if outcome.died else beyond + 1
        if beyond == BEYOND:
            return


if __name__ == "__main__":
    sys.exit(main())
