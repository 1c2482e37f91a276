"""Where jobs are cut and how they travel."""

import pytest

from gateway.batches.planning import JobLimits, display_name, goes_inline, must_cut

LIMITS = JobLimits(
    items_per_job=10,
    bytes_per_job=1000,
    inline_max_bytes=500,
    inline_max_items=5,
    inline_max_embeddings=2,
)
CHAT = "batchGenerateContent"
EMBED = "asyncBatchEmbedContent"


@pytest.mark.parametrize(
    ("items", "size", "more", "more_size", "cut"),
    [
        (9, 0, 1, 10, False),
        (10, 0, 1, 10, True),
        (8, 0, 3, 10, True),
        (1, 990, 1, 10, False),
        (1, 991, 1, 10, True),
        (0, 0, 50, 5000, False),
    ],
)
def test_a_job_is_cut_before_it_is_too_large(
    items: int, size: int, more: int, more_size: int, cut: bool
) -> None:
    """But a line is never split: one that is too large for any job gets its own."""
    assert must_cut(items, size, more, more_size, LIMITS) is cut


@pytest.mark.parametrize(
    ("method", "items", "size", "media", "inline"),
    [
        (CHAT, 5, 500, False, True),
        (CHAT, 6, 500, False, False),
        (CHAT, 5, 501, False, False),
        (CHAT, 1, 1, True, False),
        (EMBED, 2, 500, False, True),
        (EMBED, 3, 1, False, False),
    ],
)
def test_tiny_jobs_go_inline(method: str, items: int, size: int, media: bool, inline: bool) -> None:
    """Both bounds count; embeddings have their own, images and sound never do."""
    assert goes_inline(method, items, size, LIMITS, media=media) is inline


def test_the_display_name_is_the_same_for_the_same_work() -> None:
    """It is the handle of a lost create."""
    assert display_name("gwabc", "job1") == "gwabc-job1"


def test_jobs_whose_answers_are_large_go_by_file() -> None:
    """Log probabilities made 454 MB of 100 tiny requests."""
    assert goes_inline(CHAT, 1, 1, LIMITS, media=False, answer=16 << 20)
    assert not goes_inline(CHAT, 1, 1, LIMITS, media=False, answer=(16 << 20) + 1)
