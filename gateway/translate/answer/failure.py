"""google.rpc.Status of an item, or a result without a response -> OpenAI's error envelope."""

import re
from dataclasses import dataclass, replace
from typing import Final

import orjson

from gateway.translate.contract import NO_USAGE, Answer, Json, Rendered, Usage
from gateway.wire.gemini import RPC_CODES
from gateway.wire.openai_errors import RPC_ERRORS, error_body, error_type

# Google repeats whole requests in some messages; an error file is for reading.
MAX_MESSAGE_CHARACTERS: Final = 2_000


@dataclass(frozen=True, slots=True)
class Failure:
    """A line without an answer: HTTP status, OpenAI's code, and a sentence that says why.

    ``param`` names the part of the body that failed, where the line has several.
    """

    status: int
    code: str | None
    message: str
    type: str = ""
    param: str | None = None

    def among(self, kind: str, number: int, of: int) -> "Failure":
        """Prefix the message with the number of the choice that failed: ``Choice 2 of 3: …``."""
        if of == 1:
            return self
        return replace(self, message=f"{kind} {number} of {of}: {self.message}", param="n")

    def rendered(self, usage: Usage | None = None) -> Rendered:
        """Write the error envelope of this line."""
        body = error_body(self.message, self.type or error_type(self.status), self.code, self.param)
        return self.status, orjson.dumps(body), usage or NO_USAGE, ()


def unsupported_output(what: str) -> Failure:
    """Fail an answer that holds something which OpenAI's object has no member for."""
    why = f"Gemini answered with {what[:100]}, which OpenAI's answer has no member for."
    return Failure(502, "unsupported_output", why)


# Codes of HTTP also occur in results (SDK fixtures).
_BY_STATUS: Final = {
    400: "invalid_argument",
    401: "invalid_api_key",
    402: "insufficient_quota",
    403: "permission_denied",
    404: "not_found",
    408: "deadline_exceeded",
    409: "aborted",
    413: "request_too_large",
    429: "rate_limit_exceeded",
    499: "batch_cancelled",
    500: "server_error",
    501: "unimplemented",
    502: "server_error",
    503: "overloaded",
    504: "deadline_exceeded",
}
# A google.protobuf.Duration.
_DELAY: Final = re.compile(r"\d{1,9}(\.\d{1,9})?s\Z", re.ASCII)
_UNKNOWN: Final = (500, "server_error")
_NEITHER: Final = "Gemini's result holds neither a response nor an error; send the line again."


def failure_of(answer: Answer) -> Failure | None:
    """Read why an item has no response; None when it has one.

    ``{"error": {"code": 8, "message": "…"}}`` -> 429 ``rate_limit_exceeded``.
    """
    response = answer.get("response")
    if "error" not in answer and type(response) is dict:
        return None
    error = answer.get("error")
    if type(error) is dict:
        # A response with an empty error: proto3 writes OK as {} in places.
        if error or type(response) is not dict:
            return _from_status(error)
    elif error is not None and type(response) is not dict:
        return Failure(500, "server_error", _message(error, 500))
    if type(response) is dict:
        return None
    return Failure(500, "empty_response", _NEITHER)


def _from_status(error: Json) -> Failure:
    status, code = _status_and_code(error)
    message = _message(error.get("message"), status) + _retry_hint(error)
    if status == 402 or (status == 429 and _is_daily_quota(error)):
        # A quota of the day or an empty account: waiting a minute does not help.
        status, code = 429, "insufficient_quota"
        return Failure(status, code, message, code)
    return Failure(status, code, message)


def _status_and_code(error: Json) -> tuple[int, str]:
    name = error.get("status")
    if type(name) is str and name in RPC_ERRORS:
        return RPC_ERRORS[name]
    code = error.get("code")
    if type(code) is str and code.isascii() and code.isdigit() and len(code) < 6:
        code = int(code)
    if type(code) is not int:
        return _UNKNOWN
    if code in RPC_CODES:
        return RPC_ERRORS[RPC_CODES[code]]
    if 300 <= code <= 399:  # a proxy or a wrong address in Google's place
        return 502, "server_error"
    if 400 <= code <= 599:
        return code, _BY_STATUS.get(code, "server_error" if code >= 500 else "invalid_argument")
    return _UNKNOWN


def _retry_hint(error: Json) -> str:
    """Add RetryInfo to the message, unless Google's text has it already (recorded: it has)."""
    for detail in _details(error):
        delay = detail.get("retryDelay")
        if (
            type(delay) is str
            and _DELAY.match(delay)
            and "retry in" not in str(error.get("message"))
        ):
            return f" Please retry in {delay}."
    return ""


def _details(error: Json) -> list[Json]:
    details = error.get("details")
    return [detail for detail in details if type(detail) is dict] if type(details) is list else []


def _is_daily_quota(error: Json) -> bool:
    """Whether a QuotaFailure names a quota per day."""
    for detail in _details(error):
        violations = detail.get("violations")
        for violation in violations if type(violations) is list else ():
            quota = violation.get("quotaId") if type(violation) is dict else None
            if type(quota) is str and "PerDay" in quota:
                return True
    return False


def _message(value: object, status: int) -> str:
    if type(value) is not str or not value.strip():
        return f"Gemini gave no reason (status {status})."
    if len(value) > MAX_MESSAGE_CHARACTERS:
        return value[:MAX_MESSAGE_CHARACTERS] + "…"
    return value
