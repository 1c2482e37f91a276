"""What several endpoints ask for and Gemini cannot be told: checked, noted, left out."""

from typing import Final

from gateway.translate.reading.refusal import one_of
from gateway.translate.request.draft import Draft
from gateway.translate.request.options import boolean

_VERBOSITIES: Final = ("low", "medium", "high")


def read_parallel_tool_calls(value: object, draft: Draft) -> None:
    """True is how Gemini works; of false, the answer may keep its first call."""
    if boolean(value, "parallel_tool_calls"):
        return
    if draft.policy.parallel_tool_calls == "first":
        draft.echo["one_call"] = True
    else:
        draft.note("dropped", "parallel_tool_calls")


def read_verbosity(value: object, draft: Draft, field: str = "verbosity") -> None:
    """``low``, ``medium`` or ``high``, in ``field`` of the body."""
    if value not in _VERBOSITIES:
        one_of(value, _VERBOSITIES, field)
    draft.note("dropped", field)
