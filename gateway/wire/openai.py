"""OpenAI's HTTP API: lists, deletions, errors, and what requests may hold.

in   {"input_file_id": "file-…", "endpoint": "/v1/chat/completions", "completion_window": "24h"}
out  CreateBatch(input_file_id="file-…", endpoint="/v1/chat/completions", …)
"""

import re
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway.errors import GatewayError, RequestError
from gateway.wire.json_faults import json_fault
from gateway.wire.openai_errors import (
    Complaint,
    error_body,
    invalid_type,
    json_type,
    missing_parameter,
    unknown_parameter,
)

COMPLETION_WINDOW: Final = "24h"

# Limits of OpenAI's OpenAPI schemas Metadata, FileExpirationAfter and BatchFileExpirationAfter.
METADATA_PAIRS: Final = 16
METADATA_KEY_CHARACTERS: Final = 64
METADATA_VALUE_CHARACTERS: Final = 512
EXPIRES_AFTER_MIN_SECONDS: Final = 3_600
EXPIRES_AFTER_MAX_SECONDS: Final = 2_592_000

# In the order of OpenAI's own complaint about a wrong purpose.
FILE_PURPOSES: Final = ("fine-tune", "assistants", "batch", "user_data", "vision", "evals")

# The longest piece of a request that an error message repeats.
SHOWN_CHARACTERS: Final = 200

# Entries of a list, unless the client says how many, and at most; files have limits of their own.
LIST_LIMIT: Final = 20
MOST_LISTED: Final = 100

# Endpoints of OpenAI's Batch API that a gateway in front of Gemini cannot offer, and why.
UNOFFERED_ENDPOINTS: Final[Mapping[str, str]] = {
    "/v1/moderations": "Gemini has no moderation model: its safety ratings come with an answer"
    " only, in five categories without scores.",
    "/v1/videos": "Gemini's Batch API makes no videos, and OpenAI retires this endpoint.",
}

# Endpoints as Azure's examples write them, in the batch and in its lines (Azure OpenAI, "Getting
# started with batch deployments"; any-llm#1348), by what they are called here.
AZURE_ENDPOINTS: Final[Mapping[str, str]] = {
    "/v1/chat/completions": "/chat/completions",
    "/v1/completions": "/completions",
    "/v1/embeddings": "/embeddings",
    "/v1/responses": "/responses",
}
_CANONICAL: Final = {azure: path for path, azure in AZURE_ENDPOINTS.items()}

_INTEGER: Final = re.compile(r"-?[0-9]{1,18}")
_MD5: Final = re.compile(r"[0-9A-Fa-f]{32}")


@dataclass(frozen=True, slots=True)
class CreateBatch:
    """Body of ``POST /v1/batches``; ``output_expires_after`` in seconds.

    ``endpoint`` is one of those offered, however it was spelt in the request: ``endpoint_as_sent``.
    """

    input_file_id: str
    endpoint: str
    endpoint_as_sent: str
    metadata: Mapping[str, str] | None
    output_expires_after: int | None


@dataclass(frozen=True, slots=True)
class NewFile:
    """Text parts of ``POST /v1/files``; ``expires_after`` in seconds."""

    purpose: str
    expires_after: int | None


@dataclass(frozen=True, slots=True)
class NewUpload:
    """Body of ``POST /v1/uploads``; ``expires_after`` in seconds."""

    filename: str
    purpose: str
    bytes: int
    mime_type: str
    expires_after: int | None


@dataclass(frozen=True, slots=True)
class CompleteUpload:
    """Body of ``POST /v1/uploads/{id}/complete``: parts in order, 32 hex digits or None."""

    part_ids: Sequence[str]
    md5: str | None


@dataclass(frozen=True, slots=True)
class ListQuery:
    """The query of a list."""

    limit: int
    after: str | None
    ascending: bool
    purpose: str | None


def truncate(text: str) -> str:
    """Cut a piece of a request for an error message, so that the answer stays small."""
    return text if len(text) <= SHOWN_CHARACTERS else f"{text[:SHOWN_CHARACTERS]}…"


# Answers


def encode_error(error: GatewayError) -> dict[str, Any]:
    """Write the envelope of an error that a client may see."""
    return error_body(error.message, error.type, error.code, error.param)


