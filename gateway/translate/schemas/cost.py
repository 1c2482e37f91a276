"""Cost of checking an answer with a schema: alternatives that lead back to each other multiply.

``{"anyOf": [{"properties": {"x": {"$ref": "#"}}}, {"properties": {"x": {"$ref": "#"}}}]}`` looks at
the value ``n`` levels down ``2 ** n`` times. No validator can be stopped half way, so what an
answer may cost is reckoned up before it is checked.
"""

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any, Final

from gateway.translate.contract import Json
from gateway.translate.reading.refusal import Refused
from gateway.translate.schemas.source import Source

# Where steps still grow at this depth, deeper answers are not checked.
MAX_DEPTH: Final = 64
# Stop counting at this many steps: treated as unbounded.
MANY: Final = 1_000_000
# Looks at parts of a schema while it is reckoned up, a microsecond or two each; finding a part
# counts more.
MAX_LOOKS: Final = 300_000
_GATHERING: Final = 10
# How often the library holds the siblings of ``unevaluated…`` against a value, at most: once to
# check it, then to learn what it evaluated; 3 times a level (measured, jsonschema-rs 0.61).
_UNEVALUATED_TIMES: Final = 4
# The longest chain of schemas that are held against the same value.
_LONGEST_CHAIN: Final = 100

_SEVERAL: Final = ("allOf", "anyOf", "oneOf")
_SINGLE: Final = ("if", "then", "else", "not")
_DEPENDENT: Final = ("dependentSchemas", "dependencies")
_UNEVALUATED: Final = frozenset({"unevaluatedProperties", "unevaluatedItems"})
_FOREIGN: Final = frozenset({"$dynamicRef", "$recursiveRef", "$anchor", "$dynamicAnchor"})


class UncheckableError(Exception):
    """Nothing can be said in advance of what this schema costs."""


class Steps:
    """Bound on how often a schema's parts are held against one value of an answer.

    Errors: UncheckableError.
    """

    def __init__(self, schema: Json) -> None:
        reckoner = _Reckoner(schema)
        self._worst = [reckoner.root_steps()]
        while len(self._worst) <= MAX_DEPTH and self._worst[-1] < MANY and reckoner.deeper():
            self._worst.append(max(reckoner.root_steps(), self._worst[-1]))
        # Whether it is the same at every depth from here on.
        self._settled = len(self._worst) <= MAX_DEPTH and self._worst[-1] < MANY

    def at_any_depth(self) -> int:
        """Return the bound that needs no look at the answer; MANY where there is none."""
        return self._worst[-1] if self._settled else MANY

    def at(self, depth: int) -> int:
        """Return the bound of an answer that is nested so deep."""
        if depth < len(self._worst):
            return self._worst[depth]
        return self.at_any_depth()


class _Part:
    """One schema inside another: what is held against the same value, and what against its parts.

    Of ``named`` and of ``placed`` one applies to a member or an item, of the others all do.
    """

    def __init__(self, schema: Json) -> None:
        get = schema.get
        self.named = [*_named(get("properties")), *_listed([get("additionalProperties")])]
        self.named += _listed([get("unevaluatedProperties")])
        self.also_named = [*_named(get("patternProperties")), *_listed([get("propertyNames")])]
        self.placed = [*_listed(get("prefixItems")), *_listed(get("items"))]
        self.placed += _listed([get("items"), get("additionalItems"), get("unevaluatedItems")])
        self.also_placed = _listed([get("contains")])

    def below(self) -> Iterator[Json]:
        """Every schema for members and items."""
        yield from (*self.named, *self.also_named, *self.placed, *self.also_placed)

    def steps(self, known: dict[int, int]) -> int:
        """Return the steps for one member or one item, from those of the schemas for them."""

        def of(schemas: Sequence[Json]) -> list[int]:
            return [known[id(schema)] for schema in schemas]

        members = max(of(self.named), default=0) + sum(of(self.also_named))
        return max(members, max(of(self.placed), default=0) + sum(of(self.also_placed)))


class _Reckoner:
    """Steps at one depth below each schema, one depth after the other."""

    def __init__(self, root: Json) -> None:
        self._source = Source(root)
        self._looks = 0
        self._parts: dict[int, _Part] = {}
        self._together: dict[int, Counter[int]] = {}
        self._gather(root)
        self._steps = {key: min(of.total(), MANY) for key, of in self._together.items()}

    def root_steps(self) -> int:
        """At the depth that is reached."""
        return self._steps[id(self._source.root)]

    def deeper(self) -> bool:
        """Go one level down; whether anything is different there."""
        below = {}
        for key, part in self._parts.items():
            self._look(1 + len(part.named) + len(part.placed))
            below[key] = part.steps(self._steps)
        steps = {
            key: min(sum(times * below[part] for part, times in of.items()), MANY)
            for key, of in self._together.items()
        }
        changed = steps != self._steps
        self._steps = steps
        return changed

    def _look(self, count: int) -> None:
        self._looks += count
        if self._looks > MAX_LOOKS:
            raise UncheckableError("the schema is too large")

    def _gather(self, root: Json) -> None:
        """Every schema that is reached from the root, by itself or by a reference."""
        waiting = [root]
        while waiting:
            schema = waiting.pop()
            if id(schema) in self._parts:
                continue
            self._look(_GATHERING)
            self._parts[id(schema)] = part = _Part(schema)
            self._at_once(schema, ())
            waiting += [*self._siblings(schema), *part.below()]

    def _at_once(self, schema: Json, above: tuple[int, ...]) -> Counter[int]:
        """All schemas that are held against the same value, and how often each."""
        known = self._together.get(id(schema))
        if known is not None:
            return known
        if id(schema) in above or len(above) > _LONGEST_CHAIN:
            raise UncheckableError("the schema refers to itself")
        found: Counter[int] = Counter({id(schema): 1})
        again = _UNEVALUATED_TIMES if schema.keys() & _UNEVALUATED else 1
        for other in self._siblings(schema):
            more = self._at_once(other, (*above, id(schema)))
            self._look(1 + len(more))
            found.update({part: min(times * again, MANY) for part, times in more.items()})
        self._together[id(schema)] = found
        return found

    def _siblings(self, schema: Json) -> Iterator[Json]:
        if schema.keys() & _FOREIGN or ("$id" in schema and schema is not self._source.root):
            raise UncheckableError("the schema has references of another kind")
        if "$ref" in schema:
            try:
                yield self._source.resolve(schema["$ref"], "")
            except Refused:
                raise UncheckableError("a reference leads out of the schema") from None
        for key in _SEVERAL:
            yield from _listed(schema.get(key))
        for key in _SINGLE:
            yield from _listed([schema.get(key)])
        for key in _DEPENDENT:
            yield from _named(schema.get(key))


def _listed(value: object) -> list[Json]:
    """Return the schemas of a list; true and false cost nothing."""
    return [one for one in value if type(one) is dict] if type(value) is list else []


def _named(value: Any) -> list[Json]:  # noqa: ANN401 - parsed JSON
    return _listed(list(value.values())) if type(value) is dict else []
