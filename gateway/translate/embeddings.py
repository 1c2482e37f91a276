"""``/v1/embeddings`` <-> EmbedContentRequest: one item and one vector per input string.

Several parts in one content would be merged into one vector, so an array is fanned out.
"""

import struct
from binascii import b2a_base64
from collections.abc import Sequence
from math import fsum, isfinite, sqrt
from typing import Final

import orjson

from gateway.translate.capabilities import capabilities_of
from gateway.translate.errors import Failure, failure_of
from gateway.translate.fields import FieldTable, dropped, mapped
from gateway.translate.refusal import (
    Refused,
    invalid_type,
    invalid_value,
    missing,
    one_of,
    unsupported_value,
)
from gateway.translate.sampling import integer
from gateway.translate.shapes import (
    Answer,
    Context,
    Json,
    LineError,
    Policy,
    Rendered,
    Translation,
)
from gateway.translate.usage import count

# OpenAI's limit on the inputs of one request.
MAX_INPUTS: Final = 2048
# The largest vectors of today have 3,072; a limit far above lets Google decide.
MAX_DIMENSIONS: Final = 65_536

EMBEDDINGS: Final = FieldTable(
    mapped("model", "the model of the job"),
    mapped("input", "`content`, one item per string"),
    mapped("dimensions", "`outputDimensionality`, renormalised where the model does not"),
    mapped("encoding_format", "applied to the answer: float, or base64 of little-endian float32"),
    dropped("user", "names the caller's user to OpenAI"),
)
# Every field of EmbedContentResponse and what becomes of it; a test compares this with the SDK.
RESPONSE: Final = {
    "embedding": "`data[].embedding`",
    "embeddings": "left out: the SDK's own list of one",
    "usageMetadata": "`usage`",
    "tokenCount": "`usage`",
    "metadata": "left out: Vertex only",
    "truncated": "left out: Vertex only",
    "sdkHttpResponse": "left out: made by the SDK, never on the wire",
}
_FORMATS: Final = ("float", "base64")


def to_gemini(body: Json, policy: Policy, model: str) -> Translation | LineError:  # noqa: ARG001
    """Translate one line.

    ``{"input": ["a", "b"], "dimensions": 256}`` -> two times
    ``{"content": {"parts": [{"text": …}]}, "outputDimensionality": 256}``
    """
    try:
        return _translate(body, model)
    except Refused as refusal:
        return refusal.line_error()


def _translate(body: Json, model: str) -> Translation:
    EMBEDDINGS.check(body)
    name = body.get("model")
    echo: Json = {"model": name if type(name) is str else model}
    encoding = body.get("encoding_format")
    if encoding is not None and encoding not in _FORMATS:
        one_of(encoding, _FORMATS, "encoding_format")
    if encoding == "base64":
        echo["base64"] = True
    texts = _texts(body)
    common: Json = {}
    dimensions = body.get("dimensions")
    if dimensions is not None:
        size = integer(dimensions, 1, MAX_DIMENSIONS, "dimensions")
        if size < capabilities_of(model).full_dimensions:
            echo["normalise"] = True
        common["outputDimensionality"] = size
    items = [orjson.dumps({"content": {"parts": [{"text": text}]}, **common}) for text in texts]
    return items, orjson.dumps(echo), (), ()


def _texts(body: Json) -> list[str]:
    value = body.get("input")
    if value is None:
        missing("input")
    if type(value) is str:
        value = [value]
    elif type(value) is not list:
        invalid_type(value, "one of a string or array of strings", "input")
    if not value:
        invalid_value("the array is empty.", "input")
    if len(value) > MAX_INPUTS:
        invalid_value(f"at most {MAX_INPUTS} inputs are possible.", "input")
    for index, text in enumerate(value):
        if type(text) is not str:
            _refuse_input(text, f"input[{index}]")
        if not text:
            invalid_value("an input cannot be an empty string.", f"input[{index}]")
    return value


def _refuse_input(value: object, param: str) -> None:
    if type(value) is int or type(value) is list:
        unsupported_value("token ids belong to another tokenizer; send text.", param)
    invalid_type(value, "a string", param)


def wants_raw_vectors(echo: object) -> bool:
    """Whether ``values`` may arrive as an ``orjson.Fragment`` and pass through untouched."""
    return type(echo) is dict and not echo.get("base64") and not echo.get("normalise")


def from_gemini(echo: Json, answers: Sequence[Answer], context: Context) -> Rendered:  # noqa: ARG001
    """Render one line: any item that failed fails the line, because a vector would be missing.

    ``{"response": {"embedding": {"values": [0.6, 0.8]}, "tokenCount": "1"}}`` ->
    ``{"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": […]}], …}``
    """
    data: list[Json] = []
    tokens = 0
    for index, answer in enumerate(answers):
        failure = failure_of(answer)
        if failure is not None:
            return failure.rendered()
        response = answer["response"]
        embedding = response.get("embedding")
        values = embedding.get("values") if type(embedding) is dict else None
        if type(values) is not orjson.Fragment:
            numbers = _numbers(values)
            if not numbers:
                return Failure(502, "invalid_response", "Gemini's answer has no vector.").rendered()
            values = _encoded(numbers, echo)
        data.append({"object": "embedding", "index": index, "embedding": values})
        tokens += _tokens(response)
    body = {
        "object": "list",
        "data": data,
        "model": echo["model"],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return 200, orjson.dumps(body), (tokens, 0, 0, 0), ()


def _numbers(values: object) -> list[float]:
    """A vector that float32 can hold, or nothing. Packing checks each number at C speed."""
    if type(values) is not list or not values:
        return []
    kinds = set(map(type, values))
    if not kinds <= {float, int}:
        return []
    try:
        numbers: list[float] = list(map(float, values)) if int in kinds else values
        struct.pack(f"<{len(numbers)}f", *numbers)
    except OverflowError:
        return []
    # NaN and infinity pass the packing and spoil the sum.
    return numbers if isfinite(sum(numbers)) else []


def _encoded(values: list[float], echo: Json) -> list[float] | str:
    if echo.get("normalise"):
        length = sqrt(fsum(value * value for value in values))
        if length:
            values = [value / length for value in values]
    if echo.get("base64"):
        packed = struct.pack(f"<{len(values)}f", *values)
        return b2a_base64(packed, newline=False).decode("ascii")
    return values


def _tokens(response: Json) -> int:
    """gemini-embedding-2 reports ``usageMetadata``, -001 in batch ``tokenCount`` as a string."""
    usage = response.get("usageMetadata")
    if type(usage) is dict:
        return count(usage.get("promptTokenCount"))
    return count(response.get("tokenCount"))
