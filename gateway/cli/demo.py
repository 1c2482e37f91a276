"""``gateway demo``: the whole product on this machine, no key, no network, nothing to pay."""

import signal
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from importlib.util import find_spec
from pathlib import Path
from typing import IO, Final

import click
import orjson

from gateway.children import inherited_environment, module_command
from gateway.cli.demo_lines import ALIASES, chat_lines, embedding_lines, response_lines, write_lines
from gateway.cli.environment import make_directory
from gateway.cli.output import say

EXTRA: Final = "openai"
STOP_SECONDS: Final = 15
JOB_SECONDS: Final = 2

# Quick where a real upstream would be asked every few seconds; and with more than a few items a
# job travels as a file, so the demo shows both ways.
SETTINGS: Final = {
    "GATEWAY_PORT": "0",
    "GATEWAY_MODEL_ALIASES": orjson.dumps(ALIASES).decode(),
    "GATEWAY_POLL_MIN_SECONDS": "0.2",
    "GATEWAY_POLL_MAX_SECONDS": "1",
    "GATEWAY_INLINE_MAX_ITEMS": "10",
}


@click.command(short_help="See it work: no key, no network.")
@click.option(
    "--keep",
    type=click.Path(file_okay=False, path_type=Path),
    help="The directory for inputs, outputs and logs; by default a new temporary one.",
)
def demo(keep: Path | None) -> None:
    """Run a program of OpenAI's SDK over three batches against a Gemini emulator.

    Needs the [demo] extra, no key and no network. Starts the emulator and the gateway, ends both.
    """
    if find_spec(EXTRA) is None:
        raise click.ClickException(
            f"the demo needs {EXTRA}: in the checkout, type pip install '.[demo]'"
        )
    directory = keep or Path(tempfile.mkdtemp(prefix="gateway-demo-"))
    make_directory(directory)
    try:
        with _ended_by_sigterm():
            _run(directory.resolve())
    except KeyboardInterrupt:
        raise click.ClickException("interrupted; emulator and gateway have ended") from None


def _run(directory: Path) -> None:
    write_lines(directory, "chat", "/v1/chat/completions", chat_lines())
    write_lines(directory, "responses", "/v1/responses", response_lines())
    write_lines(directory, "embeddings", "/v1/embeddings", embedding_lines())
    emulator = ("emulator", "--port", "0", "--job-seconds", str(JOB_SECONDS))
    with _server(directory, "emulator", emulator, {}) as upstream:
        settings = SETTINGS | {
            "GATEWAY_GEMINI_BASE_URL": upstream,
            "GATEWAY_DATA_DIR": str(directory / "gateway-data"),
        }
        with _server(directory, "gateway", ("serve",), settings) as base_url:
            client = {"OPENAI_BASE_URL": base_url, "OPENAI_API_KEY": "any key will do"}
            _program("gateway.cli.demo_client", directory, client)
    _program("gateway.cli.demo_report", directory, {})
    say(f"\nInputs, outputs and logs are in {directory}:")
    for path in sorted(directory.iterdir()):
        say(f"  {path.name}{'/' if path.is_dir() else ''}")


def _environment(given: Mapping[str, str]) -> dict[str, str]:
    """Give what a child inherits, without proxies: all its addresses are loopback."""
    inherited = inherited_environment().items()
    direct = {name: value for name, value in inherited if not name.lower().endswith("_proxy")}
    return direct | dict(given)


@contextmanager
def _server(
    directory: Path, name: str, command: Sequence[str], settings: Mapping[str, str]
) -> Iterator[str]:
    """Run ``gateway`` with a command that serves; give its URL once it listens, end it after."""
    log = directory / f"{name}.log"
    with log.open("wb") as errors:
        process = _start(["gateway", *command], settings, subprocess.PIPE, errors)
    with process, _ended(process):
        yield _url(process, log)


def _url(process: subprocess.Popen[str], log: Path) -> str:
    """Read ``… listening on URL``."""
    assert process.stdout is not None  # noqa: S101 - started with a pipe
    line = process.stdout.readline().strip()
    if " listening on " not in line:
        said = log.read_text(encoding="utf-8").strip()
        raise click.ClickException(f"{log.stem} did not start: {said}")
    say(line)
    return line.rpartition(" ")[2]


def _program(module: str, directory: Path, settings: Mapping[str, str]) -> None:
    """Run a module to its end; it prints to the demo's own output."""
    process = _start([module, str(directory)], settings)
    with process, _ended(process):
        code = process.wait()
    if code != 0:
        raise click.ClickException(f"{module} failed; the logs are in {directory}")


def _start(
    module: Sequence[str],
    settings: Mapping[str, str],
    stdout: int | None = None,
    stderr: IO[bytes] | None = None,
) -> subprocess.Popen[str]:
    """Start a module in a session of its own: the demo alone gets Ctrl-C, and ends it in order.

    Should the demo be killed, the module ends by its lifeline (``lifeline.py``).
    """
    return subprocess.Popen(  # noqa: S603 - Python itself, with modules of ours
        module_command("gateway.cli.lifeline", *module),
        env=_environment(settings) | {"PYTHONUNBUFFERED": "1"},
        stdin=subprocess.PIPE,
        stdout=stdout,
        stderr=stderr,
        text=True,
        start_new_session=True,
    )


@contextmanager
def _ended(process: subprocess.Popen[str]) -> Iterator[None]:
    """Have a process end with the block: by SIGTERM, after STOP_SECONDS by SIGKILL."""
    try:
        yield
    finally:
        process.terminate()
        try:
            with suppress(subprocess.TimeoutExpired):
                process.wait(STOP_SECONDS)
        finally:
            process.kill()
            process.wait()


@contextmanager
def _ended_by_sigterm() -> Iterator[None]:
    """Have SIGTERM end the demo as Ctrl-C does: through every ``finally``."""

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, interrupt)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
