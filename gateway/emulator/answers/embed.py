"""Embeddings: unit vectors of the asked size, closer for closer texts, always the same.

A text is hashed word by word and by its letter triples into places of the vector (feature hashing),
over a little noise of its own so that no entry is zero.
"""

import math
import re
from functools import cache
from hashlib import blake2b
from random import Random  # noqa: TID251 - seeded: the same text has the same vector everywhere
from typing import Final

from gateway.emulator.answers.prompt import check_error_mark
from gateway.emulator.answers.usage import content_tokens
from gateway.emulator.checks.request import check_media, check_model
from gateway.emulator.faults.markers import find_marks
from gateway.emulator.protocol.errors import ApiError, JsonObject, invalid
from gateway.emulator.resources.capabilities import capabilities_of
from gateway.emulator.resources.project_resources import ProjectResources

# Dimensions of gemini-embedding-001 and -2 unless asked otherwise.
DEFAULT_SIZE: Final = 3072
MAX_SIZE: Final = 3072
_WORD: Final = re.compile(r"\w+")
# Places of the vector one feature is hashed to.
_PLACES: Final = 12
_NOISE: Final = 1 << 14
_NOISE_WEIGHT: Final = 0.02


@cache
def _noise() -> list[float]:
    random = Random(7)  # noqa: S311 - noise, not secrets
    return [random.uniform(-_NOISE_WEIGHT, _NOISE_WEIGHT) for _ in range(_NOISE + MAX_SIZE)]


def vector(text: str, size: int) -> list[float]:
    """Return the unit vector of ``text`` with ``size`` entries."""
    words = _WORD.findall(text.lower())
    triples = [word[at : at + 3] for word in words for at in range(max(len(word) - 2, 1))]
    start = int.from_bytes(blake2b(text.encode(), digest_size=4).digest()) % _NOISE
    values = _noise()[start : start + size]
    for feature, weight in [*((word, 1.0) for word in words), *((one, 0.35) for one in triples)]:
        _add(values, feature, weight)
    length = math.sqrt(sum(value * value for value in values))
    return [round(value / length, 9) for value in values]


def _add(values: list[float], feature: str, weight: float) -> None:
    digest = blake2b(feature.encode(), digest_size=4 * _PLACES).digest()
    size = len(values)
    for at in range(0, len(digest), 4):
        place = int.from_bytes(digest[at : at + 4])
        values[(place >> 1) % size] += weight if place & 1 else -weight


def text_of(content: JsonObject) -> str:
    """All texts of a Content; several parts are one vector (they are merged, not listed)."""
    return "\n".join(part["text"] for part in content.get("parts", []) if "text" in part)


def check(model: str, request: JsonObject, resources: ProjectResources) -> None:
    """Raise ApiError for a request this model refuses: 400, 403 for a file that is not held."""
    check_model(model, request, "EmbedContentRequest")
    content = request.get("content", {})
    if not content.get("parts"):
        raise invalid("* EmbedContentRequest.content: contents is not specified\n")
    size = request.get("outputDimensionality", DEFAULT_SIZE)
    if not 1 <= size <= MAX_SIZE:
        raise invalid(
            f"* EmbedContentRequest.output_dimensionality: must be between 1 and {MAX_SIZE}.\n",
        )
    if "title" in request and request.get("taskType") not in {None, "RETRIEVAL_DOCUMENT"}:
        raise ApiError(400, "The title is only supported when the task type is RETRIEVAL_DOCUMENT")
    if model.endswith("-001") and any("text" not in part for part in content["parts"]):
        raise invalid("The model only supports text inputs.")
    for part in content["parts"]:
        check_media(part, capabilities_of(model), resources)


def embed(model: str, request: JsonObject, resources: ProjectResources) -> JsonObject:
    """Return the batch form of one answer; raises ApiError.

    ``{"embedding": {"values"}, "tokenCount": "1"}`` for gemini-embedding-001,
    ``{"embedding": {"values"}, "usageMetadata": {"promptTokenCount": 81}}`` for newer ones
    (cookbook results file; captures of 2026-07-25).
    """
    check(model, request, resources)
    text = text_of(request["content"])
    check_error_mark(find_marks(text), text, resources.seen)
    tokens = content_tokens(request["content"]).total()
    values = vector(text, request.get("outputDimensionality", DEFAULT_SIZE))
    if model.endswith("-001"):
        return {"tokenCount": str(tokens), "embedding": {"values": values}}
    return {"embedding": {"values": values}, "usageMetadata": {"promptTokenCount": tokens}}
