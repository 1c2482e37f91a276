"""``gateway batches``: the newest batches, a line each."""

from typing import Final

import click
import orjson
from rich.console import Console

from gateway.cli.connection import connected, connection_options
from gateway.cli.status import WIDE, table_of
from gateway.clock import SystemClock

HELP: Final = """List the newest batches: status, model, lines, age, time left, and why one waits.

\b
  gateway batches --status in_progress
  gateway batches --json | jq -r .id
"""


@click.command(short_help="List batches.", help=HELP)
@click.option("--limit", type=click.IntRange(1, 100), default=20, show_default=True)
@click.option("--status", help="Only batches of this status, for example in_progress.")
@click.option("--json", "as_json", is_flag=True, help="For programs: one batch a line.")
@connection_options
def batches(limit: int, status: str | None, as_json: bool, base_url: str, api_key: str) -> None:
    """See HELP."""
    with connected(base_url, api_key) as client:
        found = client.batches(limit)
    shown = [batch for batch in found if status in {None, batch["status"]}]
    if as_json:
        for batch in shown:
            click.echo(orjson.dumps(batch).decode())
        return
    console = Console()
    if not console.is_terminal:
        console.width = WIDE
    console.print(table_of(shown, SystemClock().now() // 1000))
