"""The composition root: the one place where concrete classes meet, and the process's life."""

import asyncio
import base64
import logging
import os
import resource
import shutil
import signal
import socket
import threading
from collections.abc import (
    Callable,
    Coroutine,
    Iterable,
    Mapping,
    Sequence,
)
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, fields, replace
from pathlib import Path
from typing import Any, Final

import uvicorn

from gateway.api.app import create_api
from gateway.api.connections import backlog
from gateway.api.protocol import BoundedHttpProtocol
from gateway.api.services import LOCAL_OWNER, ApiOptions, Services
from gateway.batches.follow_ups import RetryRules
from gateway.batches.limits import OwnerLimits, read_limits
from gateway.batches.pacing import Pace
from gateway.batches.patience import Patience
from gateway.batches.planning import JobLimits
from gateway.batches.quota import QuotaRules
from gateway.batches.rescue import BILLION, SPEND_LIMITS, RescueRules
from gateway.blobs.opening import FOLDER, open_blobs
from gateway.blobs.recorded import RecordedBlobs
from gateway.clock import Clock, SharedClock, SystemClock
from gateway.directories import make, usable
from gateway.errors import (
    DamagedStoreError,
    ListenError,
    SettingsError,
    UpstreamError,
    UpstreamHeldError,
)
from gateway.ids import digest, owner_of
from gateway.keyring.keyring import Keyring
from gateway.keyring.sealing import Seals
from gateway.live.background import BackgroundLimits, BackgroundQueue
from gateway.live.budgets import Budgets, Prices
from gateway.live.files import UploadedFiles
from gateway.live.following import Follower
from gateway.live.memory import ResponseMemory
from gateway.live.options import LiveOptions
from gateway.live.places import Places
from gateway.live.service import SingleRequestService
from gateway.metrics.app import metrics_app
from gateway.metrics.lag import watch_lag
from gateway.metrics.meters import PrometheusMeters
from gateway.metrics.scrape import Scrape, Sources
from gateway.notify.notifier import Notifier, NotifierOptions
from gateway.notify.sender import Sender, SenderOptions
from gateway.ports.blobs import Blobs
from gateway.ports.single import SingleRequests, SingleUpstream
from gateway.ports.tracing import NO_TRACER, AnyUpstream, Tracing
from gateway.ports.upstream import Upstream
from gateway.runner.background import Background, BackgroundOptions
from gateway.runner.context import Retention, RunnerOptions, StepContext
from gateway.runner.cpu.validate import InputLimits
from gateway.runner.dry_runs import DryRuns
from gateway.runner.heartbeat import Heartbeat, set_clock
from gateway.runner.line_stories import LineStories
from gateway.runner.rerender import Rerenderer
from gateway.runner.retry_input import RetryInput
from gateway.runner.runner import Runner
from gateway.runner.suspects import TRAILS
from gateway.runner.sweeper import Sweeper
from gateway.runner.verifications import Verifications
from gateway.runner.workers import Workers
from gateway.settings.secret_files import SecretFiles
from gateway.settings.table import Settings
from gateway.settings.values import ApiKey, Secret, is_loopback
from gateway.store.opening import DATABASE, choose_store
from gateway.store.records import Records
from gateway.tracing.opening import open_tracing
from gateway.translate import (
    ENDPOINTS,
    OPENAI_ALIASES,
    Policy,
    check_aliases,
    check_capabilities,
    check_prices,
    check_safety_settings,
    check_voices,
)
from gateway.ui.app import with_page
from gateway.units import counted
from gateway.upstream.gemini import GeminiUpstream
from gateway.upstream.options import GeminiOptions, check_keys
from gateway.upstream.others import OtherOptions, OtherUpstream

logger = logging.getLogger(__name__)

CREDENTIAL: Final = "default"
DATA_DIR: Final = "GATEWAY_DATA_DIR"
PASS_THROUGH: Final = "pass-through"  # noqa: S105 - a mode
# How often files of secrets are read: Kubernetes takes up to a minute to show a change.
KEY_LOOK_SECONDS: Final = 5.0
# What is known of the keys, the worst first.
GOOGLE_STATES: Final = ("key_refused", "no_answer", "ok")
KEY_REFUSED: Final = (
    "Google refuses the key of the credential %s, whose jobs wait until it is mended"
)
NO_KEY: Final = "no-key"  # a loopback upstream wants some key, not a particular one

