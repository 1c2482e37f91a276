"""The Gemini API's JSON: states, operations, files, errors, times, without decisions.

Whatever comes in is read tolerantly: unknown members are ignored, unknown words kept, what is
missing is ``None``. Sources are named where a tolerance needs one: "recorded" means seen in
recorded traffic, "discovery" Google's discovery document (v1beta, revision 20260325).
"""

import base64
import binascii
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

import orjson

Json = Mapping[str, Any]

GOOGLE_BASE_URL: Final = "https://generativelanguage.googleapis.com"

# --- methods --------------------------------------------------------------------------------

# The methods that make a batch job, as a path and as models list them.
GENERATE_CONTENT: Final = "batchGenerateContent"
EMBED_CONTENT: Final = "asyncBatchEmbedContent"
# The methods of single calls, by that of a job of such requests; the last takes several.
SINGLE_METHODS: Final = {GENERATE_CONTENT: "generateContent", EMBED_CONTENT: "embedContent"}
STREAM_METHOD: Final = "streamGenerateContent"
EMBED_SEVERAL_METHOD: Final = "batchEmbedContents"
MOST_EMBEDDINGS: Final = 100  # of one call of the latter
# It is a part of a path.
MODEL_ID: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,199}")


def with_tier(request: bytes, tier: str) -> bytes:
    """Add the service tier to a written request: upper case was refused (prism#1002)."""
    return b'{"serviceTier":%b,%b' % (orjson.dumps(tier), request[1:])


# --- states ---------------------------------------------------------------------------------

UNSPECIFIED: Final = "UNSPECIFIED"
SUCCEEDED: Final = "SUCCEEDED"
# PARTIALLY_SUCCEEDED is Vertex's; should it ever appear here, it is as final as there.
TERMINAL_STATES: Final = frozenset(
    {SUCCEEDED, "FAILED", "CANCELLED", "EXPIRED", "PARTIALLY_SUCCEEDED"}
)
KNOWN_STATES: Final = TERMINAL_STATES | {UNSPECIFIED, "PENDING", "RUNNING"}


def parse_state(word: object) -> str:
    """``BATCH_STATE_RUNNING`` (the wire, recorded) or ``JOB_STATE_RUNNING`` (guide) -> ``RUNNING``.

    A word without a prefix and an unknown word stay as they are: they are no terminal state.
    """
    if not isinstance(word, str) or not word:
        return UNSPECIFIED
    _, prefix, suffix = word.rpartition("_STATE_")
    return (suffix if prefix else word).upper()


# --- scalars --------------------------------------------------------------------------------

_TIME: Final = re.compile(
    r"(\d{4})-(\d\d)-(\d\d)T(\d\d):(\d\d):(\d\d)(?:\.(\d{1,9}))?(?:Z|\+00:00)", re.ASCII
)


def parse_time(text: object) -> int | None:
    """``2026-08-19T14:34:12.267870162Z`` -> milliseconds since the epoch; None if it is none."""
    found = _TIME.fullmatch(text) if isinstance(text, str) else None
    if found is None:
        return None
    *fields, fraction = found.groups(default="")
    try:
        seconds = int(datetime(*map(int, fields), tzinfo=UTC).timestamp())  # type: ignore[misc,arg-type]  # six of them, as the pattern says
    except ValueError:
        return None
    return seconds * 1000 + int((fraction + "000")[:3])


def parse_int(value: object) -> int | None:
    """Read an int64, which proto3-JSON writes as a string (``"sizeBytes":"18810"``)."""
    if isinstance(value, bool):
        return None
    if isinstance(value, int):
        return value
    if isinstance(value, str) and re.fullmatch(r"-?[0-9]{1,19}", value):
        return int(value)
    return None


def as_object(value: object) -> Json:
    """Give the object, or an empty one in place of anything else."""
    return value if isinstance(value, dict) else {}


def as_text(value: object) -> str | None:
    """Give the text, or None in place of anything else and of an empty text."""
    return value if isinstance(value, str) and value else None


# --- errors ---------------------------------------------------------------------------------

