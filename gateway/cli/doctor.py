"""``gateway doctor``: whether this machine, these settings and this key can run batches."""

import asyncio
import errno
import os
import shutil
from collections.abc import AsyncIterator, Collection, Coroutine, Sequence
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Any, Final

import click
import orjson

from gateway.app import PASS_THROUGH, gemini_options, google_credentials, policy
from gateway.batches.planning import BATCH_METHODS
from gateway.blobs.opening import check_bucket
from gateway.cli.output import say
from gateway.client.client import ClientError, server_date
from gateway.clock import SystemClock
from gateway.directories import hindrance
from gateway.errors import (
    SettingsError,
    UnavailableError,
    UpstreamError,
    UpstreamHeldError,
    UpstreamUnavailableError,
    UpstreamUnreadableError,
)
from gateway.settings.load import load
from gateway.settings.table import Settings
from gateway.store.opening import check_database, check_records
from gateway.translate import OPENAI_ALIASES, Policy, resolve_model
from gateway.units import GIB, MIB, counted
from gateway.upstream.gemini import GeminiUpstream

CLOCK_SECONDS: Final = 60.0  # a clock that is off by more ends windows and files' lives too early
LEAST_FREE: Final = GIB
_OPENAI: Final = Policy(aliases=OPENAI_ALIASES)
# A use -> the model that is taken for OpenAI's of that kind, unless a setting says otherwise.
USUAL: Final = {
    use: resolve_model(name, _OPENAI).model
    for use, name in (
        ("chat", "gpt-5"),
        ("chat, small", "gpt-5-mini"),
        ("embeddings", "text-embedding-3-small"),
        ("images", "gpt-image-1"),
    )
}
_ELSEWHERE: Final = "Look at GATEWAY_GEMINI_BASE_URL: what answers there may not be Google's API."
GOOD, DOUBT, BAD = "ok", "warning", "error"
_COLOURS: Final = {GOOD: "green", DOUBT: "yellow", BAD: "red"}

HELP: Final = """Look at settings, storage, clock, key, Google, models, quota; pay nothing.

Each line says what was looked at, what was found, and what to do. Exit 0 when batches can run, 1
when not. The only calls to Google are lists of models. A database (GATEWAY_STORE) and a bucket
(GATEWAY_BLOBS) are connected to and read; nothing is changed there.

\b
  gateway doctor
  gateway doctor --json
"""


@dataclass(frozen=True, slots=True)
class Finding:
    """A finding: its subject, its state (``ok``, ``warning`` or ``error``), and a sentence."""

    what: str
    state: str
    told: str


@click.command(short_help="Check settings, storage, clock, key and Google.", help=HELP)
@click.option("--json", "as_json", is_flag=True, help="Print JSON, for programs.")
def doctor(as_json: bool) -> None:
    """See HELP."""
    findings = asyncio.run(_all())
    if as_json:
        say(orjson.dumps(findings, option=orjson.OPT_INDENT_2))
    else:
        for finding in findings:
            state = click.style(f"{finding.state:7}", fg=_COLOURS[finding.state])
            say(f"{state}  {finding.what}: {finding.told}")
    if any(finding.state == BAD for finding in findings):
        raise SystemExit(1)


async def _all() -> Sequence[Finding]:
    try:
        settings, warnings = load()
        policy(settings)
    except SettingsError as error:
        return [Finding("settings", BAD, str(error))]
    findings = [Finding("settings", GOOD, "every setting can be read")]
    findings += [Finding("settings", DOUBT, warning) for warning in warnings]
    findings.append(_storage(settings.data_dir, shared=settings.store is not None))
    findings += [finding async for finding in _shared(settings)]
    findings += [finding async for finding in _google(settings)]
    findings.append(_quota(settings))
    return findings


def _storage(directory: Path, *, shared: bool) -> Finding:
    """Look at the directory, or at the one that it will be made in.

    Records that are ``shared`` by replicas are not in it.
    """
    places = (directory, *directory.absolute().parents)
    place = next(path for path in places if os.path.exists(path))  # noqa: PTH110 - as hindrance()
    if not place.is_dir():
        return Finding("data directory", BAD, hindrance(place, NotADirectoryError()))
    if os.statvfs(place).f_flag & os.ST_RDONLY:
        error = OSError(errno.EROFS, os.strerror(errno.EROFS))
        return Finding("data directory", BAD, hindrance(place, error))
    if not os.access(place, os.R_OK | os.W_OK | os.X_OK):
        return Finding("data directory", BAD, hindrance(place, PermissionError()))
    try:
        if not shared:
            check_records(directory)
    except SettingsError as error:
        return Finding("data directory", BAD, str(error))
    free = shutil.disk_usage(place).free
    told = f"{directory}, {free // MIB:,} MiB free"
    if free < LEAST_FREE:
        return Finding("data directory", DOUBT, f"{told}: inputs and results need more")
    return Finding("data directory", GOOD, told)


