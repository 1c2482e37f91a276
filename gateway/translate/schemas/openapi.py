"""JSON Schema -> the ``Schema`` message, or :class:`NotLosslessError`."""

from typing import Any, Final

import orjson

from gateway.translate.contract import Json
from gateway.translate.reading.checks import words
from gateway.translate.reading.refusal import invalid_type, shortened
from gateway.translate.schemas.merge import alternatives, flatten, inlined, merge
from gateway.translate.schemas.source import (
    NotLosslessError,
    Source,
    annotates,
    bounds,
    count_at,
    enum_of,
    extra_of,
    items_of,
    ordering_of,
    properties_of,
    required_of,
    string_at,
    types_of,
)

# Google answers 400 for any other format of a string.
_FORMATS: Final = {
    "string": frozenset({"date-time", "enum"}),
    "number": frozenset({"float", "double"}),
    "integer": frozenset({"int32", "int64"}),
}
# Keywords with a place of their own below, by the type they belong to.
_COUNTS: Final = {
    "string": ("minLength", "maxLength"),
    "array": ("minItems", "maxItems"),
    "object": ("minProperties", "maxProperties"),
}
_PLACED: Final = frozenset(
    words("""
    type title description nullable enum const format items properties required anyOf oneOf pattern
    additionalProperties minimum maximum exclusiveMinimum exclusiveMaximum minLength maxLength
    minItems maxItems minProperties maxProperties additionalItems prefixItems
    """)
)
# Left out of either dialect, but what they say cannot be guessed from the rest.
_NEEDS_JSON: Final = frozenset({"patternProperties", "$dynamicRef", "$recursiveRef"})

# Keywords that the message cannot have next to an enum.
_NOT_WITH_ENUM: Final = words(
    "minimum maximum exclusiveMinimum exclusiveMaximum minLength maxLength pattern format"
)
_BRANCHES: Final = frozenset(("anyOf", "oneOf"))
_ABOUT: Final = ("title", "description")


def to_openapi(source: Source, *, alone: bool) -> Json:
    """Convert the root; ``alone`` says that there is no other dialect to convert to.

    The message takes no type next to ``anyOf``, and arguments need theirs, see
    :func:`gateway.translate.tools.declarations.typed`.
    """
    root = _Converter(source).schema(source.root, "", 1, ("#",))
    if source.arguments and "anyOf" in root and not alone:
        raise NotLosslessError
    return root


