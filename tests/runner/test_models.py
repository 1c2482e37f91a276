"""The list of models: one call for all, kept, and never the end of a batch by itself."""

import asyncio
from pathlib import Path

import pytest

from gateway.batches.batch import BatchStatus
from gateway.errors import UpstreamUnavailableError
from gateway.runner import batch_steps, model_list
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


@pytest.mark.slow
async def test_a_batch_says_that_it_waits_for_the_list(tmp_path: Path) -> None:
    """`validating` gave no reason while Google's list hung; what it says goes with the wait."""
    async with world(tmp_path) as here:
        here.upstream.hanging["models"] = asyncio.Event()
        batch = await here.submit(TWO)
        work = await here.until(lambda work: work.batch.last_error, batch)
        assert work.batch.last_error == batch_steps.THE_LIST
        assert work.batch.waiting_since is not None

        here.upstream.hanging["models"].set()
        done = await here.ended(batch)
        assert (done.status, done.last_error) == (BatchStatus.COMPLETED, None)


@pytest.mark.parametrize("method", ["models", "model"])
async def test_what_hangs_holds_up_no_batch(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    """Its models are not checked then; a list was waited for up to a minute, a look for another."""
    monkeypatch.setattr(model_list, "LONGEST_ASK", 0.05)
    async with world(tmp_path) as here:
        here.upstream.unlisted = method == "model"
        here.upstream.hanging[method] = asyncio.Event()
        done = await here.ended(await here.submit(TWO))

        assert (done.status, done.counts.completed) == (BatchStatus.COMPLETED, 2)
        assert here.upstream.calls.count(method) == 1


async def test_the_last_list_serves_while_a_new_one_hangs(tmp_path: Path) -> None:
    """Others than the one who asks do not even wait for its end."""
    async with world(tmp_path) as here:
        await here.runner.models.offered("local")
        here.clock.ahead = 700_000
        here.upstream.hanging["models"] = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            asking = group.create_task(here.runner.models.get("local"))
            await here.clock.sleep(0)
            assert await here.runner.models.get("local")
            assert not asking.done()
            here.upstream.hanging["models"].set()
        assert asking.result()
