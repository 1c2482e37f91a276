"""Chaos: replicas over one PostgreSQL while they die and freeze and what they share goes away.

``python -m tests.campaigns.replicas`` runs every scenario with two and with four replicas: clients
of OpenAI's SDK that ask any of them, faults of the emulator, and one kind of blow again and again.
At the end: every line once with its own answer, one accepted create for each planned job. It
prints how long after a blow a new batch was complete. ``--away``: seconds without a bucket;
``--blows``: how many at most, for a long one.

``--scenario kill --replicas 2 --batches 10 --seed 7`` is what CI samples.
"""

import argparse
import contextlib
import signal
import statistics
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random  # noqa: TID251 - seeded: a failing run can be tried again
from typing import Any, Final

import psutil
import psycopg

from gateway.emulator.running import Emulator, running
from gateway.emulator.testing import EmulatorOptions
from tests.campaigns.soak import DOUBLED, LOST, PATIENCE, SETTINGS, Campaign, Plan, Report
from tests.e2e.harness import CLOCK, SERVE, GatewayProcess
from tests.engines.buckets import BUCKET, BucketServer
from tests.postgres_server import PostgresServer, free_port

LEASE: Final = 3.0  # seconds
BLOW_PAUSE: Final = (4.0, 8.0)
AWAY: Final = 2.0  # how long the database is away
# The bucket is away for longer: a request gives up after ten seconds, a step waits.
BUCKET_AWAY: Final = 20.0
SKEWS: Final = (-300_000, 300_000, -120_000, 0)  # ms
PROBE: Final = 1_000_000  # the first number of a batch that is made after a blow
MANY: Final = 1000  # blows: more than there is time for
CONNECTIONS: Final = 40  # of the server; three are kept for its superuser


