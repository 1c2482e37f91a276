"""The scrape: figures of the records, the disk and the workers, read when they are asked for."""

import asyncio
import logging
import os
import shutil
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gateway.batches.admission import Admission, Sent
from gateway.batches.figures import Figures, JobFigures
from gateway.batches.quota import LIVE_JOBS, Quota, QuotaRules
from gateway.clock import Clock
from gateway.errors import UnavailableError
from gateway.metrics import table
from gateway.metrics.meters import PrometheusMeters
from gateway.ports.store import Store

logger = logging.getLogger(__name__)

Labelled = Mapping[tuple[str, ...], float]

PAGE: Final = os.sysconf("SC_PAGE_SIZE")
WAITING: Final = frozenset({"planned", "staging"})
# What SQLite keeps next to its file.
DATABASE_SUFFIXES: Final = ("", "-wal", "-shm")


@dataclass(frozen=True, slots=True)
class Sources:
    """Where the figures are read. ``workers`` gives the process ids of the workers."""

    store: Store
    clock: Clock
    rules: QuotaRules
    credentials: Collection[str]
    data_dir: Path
    database: Path
    workers: Callable[[], Sequence[int]]


class Scrape:
    """Answers scrapers, one after the other: several at once read no more than one."""

    def __init__(self, meters: PrometheusMeters, sources: Sources) -> None:
        self._meters = meters
        self._sources = sources
        self._turn = asyncio.Lock()

    async def text(self, accept: str) -> tuple[bytes, str]:
        """Read all figures; return the body and its media type."""
        async with self._turn:
            try:
                await self._read_records()
            except UnavailableError as error:
                logger.warning("the figures of the records cannot be read: %s", error.message)
                self._meters.show(table.RECORDS_UP, 0)
            else:
                self._meters.show(table.RECORDS_UP, 1)
            self._show_workers(await asyncio.to_thread(self._look_at_disk))
            return self._meters.text(accept)

    async def _read_records(self) -> None:
        store, now = self._sources.store, self._sources.clock.now()
        figures = await store.figures()
        quotas, sent = await store.quotas(), await store.sent_jobs()
        self._show_work(figures, now)
        self._show_quota(quotas, sent, now)

    def _show_work(self, figures: Figures, now: int) -> None:
        meters, jobs = self._meters, figures.jobs
        batches: Labelled = {(status,): count for status, count in figures.batches.items()}
        meters.show_all(table.LIVE_BATCHES, batches)
        meters.show_all(table.LIVE_JOBS, _counted(jobs))
        waiting = [(job.model, job.created_at) for job in jobs if job.state in WAITING]
        meters.show_all(
            table.QUEUE_AGE,
            _oldest([((model,), since) for model, since in waiting], now),
            most=True,
        )
        upstream = [
            ((job.upstream_state, job.model), job.upstream_since)
            for job in jobs
            if job.state == "running" and job.upstream_state is not None
        ]
        meters.show_all(table.UPSTREAM_AGE, _oldest(upstream, now), most=True)
        ended = [((), job.ended_at) for job in jobs if job.state == "ended"]
        meters.show(table.UNSECURED_AGE, _oldest(ended, now).get((), 0))
        meters.show(table.DELIVERIES, figures.deliveries)
        meters.show_all(
            table.RESPONSES, {(state,): count for state, count in figures.responses.items()}
        )

    def _show_quota(self, quotas: Sequence[Quota], sent: Sequence[Sent], now: int) -> None:
        seen = Admission(self._sources.rules, quotas, sent, now)
        models = {(load.credential, load.model) for load in sent}
        models |= {(quota.credential, quota.model) for quota in quotas if quota.model != LIVE_JOBS}
        names = {*self._sources.credentials, *(credential for credential, _ in models)}
        show_all = self._meters.show_all
        show_all(table.QUOTA_USED, {key: seen.used(*key) for key in models})
        show_all(table.QUOTA_LIMIT, {key: seen.room(*key) for key in models})
        show_all(table.JOBS_USED, {(name,): seen.used(name, LIVE_JOBS) for name in names})
        show_all(table.JOBS_LIMIT, {(name,): seen.room(name, LIVE_JOBS) for name in names})

    def _look_at_disk(self) -> Sequence[int]:
        """Read the disk; return the resident memory of each worker."""
        usage = shutil.disk_usage(self._sources.data_dir)
        self._meters.show(table.DISK_FREE, usage.free)
        self._meters.show(table.DISK_SIZE, usage.total)
        database = self._sources.database
        files = [database.with_name(database.name + suffix) for suffix in DATABASE_SUFFIXES]
        self._meters.show(table.DATABASE, sum(map(_size, files)))
        return [_resident(pid) for pid in self._sources.workers()]

    def _show_workers(self, memory: Sequence[int]) -> None:
        self._meters.show(table.WORKERS, len(memory))
        self._meters.show(table.WORKER_MEMORY, sum(memory))


def _counted(jobs: Sequence[JobFigures]) -> Mapping[tuple[str, ...], float]:
    counts: dict[tuple[str, ...], float] = {}
    for job in jobs:
        key = (job.state, job.model)
        counts[key] = counts.get(key, 0) + job.jobs
    return counts


def _oldest(
    since: Sequence[tuple[tuple[str, ...], int | None]], now: int
) -> dict[tuple[str, ...], float]:
    """Return the greatest age for each key, in seconds."""
    ages: dict[tuple[str, ...], float] = {}
    for key, moment in since:
        if moment is not None:
            ages[key] = max(ages.get(key, 0), (now - moment) / 1000)
    return ages


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _resident(pid: int) -> int:
    """Measure the memory of a process; 0 where the kernel does not tell, or it has ended."""
    try:
        return int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1]) * PAGE
    except OSError:
        return 0
