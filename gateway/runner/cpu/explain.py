"""Explanations of a dry run: of each line of a file, and the totals."""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field, fields
from typing import Any, Final

import orjson

from gateway.batches.batch import BatchError
from gateway.runner.cpu.envelope import Envelope, Line
from gateway.runner.cpu.guard import MESSAGE, Guard
from gateway.translate import (
    UNKNOWN_MEMBER,
    Estimate,
    LineError,
    Note,
    Price,
    Translation,
    capabilities_of,
    estimate,
    price_of,
)
from gateway.wire.jsonl import LongLine

# Fields are counted by name, and names are the file's: never an endless table.
MAX_KINDS: Final = 1000
DECIMALS: Final = 9  # a token costs some 0.0000001 dollars
_INDEX: Final = re.compile(r"\[\d+\]")


@dataclass(slots=True)
class ModelTotals:
    """The lines of one model. Sums are US dollars, of lines that have an estimate alone."""

    lines: int = 0
    items: int = 0
    text_tokens: int = 0
    output_tokens: int = 0
    unlimited: int = 0  # lines whose answer may be as long as the model likes
    input_cost: float = 0.0
    most_cost: float = 0.0
    unknown: Counter[str] = field(default_factory=Counter)  # lines without an estimate, by why
    without_cost: int = 0

    def add(self, items: int, of: Estimate) -> None:
        """Count one line."""
        self.lines += 1
        self.items += items
        self.text_tokens += of.text_tokens
        self.unlimited += of.output_tokens is None
        self.output_tokens += of.output_tokens or 0
        self.unknown.update(of.unknown)
        self.without_cost += of.input_cost is None
        self.input_cost += of.input_cost or 0.0
        self.most_cost += of.most_cost or 0.0

    def __add__(self, other: "ModelTotals") -> "ModelTotals":
        return ModelTotals(
            **{
                each.name: getattr(self, each.name) + getattr(other, each.name)
                for each in fields(self)
            }
        )

    def to_json(self) -> dict[str, Any]:
        """Give the totals; a sum with unknown parts is null, the known part has its own member."""
        return {
            "lines": self.lines,
            "items": self.items,
            "input_text_tokens": self.text_tokens,
            "output_tokens_at_most": None if self.unlimited else self.output_tokens,
            "input_usd": None if self.without_cost else _dollars(self.input_cost),
            "known_input_usd": _dollars(self.input_cost),
            "usd_at_most": None if self.without_cost else _dollars(self.most_cost),
            "without_estimate": dict(self.unknown),
        }


