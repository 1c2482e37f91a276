"""The one boundary: answers and transport failures become ``Upstream*`` errors.

Which class an answer is depends on what was asked, so each kind of call has its row:

==============================  ==========  ============================  ======================
answer                          create      stage                         everything else
==============================  ==========  ============================  ======================
no connection                   Unavailable Unavailable                   Unavailable
connection lost, time is up     Ambiguous   Unavailable                   Unavailable
408, 409, 499, 5xx, 3xx         Ambiguous   Unavailable                   Unavailable
429                             Unavailable Unavailable                   Unavailable
key, quota holder, location     Held        Held                          Held
404                             Refused     Held                          Gone
404 that is not the API's own   Held        Held                          Held
the staged file is gone         Stale       Unavailable                   Gone
another 4xx                     Refused     Refused                       Unavailable
==============================  ==========  ============================  ======================

"Everything else" must not condemn a job that runs and is paid for, so an unexpected answer is
tried again there. A single call (``ASK``) is as stage, but that a lost connection is ambiguous, and
a 404 of the API's own and a file that is gone refuse it: its client is told at once. Messages are
scrubbed of keys and cut; response headers are never looked at here (a 302 has been recorded that
echoed the caller's key in them).
"""

import re
import ssl
from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from enum import Enum
from typing import Final

import httpx

from gateway.errors import (
    UpstreamAmbiguousError,
    UpstreamError,
    UpstreamGoneError,
    UpstreamHeldError,
    UpstreamRefusedError,
    UpstreamStaleError,
    UpstreamUnavailableError,
)
from gateway.upstream.options import MAX_RETRY_AFTER
from gateway.wire.gemini import ErrorInfo, parse_error_body

MESSAGE_LIMIT: Final = 500
# Texts from outside are cut to this before any work on them, whose cost may grow faster than they
# do: a message of 64 KB once held the event loop for 18 s.
READ_LIMIT: Final = 4096
SECRET_CHARACTERS: Final = 6
MAX_SECRETS: Final = 100

# The request has not left: httpx raises these before there is a connection.
NOT_SENT: Final = (
    httpx.ConnectError,
    httpx.ConnectTimeout,
    httpx.PoolTimeout,
    httpx.ProxyError,
    httpx.UnsupportedProtocol,
    httpx.InvalidURL,
)
# Everything a transfer can die of. ssl.SSLError is what a broken record raises, past httpx.
TRANSPORT: Final = (
    httpx.HTTPError,
    httpx.InvalidURL,
    httpx.StreamError,
    ssl.SSLError,
    ConnectionError,
    TimeoutError,
)


class Call(Enum):
    """Call, as far as the meaning of an error depends on it."""

    CREATE = "create"
    STAGE = "stage"
    ASK = "ask"
    OTHER = "other"


class Scrubber:
    """Makes a text safe to store and to show."""

    _SECRETS: Final = re.compile(
        r"AIza[\w-]{10,}|AQ\.[\w-]{10,}|ya29\.[\w.-]+|(?i:bearer)\s+[\w.~+/=-]+"
        r"|(?i:(?:key|upload_id|access_token)=)[^\s&\"']+"
    )

    def __init__(self, secrets: Collection[str]) -> None:
        self._given = secrets
        self._secrets: list[str] = []

    def _known(self) -> list[str]:
        """Return keys that are set now, and those before: answers to a former key are under way."""
        # Anything shorter is a stand-in, and replacing it would garble the message.
        fresh = {secret for secret in self._given if len(secret) >= SECRET_CHARACTERS}
        if not fresh.issubset(self._secrets):
            fresh.update(self._secrets[:MAX_SECRETS])
            self._secrets = sorted(fresh, key=len, reverse=True)
        return self._secrets

    def __call__(self, text: str) -> str:
        """Return the text without keys, on one line, cut to a limit."""
        text = shortened(text)
        for secret in self._known():
            text = text.replace(secret, "***")
        text = " ".join(self._SECRETS.sub("***", text).split())
        return text if len(text) <= MESSAGE_LIMIT else text[: MESSAGE_LIMIT - 1] + "…"


def shortened(text: str) -> str:
    """Cut a text at a gap between words: half a key would not be recognised."""
    if len(text) <= READ_LIMIT:
        return text
    words = text[:READ_LIMIT].rsplit(None, 1)
    return words[0] if len(words) > 1 else ""


# Calls that may be paid for though their answer is lost.
_PAID: Final = frozenset({Call.CREATE, Call.ASK})


@contextmanager
def as_upstream_errors(call: Call, scrub: Scrubber) -> Iterator[None]:
    """Turn whatever a transfer dies of into an ``Upstream*`` error."""
    try:
        yield
    except TRANSPORT as error:
        told = str(error)
        message = scrub(f"{type(error).__name__}: {told}" if told else type(error).__name__)
        if call in _PAID and not isinstance(error, NOT_SENT):
            raise UpstreamAmbiguousError(message) from error
        raise UpstreamUnavailableError(message) from error


