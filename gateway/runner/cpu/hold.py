"""Hold again: finished items of lines with several, from raw results of earlier attempts."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from gateway.runner.cpu.archive import unpack
from gateway.wire.gemini_results import read_results, unfold_inline

ITEM: Final = "."  # in the key of an item of a line that has several


@dataclass(frozen=True, slots=True)
class HoldTask:
    """``raws`` are raw results, ``inlines`` says of each whether an inline job brought them."""

    raws: Sequence[str]
    inlines: Sequence[bool]
    scratch: str


@dataclass(frozen=True, slots=True)
class HoldSummary:
    """``held`` has a result for every item that was answered."""

    held: str


def hold(task: HoldTask) -> HoldSummary:
    """Write what was answered. Errors: OSError, ValueError of results that are damaged."""
    scratch = Path(task.scratch)
    path = scratch / "held-again"
    with path.open("wb") as held:
        for number, (raw, inline) in enumerate(zip(task.raws, task.inlines, strict=True)):
            plain = unpack(Path(raw), scratch)
            if inline:
                unfold_inline(plain, scratch / f"unfolded-{number}")
                plain = scratch / f"unfolded-{number}"
            for result in read_results(plain):
                if result.key is not None and ITEM in result.key and "response" in result.answer:
                    held.write(orjson.dumps({"key": result.key, **result.answer}) + b"\n")
    return HoldSummary(str(path))
