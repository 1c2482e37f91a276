"""``gateway migrate-store``: a data directory moved to PostgreSQL, to a bucket, or both."""

import asyncio
from pathlib import Path
from typing import Final

import click

from gateway.cli.environment import BadSettings
from gateway.cli.output import say
from gateway.clock import SystemClock
from gateway.errors import SettingsError, UnavailableError
from gateway.moving import Move, Moved, move
from gateway.settings.values import bucket, database
from gateway.units import counted


def _bucket(_: click.Context, __: click.Parameter, value: str) -> str | None:
    try:
        return bucket(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error


def _place(_: click.Context, __: click.Parameter, value: str) -> str:
    """Check a URL of a database as ``GATEWAY_STORE`` is checked; a directory is looked at later."""
    try:
        if value.strip().startswith(("postgresql://", "postgres://")):
            database(value)
    except ValueError as error:
        raise click.BadParameter(str(error)) from error
    return value


HELP: Final = """Move everything that a gateway has, batches under way too, and compare it.

The command may be interrupted at any time, and run again to go on. When it is done, the old
directory is not served any more; it stays as a back-up.

\b
  gateway migrate-store --from gateway-data --to postgresql://user@host/gateway --blobs s3://bucket/files
  gateway migrate-store --from gateway-data --to /mnt/other-disk
"""


@click.command(
    name="migrate-store", short_help="Move the records and bytes of a stopped gateway.", help=HELP
)
@click.option(
    "--from",
    "directory",
    required=True,
    type=click.Path(path_type=Path, file_okay=False, exists=True),
    help="The data directory, whose gateway must be stopped.",
)
@click.option(
    "--to",
    required=True,
    envvar="GATEWAY_STORE",
    callback=_place,
    help="postgresql://user@host/database (the password as libpq takes it, PGPASSFILE too), or"
    " another data directory.  [env var: GATEWAY_STORE]",
)
@click.option(
    "--blobs",
    default="",
    envvar="GATEWAY_BLOBS",
    callback=_bucket,
    help="s3://bucket/prefix, gs://… or az://…; without it a folder of the new data directory."
    "  [env var: GATEWAY_BLOBS]",
)
def migrate_store(directory: Path, to: str, blobs: str | None) -> None:
    """See HELP."""
    plan = Move(directory, to, blobs)
    try:
        moved = asyncio.run(move(plan, SystemClock(), say))
    except SettingsError as error:
        raise BadSettings(str(error)) from error
    except UnavailableError as error:
        raise click.ClickException(f"{error.message} Run the command again.") from error
    _report(plan, moved)


def _report(plan: Move, moved: Moved) -> None:
    if moved.rows is None:
        say("the records had been moved before")
    else:
        blobs = counted(moved.blobs, "blob")
        say(f"{blobs} of {counted(moved.bytes, 'byte')}, compared by SHA-256")
        for table, count in moved.rows.items():
            say(f"{counted(count, 'row')} of {table}, compared by digest")
    say(f"{plan.directory} is not served any more. Start the gateway with:")
    if "://" in plan.to:
        say("  GATEWAY_STORE=(the value of --to), GATEWAY_DATA_DIR=(a new directory)")
    else:
        say(f"  GATEWAY_DATA_DIR={plan.to}")
    if plan.blobs:
        say(f"  GATEWAY_BLOBS={plan.blobs}")
