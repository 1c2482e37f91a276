"""``gateway retry BATCH``: a new batch of the lines that failed."""

import click

from gateway.cli.connection import connected, connection_options


@click.command(short_help="Send the failed lines of a batch again.")
@click.argument("batch")
@click.option("--all", "everything", is_flag=True, help="Also lines that were refused for good.")
@connection_options
def retry(batch: str, everything: bool, base_url: str, api_key: str) -> None:
    """Make a new batch of the lines of BATCH that never ran, or that may succeed now.

    Those ended with 408, 409, 429 or 5xx. The new batch's id is printed.
    """
    with connected(base_url, api_key) as client:
        click.echo(client.retry(batch, everything=everything)["id"])
