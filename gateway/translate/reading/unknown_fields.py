"""``GATEWAY_UNKNOWN_FIELDS=drop``: removes an unknown field and translates again.

Field tables refuse unknown fields whatever the policy is; an endpoint that is about to answer with
such a refusal calls :func:`retry_without_unknown`. So a body without unknown fields costs nothing
more, and the setting holds for every object.
"""

import re
from dataclasses import replace
from functools import lru_cache
from typing import Any, Final

from gateway.translate.contract import Json, LineError, Policy, ToGemini, Translation
from gateway.translate.reading.notes import Noting
from gateway.translate.reading.refusal import Refused

# Unknown fields of one body that are taken out: each costs a translation.
MAX_DROPPED: Final = 100
UNKNOWN: Final = "unknown_parameter"

_STEP: Final = re.compile(r"\.?([^.\[\]]+)|\[(\d+)\]")


def retry_without_unknown(
    refusal: Refused, to_gemini: ToGemini, body: Json, policy: Policy, model: str
) -> Translation | LineError:
    """Return the 400 of a refused line or, by setting, the line without its unknown fields."""
    made: Translation | LineError = refusal.line_error()
    if policy.unknown_fields == "refuse" or refusal.code != UNKNOWN:
        return made
    noting = Noting(policy)
    while isinstance(made, LineError) and made.code == UNKNOWN and len(noting.notes) < MAX_DROPPED:
        param = made.param or ""
        smaller = _without(body, param)
        if smaller is None:
            return made
        body = smaller
        try:
            noting.note("dropped", param)
        except Refused as unfaithful:
            return unfaithful.line_error()
        made = to_gemini(body, _refusing(policy), model)
    if isinstance(made, LineError):
        return made
    items, echo, notes, files, marks, most = made
    return items, echo, (*noting.notes, *notes), files, marks, most


@lru_cache(maxsize=16)
def _refusing(policy: Policy) -> Policy:
    """Return the policy of the next try: one object, because compiled options are cached by it."""
    return replace(policy, unknown_fields="refuse")


def _without(body: Json, path: str) -> Json | None:
    """Return a copy of the body without the member at a path, None when the path leads nowhere.

    A name may hold dots itself, and a long one is cut in a path: such a field stays refused.
    """
    steps: list[Any] = [
        int(index) if index else name for name, index in _STEP.findall(path) if name or index
    ]
    if not steps or type(steps[-1]) is int:
        return None
    copy: Any = dict(body)
    top = copy
    for step in steps[:-1]:
        inner = _member(copy, step)
        if inner is None:
            return None
        copy[step] = inner
        copy = inner
    if steps[-1] not in copy:
        return None
    del copy[steps[-1]]
    return top  # type: ignore[no-any-return]  # the copy of a JSON object is one


def _member(owner: Any, step: str | int) -> Any:  # noqa: ANN401 - parsed JSON
    """Return a copy of the object or array at the next step."""
    if type(owner) is dict and type(step) is str:
        inner = owner.get(step)
    elif type(owner) is list and type(step) is int and step < len(owner):
        inner = owner[step]
    else:
        return None
    if type(inner) is dict:
        return dict(inner)
    return list(inner) if type(inner) is list else None
