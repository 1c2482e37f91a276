"""Differences between the panes of a line: what was renamed, what was dropped, what was added.

From what was asked to what was sent they are known (``gateway/runner/cpu/provenance.py``). From the
raw answer to what the client gets they are found by equal values under names that share a word.
"""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import combinations
from typing import Any, Final, NamedTuple

import orjson

JsonValue = Any
Marks = Mapping[str, "Mark"]

# Equal texts of this length are the same text, whatever their names are.
TELLING_CHARACTERS: Final = 12
INDENT: Final = "  "
_WORD: Final = re.compile(r"[A-Z]?[a-z]+|[A-Z]+|\d+")


class Mark(NamedTuple):
    """Words about a member: the kind chooses the sign, ``told`` says it in words."""

    kind: str  # renamed, dropped, added or noted
    told: str


class Row(NamedTuple):
    """A line of a pane."""

    text: str
    mark: Mark | None


SIGNS: Final = {"renamed": "→", "dropped": "-", "added": "+", "noted": "!"}
ADDED: Final = Mark("added", "from no field of the line")
MADE: Final = Mark("added", "not in Gemini's answer")
NOT_PASSED_ON: Final = Mark("dropped", "not in the client's answer")


# --- asked and sent ---------------------------------------------------------------------------


def asked(
    body: Mapping[str, JsonValue],
    became: Mapping[str, Sequence[str]],
    notes: Sequence[Mapping[str, Any]],
    model: str | None,
) -> list[Row]:
    """Write what was asked, each field with what became of it."""
    marks = {field: mark for field in body if (mark := _fate(field, became, notes))}
    if model is not None and body.get("model") != model:
        marks["model"] = Mark("renamed", f"→ the model {model}")
    return rows(body, marks)


def _fate(
    field: str, became: Mapping[str, Sequence[str]], notes: Sequence[Mapping[str, Any]]
) -> Mark | None:
    codes = [str(note.get("code")) for note in notes if _root(note.get("field")) == field]
    if "dropped" in codes:
        return Mark("dropped", "dropped, noted")
    if codes:
        return Mark("noted", ", ".join(dict.fromkeys(codes)))
    paths = became.get(field)
    if paths is None or field == "model":
        return None
    if not paths:
        return Mark("dropped", "changes nothing of what is sent")
    others = [path for path in paths if not _same_name(path, field)]
    return Mark("renamed", f"→ {', '.join(others)}") if others else None


def sent(item: JsonValue, became: Mapping[str, Sequence[str]]) -> list[Row]:
    """Write what was sent, each member with the field that it comes from."""
    if not became:
        return rows(item, {})
    sources = {path: field for field, paths in became.items() for path in paths}
    return rows(item, dict(_sources(item, "", sources)))


def _sources(value: JsonValue, path: str, sources: Mapping[str, str]) -> Iterator[tuple[str, Mark]]:
    """Mark the outermost member that comes from one field, or from none."""
    if path in sources:
        field = sources[path]
        if not _same_name(path, field):
            yield path, Mark("renamed", f"← {field}")
        return
    inside = [each for each in sources if not path or each.startswith((f"{path}.", f"{path}["))]
    if not inside:
        yield path, ADDED
        return
    for name, member in _members(value):
        yield from _sources(member, _joined(path, name), sources)


# --- answered and got -------------------------------------------------------------------------


def answers(raw: JsonValue, got: JsonValue) -> tuple[list[Row], list[Row]]:
    """Write the raw answer and what the client gets, each member with its like."""
    theirs, ours = dict(leaves(raw)), dict(leaves(got))
    pairs = _pairs(theirs, ours)
    back = {mine: path for path, mine in pairs.items()}
    left = dict(_unlike(raw, "", pairs, NOT_PASSED_ON, "→"))
    right = dict(_unlike(got, "", back, MADE, "←"))
    for path, parts in _sums(theirs, ours, pairs):
        right[path] = Mark("renamed", f"← {' + '.join(parts)}")
        left |= {
            part: Mark("renamed", f"→ {path}, as a part") for part in parts if part not in pairs
        }
    return rows(raw, left), rows(got, right)


def _pairs(theirs: Mapping[str, JsonValue], ours: Mapping[str, JsonValue]) -> dict[str, str]:
    """Pair leaves of equal values, those first whose names share the most words."""
    by_value: dict[JsonValue, list[str]] = {}
    for path, value in ours.items():
        by_value.setdefault(_comparable(value), []).append(path)
    found: dict[str, str] = {}
    wanted = sorted(
        (-_likeness(path, mine, value), place, path, mine)
        for place, (path, value) in enumerate(theirs.items())
        for mine in by_value.get(_comparable(value), ())
    )
    taken: set[str] = set()
    for likeness, _, path, mine in wanted:
        if likeness < 0 and path not in found and mine not in taken:
            found[path] = mine
            taken.add(mine)
    return found


