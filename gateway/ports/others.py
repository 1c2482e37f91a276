"""The port of other routes: what the gateway does not serve, answered by a second upstream."""

from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from typing import Protocol

from gateway.ports.single import Events


@dataclass(frozen=True, slots=True)
class OtherRequest:
    """A request of an owner as its client sent it; ``path`` without ``/v1``.

    ``body`` is None where none was sent.
    """

    owner: str
    method: str
    path: str
    query: str
    headers: Mapping[str, str]
    body: AsyncIterator[bytes] | None


@dataclass(frozen=True, slots=True)
class OtherAnswer:
    """An answer whose body is still to be read, as it was packed; to be closed in any case."""

    status: int
    headers: Mapping[str, str]
    body: Events


class OtherRoutes(Protocol):
    """A second OpenAI-compatible upstream."""

    async def pass_on(self, asked: OtherRequest) -> OtherAnswer:
        """Send a request on, once, with a key of its own. Errors: GatewayError without an answer.

        Cancelling ends the call.
        """
        ...
