"""``gateway migrate``: brings the schema of the records up to date, before any replica starts."""

import asyncio

import click

from gateway.cli.environment import BadSettings, read_settings_of_records
from gateway.cli.logs import set_up_logs
from gateway.cli.output import say
from gateway.clock import SystemClock
from gateway.errors import SettingsError
from gateway.settings.table import Settings
from gateway.store.opening import choose_store


@click.command(short_help="Bring the schema of the records up to date, and end.")
def migrate() -> None:
    """Bring the schema of the records up to date.

    `gateway serve` does so too, whichever replica starts first; as a job of its own it comes before
    all of them. A schema of a newer version is refused.
    """
    settings = read_settings_of_records()
    set_up_logs(settings.log_level, settings.log_format)
    try:
        asyncio.run(_migrate(settings))
    except SettingsError as error:
        raise BadSettings(str(error)) from error
    say("the schema is up to date")


async def _migrate(settings: Settings) -> None:
    clock = SystemClock()
    url = settings.store.value if settings.store else None
    store = choose_store(url, settings.data_dir, clock, bucket=settings.blobs is not None)
    await store.open(clock.now())
    await store.close()