# uvicorn closes idle connections after 5 s; the OpenAI SDKs keep them in a pool and retry the
# POST that met the reset.
KEEP_ALIVE_SECONDS: Final = 75

# Between "not ready" and closing the port, so that probes see the 503 before a refusal.
NOTICE_SECONDS: Final = 0.5

# How long before the end of the drain requests that still wait are answered with an error.
TELLING_SECONDS: Final = 1.0

# Steps that end within this are followed up by one look for work: each look has its price.
GATHER_SECONDS: Final = 0.02
# Looks are so far apart while many batches are under way: one look serves all of them.
LOOK_SECONDS: Final = 0.1


# An answer with `store: false` that is made in the background is kept to be collected: OpenAI keeps
# the data of such responses for about ten minutes ("Background mode").
UNSTORED_SECONDS: Final = 600

EXIT_NOW: Final = 128 + signal.SIGTERM
# How long a second signal waits for log lines to be written: their pipe may have no reader.
LAST_LINES_SECONDS: Final = 1.0


def api_credentials(keys: Sequence[ApiKey]) -> dict[str, str]:
    """Map the digest of each client's key to its owner."""
    return {digest(key.secret.value): key.owner or owner_of(key.secret.value) for key in keys}


def api_options(settings: Settings) -> ApiOptions:
    """Pick the API's options from the settings."""
    credentials = api_credentials(settings.api_keys)
    webhook = settings.google_webhook_secret
    return ApiOptions(
        credentials=credentials or None,
        limits=key_limits(settings),
        google_webhook_secrets=[webhook.value] if webhook else [],
        max_file_bytes=settings.max_file_bytes,
        max_uploads=settings.max_uploads,
        max_downloads=settings.max_downloads,
        max_watchers=settings.max_watchers,
        requests_per_minute=settings.requests_per_minute,
        allowed_hosts=_allowed_hosts(settings),
        cors_origins=settings.cors_origins,
        redirect_bytes=settings.redirect_bytes,
        max_single_bytes=settings.single_max_bytes,
        metrics_open=is_loopback(settings.host),
        access_log=settings.access_log == "on",
    )


def _allowed_hosts(settings: Settings) -> Sequence[str] | None:
    """Name the hosts that are answered to: without keys this machine's alone, with keys any."""
    is_open = not settings.api_keys and settings.auth != PASS_THROUGH
    if settings.allowed_hosts or is_open:
        return [name.lower() for name in settings.allowed_hosts]
    return None


def key_limits(settings: Settings) -> Mapping[str, OwnerLimits]:
    """Read what each client may have. Errors: SettingsError."""
    try:
        return read_limits(settings.key_limits)
    except ValueError as error:
        raise SettingsError(f"GATEWAY_KEY_LIMITS {error}") from error


def prices(settings: Settings) -> Mapping[str, Mapping[str, Any]]:
    """Give the prices that come before the table's. Errors: SettingsError."""
    try:
        check_prices(settings.prices)
    except ValueError as error:
        raise SettingsError(f"GATEWAY_PRICES {error}") from error
    return settings.prices


def live_options(settings: Settings) -> LiveOptions:
    """Pick the limits of single requests from the settings."""
    return LiveOptions(
        calls=settings.single_calls,
        calls_per_owner=settings.single_calls_per_key,
        queue_seconds=settings.single_queue_seconds,
        answer_seconds=settings.single_seconds,
        idle_seconds=settings.single_idle_seconds,
        flex_seconds=settings.flex_seconds,
        flex_fallback=settings.flex_fallback == "standard",
        pass_through=settings.auth == PASS_THROUGH,
    )


def background_limits(settings: Settings) -> BackgroundLimits:
    """Pick the limits of responses in the background from the settings."""
    return BackgroundLimits(
        window=int(settings.background_window_seconds * 1000),
        seconds=settings.responses_seconds,
        max_line_bytes=settings.max_line_bytes,
        owners=key_limits(settings),
    )


