"""Whether an answer calls functions, which, and with what arguments."""

import re
from typing import Final

from gateway.emulator.answers.fit_schema import fit
from gateway.emulator.checks.tools import declarations
from gateway.emulator.faults.markers import Marks
from gateway.emulator.protocol.errors import JsonObject

MAX_CALLS: Final = 1000
_SMALL_WORDS: Final = frozenset(
    {"call", "create", "find", "from", "function", "list", "make", "with"}
)
_WORD: Final = re.compile(r"[a-z0-9]+")
_CAMEL: Final = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")


def choose_calls(request: JsonObject, text: str, marks: Marks) -> list[str]:
    """Names of the functions to call; empty for an answer in text.

    ANY calls until every function has answered, or the one that a marker names: a model would call
    on, and no agent under test would end. AUTO and VALIDATED call what a marker says, or a function
    whose name shares a word with the prompt ("what is the weather" and ``get_weather``), unless
    functions have just answered and no marker wants more rounds; NONE never calls.
    """
    calling = request.get("toolConfig", {}).get("functionCallingConfig", {})
    mode = calling.get("mode", "AUTO")
    names = calling.get("allowedFunctionNames") or list(declarations(request))
    if not names or mode == "NONE":
        return []
    if _done(request, marks):
        named = [marks["call"].value] if "call" in marks else names
        return [one for one in named if one not in _answered(request)][: int(mode == "ANY")]
    wanted = _wanted(names, text, marks)
    if not wanted and mode == "ANY":
        wanted = [names[0]]
    count = min(marks["calls"].number(2), MAX_CALLS) if "calls" in marks else len(wanted)
    return [wanted[at % len(wanted)] for at in range(count)] if wanted else []


def _done(request: JsonObject, marks: Marks) -> bool:
    """Whether functions have just answered, in as many rounds as a marker wants."""
    if "rounds" in marks and _rounds(request) < marks["rounds"].number(1):
        return False
    return bool(answers(request))


def _answered(request: JsonObject) -> set[str]:
    """Names of the functions that have answered since the last prompt."""
    found: set[str] = set()
    for content in reversed(request["contents"]):
        if content.get("role") != "model":
            results = [part.get("functionResponse", {}) for part in content["parts"]]
            found |= {result["name"] for result in results if result}
            if any("text" in part for part in content["parts"]):
                break
    return found


def _rounds(request: JsonObject) -> int:
    """Count the contents since the last prompt that hold answers of functions."""
    found = 0
    for content in reversed(request["contents"]):
        if content.get("role") != "model":
            found += any("functionResponse" in part for part in content["parts"])
            if any("text" in part for part in content["parts"]):
                break
    return found


def answers(request: JsonObject) -> list[JsonObject]:
    """Return the function responses given since the model last spoke."""
    found: list[JsonObject] = []
    for content in reversed(request["contents"]):
        if content.get("role") == "model":
            return found
        found += [
            part["functionResponse"] for part in content["parts"] if "functionResponse" in part
        ]
    return found


def _wanted(names: list[str], text: str, marks: Marks) -> list[str]:
    if "call" in marks:
        return [marks["call"].value or names[0]]
    if "calls" in marks:
        return names
    words = set(_WORD.findall(text.lower()))
    return [name for name in names if name.lower() in text.lower() or _telling(name) & words]


def _telling(name: str) -> set[str]:
    """Return the words of a function's name that tell what it is about."""
    words = _WORD.findall(_CAMEL.sub(" ", name).lower())
    return {word for word in words if len(word) >= 4} - _SMALL_WORDS


def call_part(
    name: str,
    request: JsonObject,
    text: str,
    marks: Marks,
    *,
    number: int,
    with_id: bool,
) -> JsonObject:
    """``{"functionCall": {"name", "args"}}`` with arguments that fit the declaration.

    Newer models give some calls an ``id`` (23 of 181 on record), older ones never.
    """
    declared = declarations(request).get(name, {})
    schema = declared.get("parameters") or declared.get("parametersJsonSchema") or {}
    call: JsonObject = {"name": name}
    args = fit({"type": "object"} | schema, text)
    if "no-args" not in marks:
        call["args"] = args if isinstance(args, dict) else {}
    if with_id or "call-id" in marks:
        call["id"] = f"call{number:04d}"
    return {"functionCall": call}
