"""What can be set when an emulator starts; every default is safe for a laptop."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property
from hashlib import sha256

from gateway.emulator.tiers import tier_limit

MIB = 1024 * 1024
GIB = 1024 * MIB
HOUR = 3600.0

# "Request payload size exceeds the limit: 20971520 bytes." (text of the live service)
MAX_CREATE_BYTES = 20 * MIB
# ai.google.dev/gemini-api/docs/files: 2 GB a file, 20 GB a project, 48 hours.
MAX_FILE_BYTES = 2 * GIB
MAX_STORAGE_BYTES = 20 * GIB
# x-goog-upload-chunk-granularity as recorded 2026-08-19 (ruby_llm cassettes)
UPLOAD_GRANULARITY = 8 * MIB
# ai.google.dev/gemini-api/docs/rate-limits: 100 concurrent batch jobs
MAX_LIVE_JOBS = 100


def _project_name(key: str) -> str:
    """A name for the project of a key: it may be shown, a key may not."""
    return f"project-{sha256(key.encode()).hexdigest()[:12]}"


@dataclass(frozen=True)
class EmulatorOptions:
    """The knobs of one emulator.

    Durations are seconds of the emulator's own clock (``speed`` makes it run faster), sizes are
    bytes. ``faults`` are specifications as :func:`gateway.emulator.faults.parse_fault` reads them.
    """

    job_seconds: float = 1.0
    """From create to the end of a job; fractions and 0 allowed. Longer work ends later."""
    pending_share: float = 0.25
    """The part of ``job_seconds`` a job is PENDING; the rest it is RUNNING."""
    speed: float = 1.0
    """How many emulated seconds pass in one real second."""
    expire_seconds: float = 48 * HOUR
    """A job unfinished after this long is EXPIRED."""
    file_seconds: float = 48 * HOUR
    """An uploaded or generated file is gone after this long."""
    api_keys: tuple[str, ...] = ()
    """Keys that are accepted, ``KEY`` or ``KEY=PROJECT``; any non-empty key when empty."""
    control: bool = False
    """Whether ``/emulator/...`` routes exist (journal, faults, clock, jobs); not guarded."""
    faults: tuple[str, ...] = ()
    """Faults armed from the start, e.g. ``"create-500-after:times=2"``."""
    seed: int = 0
    """Seed of everything random about faults, so that a run can be repeated."""
    directory: str | None = None
    """Where uploads and results are spooled; a temporary directory, removed at the end, if None."""
    max_create_bytes: int = MAX_CREATE_BYTES
    max_file_bytes: int = MAX_FILE_BYTES
    max_storage_bytes: int = MAX_STORAGE_BYTES
    upload_granularity: int = UPLOAD_GRANULARITY
    """A chunk that does not end the upload must be a multiple of this."""
    max_live_jobs: int = MAX_LIVE_JOBS
    """Jobs of one key that may be unfinished at once; one more create answers 429."""
    tier: int = 0
    """Usage tier 1, 2 or 3, whose limits of enqueued tokens hold (``tiers.py``); 0: no limits."""
    enqueued_tokens: Mapping[str, int] = field(default_factory=dict)
    """Limit of enqueued tokens by model name (without ``models/``), before those of the tier.

    ``"*"`` stands for any other model.
    """
    bad_line: str = "item"
    """A line that cannot be read fails itself with code 3 (``item``) or its job (``job``)."""
    cancel_finished_status: int = 200
    """Answer of cancel on a finished job; Google's is not on record, 200 or 400 are both met."""
    unknown_models: bool = False
    """Whether a model that is not in the recorded list is served instead of answered with 404."""
    redirect_leaks: bool = True
    """Whether the redirect of a download echoes the request's headers, as recorded 2026-08-19."""
    ranges: bool = False
    """Whether downloads answer ``Range: bytes=N-`` with 206; of Google's it is not known."""
    line_metadata: bool = False
    """Whether ``metadata`` of a file's line comes back with its result; not on record either."""
    video_seconds: float = 2.0
    """How long an uploaded video is PROCESSING before it can be used (recorded: seconds)."""
    webhook_timeout: float = 5.0
    """Seconds a webhook's receiver has to answer."""

    @property
    def counts_tokens(self) -> bool:
        """Whether any limit of enqueued tokens is set."""
        return bool(self.enqueued_tokens or self.tier)

    def token_limit(self, model: str) -> int | None:
        """How many tokens may be enqueued for a model; None: any number."""
        for name in (model, "*"):
            if name in self.enqueued_tokens:
                return self.enqueued_tokens[name]
        return tier_limit(self.tier, model) if self.tier else None

    @cached_property
    def keys(self) -> dict[str, str]:
        """Accepted key -> its project."""
        pairs = (one.partition("=") for one in self.api_keys)
        return {key: project or _project_name(key) for key, _, project in pairs}

    def project_of(self, key: str) -> str:
        """The project a key belongs to: its own, unless it was said which."""
        return self.keys.get(key) or _project_name(key)

    def __post_init__(self) -> None:
        """Refuse values that mean nothing; raises ValueError naming the option."""
        for name in ("job_seconds", "expire_seconds", "file_seconds", "video_seconds"):
            if getattr(self, name) < 0:
                raise ValueError(f"{name} must not be negative")
        if self.speed <= 0:
            raise ValueError("speed must be positive")
        if not 0 <= self.pending_share <= 1:
            raise ValueError("pending_share must be between 0 and 1")
        if self.tier not in {0, 1, 2, 3}:
            raise ValueError("tier must be 0, 1, 2 or 3")
        if self.bad_line not in {"item", "job"}:
            raise ValueError("bad_line must be 'item' or 'job'")
