"""Dry runs: what an uploaded file would become and cost, for whoever decides about its batch."""

import asyncio
from collections.abc import Mapping
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any, Final

from gateway.batches.file import File
from gateway.runner.context import StepContext
from gateway.runner.cpu.collect import date_of
from gateway.runner.cpu.dry_run import DryRunTask
from gateway.runner.model_list import ModelList
from gateway.runner.turns import Turns
from gateway.units import MIB

# A person waits for it: the beginning of a large file says what is wrong with it.
MOST_BYTES: Final = 64 * MIB
MOST_LINES: Final = 50_000
SECONDS: Final = 60.0


class DryRuns:
    """Reads a file as a validation would, and makes nothing of it."""

    def __init__(self, context: StepContext, models: ModelList, policy: Mapping[str, Any]) -> None:
        self._context = context
        self._models = models
        self._policy = policy
        self._turns = Turns(
            "Another file is being tried", "The file was not read in time: create its batch."
        )

    async def of(self, file: File, endpoint: str | None) -> Mapping[str, Any]:
        """Explain a file's lines. Errors: UnavailableError, DamagedBlobError."""
        context = self._context
        async with self._turns.take(), context.workplace() as place:
            await self._beginning(file, place / "input")
            task = DryRunTask(
                input=str(place / "input"),
                whole=file.bytes <= MOST_BYTES,
                policy=self._policy,
                max_line_bytes=context.options.input_limits.max_line_bytes,
                max_lines=MOST_LINES,
                day=date_of(context.clock.now() // 1000),
                endpoint=endpoint,
                models=await self._models.get(file.owner),
                prices=context.options.prices,
            )
            told = await self._run(task)
            found = await self._models.look_up(told["unknown_models"], file.owner)
            if found:
                told = await self._run(replace(task, models={**(task.models or {}), **found}))
            return told

    async def _run(self, task: DryRunTask) -> Mapping[str, Any]:
        return await self._context.workers.run("dry_run", task, SECONDS)

    async def _beginning(self, file: File, path: Path) -> None:
        left = MOST_BYTES
        with path.open("xb") as beginning:
            for segment in file.segments:
                length = min(left, segment.bytes)
                async with aclosing(self._context.blobs.read(segment.blob, 0, length)) as blocks:
                    async for block in blocks:
                        await asyncio.to_thread(beginning.write, block)
                left -= length
                if left <= 0:
                    return