def encode_page(items: Sequence[Mapping[str, Any]], *, has_more: bool) -> dict[str, Any]:
    """Write a page of a list. openai-python asks on for ever when ``has_more`` is missing."""
    return {
        "object": "list",
        "data": items,
        "first_id": items[0]["id"] if items else None,
        "last_id": items[-1]["id"] if items else None,
        "has_more": has_more,
    }


def encode_deleted_file(file_id: str) -> dict[str, Any]:
    """Write the answer to ``DELETE /v1/files/{id}``."""
    return {"id": file_id, "object": "file", "deleted": True}


def encode_model(model_id: str, created: int, shutdown_date: str | None) -> dict[str, Any]:
    """Write a model; ``created`` is 0 where it is not known, since OpenAI requires an integer."""
    return {
        "id": model_id,
        "object": "model",
        "created": created,
        "owned_by": "google",
        "shutdown_date": shutdown_date,
    }


# Requests


def parse_json(body: bytes) -> object:
    """Parse a JSON body; orjson refuses NaN, lone surrogates, and depths of 1,024 and more."""
    try:
        return orjson.loads(body)
    except orjson.JSONDecodeError as error:
        raise RequestError(
            "We could not parse the JSON body of your request: it is not valid JSON."
            f" {json_fault(error, body)}"
        ) from error


def parse_create_batch(body: object, endpoints: Collection[str]) -> CreateBatch:
    """Read the body of ``POST /v1/batches``; ``endpoints`` are those offered here."""
    known = {
        "input_file_id": True,
        "endpoint": True,
        "completion_window": True,
        "metadata": False,
        "output_expires_after": False,
    }
    body = _object(body, known)
    input_file_id = _text(body["input_file_id"], "input_file_id")
    sent = _text(body["endpoint"], "endpoint")
    endpoint = canonical_endpoint(sent)
    _check_endpoint(sent, endpoint, endpoints)
    window = _text(body["completion_window"], "completion_window")
    if window != COMPLETION_WINDOW:
        raise _unsupported(window, "completion_window", [COMPLETION_WINDOW])
    return CreateBatch(
        input_file_id=input_file_id,
        endpoint=endpoint,
        endpoint_as_sent=sent,
        metadata=_metadata(body.get("metadata")),
        output_expires_after=_expires_after(
            body.get("output_expires_after"), "output_expires_after"
        ),
    )


def parse_new_file(fields: Mapping[str, str]) -> NewFile:
    """Read the text parts of an upload: ``purpose`` and ``expires_after[anchor]``/``[seconds]``."""
    if "purpose" not in fields:
        raise _missing("purpose")
    return NewFile(
        purpose=parse_purpose(fields["purpose"]), expires_after=_form_expires_after(fields)
    )


def parse_new_upload(body: object, max_bytes: int) -> NewUpload:
    """Read the body of ``POST /v1/uploads``; ``max_bytes`` is the largest file."""
    known = {"filename": True, "purpose": True, "bytes": True, "mime_type": True}
    body = _object(body, {**known, "expires_after": False})
    filename = _text(body["filename"], "filename")
    if "\0" in filename:
        raise RequestError("Invalid 'filename': it holds a NUL character.", param="filename")
    size = _bounded(_whole(body["bytes"], "bytes"), "bytes", 0, 2**63 - 1)
    if size > max_bytes:
        raise RequestError(
            f"Invalid 'bytes': {size} is too large. {file_limit(max_bytes)}",
            param="bytes",
            code="integer_above_max_value",
        )
    return NewUpload(
        filename=filename,
        purpose=parse_purpose(_text(body["purpose"], "purpose")),
        bytes=size,
        mime_type=_text(body["mime_type"], "mime_type"),
        expires_after=_expires_after(body.get("expires_after"), "expires_after"),
    )


def file_limit(max_bytes: int) -> str:
    """Say how large a file may be, who decided that, and why it is not what OpenAI allows."""
    return (
        f"This gateway accepts files of at most {max_bytes} bytes, as its setting"
        " GATEWAY_MAX_FILE_BYTES says; Google's Files API takes no file beyond 2 GB."
    )


