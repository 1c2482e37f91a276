"""Function names: OpenAI lets them begin with a digit or a dash, Gemini does not.

``1st`` <-> ``f_1st``. Names that already look renamed get one more prefix, so the way back needs
no memory: ``f_1st`` <-> ``f_f_1st``.
"""

import re
from functools import lru_cache
from typing import Final

from gateway.translate.reading.refusal import invalid_type, invalid_value, quoted

_NAME: Final = re.compile(r"[A-Za-z0-9_.:-]{1,64}\Z")
_ILLEGAL: Final = re.compile(r"[^A-Za-z0-9_.:-]")
_NEEDS_PREFIX: Final = re.compile(r"(f_)*[0-9.:-]")
_PREFIX: Final = "f_"
# Of Gemini's names too (FunctionDeclaration.name).
_LONGEST: Final = 64


def gemini_name(value: object, param: str = "") -> str:
    """Check a function's name and make it one that Gemini accepts."""
    if type(value) is not str:
        invalid_type(value, "a string", param)
    # What is longer is no name, and not worth its place among those that are remembered.
    name = _renamed(value) if len(value) <= _LONGEST else ""
    if not name:
        invalid_value(
            f"{quoted(value)} is not 1 to 64 letters, digits, '_', '-', '.' or ':'.", param
        )
    if len(name) > _LONGEST:
        why = f"Gemini's name for it, {quoted(name)}, is longer than {_LONGEST} characters."
        invalid_value(why, param)
    return name


# The lines of a batch share few names.
@lru_cache(maxsize=4096)
def _renamed(name: str) -> str:
    if not _NAME.match(name):
        return ""
    return _PREFIX + name if _NEEDS_PREFIX.match(name) else name


def legal_name(value: str) -> str:
    """Return a name that Gemini itself once made up as one that it takes back.

    ``print(default_api.f())`` -> ``print_default_api.f__``.
    """
    return _ILLEGAL.sub("_", value)[:_LONGEST]


def openai_name(name: str) -> str:
    """Return the client's own name of a function that Gemini called."""
    if name.startswith(_PREFIX) and _NEEDS_PREFIX.match(name):
        return name[len(_PREFIX) :]
    return name
