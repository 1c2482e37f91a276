"""``allOf``, ``const`` and the siblings of a reference, merged into one schema.

Both dialects ignore ``const`` and ``allOf``, which would leave an answer unconstrained.
"""

import re
from collections.abc import Callable, Mapping
from itertools import product, zip_longest
from typing import Any, Final

from gateway.translate.contract import Json
from gateway.translate.reading.refusal import invalid_type
from gateway.translate.schemas.source import (
    MAX_DEPTH,
    ContradictionError,
    Source,
    annotates,
    conflict,
    identity,
    never,
    refers_to_itself,
    refuse_never,
    type_list,
)


def flatten(schema: object, path: str, source: Source) -> Json:
    """Merge ``allOf`` into the schema that has it, and ``const`` into ``enum``.

    ``{"allOf": [{"$ref": "#/$defs/A"}], "description": "x"}`` -> A with that description. The
    dialects ignore ``const`` and ``allOf``, which would leave the answer unconstrained.
    """
    if schema is True:
        return {}
    refuse_never(schema, path)
    if type(schema) is not dict:
        invalid_type(schema, "an object", path)
    rounds = 0
    while "allOf" in schema:
        rounds += 1
        source.visit(path, rounds)
        schema = _only_reference(schema) or _merge_all(schema, path, source)
    if "const" in schema:
        value = schema["const"]
        others = {key: schema[key] for key in schema if key != "const"}
        # It stays as well, so that notes name what the line has.
        schema = {**merge(others, {"enum": [value]}, path, source), "const": value}
    if "anyOf" in schema and "oneOf" in schema:
        # Google treats the second as the first.
        others = {key: schema[key] for key in schema if key != "oneOf"}
        schema = merge(others, {"anyOf": schema["oneOf"]}, path, source)
    return schema


def alternatives(
    schema: Json, path: str, source: Source, convert: Callable[[Json, str], Json]
) -> list[Json]:
    """Convert the branches of ``anyOf`` or ``oneOf``, without those that nothing fits.

    Errors: ContradictionError when no branch is left.
    """
    key = _key_of(schema)
    branches = schema[key]
    if type(branches) is not list or not branches:
        invalid_type(branches, "an array with at least one schema", f"{path}.{key}")
    converted: list[Json] = []
    dead: ContradictionError | None = None
    for index, branch in enumerate(branches):
        where = f"{path}.{key}[{index}]"
        try:
            if never(branch, where, source):
                conflict("not", where)
            converted.append(convert(flatten(branch, where, source), where))
        except ContradictionError as error:
            if not _OF_BRANCH.match(error.param, len(where)):
                raise
            dead = dead or error
    if not converted and dead is not None and schema.get("nullable") is not True:
        raise dead
    return converted


def _key_of(schema: Json) -> str:
    return "anyOf" if "anyOf" in schema else "oneOf"


# What nothing fits is the branch itself, not a property inside it that may be absent.
_OF_BRANCH: Final = re.compile(r"(\.(anyOf|oneOf|allOf)\[\d+\])*(\.(enum|const))?\Z")


def _only_reference(schema: Json) -> Json | None:
    """``{"allOf": [{"$ref": "x"}], "title": "t"}`` (Pydantic 1) -> ``{"$ref": "x", "title": "t"}``.

    So a recursive reference stays a reference. Members that only describe may stand next to it.
    """
    members = schema["allOf"]
    if type(members) is not list or "$ref" in schema:
        return None
    found: Json = {}
    for member in members:
        reference = type(member) is dict and member.keys() == {"$ref"}
        if not (reference and "$ref" not in found) and not _describes(member):
            return None
        found = {**member, **found}
    return {**found, **{key: schema[key] for key in schema if key != "allOf"}}


def _describes(schema: object) -> bool:
    """Whether a schema constrains nothing and says so by its keywords alone."""
    return type(schema) is dict and all(key in _DESCRIBING or annotates(key) for key in schema)


_DESCRIBING: Final = frozenset(("title", "description"))


def _merge_all(schema: Json, path: str, source: Source) -> Json:
    members = schema["allOf"]
    if type(members) is not list:
        invalid_type(members, "an array of objects", f"{path}.allOf")
    merged: Json = {key: schema[key] for key in schema if key != "allOf"}
    # At once, not member by member: that takes the square of their number.
    required: list[Any] = []
    for index, member in enumerate(members):
        where = f"{path}.allOf[{index}]"
        if member is True:
            continue
        refuse_never(member, where)
        if type(member) is not dict:
            invalid_type(member, "an object", where)
        inner = dict(inlined(member, where, source))
        source.merge(merged, inner, where)
        if type(inner.get("required")) is list:
            required += inner.pop("required")
        merged = merge(merged, inner, where, source)
    return merge(merged, {"required": required}, path, source) if required else merged


def inlined(schema: Json, path: str, source: Source) -> Json:
    """Follow ``$ref`` until there is none; its siblings are merged and win."""
    rounds = 0
    while "$ref" in schema:
        rounds += 1
        if rounds > MAX_DEPTH:
            refers_to_itself(path)
        source.visit(path, rounds)
        target = source.resolve(schema["$ref"], path)
        siblings = {key: schema[key] for key in schema if key != "$ref"}
        schema = merge(siblings, target, path, source) if siblings else target
    return schema


