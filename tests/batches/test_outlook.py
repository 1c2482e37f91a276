"""What a client is told of a batch that waits or runs."""

from dataclasses import replace

import pytest

from gateway.batches.batch import Batch, BatchStatus
from gateway.batches.outlook import ENDING, UNKNOWN, ModelQueue, Outlook, outlook

NOW = 1_000_000
BATCH = Batch("b", "o", "/v1/embeddings", "f", 0, 2**40, status=BatchStatus.IN_PROGRESS)
RUNS = ModelQueue("m", 0, 0, 0, 0, submitted_at=NOW - 20_000, usual=60_000)
WAITS = ModelQueue("m", 100, 300, 2, 100, submitted_at=None, usual=60_000)


@pytest.mark.parametrize(
    ("queue", "eta"),
    [
        (RUNS, 40_000),
        (replace(RUNS, usual=None), None),
        (replace(RUNS, usual=10_000), None),  # longer than usual: there is no telling
        (WAITS, 240_000),  # four rounds of a minute
        (replace(WAITS, sent=400), 60_000),
        (replace(WAITS, submitted_at=NOW - 20_000), 280_000),
    ],
)
def test_how_long_it_may_take(queue: ModelQueue, eta: int | None) -> None:
    """As long as the last ones took, in rounds as large as what is at Google now."""
    assert outlook(BATCH, [queue], NOW).eta == eta


def test_its_place_and_what_it_waits_for() -> None:
    """That of the model with the longest queue."""
    first = replace(WAITS, model="n", batches_ahead=0)
    told = outlook(BATCH, [RUNS, first, WAITS], NOW)
    assert (told.position, told.waiting_for) == (
        3,
        "room at Google for jobs of m: 2 batches wait before it",
    )
    assert outlook(BATCH, [first], NOW).waiting_for == "room at Google for jobs of n: it is next"
    assert outlook(BATCH, [replace(first, sent=0)], NOW).waiting_for is None
    assert outlook(BATCH, [RUNS, replace(RUNS, usual=None)], NOW) == Outlook(eta=None)


def test_a_batch_that_must_end_says_so() -> None:
    """Nothing was said while Google ignored a cancel."""
    for ends in (replace(BATCH, cancel_requested_at=NOW), replace(BATCH, expires_at=NOW)):
        assert outlook(ends, [RUNS], NOW) == Outlook(waiting_for=ENDING)


def test_nothing_is_said_of_others() -> None:
    """Before validation, after the end, and when no job waits or runs."""
    assert outlook(replace(BATCH, status=BatchStatus.COMPLETED), [WAITS], NOW) == UNKNOWN
    assert outlook(BATCH, [], NOW) == UNKNOWN
