"""Worker processes: spawned when first needed, killed one by one, never outliving their parent."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import is_dataclass
from secrets import randbits
from typing import Any, Final

import orjson

from gateway.children import inherited_environment, module_command
from gateway.errors import AuditError, UnavailableError, WorkerError
from gateway.units import MIB

# How glibc keeps memory. By its own rules it returns memory to the kernel after one line and takes
# it again, page by page, for the next: 3 % of the CPU of lines of 6 KB, 9 % of those with pictures
# (measured). The first two are what these rules come to once a block of 32 MiB was freed. What the
# environment says wins, so that an operator can tune them; the image's (deploy/Dockerfile) are
# twice as large and keep the memory of a line as well: the same page faults (measured).
ALLOCATOR: Final = {
    "MALLOC_MMAP_THRESHOLD_": str(32 * MIB),
    "MALLOC_TRIM_THRESHOLD_": str(64 * MIB),
    "MALLOC_TOP_PAD_": str(4 * MIB),
}

# A summary carries at most the reported errors of one file.
MAX_SUMMARY_BYTES: Final = 64 * MIB


class Workers:
    """A pool of at most ``count`` processes; each runs one task at a time.

    ``memory`` is what each may allocate, in bytes; 0 for no limit.
    """

    def __init__(self, count: int, memory: int = 0) -> None:
        self.count = count
        self.memory = memory
        self._slots = asyncio.Semaphore(count)
        self._busy = 0
        # Processes that work on ranges of one file compare hashes of custom_ids, which no client
        # can foresee.
        seed = {"PYTHONHASHSEED": str(randbits(32))}
        self._environment = {**ALLOCATOR, **inherited_environment(), **seed}
        self._idle: list[asyncio.subprocess.Process] = []
        self._all: set[asyncio.subprocess.Process] = set()

    @property
    def free(self) -> int:
        """Count the processes that have no task."""
        return self.count - self._busy

    async def run_all(
        self, call: str, tasks: Sequence[object], seconds: float
    ) -> list[dict[str, Any]]:
        """Run tasks at the same time and give their summaries, in their order.

        Errors as in :meth:`run`; with the first one the others are ended.
        """
        running = [asyncio.ensure_future(self.run(call, task, seconds)) for task in tasks]
        try:
            return await asyncio.gather(*running)
        finally:
            for one in running:
                one.cancel()
            await asyncio.wait(running)

    async def run(self, call: str, task: object, seconds: float) -> dict[str, Any]:
        """Run a task and give its summary.

        Errors: WorkerError when the process died or took longer than ``seconds``; AuditError;
        UnavailableError when the disk is full or broken.
        Cancelled, or after an error, the process is killed: it may be half way.
        """
        if not is_dataclass(task) or isinstance(task, type):
            raise TypeError("a task is a dataclass instance")
        # Not by way of asdict(): that copies a task of thousands of files for 0.1 s, in the loop.
        line = orjson.dumps({"call": call, "task": task}, option=orjson.OPT_APPEND_NEWLINE)
        async with self._slots, self._process() as process:
            self._busy += 1
            try:
                async with asyncio.timeout(seconds):
                    reply = await _exchange(process, line)
            except TimeoutError as error:
                raise WorkerError(f"{call} took longer than {seconds:g} s") from error
            finally:
                self._busy -= 1
        if "refused" in reply:
            raise AuditError(reply["refused"])
        if "unavailable" in reply:
            raise UnavailableError(f"{call}: {reply['unavailable']}")
        summary: dict[str, Any] = reply["summary"]
        return summary

    @asynccontextmanager
    async def _process(self) -> AsyncIterator[asyncio.subprocess.Process]:
        process = await self._take()
        try:
            yield process
        except BaseException:
            await self._end(process)
            raise
        self._idle.append(process)

    async def _take(self) -> asyncio.subprocess.Process:
        while self._idle:
            process = self._idle.pop()
            if process.returncode is None:
                return process
            self._all.discard(process)
        return await self._spawn()

    async def _spawn(self) -> asyncio.subprocess.Process:
        process = await asyncio.create_subprocess_exec(
            *module_command("gateway.runner.worker"),
            str(self.memory),
            env=self._environment,
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            limit=MAX_SUMMARY_BYTES,
        )
        self._all.add(process)
        return process

    async def _end(self, process: asyncio.subprocess.Process) -> None:
        self._all.discard(process)
        if process.returncode is None:
            process.kill()
        await asyncio.shield(process.wait())

    def pids(self) -> list[int]:
        """Return the process ids of those that live."""
        return [process.pid for process in self._all if process.returncode is None]

    async def close(self) -> None:
        """End every process, busy or not."""
        self._idle.clear()
        for process in list(self._all):
            await self._end(process)


async def _exchange(process: asyncio.subprocess.Process, line: bytes) -> Mapping[str, Any]:
    assert process.stdin is not None  # noqa: S101 - spawned with pipes
    assert process.stdout is not None  # noqa: S101 - spawned with pipes
    try:
        process.stdin.write(line)
        await process.stdin.drain()
        reply = await process.stdout.readline()
    except (BrokenPipeError, ConnectionResetError) as error:
        raise WorkerError("a worker process died") from error
    except ValueError as error:  # asyncio's word for a line beyond the limit
        raise WorkerError("a worker's summary is too large") from error
    if not reply.endswith(b"\n"):
        raise WorkerError("a worker process died")
    parsed: Mapping[str, Any] = orjson.loads(reply)
    return parsed
