"""Partial responses: the ``fields`` parameter every Google API has.

``name,done,metadata(state,output/responsesFile)``: names joined with commas, ``/`` for what is
inside, parentheses for several inside, ``*`` for everything.
"""

import re
from typing import Final

from gateway.emulator.protocol.errors import invalid

# Field -> the mask inside it; one that has ``*`` keeps everything.
Mask = dict[str, "Mask"]

MAX_DEPTH: Final = 100
_TOKEN: Final = re.compile(r"[A-Za-z0-9_@.*-]+|[,()/]")


def parse_mask(text: str) -> Mask:
    """Return the mask of a ``fields`` parameter; raises ApiError 400."""
    tokens = _TOKEN.findall(text)
    if tokens.count("/") + tokens.count("(") > MAX_DEPTH:
        raise invalid(f"Request contains an invalid argument: fields={text}")
    if "".join(tokens) != text.replace(" ", "") or not tokens:
        raise invalid(f"Request contains an invalid argument: fields={text}")
    mask, rest = _parse_list(tokens, text)
    if rest:
        raise invalid(f"Request contains an invalid argument: fields={text}")
    return mask


def _parse_list(tokens: list[str], text: str) -> tuple[Mask, list[str]]:
    mask: Mask = {}
    while True:
        tokens = _parse_path(tokens, mask, text)
        if not tokens or tokens[0] != ",":
            return mask, tokens
        tokens = tokens[1:]


def _parse_path(tokens: list[str], mask: Mask, text: str) -> list[str]:
    if not tokens or tokens[0] in {",", "(", ")", "/"}:
        raise invalid(f"Invalid field selection {text}")
    inner = mask.setdefault(tokens[0], {})
    tokens = tokens[1:]
    if tokens and tokens[0] == "/":
        return _parse_path(tokens[1:], inner, text)
    if tokens and tokens[0] == "(":
        found, tokens = _parse_list(tokens[1:], text)
        if not tokens or tokens[0] != ")":
            raise invalid(f"Invalid field selection {text}")
        _merge(inner, found)
        return tokens[1:]
    inner["*"] = {}
    return tokens


def _merge(mask: Mask, more: Mask) -> None:
    """Let ``mask`` keep what ``more`` keeps, too."""
    for name, inner in more.items():
        _merge(mask.setdefault(name, {}), inner)


def apply_mask(mask: Mask, value: object) -> object:
    """``value`` with only what ``mask`` names; lists are masked element by element."""
    if "*" in mask:
        return value
    if isinstance(value, list):
        return [apply_mask(mask, one) for one in value]
    if isinstance(value, dict):
        return {name: apply_mask(mask[name], one) for name, one in value.items() if name in mask}
    return value
