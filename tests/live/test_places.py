"""Places of single requests: so many at a time, and so many bytes that wait for one."""

import asyncio

import pytest

from gateway.live.failures import BusyError
from gateway.live.options import LiveOptions
from gateway.live.places import MOST_WAITING_BYTES, Places


async def test_bodies_that_wait_are_bounded_by_bytes() -> None:
    """Two of half the bound each may wait, a third is told to come back; room is given back."""
    places = Places(LiveOptions(calls=1, calls_per_owner=9, queue_seconds=60))
    half = MOST_WAITING_BYTES // 2
    free = asyncio.Event()

    async def hold() -> None:
        async with places.one("a", half):
            await free.wait()

    async with asyncio.TaskGroup() as group:
        group.create_task(hold())
        await asyncio.sleep(0)
        for _ in range(2):
            group.create_task(hold())
        await asyncio.sleep(0)
        assert places.waiting == 2
        with pytest.raises(BusyError):
            async with places.one("b", 1):
                raise AssertionError("there is no place")
        free.set()
    async with places.one("b", MOST_WAITING_BYTES * 2):
        assert places.waiting == 0