# Keywords with a place that do not constrain either: the outer, more specific one wins.
_WORDS: Final = frozenset(("title", "description", "format"))


def merge(outer: Json, inner: Json, path: str, source: Source) -> Json:
    """Both schemas at once, as ``allOf`` means it; true contradictions are refused.

    Of what Gemini is never told one is kept, to be noted like a single one (CLIProxyAPI#4984).
    """
    merged = dict(outer)
    for key, value in inner.items():
        if key not in merged:
            merged[key] = value
        elif key not in _WORDS and not annotates(key) and not same(merged[key], value):
            merged[key] = _both(key, merged[key], value, path, source)
    return merged


def same(one: object, other: object) -> bool:
    """Equal as JSON is: ``1`` is not ``true``."""
    return one == other and identity(one) == identity(other)


_TIGHTER: Final[Mapping[str, Callable[[float, float], float]]] = {
    **dict.fromkeys(("minimum", "minItems", "minLength", "minProperties"), max),
    **dict.fromkeys(("maximum", "maxItems", "maxLength", "maxProperties"), min),
    "exclusiveMinimum": max,
    "exclusiveMaximum": min,
}


def _both(key: str, outer: object, inner: object, path: str, source: Source) -> object:
    if key in _TIGHTER:
        return _TIGHTER[key](_comparable(outer, path), _comparable(inner, path))
    if key == "type":
        return _both_types(outer, inner, path)
    if type(outer) is list and type(inner) is list and key in _LISTS:
        return _both_lists(key, outer, inner, path, source)
    if type(outer) is dict and type(inner) is dict and key == "properties":
        return _merge_properties(outer, inner, path)
    if key in _SCHEMAS:
        return _both_schemas(outer, inner, path)
    if key in _TOLD:
        conflict(key, path)
    if key == "pattern":
        source.drop(f"{path}.pattern")
    return outer and inner if key == "nullable" else outer


_SCHEMAS: Final = frozenset(("items", "additionalProperties", "additionalItems"))
_LISTS: Final = frozenset(("required", "enum", "allOf", "items", "prefixItems", "anyOf", "oneOf"))
# What Gemini is told besides, so that one of two is not what the line says.
_TOLD: Final = _LISTS | {"properties", "const", "$ref"}
# Alternatives that two lists of them may make together.
_LARGEST_PRODUCT: Final = 16


def _merge_properties(outer: Json, inner: Json, path: str) -> Json:
    """Properties of both; one that both name must satisfy both."""
    merged = dict(outer)
    for name, value in inner.items():
        merged[name] = _both_schemas(merged[name], value, path) if name in merged else value
    return merged


def _both_schemas(outer: object, inner: object, path: str) -> object:
    if outer is False or inner is False:
        return False
    if type(outer) is dict and type(inner) is dict:
        return outer if outer == inner else {"allOf": [outer, inner]}
    if outer is True:
        return inner
    return outer if inner is True else conflict("allOf", path)


def _both_lists(
    key: str, outer: list[Any], inner: list[Any], path: str, source: Source
) -> list[Any]:
    if key == "required":
        return _all_names(outer, inner, path)
    if key == "allOf":
        return [*outer, *inner]
    if key in ("items", "prefixItems"):
        pairs = zip_longest(outer, inner, fillvalue=True)
        return [_both_schemas(one, other, path) for one, other in pairs]
    if key in ("anyOf", "oneOf"):
        return _product(key, outer, inner, path, source)
    allowed = {identity(value) for value in inner}
    common = [value for value in outer if identity(value) in allowed]
    return common or conflict(key, path)


def _all_names(outer: list[Any], inner: list[Any], path: str) -> list[Any]:
    try:
        return list(dict.fromkeys([*outer, *inner]))
    except TypeError:  # no strings
        invalid_type([*outer, *inner], "an array of strings", f"{path}.required")


def _both_types(outer: object, inner: object, path: str) -> object:
    left, right = type_list(outer, path), type_list(inner, path)
    common = [name for name in left if name in right]
    # An integer is a number too, so it is common to both where one side says the other word.
    whole = any(
        "integer" in one and "number" in other for one, other in ((left, right), (right, left))
    )
    if whole and "integer" not in common:
        common.append("integer")
    if not common:
        conflict("type", path)
    return common if len(common) > 1 else common[0]


def _comparable(value: object, path: str) -> float:
    if type(value) is not int and type(value) is not float:
        invalid_type(value, "a number", path)
    return value


def _product(key: str, outer: list[Any], inner: list[Any], path: str, source: Source) -> list[Any]:
    """Each alternative of one list with each of the other; of long lists one is kept, noted."""
    if len(outer) * len(inner) > _LARGEST_PRODUCT:
        source.drop(f"{path}.{key}")
        return outer
    source.enter_product()
    made = []
    for one, other in product(outer, inner):
        try:
            made.append(_merge_all({"allOf": [one, other]}, path, source))
        except ContradictionError:
            continue
    source.leave_product()
    return made or conflict(key, path)
