"""``logprobsResult`` of a candidate -> ``logprobs`` of a chat choice."""

from math import isfinite
from typing import Final

from gateway.translate.contract import Json

# What OpenAI writes for a token that is all but impossible, where a logarithm has no number.
_IMPOSSIBLE: Final = -9999.0


def openai_logprobs(result: object) -> Json | None:
    """Render the log probabilities of a candidate.

    ``{"chosenCandidates": [{"token": "Hi", "logProbability": -0.1}]}`` ->
    ``{"content": [{"token": "Hi", "logprob": -0.1, "bytes": [72, 105], "top_logprobs": []}],
    "refusal": null}``. proto3 leaves out 0.0, and the two lists may differ in length.
    """
    if type(result) is not dict:
        return None
    chosen = _dicts(result.get("chosenCandidates"))
    tops = result.get("topCandidates")
    if type(tops) is not list:
        tops = []
    content = []
    for index, candidate in enumerate(chosen):
        top = tops[index] if index < len(tops) else None
        alternatives = _dicts(top.get("candidates")) if type(top) is dict else []
        entry = _token(candidate)
        entry["top_logprobs"] = [_token(alternative) for alternative in alternatives]
        content.append(entry)
    return {"content": content, "refusal": None}


def _token(candidate: Json) -> Json:
    token = candidate.get("token")
    if type(token) is not str:
        token = ""
    value = candidate.get("logProbability", 0.0)
    return {
        "token": token,
        "logprob": _logarithm(value),
        "bytes": list(token.encode("utf-8", "replace")),
    }


def _logarithm(value: object) -> float:
    if type(value) is not float and type(value) is not int:
        return _IMPOSSIBLE
    if not isfinite(value):
        return _IMPOSSIBLE
    # min: probabilities are not above 1; adding 0.0 turns -0.0 into 0.0.
    return min(float(value), 0.0) + 0.0


def _dicts(value: object) -> list[Json]:
    return [item for item in value if type(item) is dict] if type(value) is list else []
