"""``gateway retry BATCH``: a new batch of the lines that failed."""

from typing import Final

import click
import orjson

from gateway.cli.connection import connected, connection_options
from gateway.cli.output import say

HELP: Final = """Make a new batch of the lines of BATCH that never ran, or that may succeed now.

The latter are those that ended with 408, 409, 429 or 5xx. The new batch's id is printed.

\b
  gateway retry batch_0123456789abcdef
  gateway retry batch_0123456789abcdef --all
"""


@click.command(short_help="Send the failed lines of a batch again.", help=HELP)
@click.argument("batch")
@click.option(
    "--all", "everything", is_flag=True, help="Send also lines that were refused for good."
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON.")
@connection_options
def retry(batch: str, everything: bool, as_json: bool, base_url: str, api_key: str) -> None:
    """See HELP."""
    with connected(base_url, api_key) as client:
        made = client.retry(batch, everything=everything)
    try:
        say(orjson.dumps(made) if as_json else made["id"])
    except click.ClickException as error:
        raise click.ClickException(f"{error}\nThe new batch is {made['id']}.") from error