class _Converter:
    """One conversion; ``active`` are the references being expanded, so recursion is seen."""

    def __init__(self, source: Source) -> None:
        self.source = source

    def schema(self, value: object, path: str, depth: int, active: tuple[str, ...]) -> Json:
        """Convert a schema at any position."""
        self.source.visit(path, depth)
        value = flatten(value, path, self.source)
        while "$ref" in value:
            target = self.source.resolve(value["$ref"], path)
            if value["$ref"] in active:
                raise NotLosslessError
            active = (*active, value["$ref"])
            siblings = {key: value[key] for key in value if key != "$ref"}
            value = flatten(
                merge(siblings, target, path, self.source) if siblings else target,
                path,
                self.source,
            )
        if not _NEEDS_JSON.isdisjoint(value):
            raise NotLosslessError
        converted = self._kind(value, path, depth, active)
        for key in value:
            if key not in _PLACED and not annotates(key):
                self.source.drop(f"{path}.{key}")
        return converted

    def _kind(self, value: Json, path: str, depth: int, active: tuple[str, ...]) -> Json:
        if not _BRANCHES.isdisjoint(value):
            return self._any_of(value, path, depth, active)
        types = types_of(value, path)
        values = enum_of(value, path)
        nullable = value.get("nullable") is True or "null" in types
        if values is not None:
            for key in value:
                if key in _NOT_WITH_ENUM:
                    self.source.drop(f"{path}.{key}")
            decimals = "number" in types and "integer" not in types
            nullable = value.get("nullable") is True
            return self._about(value, _enum(values, decimals, nullable), path)
        types = [name for name in types if name != "null"]
        if not types:
            if nullable and "type" in value:
                return self._about(value, {"type": "NULL"}, path)
            raise NotLosslessError
        if len(types) == 1:
            converted = self._typed(value, types[0], path, depth, active)
        else:
            own = {key: value[key] for key in value if key not in _ABOUT}
            converted = {
                "anyOf": [
                    self._typed({**own, "type": name}, name, path, depth, active) for name in types
                ]
            }
        if nullable:
            converted["nullable"] = True
        return self._about(value, converted, path)

    def _about(self, value: Json, converted: Json, path: str) -> Json:
        for key in _ABOUT:
            if key in value:
                converted[key] = string_at(value, key, path)
        return converted

    def _any_of(self, value: Json, path: str, depth: int, active: tuple[str, ...]) -> Json:
        """``anyOf`` has no siblings in Google's message: they go into each branch."""
        siblings = {
            name: value[name]
            for name in value
            if name not in _BRANCHES and name not in _ABOUT and not annotates(name)
        }
        nullable = siblings.pop("nullable", None) is True

        def convert(branch: Json, where: str) -> Json:
            if siblings:
                known = inlined(branch, where, self.source)
                # Null is an alternative of its own, whatever type the others share.
                branch = known if _only_null(known) else merge(known, siblings, where, self.source)
            return self.schema(branch, where, depth + 1, active)

        found = alternatives(value, path, self.source, convert)
        converted = [one for one in found if one.get("type") != "NULL"]
        if not converted:
            return self._about(value, {"type": "NULL"}, path)
        result: Json = converted[0] if len(converted) == 1 else {"anyOf": converted}
        if nullable or len(converted) < len(found):
            result["nullable"] = True
        return self._about(value, result, path)

    def _typed(
        self, value: Json, name: str, path: str, depth: int, active: tuple[str, ...]
    ) -> Json:
        converted: Json = {"type": name.upper()}
        kind = value.get("format")
        if kind is not None:
            if type(kind) is str and kind in _FORMATS.get(name, ()):
                converted["format"] = kind
            else:
                self.source.drop(f"{path}.format")
        for key in _COUNTS.get(name, ()):
            if key in value:
                converted[key] = count_at(value, key, path)
        if "maxItems" in converted:
            self.source.bounded.append((converted, path))
        if name == "string" and "pattern" in value:
            converted["pattern"] = string_at(value, "pattern", path)
        if name in ("number", "integer"):
            converted.update(bounds(value, path, self.source))
        if name == "array":
            self._array(value, converted, path, depth, active)
        elif name == "object":
            self._object(value, converted, path, depth, active)
        return converted

    def _array(
        self, value: Json, converted: Json, path: str, depth: int, active: tuple[str, ...]
    ) -> None:
        prefix, items = items_of(value, path, self.source)
        if prefix is not None:
            items = _one_type(prefix, items, converted)
        if items is None or type(items) is bool:
            # Arrays of anything, or of nothing.
            raise NotLosslessError
        converted["items"] = self.schema(items, f"{path}.items", depth + 1, active)

    def _object(
        self, value: Json, converted: Json, path: str, depth: int, active: tuple[str, ...]
    ) -> None:
        extra = extra_of(value, path, self.source)
        if type(extra) is dict and extra:
            raise NotLosslessError
        if extra is not None and type(extra) not in (bool, dict):
            invalid_type(extra, "a boolean or an object", f"{path}.additionalProperties")
        properties = properties_of(value, path, self.source)
        if not properties:
            # "properties: should be non-empty for OBJECT type" (browser-use#3786, December 2025).
            raise NotLosslessError
        converted["properties"] = {
            name: self.schema(item, f"{path}.properties.{shortened(name)}", depth + 1, active)
            for name, item in properties.items()
        }
        required = required_of(value, properties, path, self.source)
        if required:
            converted["required"] = required
        if len(properties) > 1:
            converted["propertyOrdering"] = ordering_of(value, properties, path)


def _only_null(schema: Json) -> bool:
    """Whether an alternative is null, however that is written."""
    return schema.get("type") in ("null", ["null"]) or schema.get("enum") == [None]


def _one_type(prefix: list[Any], rest: object, converted: Json) -> object:
    """Return the one schema of all places of a closed tuple: an array of so many at most."""
    kinds = {orjson.dumps(schema) for schema in prefix}
    if rest is False:
        converted["maxItems"] = min(converted.get("maxItems", len(prefix)), len(prefix))
    elif converted.get("maxItems", len(prefix) + 1) > len(prefix):
        kinds.add(orjson.dumps(rest))
    if len(kinds) > 1:
        raise NotLosslessError
    return prefix[0]


def _enum(values: list[Any], decimals: bool, nullable: bool) -> Json:
    """``[1, 2]`` -> ``{"type": "INTEGER", "format": "enum", "enum": ["1", "2"]}``.

    The message holds strings only, so numbers travel as strings with their type, and values of
    several types become alternatives. An integer is one however it is written, unless the schema
    speaks of ``decimals`` alone.
    """
    groups: dict[str, dict[str, None]] = {}
    for value in values:
        if value is None:
            nullable = True
            continue
        if type(value) is float and value.is_integer() and not decimals:
            value = int(value)  # noqa: PLW2901
        name, word = _enum_word(value)
        groups.setdefault(name, {})[word] = None
    converted = [_enum_group(name, list(words)) for name, words in groups.items()]
    if not converted:
        return {"type": "NULL"}
    result: Json = converted[0] if len(converted) == 1 else {"anyOf": converted}
    if nullable:
        result["nullable"] = True
    return result


def _enum_word(value: object) -> tuple[str, str]:
    """Return a value's type and the string that encodes it; the message has no empty string."""
    if type(value) is str and value:
        return "string", value
    if type(value) is bool:
        return "boolean", "true" if value else "false"
    if type(value) is int:
        return "integer", str(value)
    if type(value) is float:
        return "number", repr(value)
    raise NotLosslessError


def _enum_group(name: str, words: list[str]) -> Json:
    if name == "boolean" and len(words) == 2:
        return {"type": "BOOLEAN"}
    return {"type": name.upper(), "format": "enum", "enum": words}
