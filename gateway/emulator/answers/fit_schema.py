"""JSON that fits a requested schema, in both of Google's dialects.

``responseSchema``/``parameters`` are OpenAPI-like (types in capitals, ``nullable``, limits as
text); ``responseJsonSchema``/``parametersJsonSchema`` are JSON Schema. Keywords that Google says it
ignores (allOf, not, const, pattern, minLength, maxLength of JSON Schema) are ignored here too, so a
pipeline that trusts them finds out. (Of the OpenAPI dialect lengths are kept, ``pattern`` is not:
it is "advisory", says the SDK.)
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from itertools import takewhile
from typing import Final

from gateway.emulator.checks.schema import look_up
from gateway.emulator.protocol.errors import JsonObject, invalid

# Beyond this depth only what is required is filled in.
MAX_DEPTH: Final = 12
# How often a reference is followed inside itself where nothing requires it.
UNROLLED: Final = 2
# After so many values only what is required is filled in.
FREE_VALUES: Final = 500
# A schema that requires more is refused, as Google refuses those of too many states.
MAX_VALUES: Final = 20_000
MAX_LENGTH: Final = 10_000
TOO_MANY: Final = (
    "The specified schema produces a constraint that has too many states for serving. Typical "
    "causes of this error are schemas with lots of text (for example, very long property or enum "
    "names), schemas with long array length limits (especially when nested), or schemas using "
    "complex value matchers (for example, integers or numbers with minimum/maximum bounds or "
    "strings with complex formats like date-time)"
)
_NUMBER: Final = re.compile(r"-?\d{1,18}(\.\d+)?")

_FORMATS: Final = {
    "date-time": "2026-08-19T14:34:12Z",
    "date": "2026-08-19",
    "time": "14:34:12Z",
    "duration": "P1D",
    "email": "someone@example.com",
    "hostname": "example.com",
    "ipv4": "192.0.2.1",
    "ipv6": "2001:db8::1",
    "uuid": "123e4567-e89b-12d3-a456-426614174000",
    "uri": "https://example.com/",
}

Schema = Mapping[str, object]


@dataclass
class _Fitting:
    root: JsonObject
    text: str
    digest: bytes
    openapi: bool
    values: int = 0

    def number(self, path: str) -> int:
        """Return a number that is always the same for a prompt and a place."""
        return int.from_bytes(sha256(self.digest + path.encode()).digest()[:4])

    def count(self) -> None:
        """One value more; raises ApiError 400 when there are too many."""
        self.values += 1
        if self.values > MAX_VALUES:
            raise invalid(TOO_MANY)


@dataclass(frozen=True)
class _Place:
    """Where in the value we are, and which references led here."""

    path: str = ""
    depth: int = 0
    above: tuple[str, ...] = field(default=())

    def inside(self, step: str) -> "_Place":
        """Return a place in the value at this one."""
        return _Place(f"{self.path}{step}", self.depth + 1, self.above)

    def by(self, reference: str) -> "_Place":
        """Return the same place, behind a reference."""
        return _Place(self.path, self.depth, (*self.above, reference))


def fit(schema: object, text: str) -> object:
    """Return a value that fits ``schema``; its free strings hold ``text`` (which names the prompt).

    Raises ApiError 400 for a schema that asks for too much.
    """
    root = schema if isinstance(schema, dict) else {}
    openapi = isinstance(root.get("type"), str) and str(root["type"]).isupper()
    fitting = _Fitting(root, text, sha256(text.encode()).digest(), openapi)
    return _fit(root, _Place(), fitting)


def _fit(schema: object, place: _Place, fitting: _Fitting) -> object:
    fitting.count()
    if not isinstance(schema, dict):
        return fitting.text
    schema, place = _follow(schema, place, fitting)
    choices = _choices(schema)
    if choices:
        rest = {name: value for name, value in schema.items() if name not in {"anyOf", "oneOf"}}
        return _fit(_merged(rest, _choice(choices, place, fitting)), place, fitting)
    kind = _type_of(schema)
    values = schema.get("enum")
    if isinstance(values, list) and values:
        return _valued(values[fitting.number(place.path) % len(values)], kind, fitting)
    return _fit_type(kind, schema, place, fitting)


def _valued(value: object, kind: str, fitting: _Fitting) -> object:
    """Return a member of an enum; numbers are text in the OpenAPI dialect."""
    if fitting.openapi and isinstance(value, str) and _NUMBER.fullmatch(value):
        if kind == "integer":
            return int(float(value))
        return float(value) if kind == "number" else value
    return value


def _follow(schema: Schema, place: _Place, fitting: _Fitting) -> tuple[Schema, _Place]:
    """Return the schema behind ``$ref``, merged with its siblings; what cannot be found is free."""
    for _ in range(MAX_DEPTH):
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema, place
        siblings = {name: value for name, value in schema.items() if name != "$ref"}
        schema = _merged(siblings, look_up(reference, fitting.root) or {})
        place = place.by(reference)
    return {}, place


def _merged(siblings: Schema, schema: object) -> Schema:
    """Merge two schemas: properties and required of both, of other words the second's."""
    if not isinstance(schema, dict):
        return siblings
    found = {**siblings, **schema}
    for word in ("properties", "required"):
        one, other = siblings.get(word), schema.get(word)
        if isinstance(one, dict) and isinstance(other, dict):
            found[word] = {**one, **other}
        elif isinstance(one, list) and isinstance(other, list):
            found[word] = [*one, *other]
    return found


