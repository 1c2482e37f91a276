"""Refusals: why a line is a 400, raised by a check and caught once at the top of ``to_gemini``.

A check names fields relative to its value; what walks a list or an object (:func:`at`,
:func:`each`, a :class:`gateway.translate.reading.table.FieldTable`) adds its own step. So a line
that is accepted never builds a path string. The final path replaces ``{param}`` in the message,
because the OpenAI SDK shows users the message alone.
"""

from collections.abc import Callable, Iterable
from typing import Any, Final, NoReturn, TypeVar, TypeVarTuple

from gateway.translate.contract import LineError
from gateway.wire import openai_errors
from gateway.wire.openai_errors import Complaint, did_you_mean, json_type

More = TypeVarTuple("More")
Read = TypeVar("Read")

# A client's own key or value inside a message is cut here: an error line is not a copy of a line.
MAX_QUOTED_CHARACTERS: Final = 100

# Where the final path goes in a complaint, which is worded before that path is known.
_PARAM: Final = "{param}"


class Refused(Exception):  # noqa: N818 - a decision about a line, no failure of ours
    """This line cannot be translated; ``param`` names the field, ``code`` is OpenAI's."""

    def __init__(self, code: str, param: str, message: str) -> None:
        super().__init__(message)
        self.code = code
        self.param = param
        self.message = message

    def prefixed(self, prefix: str) -> "Refused":
        """Name the field from one level further out: ``role`` under ``messages[0]``."""
        if not self.param:
            self.param = prefix
        elif self.param[0] == "[":
            self.param = prefix + self.param
        else:
            self.param = f"{prefix}.{self.param}"
        return self

    def line_error(self) -> LineError:
        """Return the refusal as the 400 of its line."""
        return LineError(400, self.code, self.param, self.message.replace("{param}", self.param))


class Unfaithful(Refused):
    """The line could be sent, but not as it is, and is strict. ``param`` is its whole path."""

    def __init__(self, param: str, why: str) -> None:
        super().__init__(
            "unsupported_value",
            param,
            f"Unsupported value for '{{param}}': {why}, which this gateway refuses "
            "(GATEWAY_STRICT).",
        )

    def prefixed(self, prefix: str) -> "Refused":  # noqa: ARG002 - the path is complete
        """Leave the path as it is."""
        return self


def quoted(value: object) -> str:
    """Return a client's value inside a message, cut to a readable length."""
    text = value if isinstance(value, str) else json_type(value)
    if len(text) > MAX_QUOTED_CHARACTERS:
        text = text[:MAX_QUOTED_CHARACTERS] + "…"
    return f"'{text}'" if isinstance(value, str) else text


def shortened(key: str) -> str:
    """Return a key as a step of a path: cut to a readable length, an empty one as ``""``."""
    if len(key) > MAX_QUOTED_CHARACTERS:
        return key[:MAX_QUOTED_CHARACTERS] + "…"
    return key or '""'


def at(step: str, read: Callable[[Any, *More], Read], value: object, *more: *More) -> Read:
    """``read(value, *more)``; its refusal is named from ``step``, e.g. ``function`` or ``[0]``."""
    try:
        return read(value, *more)
    except Refused as refusal:
        refusal.prefixed(step)
        raise


def each(values: object, read: Callable[[Any, *More], Read], *more: *More) -> list[Read]:
    """``read`` of every value of an array; a refusal is named from the value's ``[index]``."""
    if type(values) is not list:
        invalid_type(values, "an array of objects")
    index = 0
    made = []
    try:
        for index, value in enumerate(values):  # noqa: B007 - names the value in a refusal
            made.append(read(value, *more))
    except Refused as refusal:
        refusal.prefixed(f"[{index}]")
        raise
    return made


def _refuse(complaint: Complaint, param: str, hint: str = "") -> NoReturn:
    raise Refused(complaint.code, param, complaint.message + hint)


def invalid_type(value: object, expected: str, param: str = "") -> NoReturn:
    """Refuse a value of the wrong JSON type."""
    got = "an empty array" if value == [] else json_type(value)
    _refuse(openai_errors.invalid_type(_PARAM, expected, got), param)


def invalid_value(why: str, param: str = "") -> NoReturn:
    """Refuse a value of the right type that cannot be meant."""
    _refuse(openai_errors.invalid_value(_PARAM, why), param)


def unsupported_value(why: str, param: str = "") -> NoReturn:
    """Refuse a value that OpenAI knows and Gemini has no equivalent for."""
    raise Refused("unsupported_value", param, f"Unsupported value for '{{param}}': {why}")


def unsupported_parameter(why: str, param: str = "") -> NoReturn:
    """Refuse a field that OpenAI knows and Gemini has no equivalent for."""
    raise Refused("unsupported_parameter", param, f"Unsupported parameter: '{{param}}'. {why}")


def unknown_parameter(name: str = "", known: Iterable[str] = ()) -> NoReturn:
    """Refuse a field that no table knows; ``known`` are the names that it may have meant."""
    _refuse(openai_errors.unknown_parameter(_PARAM), name, did_you_mean(name, known))


def missing(name: str) -> NoReturn:
    """Refuse an object that lacks a required member."""
    _refuse(openai_errors.missing_parameter(_PARAM), name)


def invalid_choice(value: object, allowed: Iterable[str], param: str = "") -> NoReturn:
    """Refuse a value outside a closed vocabulary."""
    if not isinstance(value, str):
        invalid_type(value, "a string", param)
    known = ", ".join(f"'{word}'" for word in allowed)
    invalid_value(f"{quoted(value)} is not one of {known}.", param)
