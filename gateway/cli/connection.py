"""Which gateway a command talks to: the variables that every OpenAI program knows."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, Final

import click

from gateway.cli.output import printable
from gateway.client.client import ClientError, GatewayClient

DEFAULT_BASE_URL: Final = "http://127.0.0.1:8080/v1"
NO_KEY: Final = "none"  # a gateway without keys accepts any


def connection_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add ``--base-url`` and ``--api-key`` to a command."""
    command = click.option(
        "--api-key",
        envvar="OPENAI_API_KEY",
        default=NO_KEY,
        help="The key that the gateway knows [OPENAI_API_KEY].",
    )(command)
    return click.option(
        "--base-url",
        envvar="OPENAI_BASE_URL",
        default=DEFAULT_BASE_URL,
        help=f"The gateway's address [OPENAI_BASE_URL; {DEFAULT_BASE_URL}].",
    )(command)


@contextmanager
def connected(base_url: str, api_key: str) -> Iterator[GatewayClient]:
    """Open a client; what goes wrong ends the command with one sentence.

    ``base_url`` and ``api_key`` are those of the options. Errors: click.ClickException.
    """
    try:
        with GatewayClient(base_url, api_key) as client:
            yield client
    except ClientError as error:
        raise click.ClickException(printable(str(error))) from error
