"""Google's proto-JSON, read by the schema: names, types and enum values, all complaints at once.

The grammar is ``schema.json`` (Google's discovery document, revision 20260325, and what is newer).
camelCase and snake_case names are both known at every level, never inside free-form values (``any``
and ``map<any>``: args, metadata, JSON schemas). The result is camelCase throughout. Leniencies are
those seen on recordings: a single object where a list is declared, enum values in any case, numbers
as strings, null for "not set". Output-only fields are read and dropped.
"""

import base64
import binascii
import contextlib
import importlib.resources
import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cache
from typing import Any, Final

import orjson

from gateway.emulator.protocol.clock import parse_stamp
from gateway.emulator.protocol.errors import ApiError, JsonObject

_CAMEL: Final = re.compile(r"(?<=[a-z0-9])([A-Z])")
_TIMESTAMP: Final = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)", re.ASCII
)
_DURATION: Final = re.compile(r"-?\d{1,12}(\.\d{1,9})?s", re.ASCII)
_PACKAGE: Final = "type.googleapis.com/google.ai.generativelanguage.v1main"
UNKNOWN_NAME_END: Final = ": Cannot find field."
# Levels of lists and objects that Google's parser of JSON follows.
MAX_DEPTH: Final = 100
_INT32: Final = 2**31
_INT64: Final = 2**63

# Message -> the name of its oneof and the fields of which only one may be set.
ONEOFS: dict[str, tuple[str, tuple[str, ...]]] = {
    "Part": (
        "data",
        (
            "text",
            "inlineData",
            "fileData",
            "functionCall",
            "functionResponse",
            "executableCode",
            "codeExecutionResult",
            "toolCall",
            "toolResponse",
        ),
    ),
    "InputConfig": ("source", ("fileName", "requests")),
    "InputEmbedContentConfig": ("source", ("fileName", "requests")),
}


@dataclass(frozen=True)
class Violation:
    """One complaint: the message it is in (snake_case path) and Google's words."""

    field: str
    description: str

    @property
    def is_unknown_name(self) -> bool:
        """Whether it is about an unknown field."""
        return self.description.endswith(UNKNOWN_NAME_END)

    def wire(self) -> JsonObject:
        """As in google.rpc.BadRequest; no ``field`` at the top."""
        if not self.field:
            return {"description": self.description}
        return {"field": self.field, "description": self.description}


@dataclass
class _Reading:
    violations: list[Violation] = field(default_factory=list)

    def unknown(self, name: str, path: str) -> None:
        where = f" at '{path}'" if path else ""
        text = f'Invalid JSON payload received. Unknown name "{name}"{where}{UNKNOWN_NAME_END}'
        self.violations.append(Violation(path, text))

    def twice(self, field_name: str, name: str, path: str) -> None:
        """Note a field that is given in both spellings."""
        text = (
            f"Invalid value at '{path}', field '{field_name}' is already set. Cannot set '{name}'"
        )
        self.violations.append(Violation(path, text))

    def wrong(self, path: str, kind: str, value: object) -> object:
        """Note a wrong value; its stand-in is never read."""
        big = isinstance(value, int) and not isinstance(value, bool)
        shown = str(value) if big else orjson.dumps(value).decode()
        self.violations.append(
            Violation(path, f"Invalid value at '{path}' ({kind}), {shown[:200]}")
        )
        return None


_Reader = Callable[[object, str, _Reading], object]


@dataclass(frozen=True)
class _Field:
    name: str
    snake: str
    read: _Reader
    output_only: bool


def snake(name: str) -> str:
    """``fileName`` -> ``file_name``."""
    return _CAMEL.sub(r"_\1", name).lower()


def camel(name: str) -> str:
    """``page_size`` -> ``pageSize``; what has no underscore stays."""
    first, *rest = name.split("_")
    return first + "".join(word[:1].upper() + word[1:] for word in rest)


@cache
def _schemas() -> dict[str, dict[str, JsonObject]]:
    text = (
        importlib.resources.files("gateway.emulator.protocol").joinpath("schema.json").read_bytes()
    )
    schemas: dict[str, dict[str, JsonObject]] = orjson.loads(text)["schemas"]
    return schemas


