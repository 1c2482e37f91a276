"""Google's flex tier: half the price, and no promise that there is room.

A full tier answers 503, a limit 429, and the server falls back to nothing: the client is to try
again with growing pauses, and then to decide (page "Flex inference", preview). Only before the
first byte: a second try after it would be paid twice.
"""

from collections.abc import Iterator, Sequence
from typing import Final

from gateway.ports.single import Answered, Reply
from gateway.wire.gemini import as_object, parse_error

FIRST_PAUSE: Final = 5.0
LONGEST_PAUSE: Final = 60.0
FULL: Final = frozenset({429, 503})
# The list of models with the tier moves (LiteLLM, llmgateway#3170): it is learned from the 400.
_UNSUPPORTED: Final = "service tier"  # "free tier" is about the account


def pauses() -> Iterator[float]:
    """Yield the pauses between tries, in seconds: doubled, up to a minute."""
    pause = FIRST_PAUSE
    while True:
        yield pause
        pause = min(pause * 2, LONGEST_PAUSE)


def is_full(replies: Sequence[Reply]) -> bool:
    """Tell whether all that failed did so for want of room, so that trying again may help."""
    failed = [reply for reply in replies if "error" in reply]
    return bool(failed) and all(_status(reply) in FULL for reply in failed)


def is_unsupported(replies: Sequence[Reply]) -> bool:
    """Tell whether the model has no such tier: 400 with a sentence that names the tier."""
    return any(_status(reply) == 400 and _UNSUPPORTED in _message(reply) for reply in replies)


def refuses_the_tier(failure: Answered) -> bool:
    """Tell the same of what a stream failed with before it began."""
    return failure.status == 400 and _UNSUPPORTED.encode() in failure.body.lower()


def served(replies: Sequence[Reply]) -> bool:
    """Tell whether the tier that was asked for served: the answer says so, not the request."""
    responses = [as_object(reply.get("response")) for reply in replies]
    usages = [as_object(response.get("usageMetadata")) for response in responses]
    return all(usage.get("serviceTier") == "flex" for usage in usages)


def _status(reply: Reply) -> object:
    return reply["error"].get("code") if "error" in reply else None


def _message(reply: Reply) -> str:
    error = parse_error(reply)
    return error.message.lower() if error else ""
