"""The schema being converted: references, types and limits, which both dialects read alike."""

from collections.abc import Mapping, Sequence
from typing import Any, Final, NoReturn
from urllib.parse import unquote

import orjson

from gateway.translate.contract import Json, NoteCode
from gateway.translate.reading.checks import words
from gateway.translate.reading.refusal import (
    Refused,
    invalid_type,
    invalid_value,
    shortened,
)

# OpenAI allows 10 levels; Google's parser stops at about 100 levels of JSON, two per level here.
MAX_DEPTH: Final = 32
# OpenAI allows 5,000 properties. Inlined references can multiply, so nodes are counted.
MAX_NODES: Final = 10_000
# Members and values that ``allOf`` goes through, a microsecond each at most: each schema in it goes
# through what is merged so far, and references multiply schemas.
MAX_MERGED: Final = 1_000_000
# What Google's counts hold: int64.
MAX_COUNT: Final = 2**63 - 1

TYPES: Final = ("string", "number", "integer", "boolean", "array", "object", "null")


# Keywords that are never an error and never a constraint.
_SILENT: Final = frozenset(
    words("""
    $schema $id $comment $defs $anchor definitions examples example default deprecated readOnly
    writeOnly strict propertyOrdering discriminator xml externalDocs
    """)
)


def annotates(keyword: str) -> bool:
    """Whether a keyword constrains nothing; ``x-…`` are vendor extensions."""
    return keyword in _SILENT or keyword.startswith("x-")


class NotLosslessError(Exception):
    """The OpenAPI dialect cannot say this; the JSON dialect may."""


class TooLargeError(Refused):
    """Deeper or larger than a dialect takes; inlined references may be the reason."""


class Source:
    """The schema being converted: its root for references, a budget, and what is to be noted.

    ``arguments``: it is of a function's arguments, not of an answer.
    """

    def __init__(self, root: Json, *, arguments: bool = False) -> None:
        self.root = root
        self.arguments = arguments
        self.notes: dict[tuple[NoteCode, str], None] = {}
        # Converted schemas with a ``maxItems``, and their paths.
        self.bounded: list[tuple[Json, str]] = []
        self.nodes = 0
        self.merged = 0
        self.products = 0
        self._named: Mapping[str, tuple[str, Json]] | None = None

    def visit(self, path: str, depth: int) -> None:
        """Count a node; neither depth nor number may run away."""
        self.nodes += 1
        if depth > MAX_DEPTH:
            _too_large(f"the schema is nested deeper than {MAX_DEPTH} levels.", path)
        if self.nodes > MAX_NODES:
            _too_large(f"the schema has more than {MAX_NODES} parts.", path)

    def merge(self, merged: Json, member: Json, path: str) -> None:
        """Count what merging a member into what is merged so far goes through."""
        for each in (*merged.values(), *member.values()):
            self.merged += len(each) if type(each) in (dict, list) else 1
        if self.merged > MAX_MERGED:
            _too_large(f"'allOf' merges more than {MAX_MERGED} members and values.", path)

    def enter_product(self) -> None:
        """Count how deep products of alternatives nest: a reference to itself has no end there."""
        if self.products == MAX_DEPTH:
            refers_to_itself()
        self.products += 1

    def leave_product(self) -> None:
        """Count that a product is made, or that nothing fits it."""
        self.products -= 1

    def note(self, code: NoteCode, path: str) -> None:
        """Remember once what became of a keyword."""
        self.notes[code, path] = None

    def drop(self, path: str) -> None:
        """Remember a keyword that Gemini does not know."""
        self.note("dropped", path)

    def resolve(self, reference: object, path: str) -> Json:
        """``#/$defs/Pet`` -> the schema at that place; ``#pet``, ``pet``: by its own name."""
        if type(reference) is not str:
            invalid_type(reference, "a string", f"{path}.$ref")
        if reference != "#" and not reference.startswith("#/"):
            if reference not in self._names():
                _refuse_kind(reference, path)
            return self._names()[reference][1]
        value: Any = self.root
        for step in reference.split("/")[1:]:
            key = step.replace("~1", "/").replace("~0", "~")
            if type(value) is dict and key not in value:
                # The pointer is part of a URI: generators write Page%5BPet%5D for Page[Pet].
                key = unquote(key)
            if type(value) is dict and key in value:
                value = value[key]
            elif type(value) is list and key.isascii() and key.isdigit() and len(key) < 6:
                value = value[int(key)] if int(key) < len(value) else None
            else:
                _no_such_place(reference, path)
        if type(value) is not dict:
            _no_such_place(reference, path)
        return value

    def place_of(self, reference: str) -> str:
        """``#/$defs/Pet`` -> ``.$defs.Pet``, also of one that names it: for messages."""
        named = None if reference.startswith("#/") else self._names().get(reference)
        return reference[1:].replace("/", ".") if named is None else named[0]

    def _names(self) -> Mapping[str, tuple[str, Json]]:
        if self._named is None:
            self._named = _named_schemas(self.root)
        return self._named


