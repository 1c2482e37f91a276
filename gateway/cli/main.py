"""The ``gateway`` command and its subcommands."""

import errno
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module
from typing import Any, Final

import click

from gateway import __version__
from gateway.cli.output import close_broken, outlive_standard_error, sentence

# Each is a module of this room with a command of the same name.
COMMANDS: Final = (
    "serve",
    "demo",
    "emulator",
    "run",
    "translate",
    "batches",
    "status",
    "cancel",
    "retry",
    "rerender",
    "verify",
    "doctor",
    "backup",
    "migrate-store",
    "config",
    "health",
    "migrate",
    "completion",
)
# These run until they are ended. An error that ends them is a fault of ours: it is shown whole.
SERVICES: Final = frozenset({"serve", "emulator"})


class _Commands(click.Group):
    """Loads the one subcommand that is asked for.

    ``gateway health`` runs every few seconds for as long as a container lives: without the
    service's modules it takes a sixth of the CPU time.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click declares it
        """List them in the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the subcommand's module; None for a name that is none."""
        if cmd_name not in COMMANDS:
            return None
        _leave_out_the_command_of_httpx()
        module = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f"gateway.cli.{module}"), module)
        return command

    def main(self, *args: Any, **extra: Any) -> Any:  # noqa: ANN401 - as click declares it
        """Run a command; leave no output behind that Python would fail to write at its end."""
        outlive_standard_error()
        try:
            return super().main(*args, **extra)
        finally:
            close_broken()

    def make_context(
        self,
        info_name: str | None,
        args: list[str],
        parent: click.Context | None = None,
        **extra: Any,  # noqa: ANN401 - as click declares it
    ) -> click.Context:
        """Read the options of all commands; ``--help`` and ``--version`` print here."""
        with _one_sentence():
            return super().make_context(info_name, args, parent, **extra)

    def invoke(self, ctx: click.Context) -> object:
        """Run the subcommand."""
        with _one_sentence(ctx):
            return super().invoke(ctx)


def _leave_out_the_command_of_httpx() -> None:
    """Make ``import httpx`` go without the module of its own command, as where that is missing.

    It alone needs pygments, and in ``serve`` rich too: 71 modules that a server has no use for, a
    tenth of the CPU time of its imports and 3 MiB of its memory (measured).
    """
    if "httpx" not in sys.modules:
        sys.modules["httpx._main"] = None  # type: ignore[assignment] # then its import fails


@contextmanager
def _one_sentence(context: click.Context | None = None) -> Iterator[None]:
    """Say in one sentence that a file, or the output, cannot be read or written."""
    try:
        yield
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise  # click ends a command whose output is not read any more
        if context is not None and context.invoked_subcommand in SERVICES:
            raise
        raise click.ClickException(sentence(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gateway")
def main() -> None:
    """Run an OpenAI-compatible batch gateway in front of the Gemini Batch API.

    Settings are environment variables: `gateway config` lists them.
    """
