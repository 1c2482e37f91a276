"""JSON Schema -> the JSON Schema that Gemini reads: kept keywords only, references renamed.

Kept (page "Structured output", ``responseJsonSchema`` in the proto): ``$defs $ref type format
title description enum items prefixItems minItems maxItems minimum maximum anyOf properties
additionalProperties required propertyOrdering``. All others are ignored there, so they are left
out here and noted.
"""

from collections import Counter
from collections.abc import Iterator
from graphlib import CycleError, TopologicalSorter
from typing import Any, Final

import orjson

from gateway.translate.contract import Json
from gateway.translate.reading.checks import words
from gateway.translate.reading.refusal import shortened
from gateway.translate.schemas.loops import open_loops
from gateway.translate.schemas.merge import alternatives, flatten, inlined, merge, same
from gateway.translate.schemas.source import (
    Source,
    annotates,
    bounds,
    count_at,
    enum_of,
    extra_of,
    items_of,
    ordering_of,
    properties_of,
    refers_to_itself,
    required_of,
    string_at,
    type_list,
    word_of,
)

_NOTHING: Final[Json] = {"type": "null"}
_ABOUT: Final = ("description", "format")
# References with constraints that are written out one inside the other: of many that hold each
# other, each order would be written out.
_MOST_OPEN: Final = 2
# What may be next to a reference without a schema of its own.
_BESIDE: Final = frozenset(("title", "description", "nullable"))
# Taken (recorded for tools) and not among the keywords that Google says it keeps: sent, because
# they may help, and noted, because they may not (vercel/ai#18325).
_UNPROVEN: Final = ("pattern", "minLength", "maxLength")
_COUNTS: Final = ("minItems", "maxItems", "minLength", "maxLength")
_PLACED: Final = frozenset(
    words("""
    $ref type nullable enum const anyOf oneOf items prefixItems minItems maxItems minimum maximum
    exclusiveMinimum exclusiveMaximum properties additionalProperties additionalItems required
    title description format pattern minLength maxLength
    """)
)


def to_json_dialect(source: Source) -> Json:
    """Convert the root and every definition it reaches."""
    converter = _Converter(source)
    # Arguments are an object at the root: a reference there hides it.
    root = converter.schema(
        inlined(source.root, "", source) if source.arguments else source.root, "", 1
    )
    done: Json = {}
    while len(done) < len(converter.names):
        reference, name = list(converter.names.items())[len(done)]
        done[name] = converter.definition(reference)
    _refuse_loops(done)
    open_loops(done, converter.places, source)
    if done:
        root["$defs"] = done
    return root


def _refuse_loops(definitions: Json) -> None:
    """Refuse a definition that is itself, or itself or something else: nothing fits or all does."""
    same = {name: list(_same_value(schema)) for name, schema in definitions.items()}
    try:
        TopologicalSorter(same).prepare()
    except CycleError:
        refers_to_itself()


def _same_value(schema: Json) -> Iterator[str]:
    """Return the definitions that a schema holds against the very value it is held against."""
    waiting = [schema]
    while waiting:
        part = waiting.pop()
        if "$ref" in part:
            yield part["$ref"].removeprefix("#/$defs/")
        waiting += part.get("anyOf", ())