def parse_complete_upload(body: object) -> CompleteUpload:
    """Read the body of ``POST /v1/uploads/{id}/complete``."""
    body = _object(body, {"part_ids": True, "md5": False})
    part_ids = body["part_ids"]
    if not isinstance(part_ids, list):
        raise wrong_type("part_ids", "an array", part_ids)
    for at, part_id in enumerate(part_ids):
        _text(part_id, f"part_ids[{at}]")
    md5 = body.get("md5")
    if md5 is not None and not _MD5.fullmatch(_text(md5, "md5")):
        raise RequestError(
            "Invalid 'md5': expected 32 hexadecimal digits.", param="md5", code="invalid_value"
        )
    return CompleteUpload(part_ids, None if md5 is None else md5.lower())


def parse_word(body: bytes, name: str, words: Sequence[str], meaning: str) -> str:
    """Read the one member of a body that may be empty: one of ``words``, the first unless given.

    ``meaning`` says what they are, for whoever wrote another one.
    """
    given = parse_json(body) if body.strip() else {}
    word = given.get(name, words[0]) if isinstance(given, dict) else None
    if word not in words:
        raise RequestError(
            f"Invalid '{name}': expected {meaning}.", param=name, code="invalid_value"
        )
    return str(word)


def parse_purpose(purpose: str) -> str:
    """Check the purpose of an upload; openai-python sends it before the file."""
    if purpose not in FILE_PURPOSES:
        raise RequestError(
            f"'{truncate(purpose)}' is not one of {list(FILE_PURPOSES)} - 'purpose'",
            param="purpose",
        )
    return purpose


def parse_list_query(
    query: Mapping[str, str],
    *,
    limit: int = LIST_LIMIT,
    most: int = MOST_LISTED,
    sortable: bool = False,
) -> ListQuery:
    """``after``, ``limit``, and where the list knows them ``order`` and ``purpose``.

    Parameters that are not known are ignored, as OpenAI ignores them in queries.
    """
    if "limit" in query:
        limit = _bounded(_integer(query["limit"], "limit"), "limit", 1, most)
    order = query.get("order", "desc") if sortable else "desc"
    if order not in {"asc", "desc"}:
        raise _unsupported(order, "order", ["asc", "desc"])
    return ListQuery(
        limit=limit,
        after=query.get("after") or None,
        ascending=order == "asc",
        purpose=(query.get("purpose") or None) if sortable else None,
    )


# Complaints


def complained(complaint: Complaint, param: str) -> RequestError:
    """Make the error of a complaint about a parameter."""
    return RequestError(complaint.message, param=param, code=complaint.code)


def _missing(param: str) -> RequestError:
    return complained(missing_parameter(param), param)


def _unsupported(value: str, param: str, supported: Iterable[str], why: str = "") -> RequestError:
    return RequestError(
        f"Invalid value: '{truncate(value)}'. Supported values are: {_join_words(supported)}.{why}"
        f" - '{param}'",
        param=param,
        code="invalid_value",
    )


def wrong_type(param: str, expected: str, value: object) -> RequestError:
    """Make the error of a value of another JSON type; ``expected`` as ``an integer``."""
    param = truncate(param)
    return complained(invalid_type(param, expected, json_type(value)), param)


def _check_members(value: Mapping[str, Any], known: Mapping[str, bool], prefix: str) -> None:
    """``known`` says of each member whether it is required."""
    for name in value:
        if name not in known:
            param = truncate(f"{prefix}{name}")
            raise complained(unknown_parameter(param), param)
    for name, required in known.items():
        if required and name not in value:
            raise _missing(f"{prefix}{name}")


def canonical_endpoint(spelling: str) -> str:
    """``/chat/completions`` -> ``/v1/chat/completions``; anything else stays."""
    return _CANONICAL.get(spelling, spelling)


def _check_endpoint(sent: str, endpoint: str, endpoints: Collection[str]) -> None:
    if endpoint in endpoints:
        return
    why = UNOFFERED_ENDPOINTS.get(endpoint)
    sentence = f" OpenAI's Batch API has '{endpoint}', this gateway does not: {why}" if why else ""
    raise _unsupported(sent, "endpoint", sorted(endpoints), sentence)


