"""Lines -> items -> jobs: where a job is cut, and how it travels."""

from dataclasses import dataclass
from typing import Final, NamedTuple

from gateway.units import GIB, MIB
from gateway.wire.gemini import EMBED_CONTENT, GENERATE_CONTENT

# A model with neither is of no use here, whatever else it can do.
BATCH_METHODS: Final = frozenset({GENERATE_CONTENT, EMBED_CONTENT})

# "Mixed models in one file become one job per model": each open job costs two open files.
MAX_MODELS: Final = 50


# A finished inline job answers with all its results, twice, in one body: beyond about 1.2 GB of
# images no GET ever came through (385 paid jobs, discuss.ai.google.dev 174261). What may answer
# larger than this travels by file.
INLINE_OUTPUT_BYTES: Final = 16 * MIB


@dataclass(frozen=True, slots=True)
class JobLimits:
    """Where jobs are cut, and what may go inline. Tokens are cut by the quota of each model."""

    items_per_job: int
    bytes_per_job: int
    inline_max_bytes: int
    inline_max_items: int
    inline_max_embeddings: int
    output_bytes_per_job: int = GIB


class Size(NamedTuple):
    """Size of a line, of a job so far, or the most that a job may have.

    ``output`` are bytes that are expected to come out, where they are many: media, logprobs.
    """

    items: int = 0
    bytes: int = 0
    tokens: int = 0
    output: int = 0

    def plus(self, more: "Size") -> "Size":
        """Return both together."""
        items, size, tokens, output = self
        more_items, more_bytes, more_tokens, more_output = more
        return Size(
            items + more_items, size + more_bytes, tokens + more_tokens, output + more_output
        )

    def exceeds(self, most: "Size") -> bool:
        """Whether any of it is more."""
        items, size, tokens, output = self
        most_items, most_bytes, most_tokens, most_output = most
        return (
            items > most_items or size > most_bytes or tokens > most_tokens or output > most_output
        )


def must_cut(job: Size, line: Size, most: Size) -> bool:
    """Whether a job of that size cannot take a further line.

    A line is never split between jobs, so a line larger than a whole job gets one of its own.
    """
    return job.items > 0 and job.plus(line).exceeds(most)


def goes_inline(method: str, size: Size, limits: JobLimits, *, media: bool) -> bool:
    """Whether a job is tiny enough to travel in the create call itself.

    A finished inline job answers with all results, twice, on every GET (about 48 KB for each
    embedding), so embeddings have a limit of their own; ``media``, answers of megabytes each,
    never come that way, and nothing that may answer as large.
    """
    if media or size.output > INLINE_OUTPUT_BYTES:
        return False
    most = limits.inline_max_embeddings if method == EMBED_CONTENT else limits.inline_max_items
    return size.items <= most and size.bytes <= limits.inline_max_bytes


def display_name(gateway_id: str, job_id: str) -> str:
    """Return the handle by which a create whose answer was lost is found again.

    The same for every attempt of the same work; 23 ASCII characters (Google states no limit for
    batches, 512 for files).
    """
    return f"{gateway_id}-{job_id}"
