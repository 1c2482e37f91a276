"""Errors in Google's envelope, with the texts of the live service.

``ApiError`` -> ``{"error": {"code", "message", "status", "details"}}``. Texts are recordings
(ruby_llm and pydantic-ai cassettes of 2026-08, issues of python-genai, js-genai and go-genai).
"""

from collections.abc import Sequence
from typing import Any, Final

import orjson
from starlette.responses import Response

# A JSON object as parsed; its values are any JSON.
JsonObject = dict[str, Any]

# HTTP status -> google.rpc.Code name.
STATUS_NAMES: Final = {
    302: "UNKNOWN",
    400: "INVALID_ARGUMENT",
    401: "UNAUTHENTICATED",
    403: "PERMISSION_DENIED",
    404: "NOT_FOUND",
    408: "DEADLINE_EXCEEDED",
    409: "ABORTED",
    413: "INVALID_ARGUMENT",
    416: "OUT_OF_RANGE",
    429: "RESOURCE_EXHAUSTED",
    499: "CANCELLED",
    500: "INTERNAL",
    501: "UNIMPLEMENTED",
    502: "UNAVAILABLE",
    503: "UNAVAILABLE",
    504: "DEADLINE_EXCEEDED",
}

# google.rpc.Code -> HTTP status.
HTTP_OF_CODE: Final = {
    1: 499,
    3: 400,
    4: 504,
    5: 404,
    7: 403,
    8: 429,
    9: 400,
    13: 500,
    14: 503,
    16: 401,
}
# HTTP status -> google.rpc.Code, where a status name does not say more.
CODE_OF_HTTP: Final = {400: 3, 401: 16, 403: 7, 404: 5, 429: 8, 499: 1, 500: 13, 503: 14, 504: 4}

# Headers of every JSON answer of the API front end, as recorded.
JSON_HEADERS: Final = {
    "alt-svc": 'h3=":443"; ma=2592000,h3-29=":443"; ma=2592000',
    "content-type": "application/json; charset=UTF-8",
    "server": "scaffolding on HTTPServer2",
    "vary": "Origin, X-Origin, Referer",
    "x-content-type-options": "nosniff",
    "x-frame-options": "SAMEORIGIN",
    "x-xss-protection": "0",
}

QUOTA_TEXT: Final = (
    "You exceeded your current quota, please check your plan and billing details. For more "
    "information on this error, head to: https://ai.google.dev/gemini-api/docs/rate-limits. To "
    "monitor your current usage, head to: https://ai.dev/rate-limit. "
)
INTERNAL_TEXT: Final = (
    "An internal error has occurred. Please retry or report in "
    "https://developers.generativeai.google/guide/troubleshooting"
)
TEXTS: Final = {
    401: "Request had invalid authentication credentials.",
    403: "The caller does not have permission",
    404: "Requested entity was not found.",
    408: "The request timed out. Please try again.",
    429: QUOTA_TEXT,
    500: INTERNAL_TEXT,
    503: "The model is overloaded. Please try again later.",
    504: "Deadline expired before operation could complete.",
}


class ApiError(Exception):
    """A call that is refused; rendered by the route that raised it."""

    def __init__(
        self,
        code: int,
        message: str,
        *,
        status: str = "",
        details: Sequence[JsonObject] = (),
    ) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.status = status or STATUS_NAMES.get(code, "UNKNOWN")
        self.details = list(details)

    def body(self) -> JsonObject:
        """Return the JSON envelope; ``details`` only when there are any."""
        error: JsonObject = {"code": self.code, "message": self.message, "status": self.status}
        if self.details:
            error["details"] = self.details
        return {"error": error}

    def response(self, *, pretty: bool = True) -> Response:
        """Return the whole HTTP answer."""
        return json_response(self.body(), self.code, pretty=pretty)


def json_bytes(body: object, *, pretty: bool = True) -> bytes:
    """JSON as Google writes it: indented, a line end at its end (sizes of recorded bodies)."""
    compact = orjson.dumps(body)
    if not pretty:
        return compact
    # parsed again, for results of jobs are in it as they are kept
    option = orjson.OPT_INDENT_2 | orjson.OPT_APPEND_NEWLINE
    return orjson.dumps(orjson.loads(compact), option=option)


def json_response(body: object, status: int = 200, *, pretty: bool = True) -> Response:
    """Make a JSON answer with the front end's headers; a success comes in chunks (recorded)."""
    response = Response(json_bytes(body, pretty=pretty), status, JSON_HEADERS)
    if status < 400:
        del response.headers["content-length"]
    return response


