"""The port of the upstream, which runs the jobs: it speaks of work, not of HTTP.

Every call takes the name of the **credential** to use. Failures are the ``Upstream*`` errors of
:mod:`gateway.errors`; nothing else escapes, cancellation aside.
"""

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from dataclasses import dataclass
from enum import Enum
from typing import Protocol

from gateway.batches.job import Job
from gateway.batches.staging import StagedFile


class Source(Protocol):
    """Bytes to be sent. ``sealed`` is their digest in hex (SHA-256), None where it is not known."""

    size: int
    sealed: str | None

    def blocks(self) -> AsyncIterator[bytes]:
        """Return all bytes; the last of them only if all are as they were written."""
        ...

    def unchecked(self, start: int = 0) -> AsyncIterator[bytes]:
        """Return the bytes from ``start`` to the end, for one who compares digests afterwards."""
        ...

    async def digest(self) -> str:
        """Read all bytes and make their digest; an error unless they are as they were written."""
        ...


@dataclass(frozen=True, slots=True)
class Staged:
    """Staged spool, as create needs it; ``until`` in ms, after which it must be staged anew."""

    ref: str
    until: int


class FileState(Enum):
    """Whether a file at the upstream can be used."""

    READY = "ready"
    PROCESSING = "processing"
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class FileSeen:
    """File as the upstream shows it; ``reason`` of a failure, scrubbed, if it gives one."""

    state: FileState
    reason: str | None = None


@dataclass(frozen=True, slots=True)
class Uploaded:
    """A file that is at the upstream: its name, the URI that requests name, the end of its life.

    ``until`` in ms, on our clock.
    """

    name: str
    uri: str
    until: int
    seen: FileSeen


@dataclass(frozen=True, slots=True)
class Found:
    """Jobs that carry the display name, the oldest first: upstream names."""

    names: Sequence[str]


class Absent:
    """A listing, read to its end and shown to work, that has no such job."""


class Unknown:
    """A listing that proves nothing."""


@dataclass(frozen=True, slots=True)
class Observation:
    """Job as the upstream shows it.

    ``state`` is the upstream's own word without its prefix (``SUCCEEDED``), kept for show;
    ``ended`` is the only thing to act on; ``error_code`` is google.rpc's name
    (``RESOURCE_EXHAUSTED``). ``output`` is what :meth:`Upstream.fetch` takes, None
    when nothing came out; ``error`` the upstream's reason, scrubbed; ``ended_at`` in ms. ``raw``
    are the raw results that :meth:`Upstream.fetch` would yield, if they came along.
    """

    state: str
    ended: bool
    output: str | None = None
    error_code: str | None = None
    error: str | None = None
    ended_at: int | None = None
    raw: bytes | None = None


@dataclass(frozen=True, slots=True)
class Model:
    """A model the upstream offers: bare id, the methods it supports, and its version in words."""

    id: str
    methods: frozenset[str]
    version: str = ""


class Upstream(Protocol):
    """One upstream's batch API."""

    def identity(self, credential: str, salt: str) -> str:
        """Return a digest of the credential's key, to tell keys apart by; never the key."""
        ...

    async def stage(self, job: Job, spool: Source) -> Staged:
        """Upload the spool so that create can name it. May be called again for the same job."""
        ...

    async def create(self, job: Job, spool: Source, seconds: float) -> str:
        """Create the job, inline from the spool or from ``job.staged``; its upstream name.

        ``spool`` is what :attr:`Job.outgoing` names. Never retried inside; on a connection of its
        own; ended after ``seconds``. An :class:`~gateway.errors.UpstreamAmbiguousError` means it
        may exist.
        """
        ...

    async def stage_file(self, staged: StagedFile, display_name: str, content: Source) -> Uploaded:
        """Upload a client's file, for requests to name; whether it can be used may show later."""
        ...

    async def observe_file(self, name: str, credential: str) -> FileSeen:
        """Whether such a file can be used now; UpstreamGoneError when it is not there."""
        ...

    async def release_file(self, name: str, credential: str) -> None:
        """Delete such a file; one that is gone is fine."""
        ...

    async def find(
        self, display_name: str, credential: str, known: str | None
    ) -> Found | Absent | Unknown:
        """Look for a job by display name. ``known`` names a job that a working listing shows."""
        ...

    async def observe(self, name: str, credential: str, *, whole: bool = False) -> Observation:
        """Return the job's state; with ``whole`` its results as well, if they come in one call."""
        ...

    def fetch(self, name: str, output: str, credential: str) -> AsyncGenerator[bytes, None]:
        """Yield the raw results, complete or an error; :mod:`gateway.wire.gemini_results` reads."""
        ...

    async def cancel(self, name: str, credential: str) -> None:
        """Ask for the job's end; a job that has ended or is gone is fine."""
        ...

    async def release(self, job: Job) -> None:
        """Delete the upstream's copies: the staged file and the job. What is gone is fine."""
        ...

    async def models(self, credential: str) -> Sequence[Model]:
        """Return the models offered now: one at least, and within seconds, or an error."""
        ...

    async def model(self, name: str, credential: str) -> Model | None:
        """Return a model, within seconds; None when there is none of that name."""
        ...

    async def close(self) -> None:
        """Close all connections."""
        ...
