"""``gateway translate``: what a file would become, offline."""

from collections import Counter
from pathlib import Path
from typing import Any

import click
import orjson

from gateway.app import input_limits, policy
from gateway.batches.records import BatchError
from gateway.cli.environment import BadSettings
from gateway.errors import SettingsError
from gateway.runner.work.envelope import Envelope, Line
from gateway.settings import Settings, load
from gateway.translate.endpoints import ENDPOINTS
from gateway.translate.shapes import Endpoint, LineError, Policy
from gateway.wire.jsonl import LongLine, drop_blank_end, read_lines

# A key is not needed to translate, and no setting of the service may stop it.
OFFLINE = {"GATEWAY_GEMINI_BASE_URL": "http://127.0.0.1"}


@click.command(short_help="Show what a batch file becomes, offline.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--endpoint", type=click.Choice(sorted(ENDPOINTS)), help="Default: the first line's.")
@click.option("--alias", "aliases", multiple=True, metavar="NAME=MODEL", help="A model alias.")
def translate(file: Path, endpoint: str | None, aliases: tuple[str, ...]) -> None:
    """Print the Gemini items of an OpenAI batch file and every complaint; nothing is sent.

    One JSON object a line: {"line", "model", "items", "notes"} or {"line", "fails", "error"}, where
    fails says whether the whole batch or the line alone fails. Totals go to stderr. Exit 1 when the
    batch would fail. Whether the upstream has a model is not known offline.
    """
    settings = _settings(aliases)
    try:
        rules = policy(settings)
    except SettingsError as error:
        raise BadSettings(str(error)) from error
    path = endpoint or _endpoint_of(file, settings.max_line_bytes)
    explained = _Explained(settings, rules, ENDPOINTS[path])
    with file.open("rb") as lines:
        some = drop_blank_end(read_lines(lines, settings.max_line_bytes))
        for number, raw in enumerate(some, 1):
            click.echo(orjson.dumps(explained.line(raw, number)))
    totals = explained.totals
    click.echo(
        f"{path}: {totals['lines']} lines, {totals['items']} items, {totals['line']} refused, "
        f"{totals['batch']} that fail the batch",
        err=True,
    )
    if totals["batch"] or not totals["lines"]:
        raise SystemExit(1)


def _settings(aliases: tuple[str, ...]) -> Settings:
    """The service's own, with the aliases of the command line over those of the environment."""
    pairs = dict(alias.partition("=")[::2] for alias in aliases)
    if not all(pairs.values()):
        raise click.BadParameter("an alias is NAME=MODEL", param_hint="--alias")
    try:
        settings, _ = load(overrides=OFFLINE)
        pairs = {**settings.model_aliases, **pairs}
        given = {"GATEWAY_MODEL_ALIASES": orjson.dumps(pairs).decode()}
        settings, _ = load(overrides={**OFFLINE, **given})
    except SettingsError as error:
        raise BadSettings(str(error)) from error
    return settings


def _endpoint_of(file: Path, max_line_bytes: int) -> str:
    """The url of the first line that names one of ours."""
    with file.open("rb") as lines:
        for raw in read_lines(lines, max_line_bytes):
            try:
                url = orjson.loads(raw)["url"] if isinstance(raw, bytes) else None
            except (orjson.JSONDecodeError, TypeError, KeyError):
                continue
            if url in ENDPOINTS:
                return str(url)
    default = next(iter(ENDPOINTS))
    click.echo(f"no line names one of {', '.join(ENDPOINTS)}: read as {default}", err=True)
    return default


class _Explained:
    def __init__(self, settings: Settings, rules: Policy, endpoint: Endpoint) -> None:
        self._endpoint = endpoint
        self._policy = rules
        limits = input_limits(settings)
        self._envelope = Envelope(endpoint, self._policy, None, limits.max_line_bytes)
        self._seen: dict[str, int] = {}
        self.totals: Counter[str] = Counter()

    def line(self, raw: bytes | LongLine, number: int) -> dict[str, Any]:
        """What becomes of one line."""
        self.totals["lines"] += 1
        line = self._envelope.read(raw, number)
        if isinstance(line, BatchError):
            return self._complaint(number, "batch", line.code, line.param, line.message)
        first = self._seen.setdefault(line.custom_id, number)
        if first != number:
            return self._complaint(
                number, "batch", "duplicate_custom_id", "custom_id", f"as on line {first}"
            )
        return self._translated(line, number)

    def _translated(self, line: Line, number: int) -> dict[str, Any]:
        made = self._endpoint.to_gemini(line.body, self._policy, line.model)
        if isinstance(made, LineError):
            complaint = self._complaint(number, "line", made.code, made.param, made.message)
            return {"line": number, "custom_id": line.custom_id, **complaint}
        items, _, notes, _ = made
        self.totals["items"] += len(items)
        return {
            "line": number,
            "custom_id": line.custom_id,
            "model": line.model,
            "method": self._endpoint.method,
            "items": [orjson.Fragment(item) for item in items],
            "notes": [{"code": note.code, "field": note.field} for note in notes],
        }

    def _complaint(
        self, number: int, fails: str, code: str | None, param: str | None, message: str
    ) -> dict[str, Any]:
        self.totals[fails] += 1
        error = {"code": code, "param": param, "message": message}
        return {"line": number, "fails": fails, "error": error}