@cache
def _fields(message: str) -> dict[str, _Field]:
    known: dict[str, _Field] = {}
    for name, spec in _schemas()[message].items():
        reader = _reader(spec["type"], message, name, spec.get("enum"))
        entry = _Field(name, snake(name), reader, bool(spec.get("out")))
        known[name] = entry
        known[entry.snake] = entry
    return known


def _reader(kind: str, message: str, name: str, enum: list[str] | None) -> _Reader:
    if kind.startswith("["):
        return _list_reader(_reader(kind[1:-1], message, name, enum))
    if kind.startswith("map<"):
        return _map_reader(_reader(kind[4:-1], message, name, enum))
    if enum is not None:
        return _enum_reader(enum, f"{_PACKAGE}.{message}.{name[0].upper()}{name[1:]}")
    if kind in _SCALARS:
        return _SCALARS[kind]
    return lambda value, path, reading: _read_message(kind, value, path, reading)


def _list_reader(element: _Reader) -> _Reader:
    def read(value: object, path: str, reading: _Reading) -> object:
        items = value if isinstance(value, list) else [value]
        return [element(item, f"{path}[{index}]", reading) for index, item in enumerate(items)]

    return read


def _map_reader(element: _Reader) -> _Reader:
    def read(value: object, path: str, reading: _Reading) -> object:
        if not isinstance(value, dict):
            return reading.wrong(path, "Map", value)
        if element is _read_any:
            return value
        return {key: element(item, f"{path}[{key}]", reading) for key, item in value.items()}

    return read


def _enum_reader(values: list[str], type_name: str) -> _Reader:
    known = {value.upper(): value for value in values}

    def read(value: object, path: str, reading: _Reading) -> object:
        if isinstance(value, str) and value.upper() in known:
            return known[value.upper()]
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < len(values):
            return values[value]
        return reading.wrong(path, type_name, value)

    return read


def _read_message(message: str, value: object, path: str, reading: _Reading) -> object:
    if not isinstance(value, dict):
        return reading.wrong(path, f"{_PACKAGE}.{message}", value)
    known = _fields(message)
    found: JsonObject = {}
    for name, inner in value.items():
        entry = known.get(name)
        if entry is None:
            reading.unknown(name, path)
        elif inner is not None:
            if entry.name in found:
                reading.twice(entry.snake, name, path)
            _read_field(entry, inner, path, found, reading)
    if message in ONEOFS:
        _check_oneof(message, found, path, reading)
    return found


def _read_field(
    entry: _Field, value: object, path: str, found: JsonObject, reading: _Reading
) -> None:
    inner = f"{path}.{entry.snake}" if path else entry.snake
    read = entry.read(value, inner, reading)
    if not entry.output_only:
        found[entry.name] = read


def _check_oneof(message: str, found: JsonObject, path: str, reading: _Reading) -> None:
    name, members = ONEOFS[message]
    present = [member for member in members if member in found]
    for extra in present[1:]:
        text = (
            f"Invalid value at '{path}' (oneof), oneof field '{name}' is already set. "
            f"Cannot set '{extra}'"
        )
        reading.violations.append(Violation(path, text))


def _read_any(value: object, _path: str, _reading: _Reading) -> object:
    return value


def _read_string(value: object, path: str, reading: _Reading) -> object:
    return value if isinstance(value, str) else reading.wrong(path, "TYPE_STRING", value)


def _read_bool(value: object, path: str, reading: _Reading) -> object:
    return value if isinstance(value, bool) else reading.wrong(path, "TYPE_BOOL", value)


def _read_bytes(value: object, path: str, reading: _Reading) -> object:
    if not isinstance(value, str):
        return reading.wrong(path, "TYPE_BYTES", value)
    text = value.replace("-", "+").replace("_", "/").rstrip("=")
    try:
        binascii.a2b_base64(text + "=" * (-len(text) % 4), strict_mode=True)
    except (binascii.Error, ValueError):
        shown = value if len(value) <= 100 else value[:100] + "..."
        text = f"Invalid value at '{path}' (TYPE_BYTES), Base64 decoding failed for \"{shown}\""
        reading.violations.append(Violation(path, text))
    return value


def _whole(value: object, limit: int) -> int | None:
    if isinstance(value, bool):
        return None
    if isinstance(value, str):
        if not re.fullmatch(r"-?[0-9]{1,19}", value):
            return None
        value = int(value)
    if isinstance(value, float) and value.is_integer():
        value = int(value)
    return value if isinstance(value, int) and -limit <= value < limit else None


