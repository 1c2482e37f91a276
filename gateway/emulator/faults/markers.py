"""Markers: words in a prompt that say how it shall be answered, all in one table.

``[[name]]`` or ``[[name:value]]`` in the last user text (embeddings: in the content). There may be
several. ``[[error:13,times=2]]`` fails a prompt the first two times it is asked, which is
how a transient error looks.
"""

import re
import threading
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import islice
from typing import Final

from gateway.emulator.protocol.numbers import whole_number

# Marker -> what it does.
MARKERS: Final = {
    "error": "an error: google.rpc code[,times=N][,message=TEXT]; message= alone leaves it out",
    "block": "the prompt is blocked: no candidates; value: blockReason (SAFETY)",
    "finish": "finishReason; anything but STOP and MAX_TOKENS comes without content",
    "partial": "with finish: the content stays",
    "ratings": "the candidate has safetyRatings, as before 2.5",
    "citations": "the candidate cites a source: citationMetadata, by bytes",
    "empty": "a response without candidates",
    "citation-only": "a candidate with citationMetadata and nothing else (python-genai#1341)",
    "text": "the answer is this text",
    "tokens": "the answer is about this many tokens long",
    "parts": "the text comes in this many parts",
    "think": "this many thought tokens",
    "signature-only": "a last part that has a thoughtSignature and nothing else",
    "call": "call this function, whatever the calling mode (but NONE)",
    "calls": "this many calls in parallel",
    "rounds": "functions are called this many times in turn, each after the answer to the last",
    "no-args": "the function call has no args",
    "call-id": "the function call has an id",
    "cut-json": "the JSON answer ends in the middle (discuss.ai.google.dev/t/140889)",
    "malformed-call": "MALFORMED_FUNCTION_CALL",
    "no-usage": "no usageMetadata",
    "cached": "the whole prompt counts as cached (an implicit cache hit)",
    "shifted": "byte offsets of grounding are a little off, as one in eight recorded ones is",
    "no-index": "the candidate has no index",
    "model": "modelVersion",
    "drop": "batch: the item does not come back",
    "double": "batch: the item comes back twice",
    "keyless": "batch: the item comes back without its key/metadata",
    "blank": "batch: the item comes back with neither response nor error",
    "fault": "a fault by its specification, for what comes of this prompt: its call, item or job; "
    "times, default 1, says how often when the prompt is sent again",
    "slow": "synchronous calls answer after this many seconds",
}

_SECONDS: Final = re.compile(r"[0-9]{1,6}(\.[0-9]{1,6})?")
_OPENING: Final = re.compile(r"\[\[([a-z-]+)(?::|\Z)")
# Of one prompt: each has the whole prompt hashed to count it.
MAX_FAULTS: Final = 16


@dataclass(frozen=True)
class Mark:
    """One marker of a prompt: its value and its ``name=value`` options."""

    value: str = ""
    options: Mapping[str, str] = field(default_factory=dict)

    def number(self, default: int) -> int:
        """Return the value as a whole number, ``default`` if it is none."""
        found = whole_number(self.value)
        return default if found is None else found

    def seconds(self, default: float) -> float:
        """Return the value as a time, ``default`` if it is none."""
        return float(self.value) if _SECONDS.fullmatch(self.value) else default


Marks = Mapping[str, Mark]

NO_MARKS: Marks = {}


def find_faults(texts: Iterable[str]) -> dict[str, str]:
    """Specifications of ``[[fault:...]]`` in ``texts``, with the text of each.

    Of one text no more than :data:`MAX_FAULTS`.
    """
    found: dict[str, str] = {}
    for text in texts:
        if "[[fault:" in text:
            found |= dict.fromkeys(islice(_specifications(text), MAX_FAULTS), text)
    return found


def _specifications(text: str) -> Iterator[str]:
    for stretch in _closed(text):
        _, opening, specification = stretch.partition("[[fault:")
        if opening and specification:
            yield specification


def _closed(text: str) -> Iterator[str]:
    """Every stretch without ``]`` that ``]]`` ends; in linear time for any ``text``."""
    start = 0
    while (end := text.find("]]", start)) >= 0:
        yield text[max(text.rfind("]", start, end) + 1, start) : end]
        start = end + 2


def find_marks(text: str) -> Marks:
    """Return the known markers of ``text``; words that are no markers are left alone."""
    if "[[" not in text:
        return NO_MARKS
    found = {}
    for stretch in _closed(text):
        opening = _OPENING.search(stretch)
        if opening and opening[1] in MARKERS:
            found[opening[1]] = _mark(opening[1], stretch[opening.end() :])
    return found


def _mark(name: str, text: str) -> Mark:
    if name != "error":
        return Mark(text)
    value, *options = text.split(",")
    pairs = (option.partition("=") for option in options)
    return Mark(value, {key.strip(): setting for key, _, setting in pairs})


class Seen:
    """Count of how often each marked prompt was asked, for ``times``; safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._asked: Counter[bytes] = Counter()

    def count(self, text: str) -> int:
        """Count ``text`` once more; how often that makes."""
        digest = sha256(text.encode()).digest()
        with self._lock:
            self._asked[digest] += 1
            return self._asked[digest]
