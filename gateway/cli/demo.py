"""``gateway demo``."""

import click


@click.command()
def demo() -> None:
    """Placeholder until the next commit."""
