"""The mark of a data directory whose records are elsewhere now.

Two gateways with one id and the same records would each send what is unsent, and pay it twice. So
a directory that was moved is never served again.
"""

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.errors import SettingsError

_MARK: Final = "moved.json"


def read_mark(directory: Path) -> Mapping[str, Any] | None:
    """Return where a directory's records went: ``to``, ``blobs``, ``done``."""
    try:
        mark: Mapping[str, Any] = orjson.loads((directory / _MARK).read_bytes())
    except FileNotFoundError:
        return None
    return mark


def write_mark(directory: Path, to: str, blobs: str | None, *, done: bool) -> None:
    """Mark a directory, durably. Until ``done`` its records may be in either place."""
    fresh = directory / f"{_MARK}.new"
    with fresh.open("wb") as file:
        file.write(orjson.dumps({"to": to, "blobs": blobs, "done": done}))
        file.flush()
        os.fsync(file.fileno())
    fresh.rename(directory / _MARK)
    descriptor = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def refuse_moved(directory: Path) -> None:
    """Refuse a directory whose records are, or may be, elsewhere. Errors: SettingsError."""
    mark = read_mark(directory)
    if mark is None:
        return
    if mark["done"]:
        raise SettingsError(
            f"the records of {directory} were moved to {mark['to']}: start the gateway with those."
            " Two gateways with the same records would pay for the same work twice"
        )
    raise SettingsError(
        f"the records of {directory} are being moved to {mark['to']}: run `gateway migrate-store`"
        " once more, to the same place, to finish that"
    )
