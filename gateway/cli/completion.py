"""``gateway completion SHELL``: the script that completes commands and options."""

from typing import Final

import click
from click.shell_completion import get_completion_class

from gateway.cli.output import say

SHELLS = ("bash", "zsh", "fish")

HELP: Final = """Print the script that completes commands and options of `gateway` in SHELL.

\b
  gateway completion bash > ~/.local/share/bash-completion/completions/gateway
  gateway completion zsh > ~/.zfunc/_gateway
  gateway completion fish > ~/.config/fish/completions/gateway.fish
"""


@click.command(short_help="Print a script for your shell's completion.", help=HELP)
@click.argument("shell", type=click.Choice(SHELLS))
@click.pass_context
def completion(context: click.Context, shell: str) -> None:
    """See HELP."""
    kind = get_completion_class(shell)
    if kind is None:
        raise click.ClickException(f"there is no completion for {shell}")
    root = context.find_root().command
    say(kind(root, {}, "gateway", "_GATEWAY_COMPLETE").source())
