"""A file that arrived in parts is read as one, and a part that changed is noticed."""

from pathlib import Path

import pytest

from gateway.batches.batch import BatchStatus
from gateway.runner.retry_input import RetryInput
from tests.runner.test_follow_ups import FOUR, answers, errors, fault
from tests.runner.world import OWNER, place_of, world

CUTS = {"a byte": [1], "in a line": [10, 60], "at a line's end": [FOUR.index(b"\n") + 1]}


@pytest.mark.parametrize("cuts", CUTS.values(), ids=CUTS)
async def test_a_batch_reads_its_input_across_segments(tmp_path: Path, cuts: list[int]) -> None:
    """Wherever the client cut it; so does the input of a retry."""
    async with world(tmp_path) as here:
        here.upstream.spoilt = [{"2": fault(3)}]

        done = await here.ended(await here.submit(FOUR, cuts=cuts))

        assert done.status is BatchStatus.COMPLETED
        assert await answers(here, done) == {name: f"re {name}" for name in "acd"}
        assert list(await errors(here, done)) == ["b"]
        again = await RetryInput(here.context).of(done, everything=True)
        blocks = [block async for block in here.context.blobs.read(again.segments[0].blob)]
        assert b"".join(blocks) == FOUR.splitlines(keepends=True)[1]


@pytest.mark.parametrize("gone", [True, False])
async def test_a_damaged_segment_fails_the_batch(tmp_path: Path, gone: bool) -> None:
    """Nothing is sent of a file that is not the one which was uploaded."""
    async with world(tmp_path) as here:
        file = await here.upload(FOUR, "in.jsonl", purpose="batch", cuts=[20])
        path = place_of(tmp_path, file.segments[1].blob)
        if gone:
            path.unlink()
        else:
            path.write_bytes(path.read_bytes().replace(b"a", b"b"))

        batch = await here.submit_file(file)
        done = await here.ended(batch)

        assert done.owner == OWNER
        assert done.status is BatchStatus.FAILED
        assert here.upstream.jobs == []