def invalid(message: str) -> ApiError:
    """400 INVALID_ARGUMENT."""
    return ApiError(400, message)


def api_key_invalid() -> ApiError:
    """Refuse a wrong key: 400, not 401 (recorded 2026-08)."""
    text = "API key not valid. Please pass a valid API key."
    localized = {
        "@type": "type.googleapis.com/google.rpc.LocalizedMessage",
        "locale": "en-US",
        "message": text,
    }
    return ApiError(400, text, details=[error_info("API_KEY_INVALID"), localized])


def error_info(reason: str) -> JsonObject:
    """google.rpc.ErrorInfo of the service."""
    return {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": reason,
        "domain": "googleapis.com",
        "metadata": {"service": "generativelanguage.googleapis.com"},
    }


def api_key_missing() -> ApiError:
    """Refuse a call without any key."""
    return ApiError(
        403,
        "Method doesn't allow unregistered callers (callers without established identity). Please "
        "use API Key or other form of API consumer identity to call this API.",
    )


def oauth_missing(method: str) -> ApiError:
    """401 of a method that a key is not enough for (Google's general text)."""
    info = {
        "@type": "type.googleapis.com/google.rpc.ErrorInfo",
        "reason": "CREDENTIALS_MISSING",
        "domain": "googleapis.com",
        "metadata": {"method": method, "service": "generativelanguage.googleapis.com"},
    }
    return ApiError(
        401,
        "API keys are not supported by this API. Expected OAuth2 access token or other "
        "authentication credentials that assert a principal. See "
        "https://cloud.google.com/docs/authentication",
        details=[info],
    )


def quota() -> ApiError:
    """429 of batch create: Help only, no QuotaFailure, no RetryInfo (js-genai#1264, #1901)."""
    links = [
        {
            "description": "Learn more about Gemini API quotas",
            "url": "https://ai.google.dev/gemini-api/docs/rate-limits",
        },
    ]
    detail = {"@type": "type.googleapis.com/google.rpc.Help", "links": links}
    return ApiError(429, QUOTA_TEXT, details=[detail])


def interactive_quota(model: str) -> ApiError:
    """429 of the synchronous calls: QuotaFailure, RetryInfo and Help (recorded 2026-08)."""
    failure = {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [
            {
                "quotaMetric": f"generativelanguage.googleapis.com/{_METRIC}",
                "quotaId": "GenerateContentPaidTierInputTokensPerModelPerMinute",
                "quotaDimensions": {"model": model, "location": "global"},
                "quotaValue": "1000000",
            },
        ],
    }
    retry = {"@type": "type.googleapis.com/google.rpc.RetryInfo", "retryDelay": "48s"}
    text = (
        f"{QUOTA_TEXT}\n* Quota exceeded for metric: generativelanguage.googleapis.com/{_METRIC}, "
        f"limit: 1000000, model: {model}\nPlease retry in 48.939935699s."
    )
    return ApiError(429, text, details=[*quota().details, failure, retry])


_METRIC: Final = "generate_content_paid_tier_input_token_count"
_INTERACTIVE: Final = frozenset({"generate", "stream", "embed", "count"})


def of_status(code: int, operation: str = "", model: str = "") -> ApiError:
    """Return the service's usual error for an HTTP status of an operation; used by faults."""
    if code == 429:
        return interactive_quota(model) if operation in _INTERACTIVE else quota()
    return ApiError(code, TEXTS.get(code, f"Error {code}."))


def model_not_found(version: str, model: str, method: str) -> ApiError:
    """404 for a model that is unknown or has not got the method (recorded 2026-08)."""
    service = "ModelService.ListModels" if method == "generateContent" else "ListModels"
    name = model if "/" in model else f"models/{model}"
    return ApiError(
        404,
        f"{name} is not found for API version {version}, or is not supported for {method}. "
        f"Call {service} to see the list of available models and their supported methods.",
    )


def file_gone(file_id: str) -> ApiError:
    """403, not 404: unknown, deleted, expired and foreign files look the same."""
    return ApiError(
        403,
        f"You do not have permission to access the File {file_id} or it may not exist.",
    )


def cache_gone() -> ApiError:
    """403 for a cache that is unknown, over, or another project's."""
    return ApiError(403, "CachedContent not found (or permission denied)")


def too_large(limit: int) -> ApiError:
    """400 for a request body beyond ``limit`` bytes."""
    return ApiError(400, f"Request payload size exceeds the limit: {limit} bytes.")


def entity_not_found() -> ApiError:
    """404 with Google's general text."""
    return ApiError(404, TEXTS[404])
