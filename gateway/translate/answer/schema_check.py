"""Structured answers, checked against the schema that the caller wrote.

Gemini promises that an answer fits the schema it was sent, and does not always keep it: none of 502
answers of a batch did (ruby_llm#894). The check is done in the worker that renders the answer, by a
library in Rust: no reference is ever fetched, patterns are matched in linear time, and what would
take too long is not begun (:mod:`gateway.translate.schemas.cost`). Messages name the place in
the answer that breaks the schema and never its content.
"""

from collections.abc import Sequence
from typing import Any, Final

import jsonschema_rs
import orjson

from gateway.translate.answer.failure import Failure
from gateway.translate.contract import AnswerHints, Context, Json, Note, NoteCode
from gateway.translate.remembered import Remembered
from gateway.translate.schemas.cost import MANY, Steps, UncheckableError
from gateway.units import MIB
from gateway.wire.json_depth import depth_of

# Steps that one answer may take: half a second at most, usually some hundred.
MAX_STEPS: Final = 5_000_000
# Steps per value above which the library is not asked where the error is: it describes every
# alternative that failed, at 6 KB and 30 microseconds each (measured).
MAX_STEPS_TOLD: Final = 100
# Bytes of compiled schemas that are remembered: one of 5,000 properties takes 6 MB, which is 60
# times its text.
_ROOM: Final = 64 * MIB
_TIMES: Final = 60
# A pattern beyond it is not compiled, in bytes: ``\w{1,64}`` takes some thousand.
_PATTERN_BYTES: Final = MIB
_PATTERNS: Final = jsonschema_rs.RegexOptions(
    size_limit=_PATTERN_BYTES, dfa_size_limit=_PATTERN_BYTES
)
# Schemas without ``$schema`` are of the newest draft, unless only an older one knows what they say.
_DRAFTS: Final = (
    jsonschema_rs.Draft202012Validator,
    jsonschema_rs.Draft7Validator,
    jsonschema_rs.Draft4Validator,
)
_LONGEST_PATH: Final = 300

VIOLATION: Final = "schema_violation"
UNCHECKED: Final = "unchecked"


def check_answer(
    text: str, hints: AnswerHints, field: str, context: Context, *, cut: bool
) -> Sequence[Note] | Failure:
    """Check an answer against its caller's schema, if there is one.

    ``field`` is the answer's path in the body; ``cut`` says that it ended before it was complete,
    so its form is not judged.
    """
    schema = hints.get("schema")
    if schema is None or context.policy.schema_check == "off":
        return ()
    if cut:
        return (Note("truncated", field),)
    checker = checker_of(schema)
    if isinstance(checker, str):
        return (Note(UNCHECKED, field, f"{checker}."),)
    complaint = checker.complaint(text)
    if complaint is None:
        return ()
    code, why = complaint
    if code == VIOLATION and context.policy.schema_check == "error":
        message = f"Gemini's answer does not fit the schema that was asked for: {why}."
        return Failure(502, VIOLATION, message)
    return (Note(code, field, f"{why}."),)


class Checker:
    """A schema, compiled. Errors: UncheckableError."""

    def __init__(self, schema: Json) -> None:
        self._steps = Steps(schema)
        # The root must stay where references expect it, so its own `nullable` is kept apart.
        self._nullable = schema.get("nullable") is True
        self._validator = _compiled({name: _with_null(one) for name, one in schema.items()})

    def complaint(self, text: str) -> tuple[NoteCode, str] | None:
        """Judge an answer: a note's code and message, None when it fits."""
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            return VIOLATION, "it is not JSON"
        steps = self._steps_of(text, value)
        if steps is None:
            return UNCHECKED, "it is too large or too deep for this schema"
        if self._validator.is_valid(value) or (value is None and self._nullable):
            return None
        if steps > MAX_STEPS_TOLD:
            return VIOLATION, "it breaks one of many alternatives"
        return VIOLATION, self._complaint_of(value)

    def _complaint_of(self, value: object) -> str:
        """Say where a value breaks the schema, which it is known to do."""
        try:
            self._validator.validate(value)
        except jsonschema_rs.ValidationError as error:
            return _where(error)
        except ValueError:  # of the library's own: it copies no more than 255 levels to tell where
            pass
        return "it is nested too deep to tell where"

    def _steps_of(self, text: str, value: object) -> int | None:
        """Count the schemas that each of the answer's values is checked against; None: too many."""
        # Each value but the first follows one of these characters.
        values = 1 + text.count(",") + text.count("[") + text.count("{")
        steps = self._steps.at_any_depth()
        if steps > MAX_STEPS_TOLD or values * steps > MAX_STEPS:
            steps = self._steps.at(depth_of(value))
        # MANY means any larger number: counting stops there.
        return steps if steps < MANY and values * steps <= MAX_STEPS else None


_remembered: Final[Remembered[str, Checker | str]] = Remembered(_ROOM)


def checker_of(schema: str) -> Checker | str:
    """Compile a schema, given as JSON text; a text when it cannot be, which says why."""
    checker = _remembered.get(schema)
    if checker is None:
        checker = _compile(schema)
        _remembered.keep(schema, checker, _TIMES * len(schema))
    return checker


def _compile(schema: str) -> Checker | str:
    try:
        return Checker(orjson.loads(schema))
    except UncheckableError as error:
        return str(error)


def _compiled(schema: Json) -> jsonschema_rs.Validator:
    makers = [jsonschema_rs.validator_for] if "$schema" in schema else _DRAFTS
    for make in makers:
        try:
            return make(schema, validate_formats=False, pattern_options=_PATTERNS, offline=True)
        except ValueError:  # of the library's own kind; its message quotes the schema
            continue
    raise UncheckableError("it is no JSON Schema that can be compiled")


def _with_null(value: Any) -> Any:  # noqa: ANN401 - parsed JSON
    """OpenAPI's ``nullable``, which Gemini is told, in JSON Schema's words."""
    if type(value) is list:
        return [_with_null(one) for one in value]
    if type(value) is not dict:
        return value
    made = {name: _with_null(one) for name, one in value.items()}
    if value.get("nullable") is not True:
        return made
    if type(value.get("type")) is not str:
        return {"anyOf": [made, {"type": "null"}]}
    made["type"] = [value["type"], "null"]
    if type(value.get("enum")) is list and None not in value["enum"]:
        made["enum"] = [*made["enum"], None]
    return made


def _where(error: jsonschema_rs.ValidationError) -> str:
    """``$.items[0].price breaks 'minimum'``; names that are not the schema's are content."""
    known = set(error.evaluation_path)
    path = "$"
    for step in error.instance_path:
        if type(step) is int:
            path += f"[{step}]"
        else:
            path += f".{step}" if step in known else ".*"
    if len(path) > _LONGEST_PATH:
        path = path[:_LONGEST_PATH] + "…"
    return f"{path} breaks '{error.kind.name}'"
