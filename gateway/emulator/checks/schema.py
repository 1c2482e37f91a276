"""Checks of the schemas of answers and arguments, in both dialects.

The OpenAPI dialect is a message of the grammar, so unknown keywords never come here. Of JSON Schema
nearly everything is let through (and ignored); what cannot be unrolled is not.
"""

import graphlib
from collections.abc import Iterator
from typing import Final

from gateway.emulator.protocol.errors import JsonObject, invalid

# Type -> the formats it may have (gemini-cli#3178; enums of numbers are a format too).
FORMATS: Final = {
    "STRING": ("enum", "date-time"),
    "NUMBER": ("float", "double", "enum"),
    "INTEGER": ("int32", "int64", "enum"),
}


def check_openapi_schema(schema: JsonObject, path: str, *, of_answer: bool = False) -> None:
    """Raise ApiError 400 naming the first place in ``path`` that is refused.

    An object without properties is refused in the schema of an answer (browser-use#3786), while
    tools may have one (recorded).
    """
    kind, form = schema.get("type", ""), schema.get("format")
    if form and form not in FORMATS.get(kind, (form,)):
        known = " and ".join(f"'{one}'" for one in FORMATS[kind])
        raise invalid(f"{path}.format: only {known} are supported for {kind} type\n")
    for at, value in enumerate(schema.get("enum", [])):
        if not value:
            raise invalid(f"{path}.enum[{at}]: cannot be empty\n")
    if "enum" in schema and kind != "STRING" and form != "enum":
        raise invalid(f"{path}.enum: only allowed for STRING type\n")
    if kind == "ARRAY" and "items" not in schema:
        raise invalid(f"{path}.items: missing field.\n")
    if kind not in ("", "OBJECT") and schema.get("properties"):
        # opencode#11888.
        raise invalid(f"{path}.properties: only allowed for OBJECT type\n")
    _required(schema, path)
    if of_answer and kind == "OBJECT" and not schema.get("properties"):
        raise invalid(f"{path}.properties: should be non-empty for OBJECT type\n")
    for inner, place in _inner(schema):
        check_openapi_schema(inner, f"{path}.{place}", of_answer=of_answer)


def _required(schema: JsonObject, path: str) -> None:
    properties = schema.get("properties", {})
    for at, name in enumerate(schema.get("required", [])):
        if name not in properties:
            raise invalid(f"{path}.required[{at}]: property is not defined\n")


def _inner(schema: JsonObject) -> Iterator[tuple[JsonObject, str]]:
    """Yield the schemas inside one, each with its place."""
    for name, inner in schema.get("properties", {}).items():
        yield inner, f"properties[{name}]"
    if "items" in schema:
        yield schema["items"], "items"
    for at, inner in enumerate(schema.get("anyOf", [])):
        yield inner, f"any_of[{at}]"


def check_json_schema(schema: object) -> None:
    """Raise ApiError 400 for a ``$ref`` to nothing, and for one no value could ever fill.

    A loop of references must have a property that is optional or nullable, or an array that may be
    empty (text of the live service, juspay-mcp#132; there another alternative of ``anyOf`` did not
    help). The SDK's documentation of ``responseJsonSchema`` is stricter: optional ones only.
    """
    if not isinstance(schema, dict):
        return
    try:
        graph = _graph(schema)
        graphlib.TopologicalSorter(graph).prepare()
    except graphlib.CycleError as error:
        place = error.args[1][0].removeprefix("#/").replace("/", ".")
        raise invalid(
            "ref loops are only supported if they include optional or nullable property values, or "
            "a potentially-zero-length array items, but a ref loop of required fields was found at "
            f"{place}"
        ) from error


def _graph(schema: JsonObject) -> dict[str, set[str]]:
    """Each reference and those that whatever fits it must follow; raises ApiError 400."""
    graph: dict[str, set[str]] = {}
    waiting = {"#"}
    while waiting:
        reference = waiting.pop()
        found = look_up(reference, schema)
        if found is None:
            raise invalid(f"Invalid JSON schema: reference {reference} cannot be resolved.")
        met = list(_references(found, needed=True))
        graph[reference] = {name for name, needed in met if needed}
        waiting |= {name for name, _ in met} - graph.keys()
    return graph


def _references(schema: object, *, needed: bool) -> Iterator[tuple[str, bool]]:
    """Yield references inside a schema, and whether every value must follow them."""
    if not isinstance(schema, dict):
        return
    reference = schema.get("$ref")
    if isinstance(reference, str):
        yield reference, needed
    properties, required = schema.get("properties"), schema.get("required")
    for name, inner in properties.items() if isinstance(properties, dict) else ():
        yield from _references(inner, needed=needed and name in _list(required))
    yield from _references(schema.get("items"), needed=needed and _asks_for_items(schema))
    for word in ("anyOf", "oneOf"):
        inside = _list(schema.get(word))
        for inner in inside:
            yield from _references(inner, needed=needed and not any(map(_is_null, inside)))
    for at, inner in enumerate(_list(schema.get("prefixItems"))):
        yield from _references(inner, needed=needed and _asks_for_items(schema, at))


def _asks_for_items(schema: JsonObject, at: int = 0) -> bool:
    """Whether every array that fits has an item at index ``at``."""
    least = schema.get("minItems")
    return isinstance(least, int | float) and least > at


def _is_null(schema: object) -> bool:
    """Whether null fits an alternative."""
    if not isinstance(schema, dict):
        return False
    kind = schema.get("type")
    return kind == "null" or "null" in _list(kind) or None in _list(schema.get("enum"))


def item_budget(schema: object) -> int:
    """Return the sum of ``maxItems`` of a schema's properties, those of its definitions too."""
    if not isinstance(schema, dict):
        return 0
    most = schema.get("maxItems")
    inner = [schema.get("items"), *_list(schema.get("anyOf")), *_list(schema.get("prefixItems"))]
    for word in ("properties", "$defs"):
        found = schema.get(word)
        inner += found.values() if isinstance(found, dict) else ()
    return sum(map(item_budget, inner), most if isinstance(most, int) else 0)


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []


def look_up(reference: str, root: JsonObject) -> JsonObject | None:
    """Return the schema behind ``#``, ``#/$defs/X``, ``#anchor``; None if there is none."""
    if not reference.startswith("#"):
        return None
    if reference != "#" and not reference.startswith("#/"):
        return _anchored(reference[1:], root)
    found: object = root
    for step in reference[1:].split("/")[1:]:
        name = step.replace("~1", "/").replace("~0", "~")
        found = found.get(name) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else None


def _anchored(name: str, value: object) -> JsonObject | None:
    if isinstance(value, dict):
        if value.get("$anchor") == name:
            return value
        value = list(value.values())
    for inner in value if isinstance(value, list) else []:
        if found := _anchored(name, inner):
            return found
    return None
