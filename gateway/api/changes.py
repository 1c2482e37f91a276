"""Waiting until a batch shows something else, so that a program need not ask again and again."""

from collections.abc import Awaitable, Callable
from typing import Final

from gateway.api.objects import encode_batch
from gateway.api.services import Call
from gateway.batches.batch import LIVE_STATUSES, Batch
from gateway.errors import RequestError

# ``?wait=``: at most this long, which is what proxies wait; the store is asked so often meanwhile.
MAX_WAIT_SECONDS: Final = 120
LOOK_SECONDS: Final = 0.5
WAIT: Final = "wait"


async def changed_for(call: Call, batch: Batch, seconds: float) -> Batch:
    """Wait as :func:`changed` does, while the client does: one that left must hold no place."""
    return await changed(call, batch, seconds, gone=call.request.is_disconnected)


async def _there() -> bool:
    return False


async def changed(
    call: Call,
    batch: Batch,
    seconds: float,
    *,
    gone: Callable[[], Awaitable[bool]] = _there,
) -> Batch:
    """Wait until a batch shows something else than it does; the batch as it is then.

    No longer than so many seconds, not on the way down, and not after its end. A stream watches
    its own connection, any other answer is ``gone`` with its client.
    """
    clock = call.services.clock
    end = clock.monotonic() + seconds
    shown = encode_batch(batch)
    while batch.status in LIVE_STATUSES and call.services.ready() and clock.monotonic() < end:
        await clock.sleep(min(LOOK_SECONDS, max(end - clock.monotonic(), 0)))
        now = await call.store.get_batch(call.owner, batch.id)
        if now is not None and encode_batch(now) != shown:
            return now
        if await gone():
            break
    return batch


def wait_seconds(text: str | None) -> int:
    """Read ``wait``: whole seconds, more than the longest counts as that."""
    if text is None:
        return 0
    if not text.isdecimal() or not text.isascii():
        raise RequestError(
            f"Invalid '{WAIT}': expected whole seconds from 0 to {MAX_WAIT_SECONDS}.",
            param=WAIT,
            code="invalid_value",
        )
    return min(int(text[:9]), MAX_WAIT_SECONDS)