class Explained:
    """A file, line by line.

    ``envelope`` reads its lines; ``day`` is today, for prices; ``prices`` come before the table.
    """

    def __init__(
        self,
        envelope: Envelope,
        day: str,
    ) -> None:
        self._endpoint = envelope.endpoint
        self._policy = envelope.policy
        self._day = day
        self._envelope = envelope
        self._seen: dict[str, int] = {}
        self._guard = Guard()
        self.prices: dict[str, Price] = {}
        self.totals: Counter[str] = Counter()
        self.models: dict[str, ModelTotals] = {}
        # By code and field: how many, and the line that is the first.
        self.notes: dict[tuple[str, str], list[int]] = {}
        # The same of what is refused, and of what fails the whole batch; and the first's message.
        self.errors: dict[str, dict[tuple[str, str], list[int]]] = {"batch": {}, "line": {}}
        self._told: dict[tuple[str, tuple[str, str]], str] = {}

    def line(self, raw: bytes | LongLine, number: int) -> dict[str, Any]:
        """Explain one line."""
        self.totals["lines"] += 1
        line = self._envelope.read(raw, number)
        if isinstance(line, BatchError):
            return self._complaint(number, "batch", line.code, line.param, line.message)
        first = self._seen.setdefault(line.custom_id, number)
        if first != number:
            return self._complaint(
                number, "batch", "duplicate_custom_id", "custom_id", f"as on line {first}"
            )
        made = self._guard.call(lambda: self._make(line))
        if made is None:
            made = LineError(500, "internal_error", None, MESSAGE)
        if isinstance(made, LineError):
            complaint = self._complaint(number, "line", made.code, made.param, made.message)
            return {"line": number, "custom_id": line.custom_id, **complaint}
        return self._translated(line, number, *made)

    @property
    def unknown_models(self) -> Collection[str]:
        """Some of the models that the list lacks."""
        return self._envelope.unknown

    @property
    def caught(self) -> Mapping[str, int]:
        """Where the gateway itself failed, and on how many lines."""
        return self._guard.caught

    def _make(self, line: Line) -> LineError | tuple[Translation, Estimate]:
        """Translate a line: whatever can go wrong on it does so here, before it is counted."""
        made = self._endpoint.to_gemini(line.body, self._policy, line.model)
        if isinstance(made, LineError):
            return made
        most_tokens = capabilities_of(line.model, self._policy).most_tokens
        return made, estimate(made[0], self._price(line.model), most_tokens)

    def _translated(
        self, line: Line, number: int, made: Translation, reckoned: Estimate
    ) -> dict[str, Any]:
        items, _, noted, files, *_ = made
        notes = [*(Note(UNKNOWN_MEMBER, name[:100]) for name in line.extra), *noted]
        for note in notes:
            _count(self.notes, note.code, note.field, number)
        self.totals["items"] += len(items)
        self.models.setdefault(line.model, ModelTotals()).add(len(items), reckoned)
        return {
            "line": number,
            "custom_id": line.custom_id,
            "model": line.model,
            "method": self._endpoint.method,
            "items": [orjson.Fragment(item) for item in items],
            **({"files": list(files)} if files else {}),
            "notes": [_note(note) for note in notes],
            "estimate": _estimate(reckoned),
        }

    def _price(self, model: str) -> Price | None:
        return self.prices.get(model) or price_of(model, self._day)

    def _complaint(
        self, number: int, fails: str, code: str | None, param: str | None, message: str
    ) -> dict[str, Any]:
        self.totals[fails] += 1
        kind = _count(self.errors[fails], code or "", param or "", number)
        self._told.setdefault((fails, kind), message)
        error = {"code": code, "param": param, "message": message}
        return {"line": number, "fails": fails, "error": error}

    def summary(self) -> dict[str, Any]:
        """Sum everything up, for programs."""
        return {
            "endpoint": self._endpoint.path,
            "lines": self.totals["lines"],
            "items": self.totals["items"],
            "refused": self.totals["line"],
            "fail_the_batch": self.totals["batch"],
            "models": {name: totals.to_json() for name, totals in sorted(self.models.items())},
            "total": sum(self.models.values(), ModelTotals()).to_json(),
            "notes": _kinds(self.notes),
            "errors": [
                {
                    **kind,
                    "fails": fails,
                    "message": self._told[fails, (kind["code"], kind["field"])],
                }
                for fails, kinds in self.errors.items()
                for kind in _kinds(kinds)
            ],
        }


def _dollars(cost: float | None) -> float | None:
    return None if cost is None else round(cost, DECIMALS)


def _estimate(of: Estimate) -> dict[str, Any]:
    told: dict[str, Any] = {
        "input_text_tokens": of.text_tokens,
        "output_tokens_at_most": of.output_tokens,
        "input_usd": _dollars(of.input_cost),
        "usd_at_most": _dollars(of.most_cost),
    }
    return {**told, "unknown": list(of.unknown)} if of.unknown else told


def _note(note: Note) -> dict[str, str]:
    told = {"code": note.code, "field": note.field}
    return {**told, "message": note.message} if note.message else told


def _count(
    kinds: dict[tuple[str, str], list[int]], code: str, path: str, number: int
) -> tuple[str, str]:
    """``messages[3].name`` counts as ``messages[].name``; return the kind that was counted."""
    key = (code, _INDEX.sub("[]", path))
    if key not in kinds and len(kinds) >= MAX_KINDS:
        key = (code, "(others)")
    kinds.setdefault(key, [0, number])[0] += 1
    return key


def _kinds(kinds: Mapping[tuple[str, str], list[int]]) -> list[dict[str, Any]]:
    """List kinds, the most frequent first."""
    ordered = sorted(kinds.items(), key=lambda kind: (-kind[1][0], kind[0]))
    return [
        {"code": code, "field": path, "count": count, "first_line": first}
        for (code, path), (count, first) in ordered
    ]
