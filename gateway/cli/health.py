"""``gateway health``: asks a gateway on this machine, for exec probes."""

import http.client
from typing import Final

import click

from gateway.cli.environment import BadSettings
from gateway.errors import SettingsError
from gateway.settings.load import load_address

PROBE_SECONDS: Final = 5

# An address to listen on that cannot be connected to, and the one that can.
_REACHABLE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked up, not listened on


@click.command(short_help="Ask a running gateway; for probes.")
@click.option("--live", is_flag=True, help="Ask only whether the process answers (liveness).")
def health(live: bool) -> None:
    """Ask the gateway on this machine whether it is alive and ready; exit 1 if not."""
    try:
        address, port = load_address()
    except SettingsError as error:
        raise BadSettings(str(error)) from error
    host = _REACHABLE.get(address, address)
    for path in ("/healthz",) if live else ("/healthz", "/readyz"):
        status = _ask(host, port, path)
        click.echo(f"{path} {status}")
        if status != 200:
            raise SystemExit(1)


def _ask(host: str, port: int, path: str) -> int | str:
    connection = http.client.HTTPConnection(host, port, timeout=PROBE_SECONDS)
    try:
        connection.request("GET", path)
        return connection.getresponse().status
    except (OSError, http.client.HTTPException) as error:
        return f"no answer ({type(error).__name__})"
    finally:
        connection.close()
