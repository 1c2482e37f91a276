"""Records as OpenAI's objects."""

from dataclasses import replace

import pytest

from gateway.api.objects import encode_batch, shown_status
from gateway.batches.records import Batch, BatchError, BatchStatus, Counts, TokenUsage

BATCH = Batch(
    id="batch_1",
    owner="alice",
    endpoint="/v1/embeddings",
    input_file_id="file-1",
    created_at=1_999,
    expires_at=86_401_999,
    counts=Counts(5, 2, 1),
)


@pytest.mark.parametrize("status", BatchStatus)
def test_cancelling_is_a_live_batch_to_be_cancelled(status: BatchStatus) -> None:
    """Terminal statuses stay what they are; the time of the wish stays visible."""
    wanted = replace(BATCH, status=status, cancel_requested_at=7_500)
    live = status in {"validating", "in_progress", "finalizing"}

    assert shown_status(wanted) == ("cancelling" if live else status.value)
    assert encode_batch(wanted)["cancelling_at"] == 7


@pytest.mark.parametrize("status", BatchStatus)
def test_counts_by_status(status: BatchStatus) -> None:
    """0/0/0 while nobody has counted, and when nothing ran."""
    uncounted = status in {"validating", "failed"}
    shown = encode_batch(replace(BATCH, status=status))["request_counts"]

    assert tuple(shown.values()) == ((0, 0, 0) if uncounted else (5, 2, 1))


@pytest.mark.parametrize("status", BatchStatus)
def test_live_batches_show_no_files(status: BatchStatus) -> None:
    """Ids appear with the terminal status, not before."""
    batch = replace(BATCH, status=status, output_file_id="file-o", error_file_id="file-e")
    live = status in {"validating", "in_progress", "finalizing"}
    shown = encode_batch(batch)

    assert (shown["output_file_id"], shown["error_file_id"]) == (
        (None, None) if live else ("file-o", "file-e")
    )


def test_errors_and_usage() -> None:
    """Lists of errors in OpenAI's form; total tokens are the sum."""
    batch = replace(
        BATCH,
        errors=(BatchError("a", "b", "c", 3), BatchError("d", "e")),
        usage=TokenUsage(10, 4, 7, 2),
    )
    shown = encode_batch(batch)

    assert shown["errors"] == {
        "object": "list",
        "data": [
            {"code": "a", "message": "b", "param": "c", "line": 3},
            {"code": "d", "message": "e", "param": None, "line": None},
        ],
    }
    assert shown["usage"] == {
        "input_tokens": 10,
        "input_tokens_details": {"cached_tokens": 4},
        "output_tokens": 7,
        "output_tokens_details": {"reasoning_tokens": 2},
        "total_tokens": 17,
    }


def test_times_are_whole_seconds() -> None:
    """Rounded down, so that a time is never in the future."""
    shown = encode_batch(replace(BATCH, completed_at=2_999, status=BatchStatus.COMPLETED))

    assert (shown["created_at"], shown["completed_at"], shown["failed_at"]) == (1, 2, None)
