"""Whole numbers as clients write them: a few ASCII digits, nothing that only looks like them."""

import re
from typing import Final

# ``str.isdigit`` knows more digits than ``int`` does, and ``int`` refuses very long texts.
_WHOLE: Final = re.compile(r"[0-9]{1,18}")


def whole_number(text: str) -> int | None:
    """Return the number that ``text`` says; None when it says none, or one beyond 18 digits."""
    return int(text) if _WHOLE.fullmatch(text) else None