class _Converter:
    """One conversion; ``names`` gives each referenced place its name under ``$defs``."""

    def __init__(self, source: Source) -> None:
        self.source = source
        self.names: dict[str, str] = {}
        # The paths of converted schemas, by id.
        self.places: dict[int, str] = {}
        # References with constraints next to them, by what they say: the schema that both make, and
        # those that are being converted.
        self._made: dict[str, tuple[Json, str]] = {}
        self._open: set[str] = set()
        # How often each name was wanted: counting up from one takes the cube of many references.
        self._wanted: Counter[str] = Counter()

    def definition(self, reference: str) -> Json:
        """Convert what a reference of ``names`` leads to."""
        if reference in self._made:
            made, where = self._made[reference]
            return self.schema(made, where, 1)
        # A chain of references that only leads back to itself has no meaning and is refused here.
        where = self.source.place_of(reference)
        return self.schema(
            inlined(self.source.resolve(reference, where), where, self.source), where, 1
        )

    def schema(self, value: object, path: str, depth: int) -> Json:
        """Convert a schema at any position."""
        self.source.visit(path, depth)
        value = flatten(value, path, self.source)
        if "$ref" in value:
            return self._reference(value, path, depth)
        converted = self._about(value, path)
        self.places[id(converted)] = path
        nullable = value.get("nullable") is True
        if "type" in value:
            types = type_list(value["type"], path)
            if nullable and "null" not in types:
                types = [*types, "null"]
            converted["type"] = types[0] if len(types) == 1 else types
        self._values(value, converted, path)
        self._limits(value, converted, path)
        self._array(value, converted, path, depth)
        self._object(value, converted, path, depth)
        self._any_of(value, converted, path, depth)
        if "maxItems" in converted:
            self.source.bounded.append((converted, path))
        for key in value:
            if key not in _PLACED and not annotates(key):
                self.source.drop(f"{path}.{key}")
        return converted

    def _limits(self, value: Json, converted: Json, path: str) -> None:
        converted.update(bounds(value, path, self.source))
        for key in _COUNTS:
            if key in value:
                converted[key] = count_at(value, key, path)
        if "pattern" in value:
            converted["pattern"] = string_at(value, "pattern", path)
        for key in _UNPROVEN:
            if key in value:
                self.source.note("unverified", f"{path}.{key}")

    def _about(self, value: Json, path: str) -> Json:
        """Titles under ``$defs`` are taken for functions (python-genai#1732), so none is sent."""
        keys = _ABOUT if self.source.arguments else ("title", *_ABOUT)
        return {key: string_at(value, key, path) for key in keys if key in value}

    def _reference(self, value: Json, path: str, depth: int) -> Json:
        """Convert a reference, which stays one because it may be recursive.

        Google takes a description next to it and answers 400 to nearly anything else
        (opencode#12295): constraints are merged into what it refers to, a title is left out.
        """
        reference = value["$ref"]
        target = self.source.resolve(reference, path)
        siblings = {key: value[key] for key in value if key != "$ref" and not annotates(key)}
        constraints = {key: siblings[key] for key in siblings if key not in _BESIDE}
        if constraints and not same(merge(constraints, target, path, self.source), target):
            return self._constrained(reference, siblings, path, depth)
        converted: Json = {"$ref": self._to(reference, reference)}
        if "description" in siblings:
            converted["description"] = string_at(siblings, "description", path)
        if "title" in siblings and not self.source.arguments:
            self.source.drop(f"{path}.title")
        return (
            {"anyOf": [converted, dict(_NOTHING)]}
            if siblings.get("nullable") is True
            else converted
        )

    def _constrained(self, reference: str, siblings: Json, path: str, depth: int) -> Json:
        """Convert a reference and constraints next to it as one schema.

        One that holds itself becomes a definition: written out it would have no end.
        """
        key = f"{reference} {orjson.dumps(siblings).decode()}"
        if key in self.names or key in self._open:
            return {"$ref": self._to(key, reference)}
        made = merge(siblings, self.source.resolve(reference, path), path, self.source)
        self._made[key] = made, path
        if len(self._open) == _MOST_OPEN:
            return {"$ref": self._to(key, reference)}
        self._open.add(key)
        try:
            return self.schema(made, path, depth + 1)
        finally:
            self._open.discard(key)

    def _to(self, key: str, reference: str) -> str:
        """Return the pointer to a definition, which gets its name here."""
        if key not in self.names:
            self.names[key] = self._name_of(reference)
        return f"#/$defs/{self.names[key]}"

    def _name_of(self, reference: str) -> str:
        """``#/$defs/Pet``, ``#Pet`` -> ``Pet``; ``#`` -> ``root``; a second one gets a number."""
        last = reference.rsplit("/", 1)[-1].lstrip("#") or "root"
        kept = (letter for letter in last if letter.isalnum() or letter in "_-")
        name = "".join(kept) or "schema"
        while True:
            self._wanted[name] += 1
            number = self._wanted[name]
            candidate = f"{name}{number}" if number > 1 else name
            if candidate == name or not self._wanted[candidate]:
                self._wanted[candidate] += candidate != name
                return candidate

    def _values(self, value: Json, converted: Json, path: str) -> None:
        values = enum_of(value, path)
        if values is None:
            return
        if value.get("nullable") is True and None not in values:
            values = [*values, None]
        kept = [item for item in values if type(item) in (str, int, float)]
        if len(kept) == len(values):
            converted["enum"] = kept
            converted.setdefault("type", _types_of_values(kept))
            return
        # The keyword holds strings and numbers only; null and booleans are said by types.
        simple = {type(None): "null", bool: "boolean"}
        types = sorted({simple.get(type(item), "") for item in values} - {""})
        if any(type(item) not in (str, int, float, bool, type(None)) for item in values):
            self.source.drop(f"{path}.{word_of(value)}")
            return
        if len({item for item in values if type(item) is bool}) == 1:
            self.source.drop(f"{path}.{word_of(value)}")
        if kept:
            branches: list[Json] = [{"type": _types_of_values(kept), "enum": kept}]
            converted["anyOf"] = branches + [{"type": name} for name in types]
            converted.pop("type", None)
        else:
            converted["type"] = types[0] if len(types) == 1 else types

    def _array(self, value: Json, converted: Json, path: str, depth: int) -> None:
        prefix, items = items_of(value, path, self.source)
        if prefix is not None:
            converted["prefixItems"] = [
                self.schema(item, f"{path}.prefixItems[{index}]", depth + 1)
                for index, item in enumerate(prefix)
            ]
        if items is False:
            most = len(prefix or ())
            converted["maxItems"] = min(converted.get("maxItems", most), most)
        elif items is not None and items is not True:
            converted["items"] = self.schema(items, f"{path}.items", depth + 1)

    def _object(self, value: Json, converted: Json, path: str, depth: int) -> None:
        properties = properties_of(value, path, self.source)
        if properties:
            converted["properties"] = {
                name: self.schema(item, f"{path}.properties.{shortened(name)}", depth + 1)
                for name, item in properties.items()
            }
            if "propertyOrdering" in value:
                converted["propertyOrdering"] = ordering_of(value, properties, path)
        required = required_of(value, properties, path, self.source)
        if required:
            converted["required"] = required
        extra = extra_of(value, path, self.source)
        if type(extra) is bool:
            converted["additionalProperties"] = extra
        elif extra is not None:
            where = f"{path}.additionalProperties"
            converted["additionalProperties"] = self.schema(extra, where, depth + 1)
        elif not properties and value.get("type") == "object":
            converted["additionalProperties"] = True

    def _any_of(self, value: Json, converted: Json, path: str, depth: int) -> None:
        if "anyOf" not in value and "oneOf" not in value:
            return
        if "anyOf" in converted:
            # An enum of several types took the place of the alternatives.
            self.source.drop(f"{path}.anyOf")
            return
        properties = properties_of(value, path, self.source)

        def convert(branch: Json, where: str) -> Json:
            return self.schema(_described(branch, properties), where, depth + 1)

        converted["anyOf"] = alternatives(value, path, self.source, convert)
        if value.get("nullable") is True and _NOTHING not in converted["anyOf"]:
            converted["anyOf"].append(dict(_NOTHING))


def _described(branch: Json, properties: Json) -> Json:
    """Return an alternative with the properties it requires: those of its owner, if not its own."""
    required, own = branch.get("required"), branch.get("properties", {})
    if type(required) is not list or type(own) is not dict or "$ref" in branch:
        return branch
    names = [name for name in required if type(name) is str and name not in own]
    added = {name: properties[name] for name in names if name in properties}
    return {**branch, "properties": {**own, **added}} if added else branch


def _types_of_values(values: list[Any]) -> str | list[str]:
    names = {str: "string", int: "integer", float: "number"}
    types = list(dict.fromkeys(names[type(value)] for value in values))
    return types[0] if len(types) == 1 else types
