"""Files that a command is given, and what keeps it from reading or writing one, in words."""

import os
from pathlib import Path

import click


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
        return path


def in_words(error: OSError) -> str:
    """Give the system's reason and the file that it is about: ``No space left on device: out``."""
    reason = error.strerror or str(error)
    return f"{reason}: {error.filename}" if error.filename else reason
