"""``gateway status [BATCH]``: what is happening, why, and until when."""

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from typing import Any, Final

import click
import orjson
from prometheus_client.parser import text_string_to_metric_families
from rich.console import Console
from rich.table import Column, Table

from gateway.cli.connection import connected, connection_options
from gateway.cli.output import printable, say
from gateway.clock import SystemClock
from gateway.units import counted, duration

NEWEST: Final = 20
WIDE: Final = 200  # columns of what goes into a file or another program
_LIVE: Final = frozenset({"validating", "in_progress", "finalizing", "cancelling"})

Json = Mapping[str, Any]


HELP: Final = """Show the newest batches, or BATCH with its jobs.

A batch has its state, its age, what it waits for and the time left. Responses in the background
(background: true), which are sent in batches of their own, and the sum of single requests follow.

\b
  gateway status
  gateway status batch_0123456789abcdef
  gateway status batch_0123456789abcdef --json
"""


@click.command(short_help="Show what batches do, and why they wait.", help=HELP)
@click.argument("batch", required=False)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
@connection_options
def status(batch: str | None, as_json: bool, base_url: str, api_key: str) -> None:
    """See HELP."""
    with connected(base_url, api_key) as client:
        metrics, background = "", list[dict[str, Any]]()
        if batch is None:
            told: Any = client.batches(NEWEST)
            metrics = "" if as_json else client.metrics()
            background = [] if as_json else client.background(NEWEST)
        else:
            told = {"batch": client.batch(batch), "jobs": client.jobs(batch)}
    if as_json:
        say(orjson.dumps(told, option=orjson.OPT_INDENT_2))
        return
    now = SystemClock().now() // 1000
    with printed() as console:
        if batch is None:
            console.print(table_of(told, now))
            show_background(console, background, now)
            if single := singles(metrics):
                console.print(single)
        else:
            _show(console, told["batch"], told["jobs"], now)


@contextmanager
def printed() -> Iterator[Console]:
    """Give a console, and print what it was given. Errors: click.ClickException as of ``say``.

    Texts of others are no markup: brackets in them are letters.
    """
    console = Console(markup=False, highlight=False)
    if not console.is_terminal:
        console.width = WIDE
    with console.capture() as text:
        yield console
    say(text.get().removesuffix("\n"))


def singles(metrics: str) -> str:
    """Sum up the single requests in the text of ``/metrics``; ``""`` when there were none."""
    sums: dict[str, float] = defaultdict(float)
    with suppress(ValueError):  # a page of another server, in the place of metrics
        for family in text_string_to_metric_families(metrics):
            for sample in family.samples:
                if sample.labels.get("kind", "input") in {"input", "output"}:
                    sums[sample.name] += sample.value
    requests, tokens = sums["gateway_single_requests_total"], sums["gateway_single_tokens_total"]
    if not requests:
        return ""
    dollars = sums["gateway_single_cost_dollars_total"]
    return (
        f"single requests of all clients since its start: {requests:,.0f},"
        f" {counted(int(tokens), 'token')}, ${dollars:,.4f}"
    )


def table_of(batches: Sequence[Json], now: int) -> Table:
    """Make a table of batches, a row each; ``now`` is in seconds since the epoch."""
    # An id that is cut cannot be copied.
    table = Table(Column("batch", no_wrap=True), Column("status", no_wrap=True), box=None)
    for heading in ("model", "lines", "age", "left", "why it waits"):
        table.add_column(heading)
    for batch in batches:
        texts = (
            batch["id"],
            batch["status"],
            batch.get("model") or "",
            lines_of(batch),
            duration(now - batch["created_at"]),
            _left(batch, now),
            (batch.get("gateway") or {}).get("waiting_for") or "",
        )
        table.add_row(*map(printable, texts))
    return table