def _too_large(why: str, path: str) -> NoReturn:
    raise TooLargeError("invalid_value", path, f"Invalid value for '{{param}}': {why}")


def refers_to_itself(path: str = "") -> NoReturn:
    """Refuse a schema that is itself, or itself or something else: nothing fits or all does."""
    invalid_value("a schema that refers to itself without a property or an item between.", path)


def _named_schemas(root: Json) -> Mapping[str, tuple[str, Json]]:
    """Return places and schemas that a reference may name by their ``$id`` or ``$anchor``.

    The root, and what its definitions are, by names that are theirs alone. A definition with an
    ``$id`` and pointers of its own is left out, since they begin at it and not at the root.
    """
    places: dict[str, Any] = {"": root}
    for key in ("$defs", "definitions"):
        found = root.get(key)
        if type(found) is dict:
            places |= {f".{key}.{name}": found[name] for name in found}
    named: dict[str, tuple[str, Json]] = {}
    doubled = set()
    for place, schema in places.items():
        if type(schema) is not dict:
            continue
        own, anchor = schema.get("$id"), schema.get("$anchor")
        whole = schema is root or not _has_pointers(schema)
        for name in (
            *([own] if type(own) is str and own and "#" not in own and whole else ()),
            *([f"#{anchor}"] if type(anchor) is str and (own is None or schema is root) else ()),
        ):
            doubled |= {name} & named.keys()
            named[name] = place, schema
    return {name: named[name] for name in named if name not in doubled}


def _has_pointers(schema: Json) -> bool:
    """Whether a reference within a schema begins with ``#``."""
    waiting: list[Any] = [schema]
    while waiting:
        part = waiting.pop()
        if type(part) is dict:
            reference = part.get("$ref")
            if type(reference) is str and reference.startswith("#"):
                return True
            waiting += part.values()
        elif type(part) is list:
            waiting += part
    return False


def _refuse_kind(reference: str, path: str) -> NoReturn:
    invalid_value(
        f"the reference '{shortened(reference)}' leads nowhere: references are '#/…' within the"
        " schema, or the $id or $anchor of a definition.",
        f"{path}.$ref",
    )


def _no_such_place(reference: str, path: str) -> NoReturn:
    invalid_value(f"the reference '{shortened(reference)}' leads nowhere.", f"{path}.$ref")


class ContradictionError(Refused):
    """Nothing fits a schema."""


def conflict(key: str, path: str) -> NoReturn:
    """Refuse schemas that cannot be merged into one. Errors: ContradictionError."""
    _nothing_fits(f"schemas that contradict each other in '{shortened(key)}'.", path)


def refuse_never(schema: object, path: str) -> None:
    """Refuse a schema that fits nothing, by itself. Errors: ContradictionError."""
    if schema is False or (type(schema) is dict and _denies_all(schema)):
        _nothing_fits("a schema that nothing fits.", path)