async def _shared(settings: Settings) -> AsyncIterator[Finding]:
    """Connect to what replicas share, if they do, and change nothing there."""
    bucket = settings.blobs
    if settings.store is not None:
        url, given = settings.store.value, bucket is not None
        yield await _answers("database", check_database(url, settings.data_dir, bucket=given))
    if bucket is not None:
        yield await _answers("bucket", check_bucket(bucket))


async def _answers(what: str, look: Coroutine[Any, Any, str]) -> Finding:
    try:
        return Finding(what, GOOD, await look)
    except SettingsError as error:
        return Finding(what, BAD, str(error))
    except UnavailableError as error:
        told = f"{error.message}: look at the network, and at the cloud's endpoint and region"
        return Finding(what, BAD, told)


async def _google(settings: Settings) -> AsyncIterator[Finding]:
    """Ask for the clock without a key, and with every key for its models."""
    reached = await _reach(settings.gemini_base_url)
    yield reached
    if reached.state == BAD:
        return
    if settings.auth == PASS_THROUGH:
        yield Finding("key", GOOD, "clients bring their own (GATEWAY_AUTH): none was tried")
        return
    credentials = google_credentials(settings.gemini_api_key, settings.gemini_api_keys)
    upstream = GeminiUpstream(gemini_options(settings, credentials), SystemClock())
    try:
        for name in credentials:
            yield await _key(upstream, name)
    finally:
        await upstream.close()


async def _reach(base_url: str) -> Finding:
    """Compare the clocks: any answer of a server has a date."""
    try:
        date = await asyncio.to_thread(server_date, base_url)
    except ClientError as error:
        told = f"{error}: look at the network, a proxy, and at GATEWAY_GEMINI_BASE_URL"
        return Finding("Google", BAD, told)
    if date is None:
        return Finding("Google", GOOD, f"{base_url} answers")
    try:
        told_at = parsedate_to_datetime(date).timestamp()
    except ValueError:
        return Finding("Google", GOOD, f"{base_url} answers, with a date that is none")
    off = abs(SystemClock().now() / 1000 - told_at)
    if off > CLOCK_SECONDS:
        told = f"this machine's clock is {off:.0f} s off: set it, or windows end too early"
        return Finding("clock", DOUBT, told)
    return Finding("Google and clock", GOOD, f"{base_url} answers, and its clock agrees")


async def _key(upstream: GeminiUpstream, name: str) -> Finding:
    what = f"key {name}"
    try:
        models = await upstream.models(name)
    except UpstreamHeldError as error:
        return Finding(what, BAD, f"Google refuses it: {error.message}")
    except UpstreamUnreadableError as error:
        return Finding(what, BAD, f"{error.message} {_ELSEWHERE}")
    except UpstreamUnavailableError as error:
        return Finding(what, DOUBT, f"Google gave no list of models: {error.message}")
    except UpstreamError as error:
        return Finding(what, BAD, f"{error.message} {_ELSEWHERE}")
    able = {model.id for model in models if model.methods & BATCH_METHODS}
    if not able:
        return Finding(what, BAD, "it works, but none of its models runs batches")
    models_for = counted(len(able), "model")
    return Finding(what, GOOD, f"it works; {models_for} for batches, such as {_by_use(able)}")


def _by_use(able: Collection[str]) -> str:
    """Name one model for each use, those that the built-in aliases choose; else any."""
    some = [f"{model} ({use})" for use, model in USUAL.items() if model in able]
    return ", ".join(some or sorted(able)[:3])


def _quota(settings: Settings) -> Finding:
    if settings.tier == "auto":
        told = (
            "GATEWAY_TIER=auto begins with Tier 1's limits and learns; set it to 2 or 3 if the"
            " project's tier is higher"
        )
    else:
        told = f"limits of Tier {settings.tier} (GATEWAY_TIER)"
    return Finding("quota", GOOD, told)