def background_options(settings: Settings) -> BackgroundOptions:
    """Pick what the runner needs of them."""
    return BackgroundOptions(
        window=int(settings.background_window_seconds * 1000),
        kept=settings.responses_seconds * 1000,
        unstored=min(settings.responses_seconds, UNSTORED_SECONDS) * 1000,
    )


def google_credentials(
    key: Secret | None, keys: Sequence[tuple[str, Secret]] = ()
) -> dict[str, str]:
    """Map the name of each credential to its key for Google."""
    if keys:
        return {name: secret.value for name, secret in keys}
    return {CREDENTIAL: key.value if key else NO_KEY}


def gemini_options(settings: Settings, credentials: Mapping[str, str]) -> GeminiOptions:
    """Pick the upstream's options from the settings."""
    return GeminiOptions(
        credentials=credentials,
        base_url=settings.gemini_base_url,
        api_version=settings.gemini_api_version,
        retry_min_seconds=min(0.5, settings.retry_min_seconds),
        retry_max_seconds=min(8.0, settings.retry_max_seconds),
    )


def runner_options(settings: Settings, gateway_id: str) -> RunnerOptions:
    """Pick the runner's options from the settings."""
    return RunnerOptions(
        poll=_pace(settings.poll_min_seconds, settings.poll_max_seconds),
        retry=_pace(settings.retry_min_seconds, settings.retry_max_seconds),
        settle=int(settings.settle_seconds * 1000),
        create_seconds=settings.create_timeout_seconds,
        sweep_age=int(settings.sweep_seconds * 1000),
        input_limits=input_limits(settings),
        job_limits=job_limits(settings),
        gateway_id=gateway_id,
        retries=RetryRules(
            settings.line_attempts,
            settings.retry_empty,
            settings.stuck == "resend",
            int(settings.stuck_min_seconds * 1000),
        ),
        patience=Patience(
            denial=int(settings.give_up_seconds * 1000),
            ending=int(settings.cancel_seconds * 1000),
        ),
        retention=Retention(
            raw=settings.raw_results_seconds * 1000,
            output=settings.output_expiry_seconds * 1000,
            records=settings.records_seconds * 1000,
        ),
        reuse=settings.reuse_seconds * 1000,
        quota=quota_rules(settings),
        rescue=RescueRules(
            tier=settings.rescue,
            budget=int(settings.rescue_budget_usd * BILLION),
            before=int(settings.rescue_before_seconds * 1000),
            spend=SPEND_LIMITS.get(settings.tier),
        ),
        polls_per_minute=settings.polls_per_minute,
        lease=int(settings.lease_seconds * 1000),
        prices=prices(settings),
        limits=key_limits(settings),
        gather_seconds=GATHER_SECONDS,
        look_seconds=LOOK_SECONDS,
    )


def quota_rules(settings: Settings) -> QuotaRules:
    """Pick the limits of what may be at the upstream at a time."""
    return QuotaRules(
        tier=None if settings.tier == "auto" else int(settings.tier),
        enqueued_tokens=settings.enqueued_tokens,
        max_live_jobs=settings.max_live_jobs,
    )


def input_limits(settings: Settings) -> InputLimits:
    """Pick the limits of one input file."""
    return InputLimits(
        max_lines=settings.max_lines,
        max_items=settings.max_items,
        max_line_bytes=settings.max_line_bytes,
        max_reported_errors=settings.max_reported_errors,
        max_warnings=settings.max_warnings,
        max_named_files=settings.max_named_files,
        max_staged_bytes=settings.max_staged_bytes,
    )


def job_limits(settings: Settings) -> JobLimits:
    """Pick where jobs are cut, and what may go inline."""
    return JobLimits(
        items_per_job=settings.items_per_job,
        bytes_per_job=settings.bytes_per_job,
        inline_max_bytes=settings.inline_max_bytes,
        inline_max_items=settings.inline_max_items,
        inline_max_embeddings=settings.inline_max_embeddings,
        output_bytes_per_job=settings.output_bytes_per_job,
    )


# What goes on as long as the process serves, by name.
Works = Mapping[str, Coroutine[Any, Any, None]]

