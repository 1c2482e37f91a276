"""groundingMetadata and urlContextMetadata -> citations of the visible text.

Offsets of a segment are bytes of UTF-8, those of OpenAI are characters. They count the visible
text of all parts as one (recorded: thoughts and steps of Google's tools do not count, ``partIndex``
is absent), ``startIndex`` 0 is left out, and one in eight is off by a few bytes while the segment's
own text is in the answer verbatim: so the nearest place of that text is taken.
"""

import re
from bisect import bisect_right
from collections.abc import Iterator
from itertools import accumulate
from typing import Final
from urllib.parse import urlsplit

import orjson

from gateway.translate.answer.parts import visible_texts
from gateway.translate.contract import Json
from gateway.translate.reading.table import answer_table

# Every field of the messages that ground an answer, and what becomes of it; a test compares this
# with google-genai's types and with the schema.
_WHOLE: Final = "in `grounding_metadata` where citations cannot say it all"
GROUNDING: Final = answer_table(
    "GroundingMetadata",
    {
        "groundingSupports": "`url_citation`s, one for every source of every support",
        "groundingChunks": "`url` and `title` of the citations",
        "webSearchQueries": _WHOLE,
        "imageSearchQueries": _WHOLE,
        "retrievalQueries": _WHOLE,
        "searchEntryPoint": _WHOLE,
        "retrievalMetadata": _WHOLE,
        "googleMapsWidgetContextToken": _WHOLE,
        "sourceFlaggingUris": _WHOLE,
    },
)
CHUNK: Final = answer_table(
    "GroundingChunk",
    {
        "web": "`url` from `uri`, `title`",
        "maps": "`url` from `uri`, `title`",
        "image": "`url` from `sourceUri`, `title`",
        "retrievedContext": "`url` from `uri`, `title`; without one, see `grounding_metadata`",
    },
)
SUPPORT: Final = answer_table(
    "GroundingSupport",
    {
        "segment": "`start_index`, `end_index` in characters",
        "groundingChunkIndices": "one citation each",
        "confidenceScores": "left out: OpenAI has no such member",
        "renderedParts": "left out: the segment says where",
    },
)
SEGMENT: Final = answer_table(
    "Segment",
    {
        "startIndex": "`start_index`: bytes to characters",
        "endIndex": "`end_index`: bytes to characters",
        "text": "corrects offsets that are off by a few bytes",
        "partIndex": "the part that the offsets begin in",
    },
)
URL_CONTEXT: Final = answer_table(
    "UrlContextMetadata",
    {"urlMetadata": "the sources of supports without chunks; else in `url_context_metadata`"},
)


# Some sources of Google's have an id here, which is no place to go to
# (ai-dial-adapter-vertexai#209).
_URL: Final = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://.")
# Characters between two marks.
_STEP: Final = 1024


class Visible:
    """The text of an answer as its readers see it, and where each part of it begins."""

    def __init__(self, parts: object) -> None:
        texts: list[str] = []
        length = 0
        # The index of a part -> the character its text begins at.
        self.starts: dict[int, int] = {}
        for index, text in visible_texts(parts):
            self.starts[index] = length
            length += len(text)
            texts.append(text)
        self.text = "".join(texts)
        self._encoded = b"" if self.text.isascii() else self.text.encode(errors="replace")
        # Bytes before every so many characters: from the start each time takes the square of it.
        self._marks = list(
            accumulate(
                len(self.text[start : start + _STEP].encode(errors="replace"))
                for start in range(0, len(self.text), _STEP)
            )
            if self._encoded
            else ()
        )
        self._marks.insert(0, 0)

    def character(self, byte: int) -> int:
        """Give the index of the character that a byte belongs to; never beyond the text."""
        if not self._encoded:
            return min(byte, len(self.text))
        index = bisect_right(self._marks, byte) - 1
        beyond = self._encoded[self._marks[index] : byte].decode(errors="ignore")
        return min(index * _STEP + len(beyond), len(self.text))

    def bytes_before(self, character: int) -> int:
        """Count the bytes of the text up to a character."""
        if not self._encoded:
            return character
        index = character // _STEP
        beyond = self.text[index * _STEP : character].encode(errors="replace")
        return self._marks[index] + len(beyond)


