"""Tiers: large files of two owners on a key of Tier 1, 2 or 3, with the emulator's time compressed.

``python -m tests.campaigns.tiers`` runs 200 MB on each tier. At the end: every line once with its
own answer; no create beyond the limit with ``--told``, few where the gateway learns it from 429s;
at most 100 jobs live; while both owners wait, their jobs go in turn. It prints a table.

``--megabytes 40 --tier 1 --lines-per-job 100`` is what CI runs, in both ways.
"""

import argparse
import contextlib
import io
import itertools
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, NamedTuple

import openai
import orjson
from openai.types import Batch

from gateway.emulator.running import Emulator, running
from gateway.emulator.testing import EmulatorOptions
from tests.e2e.harness import CLOCK, GatewayProcess, chat_line, content_of, finished, serving
from tests.sampling import sampled

MODEL: Final = "gemini-3.5-flash"
OWNERS: Final = ("ann", "bob")
LINE_BYTES: Final = 20_000
MOST_LIVE: Final = 100
# Of a gateway that is not told the tier: creates that may be refused, in parts of those accepted.
# It tries for a little more room whenever what it has was used, so it never stops meeting some.
LESSONS: Final = 0.5
# Four are created at once: those under way when a first one is refused are refused as well. A short
# run on a busy machine, where Google's half hour is a second, met three such lessons.
AT_ONCE: Final = 4
FIRST_LESSONS: Final = 3 * AT_ONCE
# By how many of all jobs one of two owners may be ahead of the other while both wait. A few are
# always under way at the same moment.
AHEAD: Final = 1 / 8
# The emulator's seconds in a real one: a job of half an hour lasts a second.
SPEED: Final = 1800.0
JOB_SECONDS: Final = 1800.0
LONGEST: Final = 1800.0


@dataclass(frozen=True)
class Plan:
    """How much each of the two owners sends, on which tier, and whether the gateway is told."""

    megabytes: float = 100.0
    tier: int = 1
    told: bool = False
    lines_per_job: int = 50_000
    speed: float = SPEED


@dataclass
class Report:
    """What a run came to; ``wrong`` says every promise that was broken."""

    plan: Plan
    wrong: list[str] = field(default_factory=list)
    jobs: int = 0
    refused: int = 0
    live: int = 0
    ahead: int = 0
    seconds: float = 0.0

    def row(self) -> str:
        """As a row of the table."""
        plan = self.plan
        told = "told" if plan.told else "auto"
        size = f"{2 * plan.megabytes:g} MB"
        figures = f"{self.jobs} | {self.refused} | {self.live} | {self.ahead}"
        return f"| {plan.tier}, {told} | {size} | {figures} | {self.seconds:.0f} |"


class Sent(NamedTuple):
    """A job that ran: whose it is, when it was planned and when it was sent (ms)."""

    name: str
    owner: str
    planned: int
    sent: int


HEAD: Final = (
    "| tier | files | jobs | creates refused | live at most | ahead by jobs | seconds |\n"
    "| --- | --- | --- | --- | --- | --- | --- |"
)


def run(plan: Plan) -> Report:
    """Run two owners' files to their ends."""
    report = Report(plan)
    began = CLOCK.monotonic()
    options = EmulatorOptions(tier=plan.tier, job_seconds=JOB_SECONDS, speed=plan.speed)
    settings = {
        "GATEWAY_API_KEYS": ",".join(f"{owner}=key-of-{owner}" for owner in OWNERS),
        "GATEWAY_ITEMS_PER_JOB": str(plan.lines_per_job),
        "GATEWAY_TIER": str(plan.tier) if plan.told else "auto",
    }
    with (
        tempfile.TemporaryDirectory() as directory,
        running(options) as gemini,
        serving(Path(directory), gemini.base_url, **settings) as gateway,
    ):
        with _watching(gemini, report):
            _run_owners(gateway, plan, report)
        _check_jobs(gateway, gemini, report)
    report.seconds = CLOCK.monotonic() - began
    return report


def _run_owners(gateway: GatewayProcess, plan: Plan, report: Report) -> None:
    count = max(int(plan.megabytes * 1_000_000 / LINE_BYTES), 1)
    clients = [gateway.client(api_key=f"key-of-{owner}", timeout=LONGEST) for owner in OWNERS]
    batches = [_submitted(client, count) for client in clients]
    for client, batch in zip(clients, batches, strict=True):
        done = finished(client, batch, LONGEST)
        report.wrong += [f"{batch.id}: {one}" for one in _broken(client, done, count)]


