"""Encodings of uploads: what a file is that is not UTF-8, told from its first bytes."""

import codecs
import re
from typing import Final

# How much of a file is looked at.
HEAD_BYTES: Final = 4096

# Longer marks first: UTF-32's begins as UTF-16's does.
_MARKS: Final = (
    (b"\xff\xfe\x00\x00", "UTF-32"),
    (b"\x00\x00\xfe\xff", "UTF-32"),
    (b"\xff\xfe", "UTF-16"),
    (b"\xfe\xff", "UTF-16"),
    (b"\x1f\x8b", "compressed with gzip"),
    (b"\x28\xb5\x2f\xfd", "compressed with zstd"),
    (b"PK\x03\x04", "a ZIP archive"),
    (b"BZh", "compressed with bzip2"),
    (b"\xfd7zXZ\x00", "compressed with xz"),
)
# What no text has: controls but for tab and line ends, and what could not be decoded.
_NO_TEXT: Final = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffd]")
# The longest character of UTF-8 less one byte: what a cut may leave of it.
_CUT: Final = 3


def foreign_encoding(head: bytes) -> str | None:
    r"""Name the encoding of a text that does not begin as UTF-8; None if it does.

    ``b"\xff\\xfe{\x00"`` -> ``UTF-16``.
    """
    for mark, name in _MARKS:
        if head.startswith(mark):
            return name
    if head[:1] == b"\x00" or b"\x00" in head.rstrip(b"\x00"):
        return "UTF-16" if _is_wide(head) else "binary: it is no text"
    try:
        head.decode()
    except UnicodeDecodeError as error:
        if error.start < len(head) - _CUT:
            return "in another encoding (Latin-1 or Windows-1252, say)"
    return None


def _is_wide(head: bytes) -> bool:
    """Tell whether the bytes are UTF-16 without a mark: a line of JSON, in either order.

    A binary file may have NUL in its first two bytes too; then what follows is no text.
    """
    whole = head[: len(head) // 2 * 2]
    return any(_begins_line(whole, order) for order in ("utf-16-le", "utf-16-be"))


def _begins_line(head: bytes, order: str) -> bool:
    text = codecs.getincrementaldecoder(order)("replace").decode(head)
    return text.lstrip().startswith("{") and not _NO_TEXT.search(text)
