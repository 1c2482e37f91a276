"""``gateway serve``: the service, from its settings to its end."""

import asyncio
import gc
import logging
from typing import Final

import click
import uvloop

from gateway import __version__
from gateway.app import Gateway
from gateway.cli.environment import BadSettings, read_settings
from gateway.cli.logs import set_up_logs
from gateway.cli.output import unwritable
from gateway.errors import DamagedStoreError, ListenError, SettingsError, UnavailableError
from gateway.units import counted

logger = logging.getLogger(__name__)

# Objects that are made before the first look for garbage among them: of some 60 requests, whose
# objects are gone by then, in place of 10 that are under way.
YOUNG_OBJECTS: Final = 5_000


@click.command(short_help="Run the gateway.")
def serve() -> None:
    """Run the API and the runner as one service over one data directory.

    Ends on SIGTERM or Ctrl-C after the requests in flight; a second signal ends it at once.
    """
    settings, warnings = read_settings()
    set_up_logs(settings.log_level, settings.log_format)
    for warning in warnings:
        logger.warning(warning)
    logger.info(
        "gateway %s: data in %s, upstream %s, %s",
        __version__,
        settings.data_dir.absolute(),
        settings.gemini_base_url,
        counted(settings.translate_workers, "worker"),
    )
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        try:
            loop.run(Gateway(settings).serve(_announce))
        except SettingsError as error:
            raise BadSettings(str(error)) from error
        except (ListenError, DamagedStoreError, UnavailableError) as error:
            raise click.ClickException(str(error)) from error


def _announce(url: str) -> None:
    """Print where it listens; a full disk, or an output that is not read, ends no service."""
    _spare_the_collector()
    try:
        click.echo(f"gateway listening on {url}/v1")
    except OSError as error:
        logger.warning("%s; the gateway listens on %s/v1", unwritable(error), url)


def _spare_the_collector() -> None:
    """Keep what was made at the start out of every later look for garbage.

    Some 80,000 objects live as long as the process. A look through them stopped the event loop for
    25 ms, once in 750 single requests: that was the tail of their latency (measured).
    """
    gc.collect()
    gc.freeze()
    gc.set_threshold(YOUNG_OBJECTS)
