"""finishReason -> finish_reason: every member of Gemini's enum, and what an empty answer means.

OpenAI's SDK types five values as a Literal, so nothing else may ever come out.
"""

from dataclasses import dataclass
from typing import Final

from gateway.translate.answer.failure import Failure
from gateway.translate.contract import NoteCode


@dataclass(frozen=True, slots=True)
class Finish:
    """One finishReason: OpenAI's word when there is output, an error when there is none.

    ``failure`` None: the line succeeds without output too. ``always``: partial output is
    worthless, the line fails either way.
    """

    word: str
    failure: tuple[int, str] | None = None
    always: bool = False


_STOP: Final = Finish("stop")
_FILTERED: Final = Finish("content_filter")
# No output and no reason given: users report an empty "stop" as a bug, so it is an error line.
_NOTHING: Final = Finish("stop", (500, "no_output"))

FINISH: Final[dict[str, Finish]] = {
    "STOP": _STOP,
    # Also with calls: their arguments may be cut.
    "MAX_TOKENS": Finish("length"),
    "CONTINUATION": Finish("length"),
    "SAFETY": _FILTERED,
    "PROHIBITED_CONTENT": _FILTERED,
    "BLOCKLIST": _FILTERED,
    "SPII": _FILTERED,
    "IMAGE_SAFETY": _FILTERED,
    "IMAGE_PROHIBITED_CONTENT": _FILTERED,
    "RECITATION": _FILTERED,
    "IMAGE_RECITATION": _FILTERED,
    "LANGUAGE": _FILTERED,
    "MODEL_ARMOR": _FILTERED,
    "ESCALATION": _FILTERED,
    "PUP_LIMITED_DISABLED": _FILTERED,
    "OTHER": _NOTHING,
    "IMAGE_OTHER": _NOTHING,
    "NO_IMAGE": _NOTHING,
    "FINISH_REASON_UNSPECIFIED": _NOTHING,
    "MALFORMED_FUNCTION_CALL": Finish("stop", (502, "malformed_function_call")),
    "MALFORMED_RESPONSE": Finish("stop", (502, "malformed_response")),
    "UNEXPECTED_TOOL_CALL": Finish("stop", (502, "unexpected_tool_call"), always=True),
    "TOO_MANY_TOOL_CALLS": Finish("stop", (502, "too_many_tool_calls"), always=True),
    "MISSING_THOUGHT_SIGNATURE": Finish("stop", (400, "missing_thought_signature"), always=True),
}

# The note on an answer without output, by OpenAI's word for its end.
NO_OUTPUT: Final[dict[str, NoteCode]] = {"length": "exhausted", "stop": "empty"}


def finish_of(reason: object) -> Finish:
    """Find the row of a finishReason; without one that is known, output decides."""
    return FINISH.get(reason, _NOTHING) if type(reason) is str else _NOTHING


def failed(finish: Finish, reason: object, message: object) -> Failure:
    """Fail a candidate that ended without an answer, with Gemini's own sentence."""
    status, code = finish.failure or (500, "no_output")
    why = f"(finishReason {reason[:100]})" if type(reason) is str else "and gave no reason"
    again = "; send the line again" if status >= 500 else ""
    text = f"Gemini ended without an answer {why}{again}."
    if type(message) is str and message:
        text = f"{text} {message[:1000]}"
    return Failure(status, code, text)
