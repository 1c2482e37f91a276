"""``gateway cancel BATCH``: end a batch, and keep what was answered."""

from typing import Final

import click
import orjson

from gateway.cli.connection import connected, connection_options
from gateway.cli.output import say

HELP: Final = """Ask for the end of BATCH, and print its status.

Lines that were answered by then are in its output file, the others in its error file.

\b
  gateway cancel batch_0123456789abcdef
  gateway cancel batch_0123456789abcdef --json
"""


@click.command(short_help="End a batch and keep what was answered.", help=HELP)
@click.argument("batch")
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON.")
@connection_options
def cancel(batch: str, as_json: bool, base_url: str, api_key: str) -> None:
    """See HELP."""
    with connected(base_url, api_key) as client:
        told = client.cancel(batch)
    say(orjson.dumps(told) if as_json else told["status"])
