"""JSON that fits a requested schema, in both of Google's dialects.

``responseSchema``/``parameters`` are OpenAPI-like (types in capitals, ``nullable``);
``responseJsonSchema``/``parametersJsonSchema`` are JSON Schema. Keywords that Google says it
ignores (allOf, not, const, pattern, minLength, maxLength of JSON Schema) are ignored here too, so a
pipeline that trusts them finds out.
"""

import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256

MAX_DEPTH = 12
"""Beyond this depth only what is required is filled in (cyclic ``$ref``)."""

MAX_ITEMS = 1000
MAX_LENGTH = 10_000
"""What a schema may ask for at least, so that nobody fills the memory by asking."""
_NUMBER = re.compile(r"-?\d{1,18}(\.\d+)?")

_FORMATS = {
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


@dataclass(frozen=True)
class _Fitting:
    root: Schema
    text: str
    digest: bytes
    strict_strings: bool

    def number(self, path: str) -> int:
        """A number that is always the same for a prompt and a place."""
        return int.from_bytes(sha256(self.digest + path.encode()).digest()[:4])


def fit(schema: object, text: str) -> object:
    """A value that fits ``schema``; its free strings hold ``text`` (which names the prompt)."""
    root = schema if isinstance(schema, dict) else {}
    openapi = isinstance(root.get("type"), str) and str(root["type"]).isupper()
    fitting = _Fitting(root, text, sha256(text.encode()).digest(), strict_strings=openapi)
    return _fit(root, "", 0, fitting)


def _fit(schema: object, path: str, depth: int, fitting: _Fitting) -> object:
    if not isinstance(schema, dict):
        return fitting.text
    schema = _follow(schema, fitting)
    choice = _alternative(schema, fitting)
    if choice is not None:
        return _fit(choice, path, depth + 1, fitting)
    values = schema.get("enum")
    if isinstance(values, list) and values:
        return values[fitting.number(path) % len(values)]
    return _fit_type(_type_of(schema), schema, path, depth, fitting)


def _follow(schema: Schema, fitting: _Fitting) -> Schema:
    """The schema behind ``$ref`` (``#``, ``#/$defs/X``); what cannot be found is free."""
    for _ in range(MAX_DEPTH):
        reference = schema.get("$ref")
        if not isinstance(reference, str):
            return schema
        schema = _lookup(reference, fitting.root)
    return {}


def _lookup(reference: str, root: Schema) -> Schema:
    found: object = root
    for step in reference.removeprefix("#").strip("/").split("/"):
        if step:
            found = found.get(step) if isinstance(found, dict) else None
    return found if isinstance(found, dict) else {}


def _alternative(schema: Schema, fitting: _Fitting) -> object:
    """The first of anyOf/oneOf (Google treats both alike) that is not null."""
    for word in ("anyOf", "oneOf"):
        choices = schema.get(word)
        if isinstance(choices, list) and choices:
            solid = [one for one in choices if _type_of(_follow_any(one, fitting)) != "null"]
            return (solid or choices)[0]
    return None


def _follow_any(schema: object, fitting: _Fitting) -> Schema:
    return _follow(schema, fitting) if isinstance(schema, dict) else {}


def _type_of(schema: Schema) -> str:
    kind = schema.get("type")
    if isinstance(kind, list):
        named = [str(one) for one in kind if str(one) != "null"]
        kind = named[0] if named else "null"
    if isinstance(kind, str) and kind != "TYPE_UNSPECIFIED":
        return kind.lower()
    if "properties" in schema:
        return "object"
    return "array" if "items" in schema or "prefixItems" in schema else "string"


def _fit_type(kind: str, schema: Schema, path: str, depth: int, fitting: _Fitting) -> object:
    if kind == "object":
        return _fit_object(schema, path, depth, fitting)
    if kind == "array":
        return _fit_array(schema, path, depth, fitting)
    if kind == "integer":
        return _fit_integer(schema, fitting.number(path))
    if kind == "number":
        return _fit_number(schema, fitting.number(path))
    if kind == "boolean":
        return fitting.number(path) % 2 == 0
    return None if kind == "null" else _fit_string(schema, fitting)


def _fit_object(schema: Schema, path: str, depth: int, fitting: _Fitting) -> object:
    properties = schema.get("properties")
    if not isinstance(properties, dict):
        return {}
    required = schema.get("required")
    needed = required if isinstance(required, list) else []
    names = [name for name in _ordered(schema, properties) if depth < MAX_DEPTH or name in needed]
    if depth >= 2 * MAX_DEPTH:
        return {}
    return {name: _fit(properties[name], f"{path}.{name}", depth + 1, fitting) for name in names}


def _ordered(schema: Schema, properties: Mapping[str, object]) -> list[str]:
    ordering = schema.get("propertyOrdering")
    wanted = ordering if isinstance(ordering, list) else []
    first = [name for name in wanted if isinstance(name, str) and name in properties]
    return [*first, *(name for name in properties if name not in first)]


def _fit_array(schema: Schema, path: str, depth: int, fitting: _Fitting) -> object:
    prefix = schema.get("prefixItems")
    places = prefix if isinstance(prefix, list) else []
    least = _bound(schema, "minItems", 1 if depth < MAX_DEPTH else 0)
    most = _bound(schema, "maxItems", math.inf)
    wanted = max(least, len(places), 1 if depth < MAX_DEPTH else 0)
    count = max(int(min(wanted, most, MAX_ITEMS)), 0)
    items = [*places, *([schema.get("items")] * count)][:count]
    return [_fit(item, f"{path}[{at}]", depth + 1, fitting) for at, item in enumerate(items)]


def _bound(schema: Schema, word: str, default: float) -> float:
    """A limit that may be a number or, as int64, a string."""
    value = schema.get(word)
    if isinstance(value, str) and _NUMBER.fullmatch(value):
        return float(value)
    return value if isinstance(value, int | float) and not isinstance(value, bool) else default


def _fit_integer(schema: Schema, number: int) -> int:
    least = math.ceil(_bound(schema, "minimum", 0))
    most = math.floor(_bound(schema, "maximum", max(least, 0) + 100))
    return least + number % (most - least + 1) if most >= least else least


def _fit_number(schema: Schema, number: int) -> float:
    least = _bound(schema, "minimum", 0)
    most = _bound(schema, "maximum", max(least, 0) + 100)
    return round(least + (most - least) * (number % 1001) / 1001, 6)


def _fit_string(schema: Schema, fitting: _Fitting) -> str:
    form = schema.get("format")
    if isinstance(form, str) and form in _FORMATS:
        return _FORMATS[form]
    text = fitting.text
    if fitting.strict_strings:
        text = text.ljust(int(min(_bound(schema, "minLength", 0), MAX_LENGTH)), ".")
        text = text[: int(max(_bound(schema, "maxLength", len(text)), 0))]
    return text
