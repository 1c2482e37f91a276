"""Refusals by reason: what Google answers for the account, the key, the file or the model.

Texts are quoted from public reports, named in each row. A row without a recording of its status
has the one that its report gives.
"""

from collections.abc import Callable
from typing import Final, NamedTuple

from gateway.emulator.protocol.errors import (
    QUOTA_TEXT,
    ApiError,
    api_key_invalid,
    error_info,
    file_gone,
    model_not_found,
    of_status,
    quota,
)


class Refused(NamedTuple):
    """The call that is refused: what a refusal speaks of."""

    operation: str
    model: str = ""
    # Id of the file or job in the path; empty if the path has none.
    name: str = ""
    version: str = "v1beta"


def _of_account(status: int, reason: str, text: str) -> Callable[[Refused], ApiError]:
    """Refuse any call alike, with a reason of Google's ErrorInfo."""
    return lambda _call: ApiError(status, text, details=[error_info(reason)])


def _storage(_call: Refused) -> ApiError:
    """Refuse a file because the store is full: RetryInfo of 2^63-1 seconds (python-genai#1172)."""
    failure = {
        "@type": "type.googleapis.com/google.rpc.QuotaFailure",
        "violations": [
            {
                "quotaMetric": "generativelanguage.googleapis.com/file_storage_bytes",
                "quotaId": "FileStorageBytesPerProject",
            },
        ],
    }
    retry = {
        "@type": "type.googleapis.com/google.rpc.RetryInfo",
        "retryDelay": f"{2**63 - 1}s",
    }
    return ApiError(429, QUOTA_TEXT, details=[*quota().details, failure, retry])


def _precondition(text: str) -> ApiError:
    return ApiError(400, text, status="FAILED_PRECONDITION")


# Word for a refusal -> what Google answers.
REASONS: dict[str, Callable[[Refused], ApiError]] = {
    # python-genai#1218: of a create, too, when a payment is due
    "file": lambda call: file_gone(call.name.removeprefix("files/") or "abc123def456"),
    "permission": lambda call: ApiError(
        403, f"The caller does not have permission to use models/{call.model}."
    ),
    "denied": lambda _call: ApiError(403, "The caller does not have permission"),
    "not-found": lambda call: model_not_found(call.version, call.model, "batchGenerateContent"),
    "retired": lambda call: ApiError(
        404,
        f"This model models/{call.model} is no longer available to new users. Please update your "
        "code to use a newer model for the latest features and improvements.",
    ),
    "key": lambda _call: api_key_invalid(),
    "key-expired": _of_account(
        400, "API_KEY_INVALID", "API key expired. Please renew the API key."
    ),
    "key-leaked": lambda _call: ApiError(
        403, "Your API key was reported as leaked. Please use another API key."
    ),
    "suspended": _of_account(
        403,
        "CONSUMER_SUSPENDED",
        "Permission denied: Consumer 'projects/1234567890' has been suspended.",
    ),
    "credits": lambda _call: ApiError(
        429,
        "Your prepayment credits are depleted. Please go to AI Studio at "
        "https://ai.studio/projects to manage your project and billing.",
    ),
    "payment": lambda _call: ApiError(402, "Payment Required", status="FAILED_PRECONDITION"),
    "billing": _of_account(
        403,
        "BILLING_DISABLED",
        "This API method requires billing to be enabled. Please enable billing on project "
        "#1234567890 by visiting https://console.developers.google.com/billing/enable?project="
        "1234567890 then retry. If you enabled billing for this project recently, wait a few "
        "minutes for the action to propagate to our systems and retry.",
    ),
    "service": _of_account(
        403,
        "SERVICE_DISABLED",
        "Generative Language API has not been used in project 1234567890 before or it is disabled. "
        "Enable it by visiting https://console.developers.google.com/apis/api/"
        "generativelanguage.googleapis.com/overview?project=1234567890 then retry. If you enabled "
        "this API recently, wait a few minutes for the action to propagate to our systems and "
        "retry.",
    ),
    "location": lambda _call: _precondition("User location is not supported for the API use."),
    "free-tier": lambda _call: _precondition(
        "Gemini API free tier is not available in your country. Please enable billing on your "
        "project in Google AI Studio."
    ),
    "storage": _storage,
}

_FILE_CALLS: Final = frozenset({"file-get", "file-delete", "redirect", "download"})


def refusal(call: Refused, status: int, reason: str, message: str) -> ApiError:
    """Refuse a call for a reason, else by the status's usual text; ``message`` instead."""
    if reason:
        found = REASONS[reason](call)
    elif status == 403 and call.operation in _FILE_CALLS:
        found = file_gone(call.name)
    else:
        found = of_status(status, call.operation, call.model)
    if message != "default":
        found.message = message
    return found
