"""EmbedContentResponses -> ``/v1/embeddings``: one vector per input string.

A vector of 3,072 numbers is 99 % of its line; parsing and writing it costs five times what finding
and checking its bytes does (measured). So the bytes are cut out of the result line before it is
parsed and pass through as they are. A line that looks unusual is left to the parser.
"""

import struct
from binascii import b2a_base64
from collections.abc import Sequence
from dataclasses import replace
from math import fsum, isfinite, sqrt
from typing import Final

import orjson

from gateway.translate.answer.envelope import model_of
from gateway.translate.answer.failure import Failure, failure_of
from gateway.translate.answer.usage import UNCOUNTED, count
from gateway.translate.contract import Answer, AnswerHints, Context, Json, Loads, Note, Rendered
from gateway.translate.reading.table import answer_table

# Every field of EmbedContentResponse and what becomes of it; a test compares this with the SDK.
RESPONSE: Final = answer_table(
    "EmbedContentResponse",
    {
        "embedding": "`data[].embedding`",
        "embeddings": "left out: the SDK's own list of one",
        "usageMetadata": "`usage`",
        "tokenCount": "`usage`",
        "metadata": "left out: Vertex only",
        "truncated": "left out: Vertex only",
        "sdkHttpResponse": "left out: made by the SDK, never on the wire",
    },
)
_KEY: Final = b'"values"'
_OF_NUMBERS: Final = b"0123456789+-.eE, "


def from_gemini(hints: AnswerHints, answers: Sequence[Answer], context: Context) -> Rendered:
    """Render one line: any item that failed fails the line, because a vector would be missing.

    ``{"response": {"embedding": {"values": [0.6, 0.8]}, "tokenCount": "1"}}`` ->
    ``{"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": […]}], …}``
    """
    data: list[Json] = []
    tokens = 0
    notes: tuple[Note, ...] = ()
    for index, answer in enumerate(answers):
        made = failure_of(answer) or _read_vector(answer["response"], hints)
        if isinstance(made, Failure):
            failure = replace(made, param=f"input[{index}]") if len(answers) > 1 else made
            return failure.rendered((_paid(answers), 0, 0, 0))
        response, values = answer["response"], made
        data.append({"object": "embedding", "index": index, "embedding": values})
        counted = _tokens(response)
        if counted is None:
            notes = UNCOUNTED
        else:
            tokens += counted
    body = {
        "object": "list",
        "data": data,
        "model": model_of(None, hints, context),
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return 200, orjson.dumps(body), (tokens, 0, 0, 0), notes


def _paid(answers: Sequence[Answer]) -> int:
    """Count the tokens of items that were answered, although the line fails."""
    served = (answer["response"] for answer in answers if failure_of(answer) is None)
    return sum(_tokens(response) or 0 for response in served)


def _read_vector(response: Json, hints: AnswerHints) -> object:
    embedding = response.get("embedding")
    values = _vector(embedding.get("values") if type(embedding) is dict else None, hints)
    return values or Failure(
        502, "invalid_response", "Gemini's answer has no valid vector; send the input again."
    )


def _vector(values: object, hints: AnswerHints) -> object:
    """Give a vector in the form that the line asked for, or nothing.

    One that :func:`cut_vector` left as bytes passes through, unless it is to be packed or scaled.
    """
    if type(values) is bytes:
        if not hints.get("base64") and not hints.get("normalise"):
            return orjson.Fragment(values)
        try:
            values = orjson.loads(values)
        except orjson.JSONDecodeError:
            return None
    numbers = _numbers(values)
    return _encoded(numbers, hints) if numbers else None


def _numbers(values: object) -> list[float]:
    """Check that float32 can hold a vector; else nothing. Packing checks numbers at C speed."""
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


def _encoded(values: list[float], hints: AnswerHints) -> list[float] | str:
    if hints.get("normalise"):
        length = sqrt(fsum(value * value for value in values))
        if length:
            values = [value / length for value in values]
    if hints.get("base64"):
        packed = struct.pack(f"<{len(values)}f", *values)
        return b2a_base64(packed, newline=False).decode("ascii")
    return values


def _tokens(response: Json) -> int | None:
    """gemini-embedding-2 reports ``usageMetadata``, -001 in batch ``tokenCount`` as a string."""
    usage = response.get("usageMetadata")
    if type(usage) is dict and "promptTokenCount" in usage:
        return count(usage["promptTokenCount"])
    return count(response["tokenCount"]) if "tokenCount" in response else None


def cut_vector(line: bytes) -> tuple[bytes, bytes] | None:
    """Split a result line into the line with ``null`` for its vector, and the vector.

    ``{"response":{"embedding":{"values":[0.5,1]}},"key":"1.0"}`` ->
    ``{"response":{"embedding":{"values":null}},"key":"1.0"}`` and ``[0.5,1]``; None when there is
    no vector, more than one, or anything in it but numbers.
    """
    key = line.find(_KEY)
    opening = line.find(b"[", key)
    closing = line.find(b"]", opening)
    if key < 0 or opening < 0 or closing < 0:
        return None
    after = key + len(_KEY)
    if line[after:opening].strip() != b":" or line.find(_KEY, closing) >= 0:
        return None
    vector = line[opening : closing + 1]
    if not _is_vector(vector):
        return None
    shell = line[:opening] + b"null" + line[closing + 1 :]
    return shell, vector


def _is_vector(array: bytes) -> bool:
    """Tell whether an array holds finite numbers alone, as the service's own JSON writer makes it.

    The alphabet leaves numbers to look at, and the parser is the fastest check of their grammar: a
    regular expression takes twice its time (measured). ``1..2`` and ``01`` are no JSON, and
    ``1e999``, no number that a client could read, is none to the parser either.
    """
    if array.translate(None, _OF_NUMBERS) != b"[]":
        return False
    try:
        return bool(orjson.loads(array))
    except orjson.JSONDecodeError:
        return False


def loads_vector(line: bytes) -> Json | None:
    """Parse a result line around its vector, which stays bytes; None: parse it as any other."""
    cut = cut_vector(line)
    if cut is None:
        return None
    shell, vector = cut
    try:
        result = orjson.loads(shell)
        embedding = result["response"]["embedding"]
        if embedding["values"] is not None:
            return None
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return None
    embedding["values"] = vector
    return result  # type: ignore[no-any-return]  # a JSON object: it has members by name


def quick_loads(hints: AnswerHints) -> Loads | None:
    """:func:`loads_vector` where numbers pass through; to pack or scale them they are parsed."""
    return None if hints.get("base64") or hints.get("normalise") else loads_vector