def citations(parts: object, candidate: Json) -> tuple[list[Json], Json]:
    """Cite the sources of an answer, by character of its visible text.

    ``{"groundingMetadata": {"groundingChunks": [{"web": {"uri": "https://x/", "title": "x"}}],
    "groundingSupports": [{"segment": {"endIndex": 4, "text": "Oui."},
    "groundingChunkIndices": [0]}]}}`` ->
    ``[{"url": "https://x/", "title": "x", "start_index": 0, "end_index": 4}]``

    The second value is what citations cannot express (searches without supports, sources without a
    URL), as ``extra_content.google`` shows it: ``{"grounding_metadata": {…}}``.
    """
    grounding = _object(candidate.get("groundingMetadata"))
    pages = _object(candidate.get("urlContextMetadata"))
    if not grounding and not pages:
        return [], {}
    visible = Visible(parts)
    chunks = grounding.get("groundingChunks")
    sources = list(map(_source, chunks)) if type(chunks) is list else _pages(pages)
    cited: list[Json] = []
    complete = True
    for support in _objects(grounding.get("groundingSupports")):
        start, end = _span(_object(support.get("segment")), visible)
        indices = support.get("groundingChunkIndices")
        for index in indices if type(indices) is list else ():
            known = type(index) is int and 0 <= index < len(sources)
            source = sources[index] if known else None
            if source is None:
                complete = False
            else:
                cited.append({**source, "start_index": start, "end_index": end})
    rest: Json = {}
    if grounding and not (cited and complete):
        _keep("grounding_metadata", grounding, rest)
    if pages and not cited:
        _keep("url_context_metadata", pages, rest)
    return cited, rest


def source_urls(candidate: Json) -> list[str]:
    """List the pages that a candidate names as its sources, each once."""
    chunks = _object(candidate.get("groundingMetadata")).get("groundingChunks")
    sources = map(_source, chunks) if type(chunks) is list else ()
    return list(dict.fromkeys(source["url"] for source in sources if source is not None))


def _span(segment: Json, visible: Visible) -> tuple[int, int]:
    """Locate a segment, in characters; without offsets and text it is the whole text.

    Offsets that cannot be are brought into the text: such a citation may have no length.
    """
    part = segment.get("partIndex")
    base = visible.starts.get(part, 0) if type(part) is int else 0
    before = visible.bytes_before(base)
    first, last = segment.get("startIndex"), segment.get("endIndex")
    start = visible.character(before + _offset(first))
    end = visible.character(before + _offset(last))
    text = segment.get("text")
    if type(text) is str and text:
        found = _nearest(text, start, visible.text)
        if found >= 0:
            return found, found + len(text)
    return (start, max(start, end)) if first or last else (0, len(visible.text))


def _nearest(text: str, start: int, whole: str) -> int:
    """Find the place of a text that is nearest to ``start``; -1 when there is none."""
    before = whole.rfind(text, 0, start + len(text))
    after = whole.find(text, start)
    if before < 0 or after < 0:
        return max(before, after)
    return before if start - before <= after - start else after


def _offset(value: object) -> int:
    return value if type(value) is int and value > 0 else 0


def _source(chunk: object) -> Json | None:
    """``{"web": {"uri": "https://x/"}}`` -> ``{"url": "https://x/", "title": "x"}``."""
    for kind in CHUNK:
        value = _object(_object(chunk).get(kind))
        url = value.get("sourceUri" if kind == "image" else "uri")
        if type(url) is str and _URL.match(url):
            return {"url": url, "title": _title(value, url)}
    return None


def _title(chunk: Json, url: str) -> str:
    for name in ("title", "domain"):
        value = chunk.get(name)
        if type(value) is str and value:
            return value
    try:
        return urlsplit(url).hostname or url
    except ValueError:
        return url


def _pages(pages: Json) -> list[Json | None]:
    """List pages that the model read, for supports that index these (recorded)."""
    found = _objects(pages.get("urlMetadata"))
    return [_source({"web": {"uri": page.get("retrievedUrl")}}) for page in found]


def _keep(name: str, value: Json, rest: Json) -> None:
    """Keep a message as it came; what no JSON writer writes is left out."""
    try:
        rest[name] = orjson.Fragment(orjson.dumps(value))
    except TypeError:
        return


def _object(value: object) -> Json:
    return value if type(value) is dict else {}


def _objects(value: object) -> Iterator[Json]:
    return (item for item in value if type(item) is dict) if type(value) is list else iter(())
