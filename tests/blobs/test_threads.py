"""Calls in threads, and what a cancellation may not do to them."""

import asyncio
import threading

import pytest

from gateway.blobs.threads import in_thread


async def test_the_answer_and_the_error_come_back() -> None:
    """As from a plain call."""
    assert await in_thread(pow, 2, 10) == 1024
    with pytest.raises(ZeroDivisionError):
        await in_thread(divmod, 1, 0)


async def test_a_call_runs_in_another_thread() -> None:
    """The loop goes on."""
    assert await in_thread(threading.get_ident) != threading.get_ident()


@pytest.mark.parametrize("fails", [True, False])
async def test_a_cancelled_caller_leaves_when_the_call_has_ended(fails: bool) -> None:
    """However often it is cancelled, and however the call ends."""
    begun, may_end, ended = threading.Event(), threading.Event(), threading.Event()

    def call() -> None:
        begun.set()
        may_end.wait()
        ended.set()
        if fails:
            raise ValueError("nobody hears this")

    task = asyncio.ensure_future(in_thread(call))
    await asyncio.to_thread(begun.wait)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    may_end.set()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert ended.is_set()
