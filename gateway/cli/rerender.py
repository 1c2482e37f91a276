"""``gateway rerender BATCH``: the files of an ended batch written anew from its raw results."""

from typing import Final

import click
import orjson

from gateway.cli.connection import connected, connection_options
from gateway.cli.output import say

HELP: Final = """Render BATCH again, with the settings of today; nothing is run or paid.

The ids of the new files are printed; those that the batch ended with stay what they are.

\b
  gateway rerender batch_0123456789abcdef
  gateway rerender batch_0123456789abcdef --stored-policy
"""


@click.command(short_help="Write the files of an ended batch anew.", help=HELP)
@click.argument("batch")
@click.option(
    "--stored-policy", is_flag=True, help="Render under the settings that BATCH was created with."
)
@click.option("--json", "as_json", is_flag=True, help="Print the whole answer as JSON.")
@connection_options
def rerender(batch: str, stored_policy: bool, as_json: bool, base_url: str, api_key: str) -> None:
    """See HELP."""
    with connected(base_url, api_key) as client:
        told = client.rerender(batch, stored_policy=stored_policy)
    if as_json:
        say(orjson.dumps(told))
        return
    made = told["gateway"]["rerendered"][-1]
    for name in ("output", "error", "warnings"):
        if made[f"{name}_file_id"]:
            say(f"{name} {made[f'{name}_file_id']}")
