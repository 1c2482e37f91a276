"""``gateway emulator``: its options are those of :class:`gateway.emulator.EmulatorOptions`."""

import asyncio
import contextlib
import dataclasses
import socket
import textwrap
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

import click
import uvicorn

from gateway.cli.output import say
from gateway.emulator import EmulatorOptions, create_app
from gateway.emulator.faults.markers import MARKERS
from gateway.emulator.faults.reports import REPORTS
from gateway.emulator.faults.table import FAULTS, OPERATIONS, FaultKind, Scope, describe
from gateway.emulator.serve import listen, make_server, run

Decorator = Callable[[Callable[..., None]], Callable[..., None]]

# Options that may be given again, and are called by what each is.
_SINGULAR: Final = {"faults": "--fault", "api_keys": "--api-key"}
_METAVARS: Final = {
    "faults": "SPEC",
    "api_keys": "KEY[=PROJECT]",
    "enqueued_tokens": "MODEL=COUNT",
    "directory": "DIRECTORY",
}
_EPILOG: Final = """
\b
Google's SDK for Python:
  client = genai.Client(api_key="any",
      http_options={"base_url": "http://127.0.0.1:8081"})
Google's SDK for JavaScript:
  const ai = new GoogleGenAI({apiKey: "any",
      httpOptions: {baseUrl: "http://127.0.0.1:8081"}})
The OpenAI SDK, through the gateway:
  GEMINI_API_KEY=any \\
  GATEWAY_GEMINI_BASE_URL=http://127.0.0.1:8081 gateway serve
curl:
  curl -H 'x-goog-api-key: any' http://127.0.0.1:8081/v1beta/models

\b
In tests (pytest), without this command:
  from gateway.emulator.testing import gemini
  def test_it(gemini):
      run_my_program(gemini.base_url)
      gemini.finish()   # the jobs' time is over, results are there
      assert len(gemini.journal("create")) == 1

\b
With --control, while it runs:
  GET    /emulator/journal   what was accepted; ?kind=create, ?since=SEQ
  GET    /emulator/jobs      every job; POST {} ends them all now,
                             POST {"name": "batches/..."} one
  GET    /emulator/faults    what is armed, and how often it struck;
                             POST "quota:times=2", DELETE disarms
  POST   /emulator/clock     {"advance": 3600} or {"speed": 60}
  GET    /emulator/calls     how often each operation was called
  GET    /emulator/ledger    what each line and each call cost (--ledger)

Answers echo the prompt. Words in a prompt steer its answer, as [[error:8]], [[call:get_weather]]
or [[fault:job-fails]]: see --list-markers. What it can do wrong: see --list-faults.
"""


def flag_of(name: str) -> str:
    """Spell an option as the command line does."""
    return _SINGULAR.get(name, f"--{name.replace('_', '-')}")


def _options() -> Decorator:
    """Make a decorator that adds every field of EmulatorOptions."""

    def decorate(function: Callable[..., None]) -> Callable[..., None]:
        for one in reversed(dataclasses.fields(EmulatorOptions)):
            function = _option(one)(function)
        return function

    return decorate


def _option(one: "dataclasses.Field[Any]") -> Decorator:
    plain = one.default if one.default is not dataclasses.MISSING else {}
    spelled = flag_of(one.name)
    more: dict[str, Any] = {"help": one.metadata["about"]}
    if one.name in _METAVARS:
        more["metavar"] = _METAVARS[one.name]
    if isinstance(plain, bool):
        spelled += f"/--no{spelled[1:]}" if plain else ""
        more |= {"is_flag": True, "default": plain}
    elif isinstance(plain, tuple | dict):
        more["multiple"] = True
        more["help"] += " May be given again."
    elif one.metadata["choices"]:
        choices = [str(choice) for choice in one.metadata["choices"]]
        more |= {"type": click.Choice(choices), "default": str(plain), "show_default": True}
    elif plain is None:
        more["type"] = click.Path(exists=True, file_okay=False, writable=True)
    else:
        more |= {"default": plain, "show_default": True}
    return click.option(spelled, one.name, **more)


