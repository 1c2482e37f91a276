"""The services and options of the endpoints: given once, by ``app.py``."""

from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from starlette.requests import Request

from gateway.api.limits import Limits
from gateway.batches.batch import Batch
from gateway.batches.file import File
from gateway.batches.limits import OwnerLimits
from gateway.batches.webhooks import Attempt, WebhookEndpoint
from gateway.clock import Clock
from gateway.errors import DamagedStoreError
from gateway.ports.blobs import Blobs
from gateway.ports.metrics import NO_METERS, Meters
from gateway.ports.others import OtherRoutes
from gateway.ports.single import SingleRequests, StoredResponses, StreamedResponses
from gateway.ports.store import Store
from gateway.ports.upstream import Model
from gateway.units import GIB, MIB

# Whoever calls while no credentials are configured.
LOCAL_OWNER: Final = "local"

DEFAULT_MAX_FILE_BYTES: Final = 2 * GIB

# Google takes 20 MB in one request with its media inside (guide, "Files").
DEFAULT_MAX_SINGLE_BYTES: Final = 20 * MIB

# A body without a new byte for this long is given up (uvicorn has no timeout for bodies).
DEFAULT_BODY_IDLE_SECONDS: Final = 60.0


class Webhooks(Protocol):
    """Webhook delivery, as requests need it."""

    def refusal(self, url: str) -> str | None:
        """Say why an endpoint cannot have this URL, in a clause; None: it can."""
        ...

    async def test(self, endpoint: WebhookEndpoint, kind: str) -> Attempt:
        """Send a sample of an event, once."""
        ...


@dataclass(frozen=True, slots=True)
class Services:
    """The ports and options that endpoints use."""

    store: Store
    blobs: Blobs
    clock: Clock
    wake: Callable[[], None]  # there is work for the runner
    ready: Callable[[], bool]  # False before the start is done and from the first SIGTERM on
    endpoints: Collection[str]  # what a batch may name
    google: Callable[[], str] = lambda: "not_asked"  # not_asked, ok, key_refused or no_answer
    policy: Mapping[str, Any] = field(default_factory=dict)  # stored with each new batch
    models: Callable[[str], Awaitable[Sequence[Model]]] | None = None
    # The input of a batch that sends lines of an ended one again: all that failed, or some.
    retry_input: Callable[[Batch, bool], Awaitable[File]] | None = None
    # Renders an ended batch again, under its stored policy or today's.
    rerender: Callable[[Batch, bool], Awaitable[Batch]] | None = None
    # Tells all that is kept of the line with a custom_id.
    line_story: Callable[[Batch, str], Awaitable[Mapping[str, Any]]] | None = None
    # Tries a file: what a batch of it, to an endpoint or that of its lines, would become.
    dry_run: Callable[[File, str | None], Awaitable[Mapping[str, Any]]] | None = None
    # Compares the files of an ended batch with its input.
    verify: Callable[[Batch], Awaitable[Mapping[str, Any]]] | None = None
    # Writes the metrics in the form that a scraper asks for: the body and its media type.
    metrics: Callable[[str], Awaitable[tuple[bytes, str]]] | None = None
    responses: StoredResponses | None = None
    follower: StreamedResponses | None = None
    single: SingleRequests | None = None  # answers requests outside of batches
    others: OtherRoutes | None = None  # answers what is not served here
    webhooks: Webhooks | None = None
    meters: Meters = NO_METERS
    # Why the records cannot be written now, if so: every live batch waits for that.
    trouble: Callable[[], str | None] = lambda: None
    # A request met a damaged database: the process becomes unready and ends.
    damaged: Callable[[DamagedStoreError], None] = lambda _error: None


class PassThrough(Protocol):
    """Clients' own keys for Google: each is its owner's name, and pays for its owner's work."""

    def owner_of(self, secret: str) -> str:
        """Name the owner of a key."""
        ...

    def lent(self, owner: str, secret: str) -> AbstractContextManager[None]:
        """Have the key at hand while a request is served."""
        ...

    async def keep(self, owner: str) -> None:
        """Have a key that is lent at hand for a batch, until that has ended."""
        ...


@dataclass(frozen=True, slots=True)
class ApiOptions:
    """``credentials`` maps ``ids.digest(secret)`` to an owner; None: any key will do.

    Downloads of ``redirect_bytes`` or more go to a signed URL, where there is one; 0: never.
    With ``pass_through`` these are not looked at.
    """

    credentials: Mapping[str, str] | None = None
    pass_through: PassThrough | None = None
    limits: Mapping[str, OwnerLimits] = field(default_factory=dict)
    max_file_bytes: int = DEFAULT_MAX_FILE_BYTES
    body_idle_seconds: float = DEFAULT_BODY_IDLE_SECONDS
    max_single_bytes: int = DEFAULT_MAX_SINGLE_BYTES
    redirect_bytes: int = 0
    # Of Google's webhooks; changed in place when it is read again. None: there are no webhooks.
    google_webhook_secrets: Sequence[str] = ()
    # How many at once, over all clients; how many requests of one in a minute, 0: any number.
    max_uploads: int = 64
    max_downloads: int = 128
    max_watchers: int = 200
    requests_per_minute: int = 0
    # Names that requests may be sent to, with those of the loopback interface; None: any.
    allowed_hosts: Collection[str] | None = None
    metrics_open: bool = False  # whether /metrics asks for no key
    access_log: bool = False
    cors_origins: Collection[str] = ()  # pages that may ask; "*": any


@dataclass(frozen=True, slots=True)
class Call:
    """One request to an endpoint, with whose it is."""

    request: Request
    owner: str
    services: Services
    options: ApiOptions
    limits: Limits

    @property
    def store(self) -> Store:
        """The records."""
        return self.services.store

    @property
    def blobs(self) -> Blobs:
        """The bytes."""
        return self.services.blobs

    def now(self) -> int:
        """Milliseconds since the epoch."""
        return self.services.clock.now()

    def path_id(self) -> str:
        """Read the object's id in the path."""
        return str(self.request.path_params["id"])
