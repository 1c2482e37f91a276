"""``gateway run FILE``: a batch from its file to its answers, in one command."""

import shlex
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import click
import orjson
from rich.console import Console

from gateway.cli.connection import connected, connection_options
from gateway.cli.follow import follow
from gateway.cli.inputs import InputFile
from gateway.cli.outcome import check_place, show_failures, write_files
from gateway.cli.output import printable, say, sentence
from gateway.cli.status import lines_of
from gateway.client.client import ClientError, GatewayClient

EXIT_LINES_FAILED: Final = 1
EXIT_NOT_COMPLETED: Final = 2

HELP: Final = """Run FILE as a batch: upload, create, follow to its end, write what comes back.

Of requests.jsonl, answers go to requests.output.jsonl in the same folder, lines without one to
requests.error.jsonl, notes about lines to requests.warnings.jsonl. What went wrong is shown
grouped by code.

Exit 0 when every line was answered, 1 when some failed, 2 when the batch did not complete. Ctrl-C
asks whether to cancel the batch or to leave it running; a second Ctrl-C leaves it. It works
against every OpenAI-compatible batch API (OPENAI_BASE_URL, OPENAI_API_KEY).

\b
  gateway run requests.jsonl
  gateway run requests.jsonl --metadata team=search
  gateway run requests.jsonl --resume batch_0123456789abcdef
  gateway run requests.jsonl --dry-run
"""

Json = Mapping[str, Any]


@click.command(short_help="Run a file as a batch and write its answers.", help=HELP)
@click.argument("file", type=InputFile())
@click.option("--endpoint", help="The endpoint of the batch; by default the url of the first line.")
@click.option(
    "--metadata",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="Metadata of the batch; may be given again.",
)
@click.option("--resume", metavar="BATCH", help="Follow a batch that was created from FILE.")
@click.option("--no-wait", is_flag=True, help="Print the batch's id and leave it running.")
@click.option(
    "--dry-run",
    is_flag=True,
    help="Show what FILE would become and cost, as translate --summary does.",
)
@connection_options
@click.pass_context
def run(  # noqa: PLR0917 - click gives each by its name
    context: click.Context,
    file: Path,
    endpoint: str | None,
    pairs: tuple[str, ...],
    resume: str | None,
    no_wait: bool,
    dry_run: bool,
    base_url: str,
    api_key: str,
) -> None:
    """See HELP."""
    if dry_run:
        _dry_run(context, file, endpoint)
        return
    console = Console(stderr=True)
    metadata = _metadata(pairs)
    with _completed(), connected(base_url, api_key) as client:
        if not no_wait:
            check_place(file)  # before anything is paid for
        if resume is None:
            batch = _created(client, file, endpoint, metadata)
        else:
            batch = client.batch(resume)
        with _completed(f"What it gives is kept there. To get it: {_way_back(batch, file)}"):
            say(batch["id"])
            if no_wait:
                return
            batch = _followed(client, batch, file, console)
            code = _end(client, batch, file, console)
    raise SystemExit(code)


class _NotCompletedError(click.ClickException):
    """The batch was not created, not followed to its end, or its files were not written."""

    exit_code = EXIT_NOT_COMPLETED


@contextmanager
def _completed(way_back: str = "") -> Iterator[None]:
    """Give whatever goes wrong the exit code of a batch that did not complete.

    Without it, a script would take "no gateway answers" for "some lines failed".
    """
    try:
        yield
    except _NotCompletedError:
        raise
    except (ClientError, OSError, click.ClickException) as error:
        said = sentence(error) if isinstance(error, OSError) else str(error)
        raise _NotCompletedError(f"{said}\n{way_back}".rstrip()) from error


def _way_back(batch: Json, file: Path) -> str:
    return f"gateway run {shlex.quote(str(file))} --resume {batch['id']}"


def _dry_run(context: click.Context, file: Path, endpoint: str | None) -> None:
    """Import late: the translation is much to load for a client."""
    from gateway.cli.translate import translate  # noqa: PLC0415

    asked = [str(file), "--summary", *(("--endpoint", endpoint) if endpoint else ())]
    translate.main(asked, standalone_mode=False, parent=context)


def _created(
    client: GatewayClient, file: Path, endpoint: str | None, metadata: Mapping[str, str]
) -> Json:
    path = endpoint or _endpoint_of(file)
    with file.open("rb") as content:
        uploaded = client.upload(file.name, content)
    return client.create(uploaded["id"], path, metadata)


def _endpoint_of(file: Path) -> str:
    """Read the url of the first line."""
    with file.open("rb") as lines:
        first = next(filter(bytes.strip, lines), b"")
    if not first:
        raise click.ClickException(f"{file} has no lines: there is nothing to run")
    try:
        url = orjson.loads(first)["url"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        url = None
    if not isinstance(url, str):
        raise click.ClickException(
            f"the first line of {file} is no JSON object with a url: repair it, or say --endpoint"
        )
    return url


def _metadata(pairs: tuple[str, ...]) -> dict[str, str]:
    for pair in pairs:
        key, is_pair, _ = pair.partition("=")
        if not key or not is_pair or not _is_text(pair):
            raise click.BadParameter("metadata is KEY=VALUE, in UTF-8", param_hint="--metadata")
    return dict(pair.partition("=")[::2] for pair in pairs)


def _is_text(argument: str) -> bool:
    """Tell whether an argument came as UTF-8: bytes that are none come as surrogates."""
    return not any("\ud800" <= letter <= "\udfff" for letter in argument)


def _followed(client: GatewayClient, batch: Json, file: Path, console: Console) -> Json:
    """Follow the batch; Ctrl-C asks what is to become of it."""
    while True:
        try:
            return follow(client, batch, console)
        except KeyboardInterrupt:
            if not _wants_to_cancel():
                console.print(
                    f"{batch['id']} goes on. To follow it again: {_way_back(batch, file)}",
                    markup=False,
                    soft_wrap=True,
                )
                raise SystemExit(EXIT_NOT_COMPLETED) from None
            batch = client.cancel(batch["id"])


def _wants_to_cancel() -> bool:
    """Ask, where there is a person to ask; a second Ctrl-C leaves the batch running."""
    if not sys.stdin.isatty():
        return False
    try:
        return click.confirm("\nCancel the batch? Otherwise it goes on", default=False, err=True)
    except click.Abort:
        return False


def _end(client: GatewayClient, batch: Json, file: Path, console: Console) -> int:
    """Write the files, say what came of it, and give the exit code."""
    written = write_files(client, batch, file)
    console.print(f"{batch['id']}: {batch['status']}, {lines_of(batch)}", highlight=False)
    for entry in (batch.get("errors") or {}).get("data") or ():
        line = f"line {entry['line']}: " if entry.get("line") else ""
        console.print(f"  {line}{printable(entry['message'])}", markup=False)
    for path in written.values():
        console.print(f"  {path}", markup=False, highlight=False, soft_wrap=True)
    if "error" in written:
        show_failures(console, written["error"])
    if batch["status"] != "completed":
        return EXIT_NOT_COMPLETED
    return EXIT_LINES_FAILED if "error" in written else 0