def _metadata(value: object) -> Mapping[str, str] | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise wrong_type("metadata", "an object", value)
    if len(value) > METADATA_PAIRS:
        raise RequestError(
            f"Invalid 'metadata': too many properties. Expected an object with at most"
            f" {METADATA_PAIRS} properties, but got an object with {len(value)} properties"
            " instead.",
            param="metadata",
            code="object_above_max_properties",
        )
    for key, text in value.items():
        _check_pair(key, text)
    return value


def _check_pair(key: str, text: object) -> None:
    if len(key) > METADATA_KEY_CHARACTERS:
        raise RequestError(
            f"Invalid property name in 'metadata': name too long. Expected a name with maximum"
            f" length {METADATA_KEY_CHARACTERS}, but got a name with length {len(key)} instead.",
            param="metadata",
            code="property_name_above_max_length",
        )
    param = f"metadata.{key}"
    if not isinstance(text, str):
        raise wrong_type(param, "a string", text)
    if "\0" in key or "\0" in text:
        raise RequestError("Invalid 'metadata': it holds a NUL character.", param="metadata")
    if len(text) > METADATA_VALUE_CHARACTERS:
        raise RequestError(
            f"Invalid '{param}': string too long. Expected a string with maximum length"
            f" {METADATA_VALUE_CHARACTERS}, but got a string with length {len(text)} instead.",
            param=param,
            code="string_above_max_length",
        )


def _expires_after(value: object, name: str) -> int | None:
    if value is None:
        return None
    if not isinstance(value, dict):
        raise wrong_type(name, "an object", value)
    _check_members(value, {"anchor": True, "seconds": True}, f"{name}.")
    anchor = _text(value["anchor"], f"{name}.anchor")
    if anchor != "created_at":
        raise _unsupported(anchor, f"{name}.anchor", ["created_at"])
    seconds = f"{name}.seconds"
    return _lifetime(_whole(value["seconds"], seconds), seconds)


def _form_expires_after(fields: Mapping[str, str]) -> int | None:
    """Read both bracketed keys, or neither (OpenAPI ``FileExpirationAfter`` requires both)."""
    anchor = fields.get("expires_after[anchor]")
    seconds = fields.get("expires_after[seconds]")
    if anchor is None and seconds is None:
        return None
    if anchor is None:
        raise _missing("expires_after[anchor]")
    if seconds is None:
        raise _missing("expires_after[seconds]")
    if anchor != "created_at":
        raise _unsupported(anchor, "expires_after[anchor]", ["created_at"])
    name = "expires_after[seconds]"
    return _lifetime(_integer(seconds, name), name)


def _lifetime(seconds: int, param: str) -> int:
    return _bounded(seconds, param, EXPIRES_AFTER_MIN_SECONDS, EXPIRES_AFTER_MAX_SECONDS)


def _bounded(value: int, param: str, least: int, most: int) -> int:
    if value < least:
        raise RequestError(
            f"Invalid '{param}': integer below minimum value. Expected a value >= {least}, but"
            f" got {value} instead.",
            param=param,
            code="integer_below_min_value",
        )
    if value > most:
        raise RequestError(
            f"Invalid '{param}': integer above maximum value. Expected a value <= {most}, but"
            f" got {value} instead.",
            param=param,
            code="integer_above_max_value",
        )
    return value


def _integer(text: str, param: str) -> int:
    """Read an integer that travels as text, in a query or a form."""
    if not _INTEGER.fullmatch(text):
        raise wrong_type(param, "an integer", text)
    return int(text)


def _whole(value: object, param: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(param, "an integer", value)
    return value


def _object(body: object, known: Mapping[str, bool]) -> Mapping[str, Any]:
    """Check the members of a whole body; ``known`` says of each whether it is required."""
    if not isinstance(body, dict):
        raise RequestError(f"Invalid request body: expected an object, but got {json_type(body)}.")
    _check_members(body, known, "")
    return body


def _text(value: object, param: str) -> str:
    if not isinstance(value, str):
        raise wrong_type(param, "a string", value)
    return value


def _join_words(values: Iterable[str]) -> str:
    """Join words: ``'a', 'b', and 'c'``."""
    quoted = [f"'{value}'" for value in values]
    if len(quoted) < 3:
        return " and ".join(quoted)
    return f"{', '.join(quoted[:-1])}, and {quoted[-1]}"
