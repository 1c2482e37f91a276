"""Where jobs are cut and how they travel."""

import pytest

from gateway.batches.planning import JobLimits, Size, display_name, goes_inline, must_cut

LIMITS = JobLimits(
    items_per_job=10,
    bytes_per_job=1000,
    inline_max_bytes=500,
    inline_max_items=5,
    inline_max_embeddings=2,
)
CHAT = "batchGenerateContent"
EMBED = "asyncBatchEmbedContent"


MOST = Size(items=10, bytes=1000, tokens=100, output=500)


@pytest.mark.parametrize(
    ("job", "line", "cut"),
    [
        (Size(9, 0), Size(1, 10), False),
        (Size(10, 0), Size(1, 10), True),
        (Size(8, 0), Size(3, 10), True),
        (Size(1, 990), Size(1, 10), False),
        (Size(1, 991), Size(1, 10), True),
        (Size(1, 0, 90), Size(1, 0, 10), False),
        (Size(1, 0, 90), Size(1, 0, 11), True),
        (Size(1, 0, 0, 499), Size(1, 0, 0, 2), True),
        (Size(), Size(50, 5000, 5000, 5000), False),
    ],
)
def test_a_job_is_cut_before_it_is_too_large(job: Size, line: Size, cut: bool) -> None:
    """But a line is never split: one that is too large for any job gets its own."""
    assert must_cut(job, line, MOST) is cut


@pytest.mark.parametrize(
    ("method", "size", "media", "inline"),
    [
        (CHAT, Size(5, 500), False, True),
        (CHAT, Size(6, 500), False, False),
        (CHAT, Size(5, 501), False, False),
        (CHAT, Size(1, 1), True, False),
        (CHAT, Size(1, 1, output=2**24), False, True),
        (CHAT, Size(1, 1, output=2**24 + 1), False, False),
        (EMBED, Size(2, 500), False, True),
        (EMBED, Size(3, 1), False, False),
    ],
)
def test_tiny_jobs_go_inline(method: str, size: Size, media: bool, inline: bool) -> None:
    """Every bound counts; embeddings have their own, images, sound and long answers never do."""
    assert goes_inline(method, size, LIMITS, media=media) is inline


def test_the_display_name_is_the_same_for_the_same_work() -> None:
    """It is the handle of a lost create."""
    assert display_name("gwabc", "job1") == "gwabc-job1"
