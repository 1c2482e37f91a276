"""Failures of single requests as HTTP: refusals here, Google's errors, calls without answer."""

from collections.abc import Mapping
from typing import Final

import orjson

from gateway.errors import (
    BadGatewayError,
    GatewayError,
    RequestError,
    UnreadableAnswerError,
    UpstreamAmbiguousError,
    UpstreamError,
    UpstreamHeldError,
    UpstreamUnreadableError,
)
from gateway.ports.single import Answered, Reply
from gateway.translate import LineError, failure_of
from gateway.wire.gemini import parse_error
from gateway.wire.openai import encode_error
from gateway.wire.openai_errors import error_type

# Longer delays make an SDK give up at once (openai-python 3.57, ``_base_client.py``).
MOST_RETRY_AFTER: Final = 120


class RefusedError(RequestError):
    """The translation refuses the body: the same answer as the line of a batch gets."""

    def __init__(self, why: LineError) -> None:
        super().__init__(why.message, param=why.param, code=why.code)
        self.status = why.status
        self.type = error_type(why.status)


class BusyError(GatewayError):
    """As many requests as are allowed are under way, and the wait for a place was too long."""

    status = 429
    type = "rate_limit_error"
    code = "rate_limit_exceeded"

    def __init__(self, setting: str, most: int) -> None:
        super().__init__(
            f"Too many requests at a time: at most {most} are answered at once ({setting})."
            " Please try again."
        )


class NoAnswerError(GatewayError):
    """Google could not be asked: asking again may help."""

    status = 504
    type = "server_error"
    code = "upstream_timeout"


class LostAnswerError(NoAnswerError):
    """Google gave no answer in time, or the connection broke: the call may be paid for.

    The SDKs would send it again by themselves, and pay again: whoever wants that says so.
    """

    is_retried = False


class UnreadablePaidError(UnreadableAnswerError):
    """Google answered, and not readably: as a lost answer, it may be paid for."""

    is_retried = False


class StoppingError(GatewayError):
    """The gateway stops, and requests have had their time to end; Google may be paid for this."""

    status = 503
    code = "server_is_overloaded"
    is_retried = False

    def __init__(self) -> None:
        super().__init__(
            "The gateway is stopping, and did not wait for the rest of this answer"
            " (GATEWAY_DRAIN_SECONDS). What Google has made of it may be paid for."
        )


def of_upstream(error: UpstreamError) -> GatewayError:
    """Return what a client is told of a call without an answer."""
    if isinstance(error, UpstreamHeldError):
        return BadGatewayError(f"Google refused the gateway's key: {error.message}")
    if isinstance(error, UpstreamUnreadableError):
        return UnreadablePaidError(f"{error.message} It may be paid for.")
    if isinstance(error, UpstreamAmbiguousError) and error.status:
        return LostAnswerError(f"{error.message} It may be paid for.")
    if isinstance(error, UpstreamAmbiguousError):
        return LostAnswerError(f"Google did not answer: {error.message}")
    return NoAnswerError(f"Google did not answer: {error.message}")


def envelope_of(error: GatewayError) -> bytes:
    """Write the envelope of an error."""
    return orjson.dumps(encode_error(error))


def refused(reply: Reply) -> Answered | None:
    """Return the answer to a call that Google refused, as a line of a batch has it; else None."""
    if "error" not in reply:
        return None
    failure = failure_of(dict(reply))
    if failure is None:
        return None
    status, body, *_ = failure.rendered()
    return Answered(status, body, retry_headers(status, reply))


def retry_headers(status: int, reply: Reply) -> Mapping[str, str]:
    """Tell an SDK when to try again: Google says so in the body alone, and in seconds."""
    error = parse_error(reply)
    if status not in (429, 503) or error is None or error.retry_delay is None:
        return {}
    return {"retry-after": str(max(1, min(MOST_RETRY_AFTER, round(error.retry_delay))))}
