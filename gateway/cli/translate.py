"""``gateway translate``: what a file would become, offline."""

from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import click
import orjson

from gateway.app import policy
from gateway.cli.environment import BadSettings
from gateway.cli.inputs import InputFile
from gateway.cli.output import say
from gateway.clock import SystemClock
from gateway.errors import SettingsError
from gateway.runner.cpu.dry_run import endpoint_of
from gateway.runner.cpu.envelope import Envelope
from gateway.runner.cpu.explain import Explained
from gateway.settings.load import load
from gateway.settings.table import Settings
from gateway.translate import (
    ENDPOINTS,
    KNOWN_MODELS,
    PRICES_PAGE,
    PRICES_READ_ON,
    Price,
    check_prices,
)
from gateway.units import counted
from gateway.wire.jsonl import drop_blank_end, escape_separators, read_lines

# A key is not needed to translate, and no setting of the service may stop it.
OFFLINE: Final = {"GATEWAY_GEMINI_BASE_URL": "http://127.0.0.1"}

HELP: Final = f"""Print what each line of an OpenAI batch file becomes. Nothing is sent.

One JSON object a line on stdout: {{"line", "custom_id", "model", "items", "notes", "estimate"}}, or
{{"line", "fails", "error"}}, where fails says whether the whole batch or the line alone fails.
Totals go to stderr. Exit 1 when the batch would fail. The settings of the environment decide, as in
the service. A model that is neither an alias nor known to this version fails the batch, as it
would in the service, unless --allow-unknown-models is given.

Tokens and costs are estimates: texts at four bytes a token, and what an answer may take at most.
Prices are Google's for batches as of {PRICES_READ_ON} ({PRICES_PAGE}),
unless GATEWAY_PRICES or --price gives others;
a model, a picture, a file or a tool whose price is not known makes a cost null, never a guess.

\b
  gateway translate requests.jsonl
  gateway translate --summary requests.jsonl
  gateway translate --summary --json requests.jsonl
  gateway translate --price gemini-9-pro=1.25/10 --summary requests.jsonl
  GATEWAY_STRICT=true gateway translate requests.jsonl
"""


@click.command(short_help="Show what a batch file becomes, offline.", help=HELP)
@click.argument("file", type=InputFile())
@click.option(
    "--endpoint",
    type=click.Choice(sorted(ENDPOINTS)),
    help="The endpoint; by default that of the first line.",
)
@click.option(
    "--alias",
    "aliases",
    multiple=True,
    metavar="NAME=MODEL",
    help="An alias of a model, which wins over GATEWAY_MODEL_ALIASES.",
)
@click.option(
    "--price",
    "prices",
    multiple=True,
    metavar="MODEL=IN/OUT",
    help="A price in US dollars for a million tokens in and out, in place of the table's.",
)
@click.option(
    "--allow-unknown-models",
    is_flag=True,
    help="Take a model that this version does not know for one that Google offers.",
)
@click.option("--summary", is_flag=True, help="Print the totals instead of the lines.")
@click.option("--json", "as_json", is_flag=True, help="With --summary, print one JSON object.")
def translate(  # noqa: PLR0917 - click gives each by its name
    file: Path,
    endpoint: str | None,
    aliases: tuple[str, ...],
    prices: tuple[str, ...],
    allow_unknown_models: bool,
    summary: bool,
    as_json: bool,
) -> None:
    """See HELP."""
    settings = _settings(aliases)
    given = {**_own_prices(settings), **_prices(prices)}
    path = endpoint or endpoint_of(file, settings.max_line_bytes) or _default_endpoint()
    models = None if allow_unknown_models else _known_models(given)
    explained = _explained(settings, path, models)
    explained.prices.update(given)
    with file.open("rb") as lines:
        some = drop_blank_end(read_lines(lines, settings.max_line_bytes))
        for number, raw in enumerate(some, 1):
            told = explained.line(raw, number)
            if not summary:
                say(escape_separators(orjson.dumps(told)))
    totals = explained.summary()
    if not summary:
        click.echo(_headline(totals), err=True)
    elif as_json:
        say(orjson.dumps(totals))
    else:
        say("\n".join(_told(totals)))
    for place, count in explained.caught.items():
        click.echo(
            f"the gateway itself failed on {counted(count, 'line')}, please report: {place}",
            err=True,
        )
    if totals["fail_the_batch"] or not totals["lines"]:
        raise SystemExit(1)


def _known_models(prices: Mapping[str, Price]) -> Mapping[str, frozenset[str]]:
    """Give the built-in list, and the models that the command line gives a price for."""
    every = frozenset(endpoint.method for endpoint in ENDPOINTS.values())
    return {**dict.fromkeys(prices, every), **KNOWN_MODELS}


