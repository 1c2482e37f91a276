"""Result lines of the usual kind, read by their types: one answer that came to its end.

Most lines of most jobs are of this kind: they are read, and checked against these types, in little
more time than a JSON parser takes to read them alone. A line with any member that is not named here
is of another kind, so each byte of a line that is taken was validated as a JSON parser does
(msgspec skips what it does not know without a look at its UTF-8 and its numbers).
"""

from typing import Annotated, Any, Final, Literal

import msgspec

# A larger count is no count, and the other way of writing one, "12", is not usual: see
# :mod:`gateway.translate.answer.usage`.
_Count = Annotated[int, msgspec.Meta(ge=0, lt=2**40)]
_Output = Annotated[int, msgspec.Meta(gt=0, lt=2**40)]
_Something = Annotated[str, msgspec.Meta(min_length=1)]


class _Members(msgspec.Struct, gc=False, forbid_unknown_fields=True, rename="camel"):
    """Members of an object. Those that are ``Any`` have nothing to do with what is shown."""


class UsualPart(_Members):
    """A text, or a call of a function, which is to be parsed; who reads it looks which it is.

    A call has values of the model's own, of which orjson makes what is shown: a number beyond 64
    bits, say.
    """

    text: str = ""
    function_call: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    thought_signature: _Something = ""


class _Content(_Members):
    parts: list[UsualPart]
    role: Any = None


class _Candidate(_Members):
    content: _Content
    finish_reason: Literal["STOP"]
    index: Any = None
    safety_ratings: Any = None
    avg_logprobs: Any = None
    token_count: Any = None
    citation_metadata: Any = None
    finish_message: Any = None


class _TextTokens(_Members):
    modality: Literal["TEXT"]
    token_count: Any = None


class UsualUsage(_Members):
    """Counts, of text alone; Google's own tools were not called."""

    prompt_token_count: _Count
    candidates_token_count: _Output
    thoughts_token_count: _Count = 0
    cached_content_token_count: _Count = 0
    total_token_count: Any = None
    prompt_tokens_details: tuple[_TextTokens] | None = None
    candidates_tokens_details: tuple[_TextTokens] | None = None
    cache_tokens_details: Any = None
    service_tier: Any = None
    traffic_type: Any = None


class UsualResponse(_Members):
    """A GenerateContentResponse with one candidate."""

    candidates: tuple[_Candidate]
    usage_metadata: UsualUsage
    model_version: _Something
    response_id: _Something
    create_time: Any = None
    model_status: Any = None


class UsualResult(_Members):
    """One line of a results file."""

    key: str
    response: UsualResponse


_decode: Final = msgspec.json.Decoder(UsualResult).decode


def usual_result(line: bytes) -> UsualResult | None:
    """Read a result line; None of any that is not of the usual kind, or cannot be read."""
    try:
        return _decode(line)
    except (msgspec.DecodeError, RecursionError):
        return None
