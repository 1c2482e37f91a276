"""``gateway batches``: the newest batches, a line each."""

from typing import Final

import click
import orjson

from gateway.cli.connection import connected, connection_options
from gateway.cli.output import say
from gateway.cli.status import printed, show_background, table_of
from gateway.clock import SystemClock

HELP: Final = """List the newest batches: status, model, lines, age, time left, and why one waits.

\b
  gateway batches --status in_progress
  gateway batches --json | jq -r .id
  gateway batches --background

Responses in the background (background: true) are sent in batches of their own, which follow below
the others; --background lists these alone.
"""


@click.command(short_help="List batches.", help=HELP)
@click.option(
    "--limit",
    type=click.IntRange(1, 100),
    default=20,
    show_default=True,
    help="Ask for so many batches, the newest.",
)
@click.option(
    "--status", help="List only those of this status among them, for example in_progress."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, one batch a line.")
@click.option("--background", is_flag=True, help="List only responses in the background.")
@connection_options
def batches(
    limit: int,
    status: str | None,
    *,
    as_json: bool,
    background: bool,
    base_url: str,
    api_key: str,
) -> None:
    """See HELP."""
    with connected(base_url, api_key) as client:
        found = [] if background else client.batches(limit)
        others = [] if as_json and not background else client.background(limit)
    shown = [batch for batch in found if status in {None, batch["status"]}]
    others = [each for each in others if status in {None, each["status"]}]
    if as_json:
        shown = others if background else shown
        for batch in shown:
            say(orjson.dumps(batch))
        return
    now = SystemClock().now() // 1000
    with printed() as console:
        if not background:
            console.print(table_of(shown, now))
        show_background(console, others, now)