class Replicas:
    """Several gateways over one database, and one directory of bytes or one bucket."""

    def __init__(
        self,
        directory: Path,
        gemini: Emulator,
        count: int,
        bucket: BucketServer | None,
        *,
        skewed: bool,
    ) -> None:
        self.database = PostgresServer(max_connections=str(CONNECTIONS))
        self.bucket = bucket
        self.away = BUCKET_AWAY
        blobs = directory / "blobs"
        (blobs / "tmp").mkdir(parents=True)
        in_bucket: dict[str, str] = {}
        if bucket is not None:
            in_bucket = {**bucket.environment(), "GATEWAY_BLOBS": f"s3://{BUCKET}"}
        self.processes = []
        for number in range(count):
            data = directory / f"replica{number}" / "data"
            data.mkdir(parents=True)
            skew = SKEWS[number % len(SKEWS)] if skewed else 0
            settings = {
                **SETTINGS,
                **in_bucket,
                "GATEWAY_PORT": str(free_port()),
                "GATEWAY_STORE": self.database.url(),
                "GATEWAY_LEASE_SECONDS": str(LEASE),
            }
            shared = (sys.executable, "-m", "tests.campaigns.replica", str(blobs), str(skew))
            command = shared if bucket is None else SERVE
            process = GatewayProcess(data, gemini.base_url, settings, command)
            process.start()
            self.processes.append(process)

    def close(self) -> None:
        """End all of it."""
        for process in self.processes:
            process.close()
        self.database.close()

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Look into the records."""
        with psycopg.connect(self.database.url()) as connection:
            return connection.execute(query.encode()).fetchall()


Blow = Callable[[Replicas, Random, threading.Event], None]


def kill(replicas: Replicas, random: Random, over: threading.Event) -> None:
    """Kill a replica, and start it again when others have taken over."""
    process = random.choice(replicas.processes)
    process.kill()
    over.wait(2 * LEASE)
    process.start()


def kills(replicas: Replicas, random: Random, over: threading.Event) -> None:
    """Kill one after the other, each started at once."""
    for process in random.sample(replicas.processes, len(replicas.processes)):
        process.kill()
        process.start()
        over.wait(0.5)


def restart(replicas: Replicas, random: Random, over: threading.Event) -> None:
    """Restart the database: in order, or after a crash."""
    replicas.database.stop(random.choice(("fast", "immediate")))
    over.wait(AWAY)
    replicas.database.start()


def cut(replicas: Replicas, _: Random, over: threading.Event) -> None:
    """Cut every connection, a few times."""
    for _time in range(3):
        replicas.database.drop_connections()
        over.wait(0.3)


def exhaust(replicas: Replicas, _: Random, over: threading.Event) -> None:
    """Leave the replicas no connection that the database has to give."""
    with contextlib.ExitStack() as taken, contextlib.suppress(psycopg.OperationalError):
        replicas.database.drop_connections()
        for _connection in range(CONNECTIONS):
            url = replicas.database.url()
            taken.enter_context(psycopg.connect(url, connect_timeout=5))
    with contextlib.ExitStack() as taken:
        for _connection in range(CONNECTIONS // 2):
            with contextlib.suppress(psycopg.OperationalError):
                taken.enter_context(psycopg.connect(replicas.database.url(), connect_timeout=5))
        over.wait(AWAY)


def stop(replicas: Replicas, random: Random, over: threading.Event) -> None:
    """Stop a replica for longer than a lease, and let it wake."""
    main = psutil.Process(random.choice(replicas.processes).pid)
    main.send_signal(signal.SIGSTOP)
    over.wait(2.5 * LEASE)
    main.send_signal(signal.SIGCONT)


def starve(replicas: Replicas, random: Random, over: threading.Event) -> None:
    """Take the bucket away: it answers 503, or closes every connection."""
    assert replicas.bucket is not None
    away = random.choice((replicas.bucket.refusing, replicas.bucket.hanging_up))
    with away():
        over.wait(replicas.away)


def skew(_: Replicas, __: Random, ___: threading.Event) -> None:
    """Nothing but clocks that are minutes apart."""


SCENARIOS: Final[dict[str, Blow]] = {
    "kill": kill,
    "kills": kills,
    "restart": restart,
    "cut": cut,
    "exhaust": exhaust,
    "stop": stop,
    "bucket": starve,
    "skew": skew,
}


class Chaos(Campaign):
    """One scenario: clients of any replica, faults of Google, and one kind of blow."""

    def __init__(
        self, plan: Plan, replicas: Replicas, gemini: Emulator, blow: Blow, most: int
    ) -> None:
        super().__init__(plan, gemini, [one.client(timeout=30) for one in replicas.processes])
        self.recoveries: list[float] = []
        self._replicas = replicas
        self._blow = blow
        self._most = most

    def _strike_gateway(self) -> None:
        random = Random(f"{self._plan.seed} gateway")
        while len(self.recoveries) < self._most:
            if self._over.wait(random.uniform(*BLOW_PAUSE)):
                return
            self._blow(self._replicas, random, self._over)
            start = CLOCK.monotonic()
            self._one_batch(PROBE + len(self.recoveries), random)
            self.recoveries.append(CLOCK.monotonic() - start)

    def _check(self) -> None:
        rows = self._replicas.rows
        planned = {name for (name,) in rows("SELECT display_name FROM jobs")}
        [(batches,)] = rows("SELECT count(*) FROM batches")
        self._check_jobs(planned, batches, self._plan.batches + len(self.recoveries))
        for number, one in enumerate(self._replicas.processes):
            if one.process is None or one.process.poll() is not None:
                self.report.wrong.append(f"replica {number} ended by itself: {one.log()[-2000:]}")


def chaos(
    name: str, count: int, plan: Plan, away: float = BUCKET_AWAY, blows: int = MANY
) -> tuple[Report, list[float]]:
    """Run a scenario; what happened, and how long after each blow a new batch was complete."""
    options = EmulatorOptions(job_seconds=0.5, max_live_jobs=10_000, seed=plan.seed)
    with _scene(options, name, count) as (replicas, gemini):
        replicas.away = away
        run = Chaos(plan, replicas, gemini, SCENARIOS[name], blows)
        return run.run(), run.recoveries


@contextlib.contextmanager
def _scene(options: EmulatorOptions, name: str, count: int) -> Iterator[tuple[Replicas, Emulator]]:
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        gemini = stack.enter_context(running(options))
        bucket = stack.enter_context(BucketServer().running()) if name == "bucket" else None
        replicas = Replicas(directory, gemini, count, bucket, skewed=name == "skew")
        stack.callback(replicas.close)
        yield replicas, gemini


HEAD: Final = (
    *("scenario", "replicas", "blows", "batches", "lines", "lines lost", "lines doubled"),
    *("jobs", "creates accepted", "new batch complete after, s: median, worst", "broken"),
)


def _row(name: str, count: int, report: Report, recoveries: list[float]) -> list[object]:
    told = report.happened
    again = "-"
    if recoveries:
        again = f"{statistics.median(recoveries):.1f}, {max(recoveries):.1f}"
    bad = [sum(f": {kind}:" in one for one in report.wrong) for kind in (LOST, DOUBLED)]
    jobs = (told["jobs planned"], told["creates accepted"])
    head = (name, count, len(recoveries), told["batches"], told["lines"])
    return [*head, *bad, *jobs, again, len(report.wrong)]


def main() -> int:
    """Run scenarios, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--scenario", choices=[*SCENARIOS, "all"], default="all")
    parser.add_argument("--replicas", type=int, nargs="*", default=[2, 4])
    parser.add_argument("--batches", type=int, default=50)
    parser.add_argument("--minutes", type=float, default=2)
    parser.add_argument("--sizes", type=int, nargs="*", default=Plan.sizes, help="lines of batches")
    parser.add_argument("--away", type=float, default=BUCKET_AWAY)
    parser.add_argument("--blows", type=int, default=MANY, help="at most")
    parser.add_argument("--seed", type=int, default=0)
    given = parser.parse_args()
    names = list(SCENARIOS) if given.scenario == "all" else [given.scenario]
    broken = 0
    print("|", " | ".join(HEAD), "|")
    print("|", " | ".join("---" for _ in HEAD), "|", flush=True)
    for name in names:
        for count in given.replicas:
            patience = PATIENCE + 2 * given.away
            seconds, sizes = given.minutes * 60, tuple(given.sizes)
            plan = Plan(seconds, given.batches, 4, given.seed, patience, sizes)
            report, recoveries = chaos(name, count, plan, given.away, given.blows)
            row = _row(name, count, report, recoveries)
            print("|", " | ".join(map(str, row)), "|", flush=True)
            for one in report.wrong:
                print(f"BROKEN {one}")
            broken += len(report.wrong)
    return min(broken, 1)


if __name__ == "__main__":
    sys.exit(main())