def _nothing_fits(why: str, path: str) -> NoReturn:
    raise ContradictionError("invalid_value", path, f"Invalid value for '{{param}}': {why}")


def _denies_all(schema: Json) -> bool:
    """``{"not": {}}``: how zod-to-json-schema writes what is never there, as in ``.nullish()``."""
    denied = schema.get("not")
    return denied is True or (type(denied) is dict and all(map(annotates, denied)))


def never(schema: object, path: str, source: "Source") -> bool:
    """Whether nothing fits a schema: ``false``, ``{"not": {}}``, or a reference to such."""
    for _ in range(MAX_DEPTH):
        if type(schema) is not dict or "$ref" not in schema or _denies_all(schema):
            break
        schema = source.resolve(schema["$ref"], path)
    return schema is False or (type(schema) is dict and _denies_all(schema))


def identity(value: object) -> object:
    """Return what tells JSON values apart: ``True == 1`` is Python's alone, not ``1 == 1.0``."""
    if type(value) is float and value.is_integer():
        return int, int(value)
    if type(value) is dict or type(value) is list:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    return type(value), value


def type_list(value: object, path: str) -> list[str]:
    """Read ``"string"`` or ``["string", "null"]`` as a list of known types."""
    names = [value] if type(value) is str else value
    if type(names) is not list or not names:
        invalid_type(value, "a string or an array of strings", f"{path}.type")
    for name in names:
        if name not in TYPES:
            raise Refused(
                "invalid_value",
                f"{path}.type",
                f"Invalid value for '{{param}}': expected one of {', '.join(TYPES)}.",
            )
    return list(dict.fromkeys(names))


def types_of(schema: Json, path: str) -> list[str]:
    """Return the types a schema names, or the one its keywords speak of; empty: any."""
    if "type" in schema:
        return type_list(schema["type"], path)
    if "properties" in schema:
        return ["object"]
    if "items" in schema or "prefixItems" in schema:
        return ["array"]
    return []


def enum_of(schema: Json, path: str) -> list[Any] | None:
    """Return the values a schema allows."""
    values = schema.get("enum")
    if values is None:
        return None
    if type(values) is not list or not values:
        invalid_type(values, "an array with at least one value", f"{path}.enum")
    if "type" not in schema:
        return values
    types = type_list(schema["type"], path)
    if schema.get("nullable") is True:
        types.append("null")
    fitting = [value for value in values if _fits(value, types)]
    if not fitting:
        _nothing_fits("no value is of the schema's own type.", f"{path}.{word_of(schema)}")
    return fitting


def word_of(schema: Json) -> str:
    """Return the keyword of the line for the values that a schema allows."""
    return "const" if "const" in schema else "enum"


_TYPES_OF: Final[Mapping[type, Sequence[str]]] = {
    str: ("string",),
    bool: ("boolean",),
    int: ("integer", "number"),
    float: ("number",),
    dict: ("object",),
    list: ("array",),
    type(None): ("null",),
}


def _fits(value: object, types: Sequence[str]) -> bool:
    kinds = _TYPES_OF[type(value)]
    if type(value) is float and value.is_integer():
        kinds = ("integer", "number")
    return any(kind in types for kind in kinds)


def string_at(schema: Json, key: str, path: str) -> str:
    """Return a keyword whose value is a string."""
    value = schema[key]
    if type(value) is not str:
        invalid_type(value, "a string", f"{path}.{key}")
    return value


def count_at(schema: Json, key: str, path: str) -> int:
    """Return a keyword whose value counts something."""
    value = schema[key]
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int or value < 0:
        invalid_type(value, "a non-negative integer", f"{path}.{key}")
    if value > MAX_COUNT:
        invalid_value(f"expected a value <= {MAX_COUNT}.", f"{path}.{key}")
    return value


def number_at(schema: Json, key: str, path: str) -> float:
    """Return a keyword whose value is a number."""
    value = schema[key]
    if type(value) is not int and type(value) is not float:
        invalid_type(value, "a number", f"{path}.{key}")
    return value


