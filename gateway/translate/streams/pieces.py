"""The pieces of one streamed answer, put together as the answer that is not streamed.

Recorded streams (56) and reports say how: text is a delta; the last ``finishReason`` counts, for
relays send STOP in every piece (LiteLLM#2195); the last ``usageMetadata`` counts as a whole,
because its numbers are totals that also fall; grounding comes full in one piece, often without
content; an id or a model that a piece lacks is that of the others.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from gateway.translate.contract import Json

_LATEST: Final = ("finishReason", "finishMessage")
_NOT_EMPTY: Final = ("groundingMetadata", "urlContextMetadata")
_LOGPROBS: Final = ("topCandidates", "chosenCandidates")


class MergedAnswer:
    """One upstream answer so far."""

    def __init__(self) -> None:
        self.ended = False  # a candidate has said that it has ended
        self._response: Json = {}
        self._candidates: dict[int, Json] = {}

    def add(self, piece: Mapping[str, Any]) -> Iterator[tuple[int, object]]:
        """Take a piece; yields the index of each candidate in it with its new parts."""
        for name in ("responseId", "modelVersion"):
            if name in piece:
                self._response.setdefault(name, piece[name])
        for name in ("usageMetadata", "promptFeedback"):
            if type(piece.get(name)) is dict:
                self._response[name] = piece[name]
        candidates = piece.get("candidates")
        for candidate in candidates if type(candidates) is list else ():
            if type(candidate) is dict:
                yield self._merge(candidate)

    def response(self) -> Json:
        """Return the answer as ``generateContent`` would have given it."""
        if not self._candidates:
            return self._response
        merged = []
        for index in sorted(self._candidates):
            candidate = dict(self._candidates[index])
            candidate["content"] = {"role": "model", "parts": joined(candidate.pop("parts"))}
            merged.append(candidate)
        return {**self._response, "candidates": merged}

    def finished(self) -> bool:
        """Tell whether the answer has an end: a finishReason, or a prompt that was blocked."""
        feedback = self._response.get("promptFeedback", {})
        blocked = not self._candidates and "blockReason" in feedback
        return self.ended or blocked

    def _merge(self, piece: Json) -> tuple[int, object]:
        index = piece.get("index", 0)
        if type(index) is not int:
            index = 0
        candidate = self._candidates.setdefault(index, {"index": index, "parts": []})
        for name in _LATEST:
            if piece.get(name):
                candidate[name] = piece[name]
                self.ended = True
        for name in _NOT_EMPTY:
            if piece.get(name):
                candidate[name] = piece[name]
        if type(piece.get("logprobsResult")) is dict:
            _add_logprobs(candidate, piece["logprobsResult"])
        content = piece.get("content")
        parts = content.get("parts") if type(content) is dict else None
        if type(parts) is list:
            candidate["parts"] += parts
        return index, parts


def joined(parts: list[Any]) -> list[Any]:
    """Join neighbouring texts of one kind, as the answer that is not streamed has them.

    ``[{"text": "a"}, {"text": "b"}]`` -> ``[{"text": "ab"}]``; a signed part stays by itself.
    """
    found: list[Any] = []
    texts: list[str] = []
    kind: Json | None = None
    for part in parts:
        same = _kind_of(part)
        if texts and same != kind:
            found.append({**(kind or {}), "text": "".join(texts)})
            texts = []
        if same is None:
            found.append(part)
        else:
            texts.append(part["text"])
        kind = same
    if texts:
        found.append({**(kind or {}), "text": "".join(texts)})
    return found


def _kind_of(part: object) -> Json | None:
    """Return what a text has in addition; None for what is not joined."""
    if type(part) is not dict or type(part.get("text")) is not str:
        return None
    rest = {name: value for name, value in part.items() if name != "text"}
    return rest if rest in ({}, {"thought": True}, {"thought": False}) else None


def _add_logprobs(candidate: Json, result: Json) -> None:
    """Append the tokens of a piece to those before."""
    known = candidate.setdefault("logprobsResult", {})
    for name in _LOGPROBS:
        if type(result.get(name)) is list:
            known.setdefault(name, []).extend(result[name])  # of this merger's own
