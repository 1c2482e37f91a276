"""Records as OpenAI's objects."""

from dataclasses import replace

import pytest

from gateway.api.objects import encode_batch, shown_status
from gateway.batches.batch import Batch, BatchError, BatchStatus, Counts, TokenUsage

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
    ended = replace(BATCH, output_file_id="o", error_file_id="e", notes_file_id="w")
    live = status in {"validating", "in_progress", "finalizing"}
    shown = encode_batch(replace(ended, status=status))

    told = (
        shown["output_file_id"],
        shown["error_file_id"],
        shown["gateway"]["warnings_file_id"],
    )
    assert told == ((None, None, None) if live else ("o", "e", "w"))


@pytest.mark.parametrize("status", BatchStatus)
def test_what_openai_has_no_word_for(status: BatchStatus) -> None:
    """Every member is always there; what a batch waited for is nothing once it has ended."""
    live = status in {"validating", "in_progress", "finalizing"}
    waiting = replace(
        BATCH,
        status=status,
        last_error="no quota",
        waiting_since=5_999,
        ended_because="a cancel was asked for",
        upstream_state="PENDING",
        upstream_since=4_000,
        notes={"dropped": 3},
        attempts=2,
        retry_of="batch_0",
    )

    assert encode_batch(waiting)["gateway"] == {
        "waiting_for": "no quota" if live else None,
        "waiting_since": 5 if live else None,
        "position": None,
        "eta_seconds": None,
        "ended_because": "a cancel was asked for",
        "upstream": {"state": "PENDING", "since": 4},
        "attempts": 2,
        "reused": 0,
        "paid_twice_at_most": 0,
        "rescue": None,
        "cost_usd": 0.0,
        "cost_at_most_usd": 0.0,
        "retry_of": "batch_0",
        "rerendered": [],
        "warnings": {"dropped": 3},
        "warnings_file_id": None,
    }
    assert encode_batch(replace(BATCH, status=status))["gateway"] == {
        "waiting_for": None,
        "waiting_since": None,
        "position": None,
        "eta_seconds": None,
        "ended_because": None,
        "upstream": None,
        "attempts": 0,
        "reused": 0,
        "paid_twice_at_most": 0,
        "rescue": None,
        "cost_usd": 0.0,
        "cost_at_most_usd": 0.0,
        "retry_of": None,
        "rerendered": [],
        "warnings": {},
        "warnings_file_id": None,
    }


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


def test_a_list_shows_a_few_errors_of_each_batch() -> None:
    """Forty failed batches were 4.7 MB, and held up every other client for half a second."""
    errors = tuple(BatchError("a", "b", None, line) for line in range(1, 14))
    batch = Batch("b", "o", "/v1/embeddings", "f", 0, 1, status=BatchStatus.FAILED, errors=errors)
    whole, cut = (encode_batch(batch, most_errors=most)["errors"]["data"] for most in (None, 10))
    assert [each["line"] for each in whole] == list(range(1, 14))
    assert [each["line"] for each in cut] == [*range(1, 11), None]
    assert cut[-1]["code"] == "a"
    assert cut[-1]["message"].startswith("3 more entries: GET /v1/batches/b ")
    assert (
        encode_batch(replace(batch, errors=errors[:10]), most_errors=10)["errors"]["data"]
        == (whole[:10])
    )
