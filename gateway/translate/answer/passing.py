"""Faults of single answers that pass: whether the same request may be answered next time.

google.rpc.Code 4, 8, 13 and 14 pass, 3 and 7 never do; an answer of HTTP's 429, 500, 503 and 504
is the same in other words.
"""

from typing import Final

from gateway.translate.answer.failure import failure_of
from gateway.translate.answer.parts import (
    Bare,
    Call,
    Code,
    CodeResult,
    Media,
    Part,
    Text,
    Thought,
    ToolStep,
    parts_of,
)
from gateway.translate.contract import Answer

PASSING_STATUSES: Final = frozenset({429, 500, 503, 504})


def passes(answer: Answer, *, empty: bool) -> bool:
    """Whether to ask once more; with ``empty``, also where Gemini stopped without a word."""
    failure = failure_of(answer)
    if failure is not None:
        return failure.status in PASSING_STATUSES
    response = answer["response"]
    if "embedding" in response:
        return False
    candidates = response.get("candidates")
    if type(candidates) is not list or not candidates:
        return not response.get("promptFeedback")
    return empty and all(map(_says_nothing, candidates))


def _says_nothing(candidate: object) -> bool:
    """``{"content": {"role": "model"}, "finishReason": "STOP"}``."""
    if type(candidate) is not dict or candidate.get("finishReason") != "STOP":
        return False
    content = candidate.get("content")
    parts = content.get("parts") if type(content) is dict else None
    return not any(map(_is_output, parts_of(parts)))


def _is_output(part: Part) -> bool:
    match part:
        case Text(text):
            return bool(text)
        case Thought():
            return False
        case Bare(_, unusable):
            return bool(unusable)
        case Call() | Media() | Code() | CodeResult() | ToolStep():
            return True