def _sums(
    theirs: Mapping[str, JsonValue], ours: Mapping[str, JsonValue], pairs: Mapping[str, str]
) -> Iterator[tuple[str, tuple[str, str]]]:
    """Find numbers that are the sum of two: OpenAI counts thoughts into the answer."""
    taken = set(pairs.values())
    numbers = {path: value for path, value in theirs.items() if type(value) is int and value}
    for mine, value in ours.items():
        if mine in taken or type(value) is not int:
            continue
        words = set(_words(mine))
        like = [path for path in numbers if words & set(_words(path))]
        for parts in combinations(like, 2):
            if numbers[parts[0]] + numbers[parts[1]] == value and parts[0] not in pairs:
                yield mine, parts
                break


def _likeness(path: str, other: str, value: JsonValue) -> int:
    shared = len(set(_words(path)) & set(_words(other)))
    telling = isinstance(value, str) and len(value) >= TELLING_CHARACTERS
    return shared + telling


def _comparable(value: JsonValue) -> JsonValue:
    """``STOP`` is ``stop``; ``true`` is not 1; a container is like none."""
    if isinstance(value, str):
        return value.lower()
    return (type(value).__name__, value) if isinstance(value, bool | int | float) else id(value)


def _unlike(
    value: JsonValue, path: str, pairs: Mapping[str, str], alone: Mark, arrow: str
) -> Iterator[tuple[str, Mark]]:
    if path in pairs:
        if not _same_name(path, pairs[path]):
            yield path, Mark("renamed", f"{arrow} {pairs[path]}")
        return
    members = list(_members(value))
    if not any(leaf in pairs for leaf, _ in leaves(value, path)):
        yield path, alone
        return
    for name, member in members:
        yield from _unlike(member, _joined(path, name), pairs, alone, arrow)


# --- writing ----------------------------------------------------------------------------------


def rows(value: JsonValue, marks: Marks) -> list[Row]:
    """Write JSON as lines, each with what is said of the member that begins there."""
    return list(_rows(value, "", "", "", "", marks))


def _rows(  # noqa: PLR0917 - a writer's state
    value: JsonValue, path: str, indent: str, before: str, after: str, marks: Marks
) -> Iterator[Row]:
    mark = marks.get(path)
    members = list(_members(value))
    if not members:
        yield Row(f"{indent}{before}{orjson.dumps(value).decode()}{after}", mark)
        return
    opening, closing = "{}" if isinstance(value, dict) else "[]"
    yield Row(f"{indent}{before}{opening}", mark)
    for place, (name, member) in enumerate(members, 1):
        label = f"{orjson.dumps(name).decode()}: " if isinstance(name, str) else ""
        comma = "," if place < len(members) else ""
        yield from _rows(member, _joined(path, name), indent + INDENT, label, comma, marks)
    yield Row(f"{indent}{closing}{after}", None)


def leaves(value: JsonValue, path: str = "") -> Iterator[tuple[str, JsonValue]]:
    """Yield each scalar and each empty container with its path."""
    members = list(_members(value))
    if not members:
        yield path, value
    for name, member in members:
        yield from leaves(member, _joined(path, name))


def _members(value: JsonValue) -> Iterator[tuple[str | int, JsonValue]]:
    if isinstance(value, dict):
        yield from value.items()
    elif isinstance(value, list):
        yield from enumerate(value)


def _joined(path: str, name: str | int) -> str:
    if isinstance(name, int):
        return f"{path}[{name}]"
    return f"{path}.{name}" if path else name


# --- names ------------------------------------------------------------------------------------


def _root(path: object) -> str:
    return re.split(r"[.\[]", str(path), maxsplit=1)[0]


def _last(path: str) -> str:
    return re.sub(r"\[\d+\]", "", path).rpartition(".")[2]


def _words(path: str) -> list[str]:
    """``candidatesTokenCount`` -> candidate, token, count."""
    return [word.lower().removesuffix("s") for word in _WORD.findall(_last(path))]


def _same_name(path: str, other: str) -> bool:
    """Tell whether names differ in their style alone: ``top_p`` and ``topP``."""
    return _words(path) == _words(other)