# Statuses after which a create may have happened; 499 is google.rpc.Code CANCELLED over HTTP.
_DOUBTFUL: Final = frozenset({408, 409, 425, 499})
# What is about the account, whatever the HTTP status: a bad key is 400 (recorded), SERVICE_DISABLED
# 403 (Google's Firebase test data), the location 400 FAILED_PRECONDITION (the same).
_ACCOUNT_REASONS: Final = re.compile(
    r"API_KEY_|SERVICE_DISABLED|BILLING|CONSUMER_|ACCESS_TOKEN_|USER_PROJECT_|ACCOUNT_STATE"
)
_ACCOUNT_TEXT: Final = re.compile(
    r"\bAPI key (?:not|expired|is)\b|User location is not supported"
    r"|billing (?:account|is)|free tier",
    re.IGNORECASE,
)
_ACCOUNT_HTTP: Final = frozenset({401, 402, 403, 407})
# 403 "You do not have permission to access the File X or it may not exist." (live-shaped sample),
# 400 "The File X is not in an ACTIVE state and usage is not allowed" (edsl#1907).
_A_FILE: Final = re.compile(r"\bfile\b", re.IGNORECASE)
_NOT_THERE: Final = re.compile(
    r"may not exist|not exist|not found|ACTIVE state|expired", re.IGNORECASE
)


# 429 of an upload, with a pause of 2^63-1 s (python-genai#1172): what helps is not to wait.
FILE_STORAGE: Final = "FileStorageBytes"
STORE_FULL: Final = (
    "Google's file storage of this project is full (20 GB): deleting files there makes room at once"
)


def error_of(call: Call, status: int, body: bytes, scrub: Scrubber) -> UpstreamError:
    """Return the error that an answer other than 2xx means."""
    told = parse_error_body(body)
    if told is not None:
        told = replace(told, message=shortened(told.message))
    info = told or ErrorInfo()
    message = scrub(info.message) or f"The upstream answered {status} without a reason."
    code = scrub(info.reason or info.status or "") or None
    if status == 429:
        delay = None if info.retry_delay is None else min(info.retry_delay, MAX_RETRY_AFTER)
        full = UpstreamUnavailableError(message, status=status, code=code, retry_after=delay)
        if info.quota is not None and info.quota.startswith(FILE_STORAGE):
            full.add_note(STORE_FULL)
        return full
    kind = _kind(call, status, told)
    if kind is UpstreamRefusedError:
        return UpstreamRefusedError(message, status=status, code=code, item=_item_of(info.message))
    return kind(message, status=status, code=code)


# "* BatchGenerateContentRequest.batch.input_config.requests.requests[2].request.generation_config…:
# thinking budget is out of range." (python-genai#1103, js-genai#846)
_ITEM: Final = re.compile(r"\brequests\[(\d{1,6})\]")


def _item_of(message: str) -> int | None:
    """Return the one request that a refusal names; None where it names none, or several."""
    places = set(_ITEM.findall(message))
    return int(places.pop()) if len(places) == 1 else None


def _kind(call: Call, status: int, told: ErrorInfo | None) -> type[UpstreamError]:
    info = told or ErrorInfo()
    if status in _DOUBTFUL or not 400 <= status < 500:
        return UpstreamAmbiguousError if call is Call.CREATE else UpstreamUnavailableError
    if _is_about_a_lost_file(info.message):
        return _FILE_GONE_KIND[call]
    if _about_account(call, status, info):
        return UpstreamHeldError
    if status == 404:
        # A 404 that is not the API's own says something of the base URL, not of the job.
        return _NOT_FOUND_KIND[call] if told else UpstreamHeldError
    return UpstreamUnavailableError if call is Call.OTHER else UpstreamRefusedError


def _is_about_a_lost_file(message: str) -> bool:
    """Search twice, since one expression for both takes time by the square of the text."""
    file = _A_FILE.search(message)
    return file is not None and _NOT_THERE.search(message, file.end()) is not None


_FILE_GONE_KIND: Final[dict[Call, type[UpstreamError]]] = {
    Call.CREATE: UpstreamStaleError,
    Call.STAGE: UpstreamUnavailableError,
    Call.ASK: UpstreamRefusedError,
    Call.OTHER: UpstreamGoneError,
}
_NOT_FOUND_KIND: Final[dict[Call, type[UpstreamError]]] = {
    Call.CREATE: UpstreamRefusedError,
    Call.STAGE: UpstreamHeldError,
    Call.ASK: UpstreamRefusedError,
    Call.OTHER: UpstreamGoneError,
}


def _about_account(call: Call, status: int, info: ErrorInfo) -> bool:
    return (
        status in _ACCOUNT_HTTP
        or (info.status == "FAILED_PRECONDITION" and call is not Call.OTHER)
        or bool(_ACCOUNT_REASONS.search(info.reason or ""))
        or (status == 400 and bool(_ACCOUNT_TEXT.search(info.message)))
    )
