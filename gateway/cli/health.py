"""``gateway health``: asks a gateway on this machine, for exec probes."""

import http.client
from typing import Final

import click

from gateway.cli.environment import BadSettings
from gateway.cli.output import say
from gateway.errors import SettingsError
from gateway.settings.load import load_address

PROBE_SECONDS: Final = 5

# An address to listen on that cannot be connected to, and the one that can.
_REACHABLE: Final = {"0.0.0.0": "127.0.0.1", "::": "::1"}  # noqa: S104 - looked up, not listened on

HELP: Final = """Ask the gateway on this machine whether it is alive and ready; exit 1 if not.

It is asked at GATEWAY_HOST and GATEWAY_PORT, as it listens. For probes that run a command in the
gateway's container; those that call HTTP ask /healthz and /readyz themselves.

\b
  gateway health
  gateway health --live
  GATEWAY_PORT=9000 gateway health || echo "it is not ready"
"""


@click.command(short_help="Ask a running gateway; for probes.", help=HELP)
@click.option("--live", is_flag=True, help="Ask only whether the process answers (liveness).")
def health(live: bool) -> None:
    """See HELP."""
    try:
        address, port = load_address()
    except SettingsError as error:
        raise BadSettings(str(error)) from error
    host = _REACHABLE.get(address, address)
    for path in ("/healthz",) if live else ("/healthz", "/readyz"):
        status = _ask(host, port, path)
        say(f"{path} {status}")
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
