"""``gateway rerender BATCH``: the files of an ended batch written anew from its raw results."""

import click

from gateway.cli.connection import connected, connection_options


@click.command(short_help="Write the files of an ended batch anew.")
@click.argument("batch")
@click.option("--stored-policy", is_flag=True, help="Under the settings that it was created with.")
@connection_options
def rerender(batch: str, stored_policy: bool, base_url: str, api_key: str) -> None:
    """Render BATCH again, with the settings of today; nothing is run or paid.

    The ids of the new files are printed; those that the batch ended with stay what they are.
    """
    with connected(base_url, api_key) as client:
        made = client.rerender(batch, stored_policy=stored_policy)["gateway"]["rerendered"][-1]
    for name in ("output", "error", "warnings"):
        if made[f"{name}_file_id"]:
            click.echo(f"{name} {made[f'{name}_file_id']}")
