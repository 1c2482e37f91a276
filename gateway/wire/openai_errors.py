"""OpenAI's errors: the envelope, its types, and the texts of complaints about a parameter.

Texts and codes are OpenAI's where they are on record. Every message names its parameter, because
openai-python prints the message alone (``_base_client.py``).
"""

import difflib
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

# A longer name is no typing error, and comparing it takes long.
_LONGEST_MISSPELT: Final = 60

# HTTP status -> the type OpenAI gives such errors.
_TYPES: Final = {
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    429: "rate_limit_error",
}
# google.rpc.Code -> HTTP status and the code of a line that failed with it.
RPC_ERRORS: Final = {
    "CANCELLED": (499, "batch_cancelled"),
    "UNKNOWN": (500, "server_error"),
    "INVALID_ARGUMENT": (400, "invalid_argument"),
    "DEADLINE_EXCEEDED": (504, "deadline_exceeded"),
    "NOT_FOUND": (404, "not_found"),
    "ALREADY_EXISTS": (409, "already_exists"),
    "PERMISSION_DENIED": (403, "permission_denied"),
    "RESOURCE_EXHAUSTED": (429, "rate_limit_exceeded"),
    "FAILED_PRECONDITION": (400, "failed_precondition"),
    "ABORTED": (409, "aborted"),
    "OUT_OF_RANGE": (400, "out_of_range"),
    "UNIMPLEMENTED": (501, "unimplemented"),
    "INTERNAL": (500, "server_error"),
    "UNAVAILABLE": (503, "overloaded"),
    "DATA_LOSS": (500, "data_loss"),
    "UNAUTHENTICATED": (401, "invalid_api_key"),
}
_NAME_A_MODEL: Final = "Name a Gemini model, or an alias of one: GET /v1/models lists them."
# The classes that JSON is parsed into, as OpenAI's messages call them.
_JSON_TYPES: Final = {
    str: "a string",
    bool: "a boolean",
    int: "an integer",
    float: "a decimal number",
    list: "an array",
    dict: "an object",
    type(None): "null",
}


class Complaint(NamedTuple):
    """Fault of a parameter: OpenAI's code and a sentence."""

    code: str
    message: str


def error_body(
    message: str, kind: str, code: str | None, param: str | None = None
) -> dict[str, Any]:
    """Write the envelope: all four keys, always (OpenAPI ``Error`` requires them)."""
    return {"error": {"message": message, "type": kind, "param": param, "code": code}}


def error_type(status: int) -> str:
    """Give the ``type`` of an error with this HTTP status."""
    usual = "server_error" if status >= 500 else "invalid_request_error"
    return _TYPES.get(status, usual)


def response_error_code(error: Mapping[str, Any]) -> str:
    """Choose one of the words that a failed Response may have for its error.

    OpenAI's closed set of codes has few words (openapi, ResponseErrorCode).
    """
    if error.get("code") in ("rate_limit_exceeded", "insufficient_quota"):
        return "rate_limit_exceeded"
    return "invalid_prompt" if error.get("type") == "invalid_request_error" else "server_error"


def json_type(value: object) -> str:
    """Name a value's JSON type: ``[]`` -> ``"an array"``."""
    return _JSON_TYPES.get(type(value), "an unknown type")


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """Name the nearest of the known names in a sentence, with a space before; "" if none is.

    ``temprature`` -> ``" Did you mean 'temperature'?"``
    """
    nearest = _nearest(name, tuple(known)) if len(name) <= _LONGEST_MISSPELT else None
    return f" Did you mean '{nearest}'?" if nearest else ""


@lru_cache(maxsize=1024)  # the same mistake is on every line of a file
def _nearest(name: str, known: tuple[str, ...]) -> str | None:
    return next(iter(difflib.get_close_matches(name, known, n=1, cutoff=0.75)), None)


def missing_parameter(param: str) -> Complaint:
    """Complain that a required member is absent."""
    return Complaint("missing_required_parameter", f"Missing required parameter: '{param}'.")


def unknown_parameter(param: str) -> Complaint:
    """Complain about a member that is not known."""
    return Complaint("unknown_parameter", f"Unknown parameter: '{param}'.")


def invalid_type(param: str, expected: str, got: str) -> Complaint:
    """Complain about a value of the wrong JSON type, both named as by :func:`json_type`."""
    return Complaint(
        "invalid_type",
        f"Invalid type for '{param}': expected {expected}, but got {got} instead.",
    )


def unusable_model(body: Mapping[str, Any], param: str) -> Complaint | None:
    """Complain about a body whose ``model`` names none, and say what to write; None if it may.

    ``param`` is where it is: ``model`` of a request, ``body.model`` of a line.
    """
    model = body.get("model")
    if type(model) is str and model:
        return None
    if "model" not in body:
        complaint = missing_parameter("model")
    else:
        got = "an empty string" if model == "" else json_type(model)
        complaint = invalid_type(param, "a non-empty string", got)
    return complaint._replace(message=f"{complaint.message} {_NAME_A_MODEL}")


def invalid_value(param: str, why: str) -> Complaint:
    """Complain about a value of the right type; ``why`` is a clause with its full stop."""
    return Complaint("invalid_value", f"Invalid value for '{param}': {why}")