def _fault_lines() -> Iterable[str]:
    yield "A fault is given as NAME[:PARAMETER=VALUE,...]: with --fault from the start, while it"
    yield "runs by POST /emulator/faults (--control), or as [[fault:...]] in a prompt. Every fault"
    yield "takes times (how often; all), skip (occasions let through first), probability, and on"
    yield "(calls, joined with |), one or more of"
    yield from textwrap.wrap(", ".join(OPERATIONS), 90, initial_indent="  ", subsequent_indent="  ")
    for scope in Scope:
        yield f"\nDecided {scope.value.replace('`', '')}:"
        for name, kind in FAULTS.items():
            if kind.scope is scope:
                yield f"  {name:23}{kind.what}{_defaults(kind)}"
    yield "\nWhat is reported of Google's service, and what shows it:"
    for report in REPORTS:
        shown = [*report.faults, *(f"[[{name}]]" for name in report.markers)]
        yield f"  {report.what}" + (f" ({report.where})" if report.where else "")
        yield f"      {', '.join(shown)}{'; ' if shown and report.always else ''}{report.always}"


def _defaults(kind: FaultKind) -> str:
    """Its own values of parameters, unless it is told others."""
    shown = [f"{name}={value}" for name, value in describe(kind.base).items() if name != "name"]
    return f" [{', '.join(shown)}]" if shown else ""


def _marker_lines() -> Iterable[str]:
    yield "In the last text of the user, as [[name]] or [[name:value]], several if need be:\n"
    for name, what in MARKERS.items():
        yield f"  {name:17}{what}"


def _listing(flag: str, about: str, lines: Callable[[], Iterable[str]]) -> Decorator:
    """Make a flag that prints a list and ends the command."""

    def show(context: click.Context, _parameter: click.Parameter, wanted: bool) -> None:
        if wanted:
            say("\n".join(lines()))
            context.exit()

    return click.option(
        flag, is_flag=True, is_eager=True, expose_value=False, callback=show, help=about
    )


@click.command(short_help="Serve a look-alike of Gemini's batch API.", epilog=_EPILOG)
@click.option("--host", default="127.0.0.1", show_default=True, help="Address to listen on.")
@click.option(
    "--port",
    default=8081,
    type=click.IntRange(0, 65535),
    show_default=True,
    help="Port; 0 takes a free one.",
)
@_listing("--list-faults", "Print what it can be told to do wrong, and exit.", _fault_lines)
@_listing("--list-markers", "Print the words in a prompt that it obeys, and exit.", _marker_lines)
@_options()
def emulator(host: str, port: int, **chosen: Any) -> None:  # noqa: ANN401 - by EmulatorOptions
    """Serve a local look-alike of the Gemini batch API: no key, no network, nothing to pay.

    Batch jobs, files, caches, models and their synchronous calls, as google-genai speaks to them
    on v1 and v1beta. Durations are seconds of its own clock, sizes bytes.
    """
    try:
        app = create_app(read_options(chosen))
    except ValueError as error:
        raise click.UsageError(str(error)) from error
    with contextlib.closing(_listen(host, port)) as listener:
        server = make_server(app, host, port)
        with contextlib.suppress(KeyboardInterrupt):
            asyncio.run(_serve(server, listener, host))


def read_options(chosen: Mapping[str, Any]) -> EmulatorOptions:
    """Make the options of an emulator from those that click has read; raises ValueError."""
    values = {}
    for one in dataclasses.fields(EmulatorOptions):
        value = chosen[one.name]
        if one.name == "enqueued_tokens":
            pairs = (text.rpartition("=") for text in value)
            value = {model: _count(count, model) for model, _, count in pairs}
        elif one.metadata["choices"] and isinstance(one.default, int):
            value = int(value)
        values[one.name] = value
    return EmulatorOptions(**values)


def _count(text: str, model: str) -> int:
    if not (model and text.isascii() and text.isdigit()):
        raise ValueError("enqueued tokens are given as MODEL=COUNT")
    return int(text)


async def _serve(server: uvicorn.Server, listener: socket.socket, host: str) -> None:
    """Announce and serve; a Ctrl-C cancels this."""
    shown = f"[{host}]" if ":" in host else host
    say(f"emulator listening on http://{shown}:{listener.getsockname()[1]}")
    await run(server, listener)


def _listen(host: str, port: int) -> socket.socket:
    """Open a socket that accepts connections already: a reader of the next line may call."""
    try:
        listener = listen(host, port)
        listener.listen()
    except OSError as error:
        raise click.ClickException(f"cannot listen on {host}:{port}: {error.strerror}") from error
    return listener
