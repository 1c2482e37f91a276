"""Lines -> items -> jobs: where a job is cut, and how it travels."""

from dataclasses import dataclass

from gateway.wire.gemini import EMBED_CONTENT, GENERATE_CONTENT

# A model with neither is of no use here, whatever else it can do.
BATCH_METHODS = frozenset({GENERATE_CONTENT, EMBED_CONTENT})

# "Mixed models in one file become one job per model": each open job costs two open files.
MAX_MODELS = 50


@dataclass(frozen=True, slots=True)
class JobLimits:
    """Where jobs are cut, and what may go inline."""

    items_per_job: int
    bytes_per_job: int
    inline_max_bytes: int
    inline_max_items: int
    inline_max_embeddings: int


def must_cut(items: int, size: int, more_items: int, more_size: int, limits: JobLimits) -> bool:
    """Whether a job of ``items`` and ``size`` bytes cannot take a further line.

    A line is never split between jobs, so a line larger than a whole job gets one of its own.
    """
    if items == 0:
        return False
    return items + more_items > limits.items_per_job or size + more_size > limits.bytes_per_job


# Every look at a finished inline job may bring all of its answers.
INLINE_ANSWER_BYTES = 16 * 1024 * 1024


def goes_inline(
    method: str, items: int, size: int, limits: JobLimits, *, media: bool, answer: int = 0
) -> bool:
    """Whether a job is tiny enough to travel in the create call itself.

    A finished inline job answers with all results, twice, on every GET (about 48 KB for each
    embedding), so embeddings have a limit of their own; ``media``, answers of megabytes each,
    never come that way, nor do jobs whose answers may have many bytes for another reason
    (``answer`` of them).
    """
    if media or answer > INLINE_ANSWER_BYTES:
        return False
    most = limits.inline_max_embeddings if method == EMBED_CONTENT else limits.inline_max_items
    return items <= most and size <= limits.inline_max_bytes


def display_name(gateway_id: str, job_id: str) -> str:
    """The handle by which a create whose answer was lost is found again.

    The same for every attempt of the same work; 23 ASCII characters (Google states no limit for
    batches, 512 for files).
    """
    return f"{gateway_id}-{job_id}"
