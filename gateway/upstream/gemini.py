"""The Gemini Developer API as the gateway's upstream."""

import hashlib
import hmac
from collections.abc import AsyncGenerator, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final

import httpx

from gateway.batches.job import Job
from gateway.batches.staging import StagedFile
from gateway.clock import Clock
from gateway.errors import (
    UpstreamError,
    UpstreamGoneError,
    UpstreamUnavailableError,
    UpstreamUnreadableError,
)
from gateway.ports.single import Reply, SingleCall
from gateway.ports.upstream import (
    Absent,
    FileSeen,
    Found,
    Model,
    Observation,
    Source,
    Staged,
    Unknown,
    Uploaded,
)
from gateway.upstream import jobs
from gateway.upstream.downloads import fetch
from gateway.upstream.errors import Scrubber
from gateway.upstream.options import MODELS_PER_PAGE, GeminiOptions
from gateway.upstream.single_calls import SingleCalls
from gateway.upstream.transport import Transport
from gateway.upstream.uploads import observe_file, stage, stage_file
from gateway.wire.gemini import parse_model

IDENTITY_DIGITS: Final = 16  # 64 bits: enough to tell some keys apart, too few to be one


class GeminiUpstream:
    """Implements :class:`gateway.ports.upstream.Upstream`.

    ``inner`` replaces httpx's own transport, for tests.
    """

    def __init__(
        self,
        options: GeminiOptions,
        clock: Clock,
        inner: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._transport = Transport(options, clock, Scrubber(options.credentials.values()), inner)
        # What clients set off has connections and a patience of its own.
        quick = replace(options, call_seconds=options.aside_seconds)
        self._aside = Transport(quick, clock, self._transport.scrub, inner)
        self._observer = jobs.Observer(self._transport)
        self._single = SingleCalls(self._transport)

    def identity(self, credential: str, salt: str) -> str:
        """Return an HMAC of the salt under the key, or under none if the credential has no key."""
        key = self._transport.options.credentials.get(credential, "")
        return hmac.new(key.encode(), salt.encode(), hashlib.sha256).hexdigest()[:IDENTITY_DIGITS]

    async def ask(self, call: SingleCall) -> Reply:
        """Send a single call and return its answer."""
        return await self._single.ask(call)

    def stream(self, call: SingleCall) -> AsyncGenerator[Reply, None]:
        """Yield the pieces of the answer to a single call."""
        return self._single.stream(call)

    async def stage(self, job: Job, spool: Source) -> Staged:
        """Upload the spool through the resumable upload."""
        return await stage(self._transport, job, spool)

    async def stage_file(self, staged: StagedFile, display_name: str, content: Source) -> Uploaded:
        """Upload a client's file through the resumable upload."""
        return await stage_file(self._transport, staged, display_name, content)

    async def observe_file(self, name: str, credential: str) -> FileSeen:
        """Whether a client's file can be used now."""
        return await observe_file(self._transport, name, credential)

    async def release_file(self, name: str, credential: str) -> None:
        """Delete a client's file."""
        error = await self._delete(name, credential)
        if error is not None:
            raise error

    async def create(self, job: Job, spool: Source, seconds: float) -> str:
        """Create the job once; its name (``batches/…``)."""
        return await jobs.create(self._transport, job, spool, seconds)

    async def find(
        self, display_name: str, credential: str, known: str | None
    ) -> Found | Absent | Unknown:
        """Look for jobs of that display name in the whole listing."""
        return await jobs.find(self._transport, display_name, credential, known)

    async def observe(self, name: str, credential: str, *, whole: bool = False) -> Observation:
        """Return the job's state; with ``whole`` the results of an inline job come along."""
        return await self._observer.observe(name, credential, whole=whole)

    def fetch(self, name: str, output: str, credential: str) -> AsyncGenerator[bytes, None]:
        """Return a results file, or the operation of an inline job, as they come."""
        return fetch(self._transport, name, output, credential)

    async def cancel(self, name: str, credential: str) -> None:
        """Ask for the job's end. 404 and 400 mean there is nothing to end any more."""
        url = self._transport.url_of(name, suffix=":cancel")
        try:
            await self._transport.call("POST", url, credential)
        except UpstreamGoneError:
            return
        except UpstreamUnavailableError as error:
            if error.status != 400:
                raise

    async def release(self, job: Job) -> None:
        """Delete the staged file and the job; both are tried, the first failure is raised.

        Results files cannot be deleted: their names are longer than the API allows
        (python-genai#1759).
        """
        names = [name for name in (job.staged, job.upstream_name) if name]
        failures = [error for name in names if (error := await self._delete(name, job.credential))]
        if failures:
            raise failures[0]

    async def _delete(self, name: str, credential: str) -> UpstreamError | None:
        try:
            with suppress(UpstreamGoneError):
                await self._transport.call("DELETE", self._transport.url_of(name), credential)
        except UpstreamUnavailableError as error:
            # Google's generic text for operations allows a server not to implement delete.
            return None if error.status == 501 else error
        except UpstreamError as error:
            return error
        return None

    async def models(self, credential: str) -> Sequence[Model]:
        """List every model with the methods it supports."""
        pages = self._aside.pages(
            self._aside.url("models"), credential, member="models", size=MODELS_PER_PAGE
        )
        parsed = [parse_model(item) async for page in pages for item in page.items]
        models = [Model(each.id, each.methods, each.version) for each in parsed if each]
        if not models:
            raise UpstreamUnreadableError(
                "Google's answer cannot be read: its list names no model.", status=200
            )
        return models

    async def model(self, name: str, credential: str) -> Model | None:
        """Return a model with the methods it supports."""
        try:
            parsed = parse_model(await self._aside.get(self._aside.url("models", name), credential))
        except UpstreamGoneError:
            return None
        if parsed is None:
            raise UpstreamUnreadableError(
                "Google's answer cannot be read: it is no model.", status=200
            )
        return Model(parsed.id, parsed.methods, parsed.version)

    async def close(self) -> None:
        """Close all connections."""
        await self._transport.close()
        await self._aside.close()
        await self._single.close()
