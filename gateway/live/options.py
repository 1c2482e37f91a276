"""Options of single requests: how many at a time, and how long each may take."""

from dataclasses import dataclass
from typing import Final

# Until the upstream's status is known nothing is sent, so that its errors keep theirs; a client's
# proxy closes a connection that is silent for a minute (nginx, ALB, HAProxy), so not for longer.
OPEN_SECONDS: Final = 20.0
# Between two comments in a stream that has nothing to say.
KEEP_ALIVE_SECONDS: Final = 15.0
# Upstream calls of one request at a time: an array of embeddings, or the choices of one.
FAN_OUT: Final = 8


@dataclass(frozen=True, slots=True)
class LiveOptions:
    """Limits of single requests. Seconds, counts.

    ``calls`` may be at the upstream at a time, ``calls_per_owner`` of one owner; more wait for
    ``queue_seconds`` and are then refused with 429. ``answer_seconds`` is the time for a whole
    answer, until a stream begins, and between its pieces that have content; ``idle_seconds`` that
    between the bytes of a stream.
    ``flex_seconds`` is how long a request of the flex tier is tried; after that the standard tier
    answers it if ``flex_fallback`` says so.
    """

    calls: int = 100
    calls_per_owner: int = 100
    queue_seconds: float = 30.0
    answer_seconds: float = 600.0
    idle_seconds: float = 120.0
    flex_seconds: float = 900.0
    flex_fallback: bool = False
    open_seconds: float = OPEN_SECONDS
    keep_alive_seconds: float = KEEP_ALIVE_SECONDS
    pass_through: bool = False  # each owner's calls are made under the credential of that name
