"""Bodies of answers, and the envelope for what went wrong."""

import errno
import logging
import traceback
from collections.abc import Mapping
from typing import Any, Final

import orjson
from starlette.requests import Request
from starlette.responses import Response

from gateway.api.requestid import REQUEST_ID
from gateway.errors import (
    BadGatewayError,
    DamagedBlobError,
    DataLostError,
    GatewayError,
    InternalError,
    MethodNotAllowedError,
    NoRoomError,
    RequestError,
    UnavailableError,
    UnreadableAnswerError,
    UpstreamError,
    UpstreamHeldError,
    UpstreamUnreadableError,
)
from gateway.wire.openai import encode_error

log = logging.getLogger(__name__)

# The one client error that is worth sending again: the body stood still (408).
_RETRYABLE: Final = frozenset({408})

DATA_LOST: Final = (
    "The gateway's disk has lost or changed what it kept for this: asking again cannot help. Its"
    " log has more, under the id of this request."
)

_NO_ROOM: Final = frozenset({errno.ENOSPC, errno.EDQUOT})
_FAILING: Final = frozenset({errno.EIO, errno.EROFS, errno.EMFILE, errno.ENFILE})


def answer(body: Mapping[str, Any], status: int = 200) -> Response:
    """Make a JSON answer."""
    return Response(orjson.dumps(body), status, media_type="application/json")


def answer_error(error: GatewayError) -> Response:
    """Make the envelope, with the headers that tell an SDK whether and when to try again.

    Both SDKs retry 408, 409, 429 and 5xx unless ``x-should-retry: false`` says it is useless.
    """
    response = answer(encode_error(error), error.status)
    if isinstance(error, RequestError):
        if error.status in _RETRYABLE:
            response.headers["connection"] = "close"  # the rest of the body is not waited for
        else:
            response.headers["x-should-retry"] = "false"
    if isinstance(error, BadGatewayError) or not error.is_retried:
        response.headers["x-should-retry"] = "false"
    if isinstance(error, UnavailableError):
        response.headers["retry-after"] = str(error.retry_after)
    if isinstance(error, MethodNotAllowedError):
        response.headers["allow"] = ", ".join(error.allowed)
    if error.status == 401:
        response.headers["www-authenticate"] = "Bearer"
    return response


def as_gateway_error(error: Exception, request_id: str) -> GatewayError:
    """Give the error that the client is told of an exception.

    An unexpected one is logged by type and place: its text, or a traceback's, may carry
    prompts.
    """
    if isinstance(error, GatewayError):
        return error
    # Only GET /v1/models asks the upstream while a client waits.
    if isinstance(error, UpstreamHeldError):
        return BadGatewayError(f"Google refused the gateway's key: {error.message}")
    if isinstance(error, UpstreamUnreadableError):
        return UnreadableAnswerError(error.message)
    if isinstance(error, UpstreamError):
        return UnavailableError(f"The upstream did not answer: {error.message}")
    return _own_fault(error, request_id)


def _own_fault(error: Exception, request_id: str) -> GatewayError:
    if isinstance(error, DamagedBlobError):
        log.error("%s: met by request %s", error, request_id)
        return DataLostError(DATA_LOST)
    place = traceback.extract_tb(error.__traceback__)[-1]
    name = type(error).__name__
    log.error("%s at %s:%s in request %s", name, place.filename, place.lineno, request_id)
    if isinstance(error, OSError) and error.errno in _NO_ROOM:
        return NoRoomError("There is no room for more files.", retry_after=60)
    if isinstance(error, OSError) and error.errno in _FAILING:
        return UnavailableError("The gateway's storage fails, or its descriptors are used up.")
    return InternalError("The server had an error while processing your request. Sorry about that!")


async def on_error(request: Request, error: Exception) -> Response:
    """Starlette's exception handler for every exception.

    It belongs to an ``ExceptionMiddleware``: Starlette's application class would answer and then
    raise again, for the server to log with a traceback.
    """
    return answer_error(as_gateway_error(error, request.scope[REQUEST_ID]))
