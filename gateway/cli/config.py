"""``gateway config``: the settings in force, secrets masked."""

from typing import Final

import click

from gateway.app import policy
from gateway.cli.environment import BadSettings
from gateway.cli.output import say
from gateway.errors import SettingsError
from gateway.settings.load import UnfitSettingsError, describe, load
from gateway.settings.table import SETTINGS, Settings

HELP: Final = """Print the settings in force, secrets masked.

When one is missing, such as the key for Google, this prints the others, says which, and exits 78.
One that cannot be read leaves nothing in force: then this says which alone. --help-settings
explains every setting either way.

\b
  gateway config
  GATEWAY_PORT=9000 gateway config | grep PORT
  gateway config --help-settings | grep -A 1 WEBHOOK
"""


@click.command(short_help="Print the settings in force.", help=HELP)
@click.option("--help-settings", is_flag=True, help="Show what each setting means instead.")
def config(help_settings: bool) -> None:
    """See HELP."""
    if help_settings:
        for setting in SETTINGS:
            default = "none" if setting.default in {None, ""} else setting.default
            say(f"{setting.name} ({setting.type}, default {default})\n    {setting.help}")
        return
    try:
        settings, warnings = load()
        policy(settings)
    except UnfitSettingsError as error:
        _print(error.settings)
        raise BadSettings(str(error)) from error
    except SettingsError as error:
        raise BadSettings(str(error)) from error
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    _print(settings)


def _print(settings: Settings) -> None:
    for name, value in describe(settings):
        say(f"{name}={value}")
