"""Provenance: which members of a request to Gemini come from which field of a line.

Found by translating the line again without each of its fields: what is then missing or other came
from that field. No table is asked, so it is true of whatever the translation does.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

import orjson

from gateway.runner.cpu.guard import Guard
from gateway.translate import Endpoint, LineError, Policy
from gateway.units import MIB

# A line cannot be without these: each is put in the place of its own.
STUBS: Final[Mapping[str, Any]] = {
    "messages": [{"role": "assistant", "content": "…"}, {"role": "user", "content": "…"}],
    "input": "…",
    "prompt": "…",
}
# Members whose parts come from many fields; any other is a field's as a whole.
SHARED: Final = frozenset({"generationConfig"})
# A line is translated once for each of its fields.
MOST_BYTES: Final = MIB
MOST_FIELDS: Final = 100

Leaves = dict[str, Any]


def provenance(
    endpoint: Endpoint, body: Mapping[str, Any], policy: Policy, model: str
) -> dict[str, list[str]]:
    """Map each field to the paths that it became; to none when nothing depends on it."""
    whole = _leaves_of(endpoint, body, policy, model)
    if whole is None:
        return {}
    found = {}
    for field in list(body)[:MOST_FIELDS]:
        less = {name: value for name, value in body.items() if name != field}
        others = _leaves_of(endpoint, less, policy, model)
        if others is None and field in STUBS:
            others = _leaves_of(endpoint, {**less, field: STUBS[field]}, policy, model)
        if others is not None:
            found[field] = _paths(whole, others)
    return found


def _leaves_of(
    endpoint: Endpoint, body: Mapping[str, Any], policy: Policy, model: str
) -> Leaves | None:
    """Translate; the leaves of the first request by their paths, and how many requests there are.

    None of a body that is refused.
    """
    made = Guard().call(lambda: endpoint.to_gemini(dict(body), policy, model))
    if made is None or isinstance(made, LineError) or not made[0]:
        return None
    leaves = dict(leaves_of(orjson.loads(made[0][0])))
    return {**leaves, "requests": len(made[0])}


def leaves_of(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:  # noqa: ANN401 - JSON
    """Yield each scalar, and each empty container, with its path."""
    if isinstance(value, dict) and value:
        for name, member in value.items():
            yield from leaves_of(member, f"{path}.{name}" if path else name)
    elif isinstance(value, list) and value:
        for place, element in enumerate(value):
            yield from leaves_of(element, f"{path}[{place}]")
    else:
        yield path, value


def _paths(whole: Leaves, others: Leaves) -> list[str]:
    """List what is only in the whole, or other there; members that are not shared by their name."""
    paths: dict[str, None] = {}
    for path, value in whole.items():
        if path not in others or others[path] != value:
            root = path.partition(".")[0].partition("[")[0]
            paths[path if root in SHARED else root] = None
    return list(paths)