def _submitted(client: openai.OpenAI, count: int) -> Batch:
    content = b"".join(
        chat_line(f"id-{number}", f"id-{number} {'x' * LINE_BYTES}", MODEL)
        for number in range(count)
    )
    file = client.files.create(file=("in.jsonl", io.BytesIO(content)), purpose="batch")
    return client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )


def _broken(client: openai.OpenAI, done: Batch, count: int) -> Iterator[str]:
    """Every promise that an ended batch breaks."""
    if done.status != "completed" or done.output_file_id is None:
        yield f"status {done.status}, output {done.output_file_id}"
        return
    if done.error_file_id is not None:
        yield "some lines failed"
    seen: Counter[str] = Counter()
    with client.files.with_streaming_response.content(done.output_file_id) as response:
        for line in response.iter_lines():
            row = orjson.loads(line)
            seen[row["custom_id"]] += 1
            if f"Echo: {row['custom_id']} " not in content_of(row):
                yield f"{row['custom_id']} has no answer of its own"
    if seen != Counter(f"id-{number}" for number in range(count)):
        yield f"{seen.total()} answers to {count} lines"


@contextlib.contextmanager
def _watching(gemini: Emulator, report: Report) -> Iterator[None]:
    """Count the jobs that are live, all the time."""

    def look() -> None:
        live = sum(job["state"] in {"PENDING", "RUNNING"} for job in gemini.jobs())
        report.live = max(report.live, live)

    with sampled(look, 0.05):
        yield


def _check_jobs(gateway: GatewayProcess, gemini: Emulator, report: Report) -> None:
    """Creates: one for each job, few or none refused, in turn."""
    created = [str(entry["displayName"]) for entry in gemini.journal("create")]
    rows = gateway.rows(
        "SELECT jobs.display_name, batches.owner, jobs.created_at, jobs.submitted_at FROM jobs"
        " JOIN batches ON batches.id = jobs.batch_id WHERE jobs.upstream_name IS NOT NULL"
        " ORDER BY jobs.submitted_at"
    )
    jobs = [Sent(*row) for row in rows]
    report.jobs = len(created)
    report.refused = gemini.calls()["create"] - len(created)
    if sorted(created) != sorted(job.name for job in jobs):
        report.wrong.append(f"{len(created)} creates for {len(jobs)} jobs")
        return
    report.ahead = _ahead(jobs)
    # A job that was refused has a pause, in which the other owner's go on.
    if report.ahead > max(AT_ONCE, AHEAD * len(jobs)) + report.refused:
        report.wrong.append(f"one owner was ahead by {report.ahead} jobs")
    if report.live > MOST_LIVE:
        report.wrong.append(f"{report.live} jobs were live")
    if report.refused > (0 if report.plan.told else FIRST_LESSONS + LESSONS * report.jobs):
        report.wrong.append(f"{report.refused} creates beyond the limit")


def _ahead(jobs: Sequence[Sent]) -> int:
    """By how many jobs one owner was ahead of the other at most, while both had some to send."""
    firsts = [min(job.planned for job in jobs if job.owner == owner) for owner in OWNERS]
    lasts = [max(job.sent for job in jobs if job.owner == owner) for owner in OWNERS]
    both = [job.owner for job in jobs if max(firsts) <= job.sent <= min(lasts)]
    steps = (1 if owner == OWNERS[0] else -1 for owner in both)
    return max(map(abs, itertools.accumulate(steps)), default=0)


def main() -> int:
    """Run the tiers, and print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--megabytes", type=float, default=200, help="of both owners together")
    parser.add_argument("--tier", type=int, choices=(1, 2, 3), action="append")
    parser.add_argument("--told", action="store_true", help="tell the gateway the tier")
    parser.add_argument("--lines-per-job", type=int, default=50_000)
    parser.add_argument("--speed", type=float, default=SPEED, help="Google's seconds in a real one")
    given = parser.parse_args()
    print(HEAD)
    wrong: list[str] = []
    for tier in given.tier or (1, 2, 3):
        plan = Plan(given.megabytes / 2, tier, given.told, given.lines_per_job, given.speed)
        report = run(plan)
        print(report.row(), flush=True)
        wrong += report.wrong
    for one in wrong:
        print(f"BROKEN {one}")
    return min(len(wrong), 1)


if __name__ == "__main__":
    sys.exit(main())
