"""The real API and the real service of single requests before a scripted Google."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import openai

from gateway.live.budgets import Budgets, Prices
from gateway.live.files import UploadedFiles
from gateway.live.memory import DEFAULT_MOST_BYTES, ResponseMemory
from gateway.live.options import LiveOptions
from gateway.live.service import SingleRequestService
from gateway.ports.metrics import NO_METERS, Meters
from gateway.translate import Policy
from gateway.upstream.gemini import GeminiUpstream
from gateway.upstream.options import GeminiOptions
from tests.api.world import World, new_world, serving
from tests.live.google import Google, scripted_google

QUICK = LiveOptions(queue_seconds=60, open_seconds=60, keep_alive_seconds=60)


@dataclass
class Live:
    """A gateway that answers single requests, its upstream, and a client of it."""

    google: Google
    url: str
    client: openai.AsyncOpenAI
    service: SingleRequestService


@asynccontextmanager
async def live_world(
    root: Path,
    options: LiveOptions = QUICK,
    most_bytes: int = DEFAULT_MOST_BYTES,
    meters: Meters = NO_METERS,
    prices: Prices | None = None,
    **policy: Any,
) -> AsyncIterator[Live]:
    """Everything running, on loopback ports."""
    async with scripted_google() as google, new_world(root) as world:
        credentials = {"default": "a-key-for-google"}
        gemini = GeminiOptions(credentials=credentials, base_url=google.url)
        upstream = GeminiUpstream(gemini, world.clock)
        memory = ResponseMemory(world.store, world.blobs, world.clock, 3600, most_bytes)
        budgets = Budgets(world.store, world.clock, Policy(**policy), prices or Prices())
        service = SingleRequestService(
            upstream,
            world.clock,
            Policy(**policy),
            credentials,
            memory,
            files=UploadedFiles(world.store, world.blobs, world.clock),
            budgets=budgets,
            options=options,
            meters=meters,
        )
        try:
            async with _client(world, service, memory) as (url, client):
                yield Live(google, url, client, service)
        finally:
            await upstream.close()


@asynccontextmanager
async def _client(
    world: World, service: SingleRequestService, memory: ResponseMemory
) -> AsyncIterator[tuple[str, openai.AsyncOpenAI]]:
    async with (
        serving(world.app(single=service, responses=memory)) as url,
        openai.AsyncOpenAI(base_url=f"{url}/v1", api_key="secret-a", max_retries=0) as client,
    ):
        yield url, client
