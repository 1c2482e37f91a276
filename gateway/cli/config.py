"""``gateway config``."""

import click

from gateway.app import policy
from gateway.cli.environment import BadSettings, read_settings
from gateway.errors import SettingsError
from gateway.settings.load import describe
from gateway.settings.table import SETTINGS


@click.command(short_help="Print the settings in force.")
@click.option("--help-settings", is_flag=True, help="Show what each setting means instead.")
def config(help_settings: bool) -> None:
    """Print the settings in force, secrets masked.

    Nothing is in force while one of them is wrong or missing: then this says which.
    --help-settings explains every setting either way.
    """
    if help_settings:
        for setting in SETTINGS:
            default = "none" if setting.default in {None, ""} else setting.default
            click.echo(f"{setting.name} ({setting.type}, default {default})\n    {setting.help}")
        return
    settings, warnings = read_settings()
    try:
        policy(settings)
    except SettingsError as error:
        raise BadSettings(str(error)) from error
    for warning in warnings:
        click.echo(f"warning: {warning}", err=True)
    for name, value in describe(settings):
        click.echo(f"{name}={value}")
