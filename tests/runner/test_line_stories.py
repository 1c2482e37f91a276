"""Stories of lines: one at a time, and a worker that ran out of time is no defect."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any, cast

import pytest

from gateway.batches.batch import Batch
from gateway.errors import UnavailableError, WorkerError
from gateway.runner.context import StepContext
from gateway.runner.line_stories import LineStories

NO_BATCH = cast("Batch", None)


class Places:
    """A context of which only the workplace is reached: it counts who is in."""

    def __init__(self, error: Exception) -> None:
        self.inside = self.most = 0
        self._errors = (error,)

    @asynccontextmanager
    async def workplace(self) -> AsyncIterator[Path]:
        """Be in, and then fail."""
        self.inside += 1
        self.most = max(self.most, self.inside)
        for _ in range(5):
            await asyncio.sleep(0)
        self.inside -= 1
        for error in self._errors:
            raise error
        yield Path()


async def told(places: Places, times: int) -> list[Any]:
    """Ask for so many stories at once."""
    stories = LineStories(cast("StepContext", places))
    asked = [stories.tell(NO_BATCH, "a") for _ in range(times)]
    return list(await asyncio.gather(*asked, return_exceptions=True))


async def test_one_at_a_time() -> None:
    """Each copies all that is kept of a batch, and has a worker that batches wait for."""
    places = Places(WorkerError("line_story took longer than 120 s"))
    answers = await told(places, 5)
    assert places.most == 1
    assert {type(answer) for answer in answers} == {UnavailableError}
    assert "its batch is large" in str(answers[0])


async def test_another_failure_gives_the_turn_back() -> None:
    """The next is told all the same."""
    places = Places(OSError("disk"))
    assert {type(answer) for answer in await told(places, 3)} == {OSError}


async def test_the_wait_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    """A client is asked to come again."""
    monkeypatch.setattr("gateway.runner.turns.WAIT_SECONDS", 0)
    places = Places(WorkerError("slow"))
    answers = await told(places, 2)
    assert places.most <= 1
    assert any("Another line" in str(answer) for answer in answers)
