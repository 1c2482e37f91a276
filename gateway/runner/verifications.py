"""Verifications: an ended batch's files compared with its input by a worker, one at a time."""

from collections.abc import Mapping
from typing import Any, Final

from gateway.batches.batch import Batch
from gateway.batches.file import File
from gateway.errors import ConflictError
from gateway.runner.context import StepContext
from gateway.runner.cpu.verify import VerifyTask
from gateway.runner.turns import Turns

SECONDS: Final = 300.0


class Verifications:
    """Tells whether each custom_id of a batch's input came back, once."""

    def __init__(self, context: StepContext) -> None:
        self._context = context
        self._turns = Turns(
            "Another batch is being verified",
            "The files are too large to be verified here: use gateway verify.",
        )

    async def of(self, batch: Batch) -> Mapping[str, Any]:
        """Compare the files. Errors: ConflictError without files; UnavailableError."""
        source = await self._context.store.input_file(batch.id)
        answers = await self._answers(batch)
        if source is None or not answers:
            raise ConflictError(
                f"Batch '{batch.id}' cannot be verified: its input, or what it wrote, is not there."
            )
        async with self._turns.take(), self._context.workplace() as place:
            files = {"input": source, **answers}
            for name, file in files.items():
                await self._context.bring(file, place / name)
            task = VerifyTask(str(place), {name: str(place / name) for name in files})
            return await self._context.workers.run("verify", task, SECONDS)

    async def _answers(self, batch: Batch) -> Mapping[str, File]:
        now = self._context.clock.now()
        found = {}
        for name, file_id in batch.written.items():
            if name == "warnings":
                continue
            file = await self._context.store.get_file(batch.owner, file_id, now)
            if file is None:
                return {}
            found[name] = file
        return found
