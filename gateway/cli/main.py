"""The ``gateway`` command and its subcommands."""

import errno
from importlib import import_module
from typing import Final

import click

from gateway import __version__
from gateway.cli.inputs import in_words

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
SERVICES: Final = frozenset({"serve", "emulator", "demo"})


class _Commands(click.Group):
    """Loads the one subcommand that is asked for.

    ``gateway health`` runs every few seconds for as long as a container lives: without the
    service's modules it takes a sixth of the CPU time.
    """

    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002 - as click declares it
        """In the order of the table."""
        return list(COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        """Import the subcommand's module."""
        if cmd_name not in COMMANDS:
            return None
        module = cmd_name.replace("-", "_")
        command: click.Command = getattr(import_module(f"gateway.cli.{module}"), module)
        return command

    def invoke(self, ctx: click.Context) -> object:
        """Say in one sentence that a file, or the output, cannot be read or written."""
        try:
            return super().invoke(ctx)
        except OSError as error:
            if ctx.invoked_subcommand in SERVICES or error.errno == errno.EPIPE:
                raise  # click ends a command whose output is not read any more
            raise click.ClickException(in_words(error)) from error


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gateway")
def main() -> None:
    """Run an OpenAI-compatible batch gateway in front of the Gemini Batch API.

    Settings are environment variables: `gateway config` lists them.
    """