def _choices(schema: Schema) -> list[object]:
    """Return the members of anyOf or oneOf (Google treats both alike)."""
    for word in ("anyOf", "oneOf"):
        choices = schema.get(word)
        if isinstance(choices, list) and choices:
            return choices
    return []


def _choice(choices: list[object], place: _Place, fitting: _Fitting) -> object:
    """Choose the first that is neither null nor leads further down than it should, else null."""
    nulls = [one for one in choices if _is_null(one, fitting)]
    solid = [one for one in choices if one not in nulls] or choices
    last = (nulls or solid)[0]
    return next((one for one in solid if not _goes_on(one, place, fitting)), last)


def _is_null(schema: object, fitting: _Fitting) -> bool:
    if not isinstance(schema, dict):
        return False
    return _type_of(_follow(schema, _Place(), fitting)[0]) == "null"


def _goes_on(schema: object, place: _Place, fitting: _Fitting) -> bool:
    """Whether what nothing requires is better left out here: an end must come."""
    if place.depth >= MAX_DEPTH or fitting.values > FREE_VALUES:
        return True
    if not isinstance(schema, dict):
        return False
    reference = schema.get("$ref")
    if isinstance(reference, str):
        return place.above.count(reference) >= UNROLLED
    choices = _choices(schema)
    return bool(choices) and all(
        _is_null(one, fitting) or _goes_on(one, place, fitting) for one in choices
    )


def _type_of(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        named = [str(one) for one in kind if str(one) != "null"]
        kind = named[0] if named else "null"
    if isinstance(kind, str) and kind != "TYPE_UNSPECIFIED":
        return kind.lower()
    if "properties" in schema or "required" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else "string"


def _fit_type(kind: str, schema: Schema, place: _Place, fitting: _Fitting) -> object:
    if kind == "object":
        return _fit_object(schema, place, fitting)
    if kind == "array":
        return _fit_array(schema, place, fitting)
    if kind == "integer":
        return _fit_integer(schema, fitting.number(place.path))
    if kind == "number":
        return _fit_number(schema, fitting.number(place.path))
    if kind == "boolean":
        return fitting.number(place.path) % 2 == 0
    return None if kind == "null" else _fit_string(schema, fitting)


def _fit_object(schema: Schema, place: _Place, fitting: _Fitting) -> JsonObject:
    found = schema.get("properties")
    properties: JsonObject = found if isinstance(found, dict) else {}
    required = schema.get("required")
    needed = set(filter(_is_text, required)) if isinstance(required, list) else set()
    free = [
        name
        for name in properties
        if name not in needed and not _goes_on(properties[name], place, fitting)
    ]
    most = _bound(schema, "maxProperties", math.inf)
    free = free[: int(max(min(most - len(needed), len(free)), 0))]
    extra = schema.get("additionalProperties")
    return {
        name: _fit(properties.get(name, extra), place.inside(f".{name}"), fitting)
        for name in _ordered(schema, [*properties, *sorted(needed - properties.keys())])
        if name in needed or name in free
    }


def _ordered(schema: Schema, names: list[str]) -> list[str]:
    ordering = schema.get("propertyOrdering")
    wanted = ordering if isinstance(ordering, list) else []
    first = [name for name in dict.fromkeys(filter(_is_text, wanted)) if name in names]
    return [*first, *(name for name in names if name not in first)]


def _is_text(value: object) -> bool:
    return isinstance(value, str)


def _fit_array(schema: Schema, place: _Place, fitting: _Fitting) -> list[object]:
    prefix, items = schema.get("prefixItems"), schema.get("items")
    places = prefix if isinstance(prefix, list) else []
    least = _bound(schema, "minItems", 0)
    wanted = places or ([] if items is False else [items])
    free = len(list(takewhile(lambda one: not _goes_on(one, place, fitting), wanted)))
    most = len(places) if items is False else _bound(schema, "maxItems", math.inf)
    count = int(max(min(max(least, free), most, MAX_VALUES + 1), 0))
    schemas = [*places, *([items] * count)][:count]
    return [_fit(item, place.inside(f"[{at}]"), fitting) for at, item in enumerate(schemas)]


def _bound(schema: Schema, word: str, default: float) -> float:
    """Return a limit that may be a number or, as int64, a string."""
    value = schema.get(word)
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return value if is_number and math.isfinite(value) else default  # type: ignore[arg-type, return-value]


def _fit_integer(schema: Schema, number: int) -> int:
    least, most = _limits(schema)
    first, last = math.ceil(least), math.floor(most)
    return first + number % (last - first + 1) if last >= first else first


def _fit_number(schema: Schema, number: int) -> float:
    least, most = _limits(schema)
    value = round(least + (most - least) * (number % 1001) / 1001, 6)
    return float(min(max(value, least), most)) if least <= most else float(least)


def _limits(schema: Schema) -> tuple[float, float]:
    """Return the least and the greatest number asked for; 100 apart where one is missing."""
    if "minimum" in schema or "maximum" not in schema:
        least = _bound(schema, "minimum", 0)
        return least, _bound(schema, "maximum", least + 100)
    most = _bound(schema, "maximum", 100)
    return min(0, most - 100), most


def _fit_string(schema: Schema, fitting: _Fitting) -> str:
    form = schema.get("format")
    if isinstance(form, str) and form in _FORMATS:
        return _FORMATS[form]
    text = fitting.text
    if fitting.openapi:
        text = text.ljust(int(min(_bound(schema, "minLength", 0), MAX_LENGTH)), ".")
        text = text[: int(max(_bound(schema, "maxLength", len(text)), 0))]
    return text