# Settings whose words only the translation knows, and who checks them.
_CHECKS: Mapping[str, Callable[[Any], None]] = {
    "capabilities": check_capabilities,
    "safety_settings": check_safety_settings,
    "voices": check_voices,
}


def policy(settings: Settings) -> Policy:
    """Pick the settings that change a line, as they are stored with each batch.

    Errors: SettingsError that names the setting.
    """
    members = {
        member.name: getattr(settings, member.name)
        for member in fields(Policy)
        if member.name != "aliases"
    }
    for name, check in _CHECKS.items():
        try:
            check(members[name])
        except ValueError as error:
            raise SettingsError(f"GATEWAY_{name.upper()} {error}") from error
    return Policy(aliases=_aliases(settings), **members)


def _aliases(settings: Settings) -> Mapping[str, Any]:
    """Merge the aliases: one's own win over those of OpenAI's names. Errors: SettingsError."""
    given = settings.model_aliases
    try:
        check_aliases(given.own)
    except ValueError as error:
        raise SettingsError(f"GATEWAY_MODEL_ALIASES {error}") from error
    return {**OPENAI_ALIASES, **given.own} if given.openai else given.own


def _pace(shortest: float, longest: float) -> Pace:
    return Pace(int(shortest * 1000), int(longest * 1000))


@dataclass(slots=True)
class _Readiness:
    ready: bool = False
    google: str = "not_asked"


