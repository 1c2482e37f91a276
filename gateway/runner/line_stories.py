"""Line stories: everything that is kept of one line of a batch, gathered for a person."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gateway.batches.batch import Batch
from gateway.batches.file import File
from gateway.runner.context import StepContext
from gateway.runner.cpu.line_story import LineStoryTask, RawPath
from gateway.runner.turns import Turns
from gateway.wire.gemini import INLINE

SECONDS: Final = 120.0


class LineStories:
    """Tells the story of a line: asked, sent, answered, got, and the notes between them."""

    def __init__(self, context: StepContext) -> None:
        self._context = context
        # A story reads all that is kept of a batch, gigabytes maybe, in a copy and by a worker
        # that batches wait for.
        self._turns = Turns(
            "Another line is being looked up", "The line was not found in time: its batch is large."
        )

    async def tell(self, batch: Batch, custom_id: str) -> Mapping[str, Any]:
        """Return the parts that are still there. Errors: UnavailableError, DamagedBlobError."""
        async with self._turns.take():
            return await self._told(batch, custom_id)

    async def _told(self, batch: Batch, custom_id: str) -> Mapping[str, Any]:
        async with self._context.workplace() as place:
            task = LineStoryTask(
                scratch=str(place),
                endpoint=batch.endpoint,
                policy=batch.policy,
                custom_id=custom_id,
                max_line_bytes=self._context.options.input_limits.max_line_bytes,
                input=await self._input(batch, place),
                raws=await self._raws(batch, place),
                files=await self._files(batch, place),
            )
            return await self._context.workers.run("line_story", task, SECONDS)

    async def _input(self, batch: Batch, place: Path) -> str | None:
        file = await self._context.store.input_file(batch.id)
        return None if file is None else await self._brought(file, place / "input")

    async def _raws(self, batch: Batch, place: Path) -> list[RawPath]:
        work = await self._context.store.load_work(batch.id)
        found = []
        for job in work.jobs if work else ():
            if job.raw is not None:
                path = place / f"raw-{job.number}"
                await self._context.copy_to(job.raw, path)
                found.append(RawPath(str(path), job.output == INLINE, job.model))
        return found

    async def _files(self, batch: Batch, place: Path) -> Mapping[str, str]:
        now = self._context.clock.now()
        found = {}
        for name, file_id in batch.written.items():
            file = await self._context.store.get_file(batch.owner, file_id, now)
            if file is not None:
                found[name] = await self._brought(file, place / name)
        return found

    async def _brought(self, file: File, path: Path) -> str:
        await self._context.bring(file, path)
        return str(path)
