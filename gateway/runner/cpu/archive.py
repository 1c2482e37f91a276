"""Archives: raw results and answer hints, compressed (zstd) while they are kept after the end.

What reads them takes either form: an archive shows by its first bytes, which begin no JSON text.
"""

import shutil
import sys
from pathlib import Path
from typing import Final

from gateway.units import MIB

if sys.version_info >= (3, 14):  # the same API under its name in the standard library
    from compression import zstd
else:
    from backports import zstd

MAGIC: Final = bytes.fromhex("28b52ffd")  # RFC 8878, section 3.1.1
BUFFER: Final = MIB
# Answers shrink to 1 / 3.8, small ones to 1 / 12; with level 3 to 1 / 4.0 and 1 / 11 in 1.4 and 1.9
# times the time (measured).
LEVEL: Final = 1
# Below this a file takes the same few blocks of the disk either way.
SMALLEST: Final = 64 * 1024


def pack(path: Path) -> Path | None:
    """Write the archive of a file next to it; None where there is nothing to gain."""
    if path.stat().st_size < SMALLEST or is_packed(path):
        return None
    target = path.with_name(f"{path.name}.zst")
    with path.open("rb") as source, zstd.open(target, "wb", level=LEVEL) as packed:
        shutil.copyfileobj(source, packed, BUFFER)
    return target


def pack_span(path: Path, span: tuple[int, int], target: Path) -> Path | None:
    """Write the archive of a part of a file; those of all parts, put together, are the file's."""
    if path.stat().st_size < SMALLEST:
        return None
    left = span[1] - span[0]
    with path.open("rb") as source, zstd.open(target, "wb", level=LEVEL) as packed:
        source.seek(span[0])
        while left > 0 and (block := source.read(min(left, BUFFER))):
            packed.write(block)
            left -= len(block)
    return target


def unpack(path: Path, scratch: Path) -> Path:
    """Return the file as it was: itself, or what its archive holds, written to ``scratch``.

    Errors: ValueError of an archive that is cut or was changed.
    """
    if not is_packed(path):
        return path
    target = scratch / f"{path.name}.plain"
    try:
        with zstd.open(path, "rb") as packed, target.open("wb") as file:
            shutil.copyfileobj(packed, file, BUFFER)
    except (zstd.ZstdError, EOFError) as error:
        raise ValueError(f"the archive of {path.name} is broken") from error
    return target


def is_packed(path: Path) -> bool:
    """Whether the file is an archive."""
    with path.open("rb") as file:
        return file.read(len(MAGIC)) == MAGIC
