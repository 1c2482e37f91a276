"""``gateway emulator``."""

import asyncio
import contextlib
import socket

import click
import uvicorn

from gateway.emulator import EmulatorOptions, create_app
from gateway.emulator.serve import listen, make_server


@click.command(short_help="Serve a look-alike of Gemini's batch API.")
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8081,
    type=click.IntRange(0, 65535),
    show_default=True,
    help="Port; 0 takes a free one.",
)
@click.option(
    "--job-seconds", default=1.0, show_default=True, help="From a job's create to its end."
)
@click.option("--speed", default=1.0, show_default=True, help="Emulated seconds in a real second.")
@click.option(
    "--fault",
    "faults",
    multiple=True,
    metavar="SPEC",
    help="A fault to arm, e.g. create-500-after:times=2; may be given again.",
)
@click.option("--seed", default=0, show_default=True, help="Seed of what is random about faults.")
@click.option("--control", is_flag=True, help="Serve /emulator/... (journal, faults, clock).")
def emulator(  # noqa: PLR0917 - one parameter an option
    host: str,
    port: int,
    job_seconds: float,
    speed: float,
    faults: tuple[str, ...],
    seed: int,
    control: bool,
) -> None:
    """Serve a local look-alike of the Gemini batch API: no key, no network, nothing to pay.

    Point the gateway at it with GATEWAY_GEMINI_BASE_URL=http://127.0.0.1:8081, or Google's own
    SDK with http_options={"base_url": ...}.
    """
    try:
        options = EmulatorOptions(
            job_seconds=job_seconds, speed=speed, faults=faults, seed=seed, control=control
        )
        app = create_app(options)
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    with contextlib.closing(_listen(host, port)) as listener:
        server = make_server(app, host, port)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_serve(server, listener, host))


async def _serve(server: uvicorn.Server, listener: socket.socket, host: str) -> None:
    """Announce and serve. A Ctrl-C cancels this; the server then starts no more, but ends."""
    shown = f"[{host}]" if ":" in host else host
    click.echo(f"emulator listening on http://{shown}:{listener.getsockname()[1]}")
    serving = asyncio.ensure_future(server.serve(sockets=[listener]))
    try:
        await asyncio.shield(serving)
    except asyncio.CancelledError:
        server.should_exit = True
        await serving
        raise


def _listen(host: str, port: int) -> socket.socket:
    """A socket that connections may come to already: whoever reads the next line may call."""
    try:
        listener = listen(host, port)
        listener.listen()
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener
