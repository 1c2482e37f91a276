"""Estimates of the tokens and the cost of a line before it is sent, or that there is none.

Texts are taken at four bytes of UTF-8 a token (Google: "about 4 characters"). What pictures, sound
and files take depends on their size and length, what Google's own tools read on what they find:
then there is no estimate of the cost. What an answer may take is known where the line limits it.
"""

import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway.translate.contract import Json, Marks
from gateway.translate.models.prices import Price

BYTES_PER_TOKEN: Final = 4

# What media take for the quota of enqueued tokens (ai.google.dev, "Understand and count tokens" and
# "Media resolution"): a picture 1,120 at the resolution that 3.x uses unless told otherwise, sound
# 32 a second, video about 300 a second, a page of a document 560. Seconds and pages are guessed
# from bytes: 16 kB of sound, 250 kB of video, 50 kB of a document.
IMAGE_TOKENS: Final = 1120
_TOKENS_PER_BYTES: Final = {
    "audio": (32, 16_000),
    "video": (300, 250_000),
    "application": (560, 50_000),
}
# The size of media that the request only names is not known here: a minute of sound, ten of
# video would be more, a picture less.
NAMED_MEDIA_TOKENS: Final = 2000
# Four bytes of base64 hold three.
_BASE64: Final = (3, 4)

# Members of a request, other than contents, whose texts are part of the prompt.
_TEXTS: Final = ("responseSchema", "responseJsonSchema")
_MEDIA: Final = ("inlineData", "fileData")
_CALLS: Final = ("functionCall", "functionResponse")

# Members of a written request that decide what it takes and costs.
LOGPROBS: Final = b"responseLogprobs"
MEDIA: Final = frozenset((b"inlineData", b"fileData"))
# Whose cost is not known.
UNPRICED: Final = frozenset(
    (
        b"cachedContent",
        b"googleSearch",
        b"googleMaps",
        b"urlContext",
        b"codeExecution",
        b"fileSearch",
        b"responseModalities",
    )
)
# In texts their quotation marks are escaped.
_MARKS: Final = re.compile(rb'"(%b)":' % b"|".join(sorted(MEDIA | UNPRICED | {LOGPROBS})))


# A picture, as it is written in front of its base64, and what may hold media or names of theirs.
_INLINE: Final = b'"inlineData":'
_DATA: Final = b'"data":"'
_IMAGE: Final = re.compile(rb'"inlineData":\{"mimeType":"image/[^"\\]*","data":"')
_MORE: Final = (b'"fileData"', b'"function', b'"tools"', b'Schema":')


@dataclass(frozen=True, slots=True)
class Estimate:
    """Of one line. ``unknown`` says why the cost is not known; then both sums are None.

    ``text_tokens`` are those of the prompt that are text; ``output_tokens`` is the most that the
    line allows, None when that is up to the model. Sums are US dollars.
    """

    text_tokens: int
    output_tokens: int | None
    input_cost: float | None
    most_cost: float | None
    unknown: tuple[str, ...] = ()


