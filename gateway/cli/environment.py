"""Settings for commands: read, checked, or an exit that says what is wrong."""

from pathlib import Path
from typing import Final

import click

from gateway.directories import make
from gateway.errors import SettingsError
from gateway.settings.load import UnfitSettingsError, load
from gateway.settings.table import Settings

EXIT_SETTINGS: Final = 78  # EX_CONFIG, sysexits.h


class BadSettings(click.ClickException):
    """Settings that keep a command from starting; the message names them."""

    exit_code = EXIT_SETTINGS


def make_directory(directory: Path) -> None:
    """Make a directory that the command line names. Errors: click.ClickException."""
    try:
        make("the directory", directory)
    except SettingsError as error:
        raise click.ClickException(str(error)) from error


def read_settings() -> tuple[Settings, list[str]]:
    """Read the settings in force, and warnings about them. Errors: BadSettings."""
    try:
        return load()
    except SettingsError as error:
        raise BadSettings(str(error)) from error


def read_settings_of_records() -> Settings:
    """Read the settings in force for a command that goes to the records alone.

    It calls no Google and listens nowhere, so what `serve` lacks to start, such as the key for
    Google, is no reason to refuse: a back-up runs in a job of its own, which needs no secrets.
    Errors: BadSettings, for a setting that cannot be read.
    """
    try:
        settings, _ = load()
    except UnfitSettingsError as error:
        return error.settings
    except SettingsError as error:
        raise BadSettings(str(error)) from error
    return settings
