"""Google's grammar as the fuzz tests use it: requests made from it, and a judge of answers.

It is read from the discovery document in ``tests/data``, not from the emulator's own copy, and the
judge is written here, so that one misreading does not confirm another.
"""

import base64
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from importlib import resources
from pathlib import Path
from typing import Any

import orjson
from hypothesis import strategies as st

Json = dict[str, Any]

_DATA = Path(__file__).parent.parent / "data" / "gemini-schema.json"
REFERENCE: dict[str, dict[str, Json]] = orjson.loads(_DATA.read_bytes())["schemas"]
NEWER: dict[str, dict[str, Json]] = {
    "UsageMetadata": {"serviceTier": {"type": "string"}},
    "EmbedContentResponse": {
        "tokenCount": {"type": "string:int64"},
        "usageMetadata": {"type": "EmbedUsageMetadata"},
    },
    "BatchEmbedContentsResponse": {"usageMetadata": {"type": "EmbedUsageMetadata"}},
    "EmbedUsageMetadata": {
        "promptTokenCount": {"type": "integer:int32"},
        "promptTokenDetails": {"type": "[ModalityTokenCount]"},
    },
    "ListCachedContentsResponse": {
        "cachedContents": {"type": "[CachedContent]"},
        "nextPageToken": {"type": "string"},
    },
    "Empty": {},
}
"""What recordings of 2026-08 show in answers and the document of 2026-03 has not."""
LEVELS = ("UNSPECIFIED", "LOW", "MEDIUM", "HIGH", "ULTRA_HIGH")
REFERENCE["MediaResolution"] = {
    "level": {"type": "string", "enum": [f"MEDIA_RESOLUTION_{level}" for level in LEVELS]}
}
"""A message that the document names and does not have."""
DEEPEST = 4


EMULATED: dict[str, dict[str, Json]] = orjson.loads(
    resources.files("gateway.emulator.protocol").joinpath("schema.json").read_bytes()
)["schemas"]
"""The emulator's own copy, message by message."""


def fields_of(message: str) -> dict[str, Json]:
    """Field -> ``{"type", "enum"?, "out"?}``, of the document."""
    return REFERENCE[message]


def is_message(kind: str) -> bool:
    """Whether a type is a message."""
    return kind in REFERENCE or kind in NEWER


def snake(name: str) -> str:
    """``fileName`` -> ``file_name``."""
    return re.sub(r"(?<=[a-z0-9])([A-Z])", r"_\1", name).lower()


# --- the judge -----------------------------------------------------------------------------------


def faults_of(message: str, value: object, path: str = "") -> list[str]:
    """What is wrong with an answer: names, types, number or string, spelling of enums, nulls."""
    if not isinstance(value, dict):
        return [f"{path}: no object"]
    known = {**REFERENCE.get(message, {}), **NEWER.get(message, {})}
    found = [f"{path}.{name}: not of {message}" for name in value.keys() - known.keys()]
    for name in value.keys() & known.keys():
        found += _faults_of_kind(known[name]["type"], known[name], value[name], f"{path}.{name}")
    return found


def _faults_of_kind(kind: str, spec: Json, value: object, path: str) -> list[str]:
    if kind.startswith("["):
        return _faults_of_list(kind[1:-1], spec, value, path)
    if is_message(kind):
        return faults_of(kind, value, path)
    if "enum" in spec:
        return [] if value in spec["enum"] else [f"{path}: {value!r} is not in the enum"]
    right = _CHECKS["map" if kind.startswith("map<") else kind](value)
    return [] if right else [f"{path}: {value!r} is no {kind}"]


def _faults_of_list(kind: str, spec: Json, value: object, path: str) -> list[str]:
    if not isinstance(value, list):
        return [f"{path}: no list"]
    return [
        fault
        for at, one in enumerate(value)
        for fault in _faults_of_kind(kind, spec, one, f"{path}[{at}]")
    ]


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _matches(pattern: str) -> Callable[[object], bool]:
    return lambda value: isinstance(value, str) and re.fullmatch(pattern, value) is not None


_BASE64 = r"([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?"
_CHECKS: dict[str, Callable[[object], bool]] = {
    "any": lambda _value: True,
    "map": lambda value: isinstance(value, dict),
    "boolean": lambda value: isinstance(value, bool),
    "number:float": _is_number,
    "number:double": _is_number,
    "integer:int32": lambda value: _is_number(value) and isinstance(value, int),
    "string": lambda value: isinstance(value, str),
    "string:int64": _matches(r"-?\d+"),
    "string:byte": _matches(_BASE64),
    "string:google-datetime": _matches(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d{1,9})?Z"),
    "string:google-duration": _matches(r"-?\d+(\.\d+)?s"),
}


# --- requests ------------------------------------------------------------------------------------

TEXT = st.text(max_size=8)
FREE: st.SearchStrategy[Any] = st.recursive(
    st.none() | st.booleans() | st.integers(-5, 5) | TEXT,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXT, inner, max_size=2),
    max_leaves=5,
)
NUMBER = st.floats(-1e6, 1e6, allow_nan=False) | st.integers(-1000, 1000)


def either(numbers: st.SearchStrategy[int]) -> st.SearchStrategy[Any]:
    """A number, or the same as text."""
    return numbers | numbers.map(str)