class Gateway:
    """The whole service: API, runner and sweeper over one data directory."""

    def __init__(
        self,
        settings: Settings,
        clock: Clock | None = None,
        blobs: Blobs | None = None,
        tracing: Tracing | None = None,
    ) -> None:
        self._settings = settings
        self._blobs = blobs
        self._policy = policy(settings)
        self._clock = SharedClock(clock or SystemClock())
        prices(settings)  # a bad one stops the start
        self._readiness = _Readiness()
        self._api_options = api_options(settings)
        self._pass_through = settings.auth == PASS_THROUGH
        keys = (settings.gemini_api_key, settings.gemini_api_keys)
        # Changed in place: when they are read again, and by the keyring.
        self._google_keys = {} if self._pass_through else google_credentials(*keys)
        self._meters = PrometheusMeters(self._google_keys.keys())
        self._tracing = tracing or _tracing(settings)
        self._single: SingleRequests | None = None
        self._follower: Follower | None = None
        self._end_single: Callable[[], None] = lambda: None
        self._memory: ResponseMemory | None = None
        self._others_key = settings.pass_others_key
        self._others = self._other_upstream()
        self._webhook_secret = settings.webhook_secret
        self._secrets = SecretFiles()
        self._new_keys = asyncio.Event()
        self._damage: asyncio.Queue[DamagedStoreError] = asyncio.Queue()

    async def serve(self, announce: Callable[[str], None]) -> None:
        """Serve until SIGTERM or SIGINT. ``announce`` gets the URL once the API answers.

        Errors: SettingsError when the data directory cannot be used; ListenError of the port.
        """
        settings = self._settings
        _raise_file_limit()
        make(DATA_DIR, settings.data_dir)
        with usable(DATA_DIR, settings.data_dir):
            if settings.store is None:
                _refuse_orphans(settings.data_dir)
        store = self._choose_store()
        await store.open(self._clock.now())
        upstream = self._upstream()
        workers = Workers(settings.translate_workers, settings.worker_memory_bytes)
        try:
            await set_clock(store, self._clock)
            await self._warn_of_the_unreachable(store)
            context = await self._context(store, upstream, workers)
            self._memory = ResponseMemory(
                store,
                context.blobs,
                self._clock,
                settings.responses_seconds,
                settings.single_max_bytes,
            )
            self._follower = Follower(self._memory, self._clock, lambda: self._readiness.ready)
            self._single = self._single_requests(upstream, self._memory, context)
            with closing(_listen(settings.host, settings.port)) as listener:
                await self._serve(context, listener, announce)
        except* DamagedStoreError as damage:
            raise _first(damage) from None
        finally:
            await workers.close()
            await upstream.close()
            if self._others is not None:
                await self._others.close()
            await store.close()
            if self._tracing is not None:
                await asyncio.to_thread(self._tracing.close)

    def _upstream(self) -> AnyUpstream:
        upstream = GeminiUpstream(gemini_options(self._settings, self._google_keys), self._clock)
        return upstream if self._tracing is None else self._tracing.around_upstream(upstream)

    def _other_upstream(self) -> OtherUpstream | None:
        """Make what answers the routes that are not served here, within limits as single calls."""
        settings = self._settings
        if settings.pass_others_to is None:
            return None
        limits = live_options(settings)
        places = Places(limits)
        return OtherUpstream(
            OtherOptions(
                settings.pass_others_to,
                lambda: self._others_key.value if self._others_key else "",
                limits.answer_seconds,
                limits.idle_seconds,
                lambda owner: places.one(owner, 0),
            )
        )

    def _choose_store(self) -> Records:
        settings = self._settings
        url = settings.store.value if settings.store else None
        bucket = settings.blobs is not None or self._blobs is not None
        return choose_store(url, settings.data_dir, self._clock.own, bucket=bucket)

    def _single_requests(
        self, upstream: SingleUpstream, memory: ResponseMemory, context: StepContext
    ) -> SingleRequests:
        """Answer requests outside of batches with the keys and the policy that batches have."""
        options = live_options(self._settings)
        keys = self._google_keys
        limits = background_limits(self._settings)
        costs = Prices(prices(self._settings), limits.owners)
        budgets = Budgets(context.store, self._clock, self._policy, costs)
        background = BackgroundQueue(
            context.store,
            context.blobs,
            self._clock,
            policy=self._policy,
            memory=memory,
            budgets=budgets,
            limits=limits,
        )
        service = SingleRequestService(
            upstream,
            self._clock,
            self._policy,
            keys,
            memory,
            background=background,
            follower=self._follower,
            budgets=budgets,
            files=UploadedFiles(context.store, context.blobs, self._clock),
            options=options,
            meters=self._meters,
        )
        self._end_single = service.end
        return service if self._tracing is None else self._tracing.around_single(service)

    async def _warn_of_the_unreachable(self, store: Records) -> None:
        """Warn of objects that no key reaches: a key written in another way is another owner."""
        credentials = self._api_options.credentials
        if self._pass_through:
            return  # owners are named by keys that are not known until they are presented
        reached = {LOCAL_OWNER} if credentials is None else set(credentials.values())
        for owner, (files, batches) in (await store.owners()).items():
            if owner not in reached:
                logger.warning(
                    "%s and %s are those of %r, which no key in GATEWAY_API_KEYS reaches: the"
                    " entry %s=SECRET does",
                    counted(batches, "batch", "batches"),
                    counted(files, "file"),
                    owner,
                    owner,
                )

    async def _context(
        self, store: Records, upstream: AnyUpstream, workers: Workers
    ) -> StepContext:
        settings = self._settings
        new = not await store.owners()
        gateway_id = await store.gateway_id()
        files = self._blobs or await open_blobs(
            settings.blobs, settings.data_dir, gateway_id, new=new
        )
        scratch = settings.data_dir / "scratch"
        # This process holds the directory's lock: what lies here is a dead process's.
        await asyncio.to_thread(shutil.rmtree, scratch, ignore_errors=True)
        for folder in (scratch, settings.data_dir / TRAILS):  # else every step would fail of it
            make("the folder", folder)
        options = runner_options(settings, gateway_id)
        options = replace(
            options, credentials=self._google_keys.keys(), pass_through=self._pass_through
        )
        return StepContext(
            store,
            RecordedBlobs(files, store, settings.recorded_blob_bytes),
            upstream,
            workers,
            self._clock,
            scratch,
            options,
            upstream,
            meters=self._meters,
            tracer=self._tracing or NO_TRACER,
        )

    async def _serve(
        self, context: StepContext, listener: socket.socket, announce: Callable[[str], None]
    ) -> None:
        runner = Runner(context)
        notifier = self._notifier(context)
        keyring = self._keyring(context)
        if keyring is not None:
            await keyring.look()
        await context.store.set_settings_endpoint(self._settings.webhook_url, self._clock.now())
        scrape = self._scrape(context)
        asgi = self._asgi(context, runner, notifier, keyring, scrape)
        server = _Server(asgi, self._settings.drain_seconds)
        stop = asyncio.Event()
        async with asyncio.TaskGroup() as group:
            serving = group.create_task(server.serve(sockets=[listener]), name="api")
            running = group.create_task(runner.run(), name="runner")
            # What makes new work ends before the runner does; what its steps need, after it.
            before = _started(group, self._makers_of_work(context, runner))
            after = _started(
                group,
                {
                    "notifier": notifier.run(),
                    "heartbeat": self._heartbeat(context, runner).run(),
                    "keyring": _look_after(keyring),
                    "metrics": self._measure(scrape),
                    "damage": self._end_of_damage(),
                },
            )
            with _on_signals(stop):
                await server.up.wait()
                self._readiness.ready = True
                announce(_url(listener))
                await stop.wait()
                logger.info("stopping: no new work, %g s for requests in flight", server.drain)
                self._readiness.ready = False
                runner.stop()
                _cancel(before)
                await running
                _cancel(after)
                await context.workers.close()
                await self._clock.sleep(NOTICE_SECONDS)
                server.should_exit = True
                ending = group.create_task(self._end_requests(server.drain), name="ending")
                await serving
                ending.cancel()
        logger.info("stopped")

    def _makers_of_work(self, context: StepContext, runner: Runner) -> Works:
        background = Background(context, background_options(self._settings), runner.wake)
        return {
            "background": background.run(),
            "sweeper": Sweeper(context).run(),
            "listener": context.store.listen(runner.wake),
            "key": self._ask_google(context.upstream),
            "keys": self._watch_keys(runner.wake),
        }

    async def _end_requests(self, drain: float) -> None:
        """Tell who still waits at the end of the drain, while there is time to tell it."""
        await self._clock.sleep(max(drain - TELLING_SECONDS, drain / 2))
        self._end_single()

    async def _end_of_damage(self) -> None:
        """Wait for a request that meets a damaged database. Errors: DamagedStoreError."""
        damage = await self._damage.get()
        self._readiness.ready = False
        await self._clock.sleep(NOTICE_SECONDS)  # for the answer, and for a probe to see it
        raise damage

    def _scrape(self, context: StepContext) -> Scrape:
        data_dir = self._settings.data_dir
        sources = Sources(
            store=context.store,
            clock=self._clock,
            rules=context.options.quota,
            credentials=self._google_keys.keys(),
            data_dir=data_dir,
            database=data_dir / DATABASE,
            workers=context.workers.pids,
        )
        return Scrape(self._meters, sources)

    async def _measure(self, scrape: Scrape) -> None:
        """Watch the event loop, and answer scrapers on the metrics' own port if there is one."""
        settings = self._settings
        if settings.metrics_port is None:
            await watch_lag(self._clock, self._meters)
            return
        with closing(_listen(settings.metrics_host, settings.metrics_port)) as listener:
            server = _Server(metrics_app(scrape), settings.drain_seconds)
            logger.info("metrics on %s/metrics", _url(listener))
            async with asyncio.TaskGroup() as group:
                group.create_task(watch_lag(self._clock, self._meters))
                group.create_task(server.serve(sockets=[listener]))

    def _heartbeat(self, context: StepContext, runner: Runner) -> Heartbeat:
        return Heartbeat(context.store, runner, self._clock, context.options.lease)

    async def _watch_keys(self, wake: Callable[[], None]) -> None:
        """Take what files of secrets say anew, without a restart."""
        while True:
            await self._clock.sleep(KEY_LOOK_SECONDS)
            changed = await asyncio.to_thread(self._secrets.changed)
            if not changed:
                continue
            try:
                self._use(changed)
            except SettingsError as error:
                logger.error("%s: the keys stay what they were", error)  # noqa: TRY400 - as below
            self._new_keys.set()
            wake()

    def _use(self, changed: Mapping[str, Any]) -> None:
        """Take keys that were read again. Errors: SettingsError of a key that is none."""
        clients = self._api_options.credentials
        if "api_keys" in changed and isinstance(clients, dict):
            fresh = api_credentials(changed["api_keys"])
            clients.clear()
            clients.update(fresh)
            logger.info("the keys of clients were read again: %d", len(fresh))
        if "webhook_secret" in changed:
            self._webhook_secret = changed["webhook_secret"]
            logger.info("the secret that signs webhooks was read again")
        if "pass_others_key" in changed:
            self._others_key = changed["pass_others_key"]
            logger.info("the key for GATEWAY_PASS_OTHERS_TO was read again")
        webhooks = self._api_options.google_webhook_secrets
        if "google_webhook_secret" in changed and isinstance(webhooks, list):
            webhooks[:] = [changed["google_webhook_secret"].value]
            logger.info("the secret of Google's webhooks was read again")
        key, keys = changed.get("gemini_api_key"), changed.get("gemini_api_keys", ())
        if key or keys:
            fresh = google_credentials(key, keys)
            check_keys(fresh)
            self._google_keys.clear()
            self._google_keys.update(fresh)
            logger.info("the keys for Google were read again: %s", ", ".join(fresh))

    def _keyring(self, context: StepContext) -> Keyring | None:
        """Make what keeps clients' own keys; None where they have none."""
        sealing = self._settings.encryption_key
        if not self._pass_through or sealing is None:
            return None
        seals = Seals(base64.b64decode(sealing.value))
        return Keyring(seals, context.store, self._clock, self._google_keys)

    def _notifier(self, context: StepContext) -> Notifier:
        """Make what delivers webhooks. Errors: SettingsError of a URL that they cannot go to."""
        settings = self._settings
        sender = Sender(SenderOptions(settings.webhook_allow_private), self._clock)
        url = settings.webhook_url
        if url is not None and (why := sender.refusal(url)):
            raise SettingsError(
                f"GATEWAY_WEBHOOK_URL {why} (GATEWAY_WEBHOOK_ALLOW_PRIVATE=true admits http,"
                " loopback and private addresses)"
            )
        options = NotifierOptions(
            _pace(settings.webhook_retry_min_seconds, settings.webhook_retry_max_seconds),
            lambda: None if self._webhook_secret is None else self._webhook_secret.value,
        )
        return Notifier(context.store, sender, self._clock, options, self._meters)

    async def _ask_google(self, upstream: Upstream) -> None:
        """Try the keys, at once and until they work: a wrong one would else be silent for a day."""
        if self._settings.gemini_api_key is None and not self._settings.gemini_api_keys:
            return  # the emulator wants none, or clients bring their own
        while True:
            states = [await self._try_key(upstream, name) for name in list(self._google_keys)]
            self._readiness.google = min(states, key=GOOGLE_STATES.index)
            wait = None if set(states) == {"ok"} else self._settings.retry_max_seconds
            with suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._new_keys.wait()
            self._new_keys.clear()

    async def _try_key(self, upstream: Upstream, credential: str) -> str:
        try:
            await upstream.models(credential)
        except UpstreamHeldError as error:
            told = (KEY_REFUSED % credential, error)
            logger.error("%s: %s", *told)  # noqa: TRY400 - the message says all
            return "key_refused"
        except UpstreamError as error:
            logger.warning("Google does not answer, batches wait: %s", error)
            return "no_answer"
        return "ok"

    def _asgi(
        self,
        context: StepContext,
        runner: Runner,
        notifier: Notifier,
        keyring: Keyring | None,
        scrape: Scrape,
    ) -> Any:  # noqa: ANN401 - an ASGI application
        services = self._services(context, runner, notifier, scrape)
        api = create_api(services, replace(self._api_options, pass_through=keyring))
        if self._settings.ui == "off":
            return api
        open_to_all = self._api_options.credentials is None and keyring is None
        return with_page(api, self._clock, open_to_all=open_to_all, ready=services.ready)

    def _services(
        self, context: StepContext, runner: Runner, notifier: Notifier, scrape: Scrape
    ) -> Services:
        retries = RetryInput(context)
        renderer = Rerenderer(context, self._policy.to_json())
        return Services(
            store=context.store,
            blobs=context.blobs,
            clock=self._clock,
            wake=runner.wake,
            ready=lambda: self._readiness.ready,
            damaged=self._damage.put_nowait,
            trouble=lambda: runner.trouble,
            google=lambda: self._readiness.google,
            endpoints=tuple(ENDPOINTS),
            policy=self._policy.to_json(),
            models=runner.models.offered,
            metrics=scrape.text,
            meters=self._meters,
            single=self._single,
            responses=self._memory,
            follower=self._follower,
            others=self._others,
            line_story=LineStories(context).tell,
            verify=Verifications(context).of,
            dry_run=DryRuns(context, runner.models, self._policy.to_json()).of,
            webhooks=notifier,
            rerender=lambda batch, stored: renderer.render(batch, stored_policy=stored),
            retry_input=lambda batch, everything: retries.of(batch, everything=everything),
        )


