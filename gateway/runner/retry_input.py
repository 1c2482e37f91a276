"""The input of a batch that retries another: the lines that failed, as a file of their own."""

import asyncio
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from gateway.batches.batch import Batch
from gateway.batches.file import File, Segment
from gateway.errors import ConflictError, RequestError
from gateway.ids import new_file_id
from gateway.runner.context import StepContext
from gateway.runner.cpu.failed_lines import FailedLinesTask
from gateway.units import counted

logger = logging.getLogger(__name__)

SECONDS: Final = 4 * 3600.0


class RetryInput:
    """Makes input files for ``POST /v1/batches/{id}/retry``, one at a time."""

    def __init__(self, context: StepContext) -> None:
        self._context = context
        self._turn = asyncio.Lock()

    async def of(self, batch: Batch, *, everything: bool) -> File:
        """Return a file with the lines to send again; the batch's own input where none of them ran.

        Errors: ConflictError when a file is gone; RequestError when no line is to be sent again.
        """
        source = await self._file(batch, batch.input_file_id, "input")
        if batch.error_file_id is None:
            if batch.output_file_id is None:  # failed, or cancelled before it was validated
                return source
            raise _nothing("no line of it failed")
        errors = await self._file(batch, batch.error_file_id, "error")
        async with self._turn, self._context.workplace() as place:
            summary = await self._gather(batch, source, errors, place, everything=everything)
            if not summary["lines"]:
                raise _nothing(
                    "the lines that failed cannot succeed as they are; to send them all the same"
                    ' use {"include": "all"}'
                )
            [blob] = await self._context.keep([summary["path"]])
        return await self._context.store.add_file(self._record(batch, summary, blob))

    async def _file(self, batch: Batch, file_id: str, what: str) -> File:
        now = self._context.clock.now()
        file = await self._context.store.get_file(batch.owner, file_id, now)
        if file is None:
            raise ConflictError(
                f"The {what} file of batch '{batch.id}' was deleted: nothing can be sent again."
            )
        return file

    async def _gather(
        self, batch: Batch, source: File, errors: File, place: Path, *, everything: bool
    ) -> Mapping[str, Any]:
        await self._context.bring(source, place / "input")
        await self._context.bring(errors, place / "errors")
        paths = (str(place / "input"), str(place / "errors"), str(place))
        task = FailedLinesTask(*paths, batch.id, everything)
        return await self._context.workers.run("failed_lines", task, SECONDS)

    def _record(self, batch: Batch, summary: Mapping[str, Any], blob: str) -> File:
        lines = counted(summary["lines"], "line")
        logger.info("batch %s: %s to be sent again", batch.id, lines)
        return File(
            id=new_file_id(),
            owner=batch.owner,
            purpose="batch",
            filename=f"{batch.id}_retry.jsonl",
            bytes=summary["bytes"],
            lines=summary["lines"],
            sha256=summary["sha256"],
            segments=(Segment(blob, summary["bytes"]),),
            created_at=self._context.clock.now(),
        )


def _nothing(why: str) -> RequestError:
    return RequestError(f"There is nothing to retry: {why}.", code="nothing_to_retry")
