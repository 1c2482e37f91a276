"""Reuse: which lines of a batch may be answered by the answers of earlier batches, and how old."""

import re
from dataclasses import dataclass
from typing import Final

from gateway.batches.batch import BACKGROUND, Batch

REUSE: Final = "reuse"
_SPAN: Final = re.compile(r"([0-9]{1,9})([smhd]?)")
_SECONDS: Final = {"": 1, "s": 1, "m": 60, "h": 3600, "d": 24 * 3600}


@dataclass(frozen=True, slots=True)
class Reuse:
    """``within``: how old an answer may be (ms); 0: none is taken.

    With ``every_line`` any line takes one, else only those of which each attempt says the same:
    embeddings, and temperature 0. With ``keeps``, the batch's own answers may be found later.
    """

    within: int = 0
    every_line: bool = False
    keeps: bool = False


def parse_reuse(text: str) -> int:
    """``"7d"`` -> 604,800,000 ms; also ``h``, ``m``, and seconds. Errors: ValueError."""
    matched = _SPAN.fullmatch(text)
    if matched is None:
        raise ValueError("expected a time such as '7d', '12h', '30m' or '900' (seconds).")
    return int(matched[1]) * _SECONDS[matched[2]] * 1000


def reuse_of(batch: Batch, always: int) -> Reuse:
    """Give a batch's own wish, else what ``GATEWAY_REUSE_SECONDS`` says (``always``, ms).

    A response in the background is an answer of its own, and goes when its client deletes it.
    """
    if batch.kind == BACKGROUND:
        return Reuse()
    try:
        within = parse_reuse((batch.metadata or {})[REUSE])
    except (KeyError, ValueError):  # an older version let anything in
        return Reuse(always, every_line=False, keeps=always > 0)
    return Reuse(within, every_line=True, keeps=max(within, always) > 0)
