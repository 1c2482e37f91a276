"""Numbers, times and states as a person reads them on the page."""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final, NamedTuple

from gateway import units
from gateway.ui.differences import SIGNS

Json = Mapping[str, Any]

LIVE: Final = frozenset({"validating", "in_progress", "finalizing", "cancelling"})
# Moments of a batch in the order of its life -> what they are called.
_MOMENTS: Final = {
    "created_at": "created",
    "in_progress_at": "began to run",
    "cancelling_at": "cancel asked for",
    "finalizing_at": "all lines done",
    "completed_at": "completed",
    "failed_at": "failed",
    "cancelled_at": "cancelled",
    "expired_at": "expired",
}


class Group(NamedTuple):
    """Lines that failed with one code: how many, the first of them, and what it was told."""

    code: str
    lines: int
    custom_id: str
    message: str


def time(seconds: int | None) -> str:
    """``1790000000`` -> ``2026-09-21 14:13:20``, UTC."""
    if seconds is None:
        return ""
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S")


def duration(seconds: float | None) -> str:
    """Say how long; an estimate that is not known has no number."""
    return "unknown" if seconds is None else units.duration(seconds)


def number(value: int | None) -> str:
    """``1234567`` -> ``1,234,567``."""
    return "unknown" if value is None else f"{value:,}"


def dollars(value: float | None) -> str:
    """``0.0123`` -> ``$0.0123``."""
    if value is None:
        return "unknown"
    if 0 < value < 0.0001:
        return "under $0.0001"
    return f"${value:,.2f}" if value >= 10 else f"${value:.4f}"


def size(value: int) -> str:
    """``123456`` -> ``121 KiB``."""
    amount, unit = float(value), "B"
    for unit in ("B", "KiB", "MiB", "GiB"):
        if amount < 1024 or unit == "GiB":
            break
        amount /= 1024
    return f"{amount:.0f} {unit}" if unit == "B" else f"{amount:.1f} {unit}"


def lasted(batch: Json, now: int) -> str:
    """Write the time it took, or takes until now."""
    return duration((ended_at(batch) or now) - batch["created_at"])


def ended_at(batch: Json) -> int | None:
    """Tell when it ended; None while it lives."""
    ends = ("completed_at", "failed_at", "expired_at", "cancelled_at")
    return next((batch[name] for name in ends if batch[name]), None)


def bar(counts: Json) -> tuple[float, float, float]:
    """Give the shares in percent that were answered, that failed, and that are open."""
    total = counts["total"] or 0
    if not total:
        return 0.0, 0.0, 100.0
    done, failed = 100 * counts["completed"] / total, 100 * counts["failed"] / total
    return done, failed, max(0.0, 100.0 - done - failed)


def moments(batch: Json) -> Sequence[tuple[str, str, str]]:
    """Give each moment with its time and how long after the one before."""
    found = [(batch[name], word) for name, word in _MOMENTS.items() if batch[name]]
    found.sort(key=lambda pair: pair[0])
    told, before = [], None
    for at, word in found:
        told.append((word, time(at), "" if before is None else f"+{duration(at - before)}"))
        before = at
    return told


def groups(lines: Iterable[Json]) -> Sequence[Group]:
    """Group the lines of an error file by code, the most frequent first."""
    return _grouped(lines, _error_of)


def warnings(lines: Iterable[Json]) -> Sequence[Group]:
    """Group the entries of a warnings file by code and field, the most frequent first."""
    return _grouped(lines, _warning_of)


def _grouped(lines: Iterable[Json], read: Callable[[Json], tuple[str, str]]) -> Sequence[Group]:
    counts: Counter[str] = Counter()
    first: dict[str, tuple[str, str]] = {}
    for line in lines:
        code, message = read(line)
        counts[code] += 1
        first.setdefault(code, (str(line.get("custom_id")), message))
    return [Group(code, count, *first[code]) for code, count in counts.most_common()]


def _error_of(line: Json) -> tuple[str, str]:
    response = line.get("response") or {}
    error = line.get("error") or (response.get("body") or {}).get("error") or {}
    code = error.get("code") or response.get("status_code") or "unknown"
    return str(code), str(error.get("message") or "")


def _warning_of(line: Json) -> tuple[str, str]:
    code = f"{line.get('code')} {line.get('field') or ''}".strip()
    return code, str(line.get("message") or "")


FILTERS: Final = {
    "sign": SIGNS.__getitem__,
    "time": time,
    "duration": duration,
    "number": number,
    "dollars": dollars,
    "size": size,
}
