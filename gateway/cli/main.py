"""The ``gateway`` command and its subcommands."""

import click

from gateway import __version__
from gateway.cli.config import config
from gateway.cli.demo import demo
from gateway.cli.emulator import emulator
from gateway.cli.health import health
from gateway.cli.serve import serve
from gateway.cli.translate import translate


@click.group(context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="gateway")
def main() -> None:
    """Run an OpenAI-compatible batch gateway in front of the Gemini Batch API.

    Settings are environment variables: `gateway config` lists them.
    """


for command in (serve, demo, emulator, translate, config, health):
    main.add_command(command)