# google.rpc.Code: the names by number.
RPC_CODES: Final = {
    1: "CANCELLED",
    2: "UNKNOWN",
    3: "INVALID_ARGUMENT",
    4: "DEADLINE_EXCEEDED",
    5: "NOT_FOUND",
    6: "ALREADY_EXISTS",
    7: "PERMISSION_DENIED",
    8: "RESOURCE_EXHAUSTED",
    9: "FAILED_PRECONDITION",
    10: "ABORTED",
    11: "OUT_OF_RANGE",
    12: "UNIMPLEMENTED",
    13: "INTERNAL",
    14: "UNAVAILABLE",
    15: "DATA_LOSS",
    16: "UNAUTHENTICATED",
}
RPC_NUMBERS: Final = {name: number for number, name in RPC_CODES.items()}
# The number of google.rpc.Code by the HTTP status that it is written as.
RPC_NUMBERS_BY_STATUS: Final = {
    400: 3,
    401: 16,
    403: 7,
    404: 5,
    408: 4,
    409: 10,
    429: 8,
    499: 1,
    503: 14,
    504: 4,
}


@dataclass(frozen=True, slots=True)
class ErrorInfo:
    """Members of an error, in any of its forms.

    ``status`` is google.rpc.Code's name, ``reason`` ErrorInfo's (``API_KEY_INVALID``),
    ``retry_delay`` RetryInfo's in seconds, ``quota`` the id of the first quota that is used up.
    """

    status: str | None = None
    message: str = ""
    reason: str | None = None
    retry_delay: float | None = None
    quota: str | None = None


def parse_error(value: object) -> ErrorInfo | None:
    """Read a google.rpc.Status or the HTTP error envelope around one; None if it is neither.

    ``{"error":{"code":429,"message":…,"status":"RESOURCE_EXHAUSTED","details":[…]}}``, the same in
    a list (streaming endpoints and some front ends), and the bare
    ``{"code":13,"message":…}`` of operations and results, which has no ``status``.
    """
    if isinstance(value, list):
        value = value[0] if value else None
    outer = as_object(value)
    inner = as_object(outer.get("error")) or outer
    status, message = as_text(inner.get("status")), as_text(inner.get("message"))
    code = parse_int(inner.get("code"))
    if status is None and message is None and code is None:
        return None
    details = inner.get("details")
    details = [as_object(each) for each in details] if isinstance(details, list) else []
    return ErrorInfo(
        status=status or RPC_CODES.get(code or 0),
        message=message or "",
        reason=_first_text(details, "reason"),
        retry_delay=_retry_delay(details),
        quota=_quota(details),
    )


def parse_error_body(body: bytes) -> ErrorInfo | None:
    """Read the error of a response body; None for HTML, a cut body, or anything else."""
    try:
        return parse_error(orjson.loads(body))
    except orjson.JSONDecodeError:
        return None


def _first_text(details: Sequence[Json], name: str) -> str | None:
    return next((text for each in details if (text := as_text(each.get(name)))), None)


def _quota(details: Sequence[Json]) -> str | None:
    """``{"@type":"…QuotaFailure","violations":[{"quotaId":"FileStorageBytesPerProject"}]}``."""
    lists = (each.get("violations") for each in details)
    violations = [as_object(each) for some in lists if isinstance(some, list) for each in some]
    return _first_text(violations, "quotaId")


def _retry_delay(details: Sequence[Json]) -> float | None:
    """``{"@type":"…RetryInfo","retryDelay":"48.9s"}`` -> 48.9 (a google.protobuf.Duration)."""
    text = _first_text(details, "retryDelay")
    found = re.fullmatch(r"([0-9]{1,20}(?:\.[0-9]{1,9})?)s", text) if text else None
    return float(found[1]) if found else None


# --- operations -----------------------------------------------------------------------------

INLINE: Final = "inline"  # the output is part of the operation itself


@dataclass(frozen=True, slots=True)
class Operation:
    """A batch job as the API shows it.

    ``input_file`` is echoed for file jobs only (recorded); ``output`` is a file name,
    :data:`INLINE`, or None when none is to be seen; times in ms.
    """

    name: str
    display_name: str | None = None
    input_file: str | None = None
    state: str = UNSPECIFIED
    done: bool = False
    output: str | None = None
    error: ErrorInfo | None = None
    created_at: int | None = None
    ended_at: int | None = None
    updated_at: int | None = None

    @property
    def ended(self) -> bool:
        """``done`` or a terminal state; each has been seen without the other."""
        return self.done or self.state in TERMINAL_STATES


