"""Output of commands: text that is safe for a terminal, and its errors in one sentence."""

import errno
import io
import os
import sys
from contextlib import suppress
from pathlib import Path

import click
from typing_extensions import override

from gateway.cli.inputs import in_words


def printable(text: str) -> str:
    """Give a text without what a terminal would obey: custom_ids and messages are of others."""
    return "".join(
        letter if letter.isprintable() else "\N{REPLACEMENT CHARACTER}" for letter in text
    )


def say(text: str | bytes) -> None:
    """Print a line, bytes as they are. Errors: click.ClickException when it cannot be written."""
    try:
        click.echo(text)
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise  # click ends a command whose output is not read any more
        raise click.ClickException(unwritable(error)) from error


def unwritable(error: OSError) -> str:
    """Give the sentence of a standard output that cannot be written."""
    return f"standard output cannot be written: {error.strerror or error}"


def sentence(error: OSError) -> str:
    """Give what could not be read or written, and why."""
    return unwritable(error) if _is_broken() else in_words(error)


def _is_broken() -> bool:
    """Tell whether standard output holds text that cannot be written."""
    if sys.stdout is None or sys.stdout.closed:
        return False
    try:
        sys.stdout.flush()
    except OSError:
        return True
    return False


class _Lossy(io.TextIOWrapper):
    """A standard error that drops what it cannot write."""

    @override
    def write(self, text: str) -> int:
        with suppress(OSError):
            super().write(text)
        return len(text)

    @override
    def flush(self) -> None:
        with suppress(OSError):
            super().flush()


def outlive_standard_error() -> None:
    """Let no command end otherwise because its standard error is closed, full, or not read.

    Its exit code says what came of it, also where the sentence is lost: a wrong setting ended with
    1 in place of 78, and what had gone well with 1 too. One that was closed is opened to nothing,
    so that no file gets its descriptor.
    """
    real = sys.__stderr__
    if sys.stderr is None:
        sys.stderr = Path(os.devnull).open("w", encoding="utf-8")  # noqa: SIM115 - to the end
    elif real is not None and sys.stderr is real:  # any other is a caller's, who reads it
        sys.stderr = _Lossy(
            real.buffer, encoding=real.encoding, errors=real.errors, line_buffering=True
        )


def close_broken() -> None:
    """Close a standard output that cannot be written.

    Python would try again at its end, print a notice of its own, and exit with 120.
    """
    if _is_broken():
        with suppress(OSError):
            sys.stdout.close()
