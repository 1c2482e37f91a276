"""A body -> the calls that answer it: what is the request's own, the model, the translation."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway.errors import NotFoundError, RequestError
from gateway.live.failures import RefusedError
from gateway.ports.single import SingleRequest
from gateway.translate import (
    ENDPOINTS,
    STREAMS,
    AnswerHints,
    LineError,
    Note,
    Policy,
    StreamOptions,
    defaults_of,
    resolve_model,
)
from gateway.wire.gemini import GENERATE_CONTENT, MODEL_ID
from gateway.wire.json_depth import MAX_DEPTH, depth_exceeds
from gateway.wire.jsonl import MAX_STRUCTURE, structure_of
from gateway.wire.openai import complained, parse_json, truncate, wrong_type
from gateway.wire.openai_errors import (
    json_type,
    missing_parameter,
    unknown_parameter,
    unusable_model,
)

Json = dict[str, Any]

# Members that are about the call, not about the answer: they are taken out before the translation.
# Where there is no stream, the translation says of `stream` what it says in a batch.
_OF_EVERY_CALL: Final = ("service_tier",)
_OF_THE_CALL: Final = ("stream", "stream_options", *_OF_EVERY_CALL)
FLEX: Final = "flex"
_TIERS: Final = ("auto", "default", FLEX, "priority", "scale", "standard", "fast", "ultrafast")


@dataclass(frozen=True, slots=True)
class Prepared:
    """A request as it goes upstream.

    ``flex``: at half the price, when there is room. ``identity`` is that of its answer, ``""`` for
    the one that Gemini gives it. ``files`` are the uploaded files that it names.
    """

    path: str
    method: str
    model: str
    items: Sequence[bytes]
    hints: AnswerHints
    notes: Sequence[Note]
    stream: StreamOptions | None
    flex: bool
    identity: str = ""
    files: Sequence[str] = ()


def parsed(request: SingleRequest) -> Json:
    """Parse a body; the model that the path named wins. Errors: RequestError."""
    body = _parsed(request.body)
    return body if request.model is None else {**body, "model": request.model}


def prepare(path: str, body: Json, policy: Policy) -> Prepared:
    """Check and translate a body. Errors: RequestError, RefusedError of the translation."""
    endpoint = ENDPOINTS[path]
    asked = _model(body)
    for name in endpoint.required:
        if body.get(name) is None:
            raise complained(missing_parameter(name), name)
    stream = _stream(body) if path in STREAMS else None
    tier = _tier(body)
    taken = _OF_THE_CALL if path in STREAMS else _OF_EVERY_CALL
    rest = {name: value for name, value in body.items() if name not in taken}
    model, defaults = resolve_model(asked, policy)
    if not MODEL_ID.fullmatch(model):
        raise NotFoundError(
            f"The model '{truncate(asked)}' does not exist: it must be a Gemini model, or an alias"
            " of one.",
            param="model",
            code="model_not_found",
        )
    add = defaults_of(defaults, path)
    made = endpoint.to_gemini(rest if add is None else add(rest), policy, model)
    if isinstance(made, LineError):
        raise RefusedError(made)
    items, hints, notes, files, *_ = made
    return Prepared(
        path,
        endpoint.method,
        model,
        items,
        _merged(hints),
        notes,
        stream,
        flex=tier == FLEX and endpoint.method == GENERATE_CONTENT,
        files=files,
    )


def _parsed(raw: bytes) -> Json:
    """Parse a body within the bounds that a batch's line has."""
    if structure_of(raw, MAX_STRUCTURE) > MAX_STRUCTURE:
        raise RequestError(
            "Invalid request body: it has too many brackets, commas and colons; at most"
            f" {MAX_STRUCTURE} are allowed."
        )
    body = parse_json(raw)
    if not isinstance(body, dict):
        raise RequestError(f"Invalid request body: expected an object, but got {json_type(body)}.")
    if depth_exceeds(raw, body, MAX_DEPTH):
        raise RequestError(f"Invalid request body: it nests deeper than {MAX_DEPTH} levels.")
    return body


def _merged(parts: Sequence[bytes]) -> AnswerHints:
    hints: AnswerHints = {}
    for part in parts:
        hints.update(orjson.loads(part))
    return hints


def _stream(body: Json) -> StreamOptions | None:
    """Read ``stream`` and ``stream_options``; None for an answer that is not streamed."""
    wanted = body.get("stream")
    if wanted is not None and type(wanted) is not bool:
        raise wrong_type("stream", "a boolean", wanted)
    options = body.get("stream_options")
    if options is not None and not wanted:
        raise RequestError(
            "The 'stream_options' parameter is only allowed when 'stream' is enabled.",
            param="stream_options",
        )
    if not wanted:
        return None
    if _asks_for_sound(body):
        raise RequestError(
            "Sound is not streamed: leave out 'stream', or 'audio' from 'modalities'.",
            param="stream",
            code="unsupported_value",
        )
    tier = FLEX if _tier(body) == FLEX else "default"
    return StreamOptions(_stream_options(options), tier)


def _stream_options(options: object) -> bool:
    """Tell whether a last chunk with usage is wanted; padding is never written."""
    if options is None:
        return False
    if type(options) is not dict:
        raise wrong_type("stream_options", "an object", options)
    for name, value in options.items():
        param = f"stream_options.{truncate(name)}"
        if name not in ("include_usage", "include_obfuscation"):
            raise complained(unknown_parameter(param), param)
        if value is not None and type(value) is not bool:
            raise wrong_type(param, "a boolean", value)
    return options.get("include_usage") is True


def _asks_for_sound(body: Json) -> bool:
    modalities = body.get("modalities")
    return type(modalities) is list and "audio" in modalities


def _tier(body: Json) -> str:
    """Read ``service_tier``: ``flex`` is Google's flex tier, a dearer one is never asked for."""
    tier = body.get("service_tier")
    if tier is None:
        return "auto"
    if tier not in _TIERS:
        supported = ", ".join(f"'{word}'" for word in _TIERS)
        raise RequestError(
            f"Invalid value for 'service_tier': it must be one of {supported}.",
            param="service_tier",
            code="invalid_value",
        )
    return str(tier)


def _model(body: Json) -> str:
    """Return the model that is asked for. Errors: RequestError, in the words of a batch's line."""
    fault = unusable_model(body, "model")
    if fault is not None:
        raise complained(fault, "model")
    return str(body["model"])
