"""Which jobs that were never sent are asked for one by one near the deadline."""

from dataclasses import replace
from typing import Any

import pytest

from gateway.batches.batch import Batch, BatchStatus
from gateway.batches.job import Cause, Job
from gateway.batches.rescue import UNSENT_FOR, RescueRules, may_rescue_unsent

HOUR = 3_600_000
RULES = RescueRules(tier="flex", before=2 * HOUR)
NEAR = 22 * HOUR
BATCH = Batch("b", "o", "/v1/chat/completions", "f", 0, 24 * HOUR, status=BatchStatus.IN_PROGRESS)
JOB = Job("j", "b", 0, "m", "batchGenerateContent", 1, 1, 1, 1, "spool", "echo", "name", 0)


@pytest.mark.parametrize(
    ("changes", "now", "rescued"),
    [
        ({}, NEAR, True),
        ({}, NEAR - 1, False),
        ({}, 24 * HOUR, False),  # then nothing runs any more
        ({"doubt": 5}, NEAR, False),  # it may be paid for
        ({"files": 1}, NEAR, True),
        ({"method": "asyncBatchEmbedContent"}, NEAR, False),
        ({"cause": Cause.RESCUE}, NEAR, False),
        ({"created_at": NEAR - UNSENT_FOR}, NEAR, True),
        ({"created_at": NEAR - UNSENT_FOR + 1}, NEAR, False),  # it is being sent
        ({"created_at": NEAR}, NEAR + HOUR, False),  # planned so near to the deadline
    ],
)
def test_what_waits_near_the_deadline(changes: dict[str, Any], now: int, *, rescued: bool) -> None:
    """Never what a create may have made already."""
    assert may_rescue_unsent(BATCH, replace(JOB, **changes), RULES, now) is rescued
    assert not may_rescue_unsent(BATCH, JOB, replace(RULES, tier="off"), now)