def _tracing(settings: Settings) -> Tracing | None:
    """Open what traces go to, if they are asked for. Errors: SettingsError."""
    return None if settings.traces == "off" else open_tracing(settings.traces)


def _started(group: asyncio.TaskGroup, works: Works) -> list[asyncio.Task[None]]:
    return [group.create_task(work, name=name) for name, work in works.items()]


def _cancel(tasks: Iterable[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()


async def _look_after(keyring: Keyring | None) -> None:
    if keyring is not None:
        await keyring.run()


def _raise_file_limit() -> None:
    """Use all file descriptors that the process may have; publish opens two for each job."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def _refuse_orphans(data_dir: Path) -> None:
    """Refuse to start as new over bytes of an older database: the sweeper would remove them.

    A database that was lost can be restored from a backup, bytes that were swept cannot.
    """
    database = data_dir / DATABASE
    if database.exists() and database.stat().st_size > 0:
        return
    if any(path.is_file() for path in (data_dir / FOLDER).rglob("*")):
        raise SettingsError(
            f"{database} is missing or empty, but {data_dir / FOLDER} holds files: restore the "
            "database, or move the files away to start anew"
        )


def _first(group: BaseExceptionGroup[DamagedStoreError]) -> BaseException:
    """Return one of the errors that ended the process, for a sentence in place of a traceback."""
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    return error


class _Server(uvicorn.Server):
    """uvicorn without its signal handlers; ``up`` is set once it answers."""

    def __init__(self, app: Any, drain: float) -> None:  # noqa: ANN401 - an ASGI application
        super().__init__(
            uvicorn.Config(
                app,
                http=BoundedHttpProtocol,
                ws="none",
                lifespan="off",
                access_log=False,
                log_config=None,
                server_header=False,
                date_header=False,
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                backlog=backlog(),
                timeout_graceful_shutdown=max(1, round(drain)),
            )
        )
        self.drain = drain
        self.up = asyncio.Event()

    @contextmanager
    def capture_signals(self) -> Any:  # noqa: ANN401 - as uvicorn declares it
        """Signals are the process's, not the server's."""
        yield

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        """Start listening."""
        await super().startup(sockets)
        self.up.set()


@contextmanager
def _on_signals(stop: asyncio.Event) -> Any:  # noqa: ANN401 - a context manager
    """Drain on the first SIGTERM, SIGINT or SIGHUP, end at once on the next.

    SIGHUP comes when the terminal closes that the gateway was started from.
    """
    loop = asyncio.get_running_loop()

    def heard() -> None:
        if stop.is_set():
            _exit_now()
        stop.set()

    signals = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)
    for number in signals:
        loop.add_signal_handler(number, heard)
    try:
        yield
    finally:
        for number in signals:
            loop.remove_signal_handler(number)


def _exit_now() -> None:
    try:
        last_lines = threading.Thread(target=logging.shutdown, daemon=True)
        last_lines.start()
        last_lines.join(LAST_LINES_SECONDS)
    finally:
        os._exit(EXIT_NOW)


def _listen(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # asyncio sets TCP_NODELAY only where it sees the protocol; without it a POST waits 40 ms.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
    except OSError as error:
        listener.close()
        reason = error.strerror or error
        raise ListenError(f"cannot listen on {host}:{port}: {reason}") from error
    return listener


def _url(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"