def bounds(schema: Json, path: str, source: Source) -> Json:
    """``minimum`` and ``maximum``; exclusive ones exactly for integers, nearly for decimals."""
    found: Json = {}
    for key, exclusive, step in (
        ("minimum", "exclusiveMinimum", 1),
        ("maximum", "exclusiveMaximum", -1),
    ):
        limits = [number_at(schema, key, path)] if key in schema else []
        open_end = schema.get(exclusive)
        # Draft 4 wrote a boolean next to the limit.
        if open_end is True and limits:
            open_end, limits = limits[0], []
        if open_end is not None and open_end is not False:
            limit = number_at({exclusive: open_end}, exclusive, path)
            types = types_of(schema, path)
            whole = "integer" in types and "number" not in types
            whole_steps = whole and float(limit).is_integer()
            # Beyond, Google's doubles have no next integer, and JSON writers none at all.
            if whole_steps and abs(limit) < MAX_COUNT:
                limit = int(limit) + step
            else:
                source.drop(f"{path}.{exclusive}")
            limits.append(limit)
        if limits:
            found[key] = max(limits) if step > 0 else min(limits)
    return found


def properties_of(schema: Json, path: str, source: Source) -> Json:
    """Return the properties of an object, without those that must not be there."""
    value = schema.get("properties")
    if value is None:
        return {}
    if type(value) is not dict:
        invalid_type(value, "an object", f"{path}.properties")
    absent = [
        name for name in value if never(value[name], f"{path}.properties.{shortened(name)}", source)
    ]
    required = schema.get("required")
    for name in absent:
        if type(required) is list and name in required:
            conflict("required", path)
        source.drop(f"{path}.properties.{shortened(name)}")
    return {name: value[name] for name in value if name not in absent} if absent else value


def extra_of(schema: Json, path: str, source: Source) -> object:
    """Return what other properties of an object must fit; false: there are none."""
    extra = schema.get("additionalProperties")
    return False if never(extra, f"{path}.additionalProperties", source) else extra


def items_of(schema: Json, path: str, source: Source) -> tuple[list[Any] | None, object]:
    """Return what the first items of an array must fit, and what the others must."""
    prefix, items, key = schema.get("prefixItems"), schema.get("items"), "items"
    if type(items) is list:
        # Drafts before 2020-12 wrote tuples here.
        prefix, items, key = items, schema.get("additionalItems"), "additionalItems"
    if never(items, f"{path}.{key}", source):
        items = False
    if prefix is None:
        return None, items
    if type(prefix) is not list:
        invalid_type(prefix, "an array of objects", f"{path}.prefixItems")
    for index, item in enumerate(prefix):
        if never(item, f"{path}.prefixItems[{index}]", source):
            return prefix[:index] or None, False
    # JSON Schema asks for at least one here, and none constrains nothing.
    return prefix or None, items


def ordering_of(schema: Json, properties: Json, path: str) -> list[str]:
    """Return the order of properties when written: Google's own keyword, or that of the line."""
    if "propertyOrdering" not in schema:
        return list(properties)
    names = schema["propertyOrdering"]
    if type(names) is not list or not all(type(name) is str for name in names):
        invalid_type(names, "an array of strings", f"{path}.propertyOrdering")
    # Each once: Google refuses one that is no property.
    known = [name for name in names if name in properties]
    return list(dict.fromkeys((*known, *properties)))


def required_of(schema: Json, properties: Json, path: str, source: Source) -> list[str]:
    """Return the required names; Google refuses one that is no property."""
    names = schema.get("required")
    # RequestBuilder 3 wrote a boolean at the property.
    if names is None or type(names) is bool:
        return []
    if type(names) is not list:
        invalid_type(names, "an array of strings", f"{path}.required")
    kept: dict[str, None] = {}
    for index, name in enumerate(names):
        if type(name) is not str:
            invalid_type(name, "a string", f"{path}.required[{index}]")
        if name not in properties:
            source.drop(f"{path}.required")
        else:
            kept[name] = None
    return list(kept)
