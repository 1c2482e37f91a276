"""CRC-32C (Castagnoli), as ``X-Goog-Hash`` carries it: base64 of four big-endian bytes."""

import base64
from functools import cache
from typing import Final

_POLYNOMIAL: Final = 0x82F63B78


@cache
def _table() -> list[int]:
    table = []
    for value in range(256):
        rest = value
        for _ in range(8):
            rest = (rest >> 1) ^ (_POLYNOMIAL if rest & 1 else 0)
        table.append(rest)
    return table


def crc32c(data: bytes) -> str:
    """Return the checksum of ``data``; some MB a second, so for small files."""
    table, rest = _table(), 0xFFFFFFFF
    for byte in data:
        rest = (rest >> 8) ^ table[(rest ^ byte) & 0xFF]
    return base64.b64encode((rest ^ 0xFFFFFFFF).to_bytes(4)).decode()