def _read_int32(value: object, path: str, reading: _Reading) -> object:
    number = _whole(value, _INT32)
    return number if number is not None else reading.wrong(path, "TYPE_INT32", value)


def _read_int64(value: object, path: str, reading: _Reading) -> object:
    number = _whole(value, _INT64)
    return str(number) if number is not None else reading.wrong(path, "TYPE_INT64", value)


def _read_number(value: object, path: str, reading: _Reading) -> object:
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            return reading.wrong(path, "TYPE_FLOAT", value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        return reading.wrong(path, "TYPE_FLOAT", value)
    return value


def _pattern_reader(pattern: re.Pattern[str], kind: str) -> _Reader:
    def read(value: object, path: str, reading: _Reading) -> object:
        if isinstance(value, str) and pattern.fullmatch(value):
            return value
        return reading.wrong(path, f"type.googleapis.com/google.protobuf.{kind}", value)

    return read


def _read_timestamp(value: object, path: str, reading: _Reading) -> object:
    if isinstance(value, str) and _TIMESTAMP.fullmatch(value):
        with contextlib.suppress(ValueError, OverflowError):
            parse_stamp(value)
            return value
    return reading.wrong(path, "type.googleapis.com/google.protobuf.Timestamp", value)


_SCALARS: dict[str, _Reader] = {
    "any": _read_any,
    "string": _read_string,
    "boolean": _read_bool,
    "integer:int32": _read_int32,
    "string:int64": _read_int64,
    "number:float": _read_number,
    "number:double": _read_number,
    "string:byte": _read_bytes,
    "string:google-datetime": _read_timestamp,
    "string:google-duration": _pattern_reader(_DURATION, "Duration"),
}


def read(message: str, value: object, path: str = "") -> tuple[JsonObject, list[Violation]]:
    """``value`` as a ``message`` with camelCase names, and every complaint about it."""
    reading = _Reading()
    found = _read_message(message, value, path, reading)
    return (found if isinstance(found, dict) else {}), reading.violations


def refuse(violations: list[Violation]) -> ApiError:
    """400 with google.rpc.BadRequest, as Google's JSON transcoder answers."""
    detail = {
        "@type": "type.googleapis.com/google.rpc.BadRequest",
        "fieldViolations": [violation.wire() for violation in violations],
    }
    message = "\n".join(violation.description for violation in violations)
    return ApiError(400, message, details=[detail])


def parse(message: str, value: object) -> JsonObject:
    """``value`` as a ``message``; raises ApiError 400 naming everything that is wrong."""
    found, violations = read(message, value)
    if violations:
        raise refuse(violations)
    return found


def parse_body(message: str, body: bytes) -> JsonObject:
    """Return a request body as a ``message``; an empty body is an empty message."""
    return parse(message, parse_json(body)) if body.strip() else {}


def parse_json(body: bytes) -> Any:  # noqa: ANN401 - JSON is anything
    """Any JSON; raises ApiError 400 in the transcoder's words."""
    try:
        found = orjson.loads(body)
    except orjson.JSONDecodeError as error:
        text = f"Invalid JSON payload received. {error.msg}."
        raise refuse([Violation("", text)]) from error
    if is_deep(body, found):
        raise too_deep()
    return found


def is_deep(text: bytes, value: object) -> bool:
    """Whether ``value``, parsed from ``text``, has more levels than :data:`MAX_DEPTH`."""
    if text.count(b"[") + text.count(b"{") <= MAX_DEPTH:
        return False  # nearly every line of a job
    level = [value]
    for _ in range(MAX_DEPTH):
        level = [child for one in level for child in _members(one)]
        if not level:
            return False
    return True


def _members(value: object) -> Iterable[object]:
    if isinstance(value, dict):
        return value.values()
    return value if isinstance(value, list) else ()


def too_deep() -> ApiError:
    """400 for JSON of more than :data:`MAX_DEPTH` levels."""
    text = "Invalid JSON payload received. Message too deep. Max recursion depth reached."
    return refuse([Violation("", text)])


def decode_bytes(text: str) -> bytes:
    """Base64 in either alphabet, padded or not, as :func:`read` accepted it."""
    plain = text.replace("-", "+").replace("_", "/").rstrip("=")
    return base64.b64decode(plain + "=" * (-len(plain) % 4))
