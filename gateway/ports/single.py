"""Single requests, answered at once and not by a job: the upstream's port, and their own."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable


@dataclass(frozen=True, slots=True)
class SingleCall:
    """A call that is answered at once, not by a job.

    ``method`` is one of :mod:`gateway.wire.gemini`'s; ``body`` is written JSON. ``seconds`` is the
    time for a whole answer, until a stream begins, and between its pieces that have content;
    ``idle_seconds`` that between its bytes.
    """

    model: str
    method: str
    body: bytes
    credential: str
    seconds: float
    idle_seconds: float = 60.0


# The answer to a single call, or a piece of one: the method's response, or ``{"error": {…}}``,
# a google.rpc.Status whose message is scrubbed.
Reply = Mapping[str, Any]


class SingleUpstream(Protocol):
    """One upstream's single calls."""

    async def ask(self, call: SingleCall) -> Reply:
        """Send a call once, and return its answer; never repeated inside.

        Errors: UpstreamHeldError of the account; UpstreamUnavailableError when it was not sent;
        UpstreamUnreadableError when what came is no answer, and UpstreamAmbiguousError when the
        answer was lost: it may be paid for.
        """
        ...

    def stream(self, call: SingleCall) -> AsyncGenerator[Reply, None]:
        """Yield the pieces of an answer as they come; an error is the last of them.

        Closing the generator closes the connection, which is what stops the upstream. Errors: as
        of :meth:`ask`; UpstreamUnreadableError also of a body that breaks off, and
        UpstreamAmbiguousError of one that stops coming.
        """
        ...


@dataclass(frozen=True, slots=True)
class Answered:
    """The whole answer to a single request: HTTP status, written JSON, headers of its own."""

    status: int
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class SingleRequest:
    """A JSON body sent to an endpoint (``/v1/chat/completions``) by an owner.

    ``model`` is the one that the path named, which wins over the body's. ``traceparent`` names the
    client's span. ``tries``: how often an SDK says that it has sent it before; ``idempotency_key``
    is the client's own name for it.
    """

    path: str
    body: bytes
    owner: str
    model: str | None = None
    traceparent: str | None = None
    tries: int = 0
    idempotency_key: str | None = None


@runtime_checkable
class Events(Protocol):
    """Server-sent events, written; closing them ends the calls behind them, read or not."""

    def __aiter__(self) -> AsyncIterator[bytes]:
        """Read them once."""
        ...

    async def aclose(self) -> None:
        """End the calls; again: nothing."""
        ...


class StoredResponses(Protocol):
    """Answers of ``/v1/responses`` that are kept for a while, looked up with their owner."""

    async def get(self, owner: str, response_id: str) -> dict[str, Any] | None:
        """Return an answer as it was given, or as it is now; None when there is none."""
        ...

    async def input_items(self, owner: str, response_id: str) -> list[dict[str, Any]] | None:
        """List its input, the oldest first, each item with an id."""
        ...

    async def cancel(self, owner: str, response_id: str) -> dict[str, Any] | None:
        """Cancel one that is made in the background, unless it has ended; as it is now.

        Errors: RequestError of one that was answered at once.
        """
        ...

    async def delete(self, owner: str, response_id: str) -> bool:
        """Forget it, and end what makes it; False when there is none."""
        ...


class StreamedResponses(Protocol):
    """Answers of ``/v1/responses`` that are made in the background, as streams."""

    async def events(self, owner: str, response_id: str, after: int = -1) -> Events | None:
        """Stream one's events behind a number, until its end; None when there is none.

        Errors: RequestError of one that was answered at once.
        """
        ...


class SingleRequests(Protocol):
    """Answers single requests of OpenAI's API."""

    async def respond(self, asked: SingleRequest) -> Answered | Events:
        """Answer a request.

        A stream is given once it has begun: what fails before that has its HTTP status. Cancelling
        ends the calls behind it. Errors: GatewayError of a request that is refused here.
        """
        ...