def parse_operation(body: Json) -> Operation:
    """Read an Operation with the batch in ``metadata`` (recorded), or a bare Batch (discovery).

    ``{"name":"batches/31u…","metadata":{"displayName":…,"state":"BATCH_STATE_SUCCEEDED",
    "createTime":…,"endTime":…,"output":{…}},"done":true,"response":{"responsesFile":"files/…"}}``
    """
    batch = as_object(body.get("metadata")) or body
    return Operation(
        name=as_text(body.get("name")) or as_text(batch.get("name")) or "",
        display_name=as_text(batch.get("displayName")),
        input_file=as_text(as_object(batch.get("inputConfig")).get("fileName")),
        state=parse_state(batch.get("state")),
        done=body.get("done") is True,
        output=_output(body, batch),
        error=parse_error(body["error"]) if isinstance(body.get("error"), dict) else None,
        created_at=parse_time(batch.get("createTime")),
        ended_at=parse_time(batch.get("endTime")),
        updated_at=parse_time(batch.get("updateTime")),
    )


def _outputs(body: Json, batch: Json) -> tuple[Json, Json]:
    """Find both places of the output: clients that read only one lose results (bifrost#3951)."""
    return as_object(body.get("response")), as_object(batch.get("output"))


def _output(body: Json, batch: Json) -> str | None:
    for place in _outputs(body, batch):
        if name := as_text(place.get("responsesFile")):
            return name
    return INLINE if inlined_items(body) is not None else None


# Embeddings come under the first spelling too (recorded); google-genai 3.4.0 reads the second.
_INLINED: Final = ("inlinedResponses", "inlinedEmbedContentResponses")


def inlined_items(body: Json) -> list[Any] | None:
    """Find the result items in an operation, in either place and spelling; None if none.

    ``{"inlinedResponses":{"inlinedResponses":[{"response":{…},"metadata":{"key":"1.0"}}]}}``
    """
    for place in _outputs(body, as_object(body.get("metadata")) or body):
        for spelling in _INLINED:
            items = as_object(place.get(spelling)).get("inlinedResponses")
            if isinstance(items, list):
                return items
    return None


# --- listings, files, models ----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a listing; ``complete`` is False when it says that something is missing."""

    items: Sequence[Json]
    token: str | None
    complete: bool


def parse_page(body: Json, member: str) -> Page:
    """``{"operations":[…],"nextPageToken":"…","unreachable":[…]}``.

    An empty page may have a token, and an empty listing no member at all (recorded).
    """
    items = body.get(member)
    return Page(
        items=[each for each in items if isinstance(each, dict)] if isinstance(items, list) else [],
        token=as_text(body.get("nextPageToken")),
        complete=isinstance(items, list | None) and not body.get("unreachable"),
    )


@dataclass(frozen=True, slots=True)
class FileInfo:
    """A File resource. ``sha256`` is lowercase hex; times in ms."""

    name: str
    state: str
    uri: str | None = None
    size: int | None = None
    sha256: str | None = None
    created_at: int | None = None
    expires_at: int | None = None
    error: ErrorInfo | None = None


def parse_file(body: Json) -> FileInfo | None:
    """``{"name":"files/…","sizeBytes":"18810","state":"ACTIVE",…}``; None without a name."""
    name = as_text(body.get("name"))
    if name is None:
        return None
    return FileInfo(
        name=name,
        state=as_text(body.get("state")) or "STATE_UNSPECIFIED",
        uri=as_text(body.get("uri")),
        size=parse_int(body.get("sizeBytes")),
        sha256=_sha256(as_text(body.get("sha256Hash"))),
        created_at=parse_time(body.get("createTime")),
        expires_at=parse_time(body.get("expirationTime")),
        error=parse_error(body.get("error")),
    )


def _sha256(text: str | None) -> str | None:
    """``sha256Hash`` is base64 of the digest's hex text (recorded); other forms are ignored."""
    try:
        digest = base64.b64decode(text or "", validate=True).decode("ascii").lower()
    except (binascii.Error, UnicodeDecodeError):
        return None
    return digest if re.fullmatch(r"[0-9a-f]{64}", digest) else None


@dataclass(frozen=True, slots=True)
class ModelInfo:
    """A Model resource: bare id, the methods it supports, and its version in words."""

    id: str
    methods: frozenset[str]
    version: str = ""


def parse_model(body: Json) -> ModelInfo | None:
    """``{"name":"models/x","supportedGenerationMethods":[…]}``; None without a name."""
    name = as_text(body.get("name"))
    if name is None:
        return None
    methods = body.get("supportedGenerationMethods")
    methods = methods if isinstance(methods, list) else []
    return ModelInfo(
        name.removeprefix("models/"),
        frozenset(each for each in methods if isinstance(each, str)),
        as_text(body.get("version")) or "",
    )
