"""Sizes in bytes, and counts and times in words."""

from typing import Final

KIB: Final = 1024
MIB: Final = 1024 * KIB
GIB: Final = 1024 * MIB


def counted(count: int, noun: str, plural: str = "") -> str:
    """``1 line``, ``2,000 lines``; a plural that is not made with an s is given."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """``42 s``, ``3 min``, ``5 h 20 min``."""
    whole = max(int(seconds), 0)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min"
    return f"{whole // 3600} h {whole % 3600 // 60} min"
