"""Options of an emulator at its start; every default is safe for a laptop.

One table says all: the fields of :class:`EmulatorOptions`, whose help is theirs and those of
``gateway emulator``.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from functools import cached_property
from hashlib import sha256
from typing import Any, Final

MIB: Final = 1024 * 1024
GIB: Final = 1024 * MIB
HOUR: Final = 3600.0

# "Request payload size exceeds the limit: 20971520 bytes." (text of the live service)
MAX_CREATE_BYTES: Final = 20 * MIB
# ai.google.dev/gemini-api/docs/files: 2 GB a file, 20 GB a project, 48 hours.
MAX_FILE_BYTES: Final = 2 * GIB
MAX_STORAGE_BYTES: Final = 20 * GIB
# x-goog-upload-chunk-granularity as recorded 2026-08-19 (ruby_llm cassettes)
UPLOAD_GRANULARITY: Final = 8 * MIB
# ai.google.dev/gemini-api/docs/rate-limits: 100 concurrent batch jobs
MAX_LIVE_JOBS: Final = 100
MAX_OFFSET: Final = 10 * 365 * 24 * HOUR
# Entries; so many take about 100 MiB.
JOURNAL_ENTRIES: Final = 200_000


def _option(
    default: object,
    about: str,
    *,
    least: float | None = None,
    most: float | None = None,
    choices: tuple[object, ...] = (),
) -> Any:  # noqa: ANN401 - a field of any type
    """Declare a field with its help and the values that mean something."""
    metadata = {"about": about, "least": least, "most": most, "choices": choices}
    if isinstance(default, dict):
        return field(default_factory=dict, metadata=metadata)
    return field(default=default, metadata=metadata)


def _project_name(key: str) -> str:
    """Return a name for the project of a key: it may be shown, a key may not."""
    return f"project-{sha256(key.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class EmulatorOptions:
    """The options of one emulator.

    Durations are seconds of the emulator's own clock (``speed`` makes it run faster), sizes are
    bytes. ``faults`` are specifications as :func:`gateway.emulator.faults.table.parse_fault` reads
    them.
    """

    job_seconds: float = _option(
        1.0,
        "Seconds from a job's create to its end; work that takes longer ends it later.",
        least=0,
    )
    pending_share: float = _option(
        0.25,
        "The part of that time in which a job is PENDING; in the rest it is RUNNING.",
        least=0,
        most=1,
    )
    clock_offset: float = _option(
        0.0,
        "Seconds that the service's clock is ahead of the machine's; negative: behind.",
        least=-MAX_OFFSET,
        most=MAX_OFFSET,
    )
    speed: float = _option(1.0, "Emulated seconds in a real second.", least=1e-9)
    faults: tuple[str, ...] = _option(
        (), "A fault to arm, e.g. create-500-after:times=2; see --list-faults."
    )
    seed: int = _option(0, "Seed of what is random about faults, so that a run can be repeated.")
    control: bool = _option(
        default=False,
        about="Serve /emulator/... (journal, faults, clock, jobs); these routes ask for no key.",
    )
    api_keys: tuple[str, ...] = _option(
        (),
        "A key to accept, KEY or KEY=PROJECT; each project has jobs, files and caches of its own. "
        "Without this option any key is accepted.",
    )
    unknown_models: bool = _option(
        default=False, about="Serve any model, not only those of the recorded list (else 404)."
    )
    max_live_jobs: int = _option(
        MAX_LIVE_JOBS, "Unfinished jobs of a project; one more create answers 429.", least=0
    )
    tier: int = _option(
        0,
        "Usage tier whose limits of enqueued tokens hold; 0: no limits.",
        choices=(0, 1, 2, 3),
    )
    enqueued_tokens: Mapping[str, int] = _option(
        {},
        "Limit of enqueued tokens of a model (* is any other), before that of the tier; "
        "one more create answers 429.",
    )
    ledger: bool = _option(
        default=False, about="Keep what each line and each synchronous call cost: /emulator/ledger."
    )
    spend_limit: float = _option(
        0.0,
        "Dollars that the synchronous calls of a project may cost in ten minutes, then 429; "
        "0: those of the tier.",
        least=0,
    )
    flex_places: int = _option(
        0, "Flex calls that are served at a time; one more answers 503; 0: any number.", least=0
    )
    flex_seconds: float = _option(0.0, "Seconds from a flex call to its answer.", least=0)
    expire_seconds: float = _option(
        48 * HOUR, "Seconds after its create at which an unfinished job is EXPIRED.", least=0
    )
    file_seconds: float = _option(48 * HOUR, "Seconds for which files are kept.", least=0)
    video_seconds: float = _option(
        2.0, "Seconds for which an uploaded video is PROCESSING.", least=0
    )
    bad_line: str = _option(
        "item",
        "A line that cannot be read fails itself (item) or its job (job).",
        choices=("item", "job"),
    )
    line_metadata: bool = _option(
        default=False, about="Give metadata of a file's line back with its result."
    )
    cancel_finished_status: int = _option(
        200, "Status that a cancel of a finished job answers (both are met).", choices=(200, 400)
    )
    ranges: bool = _option(default=False, about="Answer Range: bytes=N- of a download with 206.")
    redirect_leaks: bool = _option(
        default=True,
        about="Echo a request's headers, key included, in a download's redirect, as Google did.",
    )
    webhook_timeout: float = _option(
        5.0, "Real seconds a webhook's receiver has to answer.", least=0.001
    )
    max_create_bytes: int = _option(
        MAX_CREATE_BYTES, "Bytes of the largest create; a larger one answers 400.", least=1
    )
    max_file_bytes: int = _option(MAX_FILE_BYTES, "Bytes of the largest file.", least=1)
    max_storage_bytes: int = _option(MAX_STORAGE_BYTES, "Bytes of all files of a project.", least=1)
    upload_granularity: int = _option(
        UPLOAD_GRANULARITY,
        "Bytes of which a chunk that does not end its upload must be a multiple.",
        least=1,
    )
    journal_entries: int = _option(
        JOURNAL_ENTRIES, "Entries the journal keeps; the oldest are forgotten.", least=1
    )
    directory: str | None = _option(
        None, "Directory of uploads and results; else a temporary one, removed at the end."
    )

    @property
    def counts_tokens(self) -> bool:
        """Whether any limit of enqueued tokens is set."""
        return bool(self.enqueued_tokens or self.tier)

    @cached_property
    def keys(self) -> dict[str, str]:
        """Accepted key -> its project."""
        pairs = (one.partition("=") for one in self.api_keys)
        return {key: project or _project_name(key) for key, _, project in pairs}

    def project_of(self, key: str) -> str:
        """Return the project a key belongs to: its own, unless it was said which."""
        return self.keys.get(key) or _project_name(key)

    def __post_init__(self) -> None:
        """Refuse values that mean nothing; raises ValueError naming the option."""
        for one in fields(self):
            value, allowed = getattr(self, one.name), one.metadata["choices"]
            least, most = one.metadata["least"], one.metadata["most"]
            if allowed and value not in allowed:
                named = ", ".join(map(str, allowed))
                raise ValueError(f"{one.name} must be one of {named}")
            if least is not None and not value >= least:
                raise ValueError(f"{one.name} must be at least {least:g}")
            if most is not None and not value <= most:
                raise ValueError(f"{one.name} must be at most {most:g}")
        if "" in self.keys:
            raise ValueError("a key of api_keys is empty")
