"""Files that a command is given, and what keeps it from reading or writing one, in words."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import click

# First bytes of a file -> the program that unpacks it.
_PACKED: Final = {b"\x1f\x8b": "gunzip", b"\x28\xb5\x2f\xfd": "unzstd", b"PK\x03\x04": "unzip"}


class InputFile(click.Path):
    """A file that exists and can be read as often as need be.

    Commands read an input more than once. What the first reading has taken from a pipe is missing
    in the second: its first lines would be lost, and nothing would say so.
    """

    def __init__(self) -> None:
        super().__init__(exists=True, dir_okay=False, path_type=Path)

    def convert(
        self,
        value: str | os.PathLike[str],
        param: click.Parameter | None,
        ctx: click.Context | None,
    ) -> Path:
        """Give the path. Errors: click.BadParameter."""
        path = Path(os.fsdecode(super().convert(value, param, ctx)))
        if not path.is_file():
            self.fail(
                f"{str(path)!r} is no regular file: it is read more than once, and what comes"
                " through a pipe is gone after the first time. Write it to a file.",
                param,
                ctx,
            )
        if program := _unpacked_by(path):
            self.fail(f"{str(path)!r} is compressed: unpack it first ({program}).", param, ctx)
        return path


def _unpacked_by(path: Path) -> str:
    """Name the program that unpacks a compressed file, ``""`` of any other."""
    with path.open("rb") as file:
        first = file.read(4)
    return next((program for magic, program in _PACKED.items() if first.startswith(magic)), "")


@contextmanager
def named(path: Path) -> Iterator[None]:
    """Add a file's name to an error of reading or writing it; only opening adds it by itself."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


def in_words(error: OSError) -> str:
    """Give the system's reason and the file that it is about: ``No space left on device: out``."""
    reason = error.strerror or str(error)
    return f"{reason}: {error.filename}" if error.filename else reason
