"""The list of models: one call for all, kept, and never the end of a batch by itself."""

import asyncio
from pathlib import Path

import pytest

from gateway.batches.batch import BatchStatus
from gateway.errors import UpstreamUnavailableError
from gateway.runner.model_list import FAILED_FOR
from tests.runner.world import chat, world

TWO = chat("a", "one") + chat("b", "two")


async def test_a_list_that_lacks_the_model_fails_no_batch(tmp_path: Path) -> None:
    """The model is asked for by its name; every batch of ten minutes failed."""
    async with world(tmp_path) as here:
        here.upstream.unlisted = True

        done = await here.ended(await here.submit(TWO))

        assert (done.status, done.counts.completed) == (BatchStatus.COMPLETED, 2)


async def test_a_model_that_neither_has_fails_the_batch(tmp_path: Path) -> None:
    """As before."""
    async with world(tmp_path) as here:
        done = await here.ended(await here.submit(chat("a", model="gemini-none")))

        assert [error.code for error in done.errors] == ["model_not_found"]
        assert here.upstream.calls.count("model") == 1


async def test_what_is_no_name_of_a_model_is_not_asked_for(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """It may be a prompt in the wrong place: it was asked for, logged, and taken for a model."""
    async with world(tmp_path) as here:
        here.upstream.script["model"] = [UpstreamUnavailableError("time is up")]
        done = await here.ended(await here.submit(chat("a", model="Summarise <my> secret.")))

        assert "It must be a Gemini model" in done.errors[0].message
        assert "model" not in here.upstream.calls
    assert "secret" not in caplog.text


async def test_a_failed_list_is_remembered_and_the_last_one_used(tmp_path: Path) -> None:
    """A list that hung held up each batch in turn."""
    async with world(tmp_path) as here:
        await here.runner.models.offered("local")
        here.clock.ahead = 700_000
        here.upstream.script["models"] = [UpstreamUnavailableError("time is up")] * 2

        for _ in range(5):
            assert await here.runner.models.get("local")
        assert here.upstream.calls.count("models") == 2

        here.clock.ahead += FAILED_FOR
        await here.runner.models.get("local")
        assert here.upstream.calls.count("models") == 3


async def test_a_hundred_who_ask_set_off_one_call(tmp_path: Path) -> None:
    """A30: each asked the upstream anew, and other calls waited for a connection."""
    async with world(tmp_path) as here:
        lists = await asyncio.gather(*(here.runner.models.offered("local") for _ in range(100)))

        assert len(lists) == 100
        assert here.upstream.calls.count("models") == 1