def _explained(
    settings: Settings, path: str, models: Mapping[str, frozenset[str]] | None
) -> Explained:
    try:
        rules = policy(settings)
    except SettingsError as error:
        raise BadSettings(str(error)) from error
    today = datetime.fromtimestamp(SystemClock().now() / 1000, UTC).date().isoformat()
    envelope = Envelope(ENDPOINTS[path], rules, models, settings.max_line_bytes)
    return Explained(envelope, today)


def _settings(given: tuple[str, ...]) -> Settings:
    """Load the service's own; aliases of the command line win over those of the environment."""
    pairs = dict(alias.partition("=")[::2] for alias in given)
    if not all((*pairs, *pairs.values())):
        raise click.BadParameter("an alias is NAME=MODEL", param_hint="--alias")
    try:
        settings, _ = load(overrides=OFFLINE)
        aliases = replace(settings.model_aliases, own={**settings.model_aliases.own, **pairs})
    except SettingsError as error:
        raise BadSettings(str(error)) from error
    return replace(settings, model_aliases=aliases)


def _own_prices(settings: Settings) -> dict[str, Price]:
    """Read ``GATEWAY_PRICES``, which a batch is estimated by too."""
    try:
        check_prices(settings.prices)
    except ValueError as error:
        raise BadSettings(f"GATEWAY_PRICES {error}") from error
    return {model: Price(**members) for model, members in settings.prices.items()}


def _prices(given: tuple[str, ...]) -> dict[str, Price]:
    prices = {}
    for text in given:
        model, _, price = text.partition("=")
        sent, _, answered = price.partition("/")
        try:
            members = {"input": float(sent), "output": float(answered)}
            check_prices({model: members})
        except ValueError:
            model = ""
        if not model:
            raise click.BadParameter(
                "a price is MODEL=IN/OUT, two numbers of zero or more", param_hint="--price"
            )
        prices[model] = Price(**members)
    return prices


def _default_endpoint() -> str:
    default = next(iter(ENDPOINTS))
    click.echo(f"no line names one of {', '.join(ENDPOINTS)}: read as {default}", err=True)
    return default


def _headline(totals: Mapping[str, Any]) -> str:
    return (
        f"{totals['endpoint']}: {counted(totals['lines'], 'line')}, "
        f"{counted(totals['items'], 'item')}, "
        f"{totals['refused']} refused, {totals['fail_the_batch']} that fail the batch"
    )


_TITLES: Final = {"": "noted", "line": "refused", "batch": "fails the batch"}


def _told(totals: Mapping[str, Any]) -> Iterator[str]:
    """Yield the lines of the totals for people."""
    yield _headline(totals)
    if totals["models"]:
        yield ""
        yield from _table(totals)
    for kinds in (totals["notes"], totals["errors"]):
        if kinds:
            yield ""
        titles = [_TITLES[kind.get("fails", "")] for kind in kinds]
        width = max(map(len, titles), default=0)
        for title, kind in zip(titles, kinds, strict=True):
            what = f"{kind['code']} {kind['field']}".rstrip()
            first = f"(first on line {kind['first_line']:,})"
            yield f"{title:{width}} {kind['count']:>9,}  {what} {first}"
            if message := kind.get("message"):
                yield f"{'':{width}} {'':9}  {message}"
    if totals["models"]:
        yield ""
        prices = f"US dollars, batch prices as of {PRICES_READ_ON}"
        yield f"Estimates: text at 4 bytes a token; {prices}."


_COLUMNS: Final = ("model", "lines", "items", "text tokens in", "out at most", "$ in", "$ at most")


def _table(totals: Mapping[str, Any]) -> Iterator[str]:
    models = totals["models"]
    rows = [_COLUMNS, *(_row(name, of) for name, of in models.items())]
    if len(models) > 1:
        rows.append(_row("all", totals["total"]))
    widths = [max(len(row[column]) for row in rows) for column in range(len(_COLUMNS))]
    for row in rows:
        cells = [row[0].ljust(widths[0])]
        cells += [cell.rjust(width) for cell, width in zip(row[1:], widths[1:], strict=True)]
        yield "  ".join(cells)
    for name, of in models.items():
        for why, lines in of["without_estimate"].items():
            of_lines = counted(lines, "line")
            yield f"{name}: no estimate of the cost of {of_lines}, because of: {why}"


def _row(name: str, totals: Mapping[str, Any]) -> tuple[str, ...]:
    most = totals["output_tokens_at_most"]
    return (
        name,
        f"{totals['lines']:,}",
        f"{totals['items']:,}",
        f"{totals['input_text_tokens']:,}",
        "no limit" if most is None else f"{most:,}",
        _sum(totals["input_usd"], totals["known_input_usd"]),
        _sum(totals["usd_at_most"]),
    )


def _sum(dollars: float | None, known: float = 0.0) -> str:
    if dollars is None:
        return f"over {known:,.4f}" if known >= 0.0001 else "unknown"
    return "under 0.0001" if 0 < dollars < 0.0001 else f"{dollars:,.4f}"