def estimate(
    items: Iterable[bytes], price: Price | None, most_tokens: int | None = None
) -> Estimate:
    """Estimate the items of one line.

    ``most_tokens`` is the model's limit of an answer: what an item without one of its own costs
    at most, as in a batch's ``cost_at_most_usd``.

    ``{"contents": [{"parts": [{"text": "Say hello."}]}], "generationConfig":
    {"maxOutputTokens": 8}}`` -> 3 tokens in, at most 8 out.
    """
    requests = [orjson.loads(item) for item in items]
    unknown = {} if price is not None else {"price": None}
    inputs, outputs, billed = [], [], []
    for request in requests:
        unknown.update(dict.fromkeys(_unknown_in(request)))
        inputs.append(-(-_text_bytes(request) // BYTES_PER_TOKEN))
        outputs.append(most_output(request))
        billed.append(most_output(request, most_tokens))
    known = [tokens for tokens in outputs if tokens is not None]
    output = sum(known) if len(known) == len(outputs) else None
    costs = _costs(inputs, billed, None if unknown else price)
    return Estimate(sum(inputs), output, *costs, tuple(unknown))


def _costs(
    inputs: Sequence[int], outputs: Sequence[int | None], price: Price | None
) -> tuple[float | None, float | None]:
    if price is None:
        return None, None
    rates = [price.of(tokens) for tokens in inputs]
    sent = sum(tokens * rate[0] for tokens, rate in zip(inputs, rates, strict=True))
    most = sent
    for tokens, rate in zip(outputs, rates, strict=True):
        if tokens is None:
            return sent, None
        most += tokens * rate[1]
    return sent, most


def _parts(request: Json) -> Iterable[Json]:
    contents = request.get("contents") or [request.get("content", {})]
    for content in [*contents, request.get("systemInstruction", {})]:
        yield from content.get("parts", ())


def _text_bytes(request: Json) -> int:
    config = request.get("generationConfig", {})
    total = sum(len(orjson.dumps(config[name])) for name in _TEXTS if name in config)
    if "tools" in request:
        total += len(orjson.dumps(request["tools"]))
    for part in _parts(request):
        total += len(part.get("text", "").encode())
        total += sum(len(orjson.dumps(part[name])) for name in _CALLS if name in part)
    return total


def _unknown_in(request: Json) -> Iterable[str]:
    if any(name in part for part in _parts(request) for name in _MEDIA):
        yield "media"
    if "cachedContent" in request:
        yield "cached content"
    if any(tool.keys() - {"functionDeclarations"} for tool in request.get("tools", ())):
        yield "Google's tools"
    modalities: Any = request.get("generationConfig", {}).get("responseModalities", ["TEXT"])
    if modalities != ["TEXT"]:
        yield "media in the answer"


def most_output(request: Json, most_tokens: int | None = None) -> int | None:
    """Return how many tokens the answers of a request have at most; None without a limit."""
    if "contents" not in request:  # embeddings answer with numbers that cost nothing
        return 0
    config = request.get("generationConfig", {})
    limit = config.get("maxOutputTokens", most_tokens)
    return None if limit is None else limit * config.get("candidateCount", 1)


def marks_of(item: bytes) -> Marks:
    """Find what decides about a written request, in one pass: most of its bytes are words.

    ``{"contents":[],"cachedContent":"c"}`` -> ``(b"cachedContent",)``.
    """
    return tuple(dict.fromkeys(_MARKS.findall(item)))


def media_marks(request: Json) -> Marks:
    """Find the marks that the contents of a request have, which are those of media alone.

    What a function was called with is the client's, whatever it is named.
    """
    names = [name for piece in _pieces(request) for name in _MEDIA if name in piece]
    return tuple([name.encode() for name in dict.fromkeys(names)])


def item_tokens(item: bytes) -> int:
    """Estimate what a written request, or its spool line, takes of the quota of enqueued tokens.

    Bytes by four where it is text. Media are counted by what Google publishes: base64 of a
    picture would count a hundredfold. ``{"contents":[{"parts":[{"text":"…"}]}]}`` of 400 bytes ->
    100. What comes back (``promptTokenCount``) corrects the sum, model by model.
    """
    return line_tokens((item,), marks_of(item))


def line_tokens(items: Sequence[bytes], marks: Marks) -> int:
    """Estimate the same of all items of a line, whose marks are known."""
    if not marks or MEDIA.isdisjoint(marks):
        return sum([-(-len(item) // BYTES_PER_TOKEN) for item in items])
    return sum([_with_media(item) for item in items])


def _with_media(item: bytes) -> int:
    pictures = _pictures_in(item)
    if pictures is not None:
        words = len(item) - sum(pictures)
        return -(-words // BYTES_PER_TOKEN) + IMAGE_TOKENS * len(pictures)
    request = orjson.loads(item)
    media = list(_media_in(request.get("request", request)))
    bulk = sum(len(data) for _, data in media)
    tokens = sum(_media_tokens(kind, len(data)) for kind, data in media)
    return -(-(len(item) - bulk) // BYTES_PER_TOKEN) + tokens


def _pictures_in(item: bytes) -> list[int] | None:
    """Return the lengths of the base64 of a request's pictures; None if it may have other media.

    To parse them takes a third of all that a validation does with such a line. In a text the
    quotation marks of these names are escaped.
    """
    found, words, place = [], b"", 0
    while (at := item.find(_INLINE, place)) >= 0:
        data = item.find(_DATA, at)
        start = data + len(_DATA)
        end = item.find(b'"', start)
        if not _IMAGE.fullmatch(item, at, start) or item.find(b"\\", start, end) >= 0:
            return None
        found.append(end - start)
        words += item[place:start]
        place = end
    words += item[place:]
    return None if any(name in words for name in _MORE) else found


def media_kinds(item: bytes) -> set[str]:
    """First halves of the types of media in a written request: ``{"image", "application"}``."""
    return {kind for kind, _ in _media_in(orjson.loads(item))}


def _media_in(request: Json) -> Iterable[tuple[str, str]]:
    """First half of the media type, and the base64 (empty: a file that is only named)."""
    for piece in _pieces(request):
        held = piece.get("inlineData") or piece.get("fileData")
        if held is not None:
            yield str(held.get("mimeType", "")).partition("/")[0], str(held.get("data", ""))


def _pieces(request: Json) -> Iterable[Json]:
    """Parts, and those inside of the results of functions."""
    for part in _parts(request):
        yield part
        yield from part.get("functionResponse", {}).get("parts", ())


def _media_tokens(kind: str, encoded: int) -> int:
    if kind == "image":
        return IMAGE_TOKENS
    if not encoded or kind not in _TOKENS_PER_BYTES:
        return NAMED_MEDIA_TOKENS
    tokens, size = _TOKENS_PER_BYTES[kind]
    return max(tokens, encoded * _BASE64[0] // _BASE64[1] * tokens // size)
