"""Loops of references that every value would have to follow for ever, opened where one can stop.

Google takes a loop only through a property that is optional or nullable, or an array that may be
empty; of an ``anyOf`` each alternative counts, even next to ones that end (400 of the live service,
juspay-mcp#132). OpenAI takes them all, and its strict mode makes every property required. So one
property of each loop is sent as optional, noted; the answer is still checked with the caller's own
schema.
"""

from collections.abc import Iterator, Mapping
from typing import Final, NamedTuple

from gateway.translate.contract import Json
from gateway.translate.reading.refusal import invalid_value
from gateway.translate.schemas.source import Source

# Walks over all definitions: one opens every loop of an ordinary schema, the last finds none.
_MOST_WALKS: Final = 16


class _Demand(NamedTuple):
    """Reason to follow a reference: a required property, or an item (``name`` None)."""

    owner: Json
    name: str | None


class _Step(NamedTuple):
    """A definition on the way, what demanded it, and the references that are left to follow."""

    demand: _Demand | None
    rest: Iterator[tuple[str, _Demand | None]]


def open_loops(definitions: Json, places: Mapping[int, str], source: Source) -> None:
    """Open the loops of converted definitions; ``places`` has the path of a schema by its id.

    Errors: Refused.
    """
    for _ in range(_MOST_WALKS):
        found = _loops(definitions)
        if not found:
            return
        for owner, name in found:
            key = "minItems" if name is None else "required"
            source.note("approximated", f"{places[id(owner)]}.{key}")
            if name is None:
                owner.pop("minItems", None)
            elif name in owner.get("required", ()):
                owner["required"].remove(name)
                if not owner["required"]:
                    del owner["required"]
    invalid_value("references that lead back to themselves through required properties.")


def _loops(definitions: Json) -> list[_Demand]:
    """Walk every reference once and return one demand of each loop that is met."""
    found: list[_Demand] = []
    seen: set[str] = set()
    for start in definitions:
        if start not in seen:
            seen.add(start)
            _walk(start, definitions, seen, found)
    return found


def _walk(start: str, definitions: Json, seen: set[str], found: list[_Demand]) -> None:
    way = {start: _Step(None, iter([*_demanded(definitions[start], None)]))}
    while way:
        name, demand = next(way[next(reversed(way))].rest, ("", None))
        if not name:
            way.popitem()
        elif name in way:
            names = list(way)
            behind = [way[one].demand for one in names[names.index(name) + 1 :]]
            # A loop without any demand was refused before: nothing or everything fits it.
            found.append(next(one for one in (demand, *reversed(behind)) if one is not None))
        elif name not in seen:
            seen.add(name)
            way[name] = _Step(demand, iter([*_demanded(definitions[name], None)]))


def _demanded(schema: Json, demand: _Demand | None) -> Iterator[tuple[str, _Demand | None]]:
    """Each definition that whatever fits a schema must fit too, or may have to."""
    if "$ref" in schema:
        yield schema["$ref"].removeprefix("#/$defs/"), demand
    for name in schema.get("required", ()):
        yield from _demanded(schema["properties"][name], _Demand(schema, name))
    least = schema.get("minItems", 0)
    items = [*schema.get("prefixItems", ())[:least]]
    if least and "items" in schema:
        items.append(schema["items"])
    for item in items:
        yield from _demanded(item, _Demand(schema, None))
    branches = schema.get("anyOf", ())
    if not any(map(_is_null, branches)):
        for branch in branches:
            yield from _demanded(branch, demand)


def _is_null(branch: Json) -> bool:
    kinds = branch.get("type", ())
    return kinds == "null" or (type(kinds) is list and "null" in kinds)