SCALARS: dict[str, st.SearchStrategy[Any]] = {
    "any": FREE.filter(lambda value: value is not None),
    "string": TEXT,
    "boolean": st.booleans(),
    "integer:int32": either(st.integers(-(2**31), 2**31 - 1)),
    "string:int64": either(st.integers(-(2**63), 2**63 - 1)),
    "number:float": NUMBER,
    "number:double": NUMBER,
    "string:byte": st.binary(max_size=9).map(lambda data: base64.b64encode(data).decode())
    | st.binary(max_size=9).map(lambda data: base64.urlsafe_b64encode(data).decode().rstrip("=")),
    "string:google-datetime": st.sampled_from(
        ["2026-08-19T14:34:12.267870162Z", "2026-08-19T14:34:12+02:00"],
    ),
    "string:google-duration": st.sampled_from(["600s", "1.5s", "-3s"]),
}
PART_DATA = (
    "text",
    "inlineData",
    "fileData",
    "functionCall",
    "functionResponse",
    "executableCode",
    "codeExecutionResult",
    "toolCall",
    "toolResponse",
)
ONEOFS = {
    "Part": PART_DATA,
    "InputConfig": ("fileName", "requests"),
    "InputEmbedContentConfig": ("fileName", "requests"),
}
"""Message -> fields of which one at most may be set (the document does not say)."""

Overrides = Mapping[tuple[str, str], st.SearchStrategy[Any]]
"""(message, field) -> other values than any of its type."""


def of_kind(
    kind: str, enum: list[str] | None, depth: int, overrides: Overrides | None = None
) -> st.SearchStrategy[Any]:
    """Values of one type of the grammar."""
    if kind.startswith("["):
        return st.lists(of_kind(kind[1:-1], enum, depth, overrides), max_size=2)
    if kind.startswith("map<"):
        inner = of_kind(kind[4:-1], enum, depth, overrides)
        return st.dictionaries(TEXT, inner, max_size=2)
    if enum is not None:
        return st.sampled_from(enum) | st.sampled_from(enum).map(str.lower)
    if kind in SCALARS:
        return SCALARS[kind]
    return messages(kind, depth - 1, overrides)


@st.composite
def messages(
    draw: st.DrawFn, name: str, depth: int = DEEPEST, overrides: Overrides | None = None
) -> Json:
    """A message with some of its fields, in either spelling; at most one of each oneof."""
    fields = fields_of(name)
    chosen = draw(_names(name, depth))
    found = {}
    for field in chosen:
        spelled = draw(st.sampled_from([field, snake(field)]))
        special = (overrides or {}).get((name, field))
        usual = of_kind(fields[field]["type"], fields[field].get("enum"), depth, overrides)
        found[spelled] = draw(usual if special is None else special)
    return found


def _names(name: str, depth: int) -> st.SearchStrategy[list[str]]:
    fields = fields_of(name)
    names = [field for field in fields if depth > 0 or fields[field]["type"] in SCALARS]
    if not names:
        return st.just([])
    chosen = st.lists(st.sampled_from(names), max_size=4, unique=True)
    members = ONEOFS.get(name, ())

    def at_most_one(fields: list[str]) -> list[str]:
        rivals = [field for field in fields if field in members][1:]
        return [field for field in fields if field not in rivals]

    return chosen.map(at_most_one)


# --- defects -------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Place:
    """A message inside a request, and its path in snake_case."""

    name: str
    value: Json
    path: str


def places(name: str, value: Json, path: str = "") -> list[Place]:
    """Every message inside a valid request, itself included; free-form values are none."""
    found = [Place(name, value, path)]
    known = {spelled: field for field in fields_of(name) for spelled in (field, snake(field))}
    for spelled in [one for one in value if one in known]:  # not what is newer than the document
        inner = value[spelled]
        kind = fields_of(name)[known[spelled]]["type"]
        step = snake(known[spelled])
        found += _inside(kind, inner, f"{path}.{step}" if path else step)
    return found


def _inside(kind: str, value: object, path: str) -> list[Place]:
    if kind.startswith("[") and isinstance(value, list):
        inner = enumerate(value)
        return [place for at, one in inner for place in _inside(kind[1:-1], one, f"{path}[{at}]")]
    if kind.startswith("map<") and isinstance(value, dict):
        items = value.items()
        return [place for key, one in items for place in _inside(kind[4:-1], one, f"{path}[{key}]")]
    if is_message(kind) and isinstance(value, dict):
        return places(kind, value, path)
    return []


WRONG: dict[str, list[Any]] = {
    "string": [5, True, {}],
    "boolean": ["yes", 2, []],
    "integer:int32": ["x", 1.5, 2**31, {}, True],
    "string:int64": ["x", 1.5, {}, True],
    "number:float": ["x", {}, True],
    "number:double": ["x", [], False],
    "string:byte": ["!!!", 5, "a"],
    "string:google-datetime": ["yesterday", 5, "2026-13-01T00:00:00Z"],
    "string:google-duration": ["600", 5],
}


def wrong_values(spec: Json) -> list[Any]:
    """Values that a field cannot have."""
    kind = spec["type"].strip("[]")
    if "enum" in spec:
        return ["NO_SUCH_VALUE", 10_000]
    if is_message(kind):
        return [5, "text"]
    return WRONG.get(kind, [])


@st.composite
def spoilt(draw: st.DrawFn, name: str, body: Json) -> tuple[str, str]:
    """Put exactly one defect into ``body``, anywhere; where, and a word of the complaint."""
    place = draw(st.sampled_from(places(name, body)))
    fields = fields_of(place.name)
    usable = [field for field, spec in fields.items() if wrong_values(spec)]
    if not usable or draw(st.booleans()):
        place.value["noSuchField"] = 1
        return place.path, 'Unknown name "noSuchField"'
    field = draw(st.sampled_from(usable))
    place.value.pop(snake(field), None)
    if field in ONEOFS.get(place.name, ()):
        for rival in ONEOFS[place.name]:
            place.value.pop(rival, None)
            place.value.pop(snake(rival), None)
    place.value[field] = draw(st.sampled_from(wrong_values(fields[field])))
    inner = snake(field)
    return (f"{place.path}.{inner}" if place.path else inner), "Invalid value at"