def show_background(console: Console, rows: Sequence[Json], now: int) -> None:
    """Print responses in the background, a row for those that are sent together.

    ``now`` is in seconds since the epoch.
    """
    if not rows:
        return
    table = Table(Column("background", no_wrap=True), box=None)
    for heading in ("status", "model", "responses", "age", "cost", "why it waits"):
        table.add_column(heading)
    for row in rows:
        cost = row.get("cost_usd")
        texts = (
            row.get("batch_id") or "not sent yet",
            row["status"],
            row.get("model") or "",
            lines_of({"request_counts": row["responses"]}),
            duration(now - row["created_at"]),
            "unknown" if cost is None else f"${cost:.4f}",
            row.get("waiting_for") or "",
        )
        table.add_row(*map(printable, texts))
    console.print("\nresponses in the background, as they are sent together:")
    console.print(table)


def _show(console: Console, batch: Json, jobs: Sequence[Json], now: int) -> None:
    console.print(f"{batch['id']}: {batch['status']}, {lines_of(batch)}")
    for label, text in _facts(batch, jobs, now):
        console.print(f"  {label}: {printable(text)}")
    if not jobs:
        return
    table = Table("job", "cause", "attempt", "model", "key", "lines", "tokens", box=None)
    for heading in ("state", "at Google", "for", "refused", "display name", "why it waits"):
        table.add_column(heading)
    for job in jobs:
        words = ("cause", "attempts", "model", "credential", "lines", "tokens", "state")
        texts = (
            str(job["number"]),
            *(str(job.get(word, "")) for word in words),
            job.get("upstream_state") or "",
            duration(now - job["since"]),
            str(job.get("refused") or ""),
            job.get("display_name") or "",
            _why(job),
        )
        table.add_row(*map(printable, texts))
    console.print(table)


def _why(job: Json) -> str:
    waits = job.get("waiting_for")
    doubt = "unknown whether its create landed" if job.get("in_doubt") else None
    sent = job["state"] == "submitting" and not doubt and not waits
    sending = "its create is under way" if sent else None
    told = (waits, doubt, sending, job.get("error"))
    return "; ".join(filter(None, told))


def _facts(batch: Json, jobs: Sequence[Json], now: int) -> list[tuple[str, str]]:
    """Describe a batch, a label and a text for each fact."""
    more = batch.get("gateway") or {}
    waited = more.get("waiting_since")
    again = sum(job.get("lines", 0) for job in jobs if job.get("attempts", 1) > 1)
    facts = [
        ("model", batch.get("model") or ("several" if batch["request_counts"]["total"] else None)),
        ("age", duration(now - batch["created_at"])),
        ("time left", _left(batch, now)),
        ("place in the queue", more.get("position")),
        ("estimated", None if more.get("eta_seconds") is None else duration(more["eta_seconds"])),
        ("waits for", more.get("waiting_for")),
        ("waits since", None if not waited else f"{duration(now - waited)} ago"),
        ("ended because", more.get("ended_because")),
        ("lines sent again", again or None),
        ("lines answered before", more.get("reused") or None),
        ("lines paid twice at most", more.get("paid_twice_at_most") or None),
        ("synchronous calls", _rescue(more.get("rescue"))),
        ("tokens used", (batch.get("usage") or {}).get("total_tokens")),
        ("cost in dollars", more.get("cost_usd")),
        (
            "errors",
            "; ".join(each["message"] for each in (batch.get("errors") or {}).get("data", ())),
        ),
    ]
    return [(label, str(value)) for label, value in facts if value not in {None, ""}]


def _rescue(told: Json | None) -> str | None:
    if not told:
        return None
    lost = f", {told['lost']} perhaps paid without an answer" if told["lost"] else ""
    return f"{told['calls']} answered{lost}, {told['cost_at_most_usd']} dollars at most"


def lines_of(batch: Json) -> str:
    """Put counts of a batch into words: ``3 of 5 done, 1 failed``."""
    counts = batch["request_counts"]
    failed = f", {counts['failed']} failed" if counts.get("failed") else ""
    return f"{counts.get('completed', 0)} of {counts.get('total', 0)} done{failed}"


def _left(batch: Json, now: int) -> str:
    if batch["status"] not in _LIVE or not batch.get("expires_at"):
        return ""
    return duration(max(batch["expires_at"] - now, 0))
