"""Blocking calls in a thread, waited for to the end.

``asyncio.to_thread`` does not wait for its thread when it is cancelled. A thread that
still writes to a descriptor while the loop closes it may write into whatever file gets that number
next.
"""

import asyncio
from collections.abc import Callable
from typing import TypeVar, TypeVarTuple

T = TypeVar("T")
Args = TypeVarTuple("Args")


def start(call: Callable[[*Args], T], *args: *Args) -> asyncio.Future[T]:
    """Begin a call in a thread."""
    return asyncio.get_running_loop().run_in_executor(None, call, *args)


async def wait_to_the_end(running: asyncio.Future[T]) -> None:
    """Wait for the thread even when cancelled, then raise the cancellation again."""
    cancelled: asyncio.CancelledError | None = None
    while not running.done():
        try:
            await asyncio.wait([running])
        except asyncio.CancelledError as error:
            cancelled = error
    running.exception()  # looked at here: a cancelled caller will not
    if cancelled is not None:
        raise cancelled


async def finish(running: asyncio.Future[T]) -> T:
    """Wait for what a call comes to."""
    await wait_to_the_end(running)
    return running.result()


async def in_thread(call: Callable[[*Args], T], *args: *Args) -> T:
    """Make a blocking call."""
    return await finish(start(call, *args))
