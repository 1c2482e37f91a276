"""Routes of cachedContents: made, looked at, prolonged, deleted; gone when their time is over.

Shapes as recorded 2026-05 and 2026-08. A request may name any cache: whether it exists is not
checked, and its tokens count as cached.
"""

from starlette.responses import Response

from gateway.emulator.answers.usage import prompt_tokens
from gateway.emulator.caches import Cache
from gateway.emulator.calls import Call
from gateway.emulator.errors import JsonObject, invalid
from gateway.emulator.identity import new_id
from gateway.emulator.models import page_bounds, page_token
from gateway.emulator.timing import SECOND

DEFAULT_SECONDS = 3600.0
NAME_LENGTH = 40
MAX_BODY = 100 * 1024 * 1024


async def create(call: Call) -> Response:
    """POST cachedContents."""
    body = await call.message("CachedContent", MAX_BODY)
    if "model" not in body:
        raise invalid("* CreateCachedContentRequest.cached_content.model: model is required\n")
    model = body["model"].removeprefix("models/")
    call.world.models.require(call.version, model, "createCachedContent")
    now = call.world.clock.now_ns()
    cache = Cache(
        name=f"cachedContents/{new_id(NAME_LENGTH)}",
        model=f"models/{model}",
        display_name=body.get("displayName", ""),
        tokens=sum(prompt_tokens(body).values()),
        created_ns=now,
        updated_ns=now,
        expires_ns=now + _lifetime(body),
    )
    call.world.caches.add(cache)
    return call.answer(cache.wire())


def _lifetime(body: JsonObject) -> int:
    """Nanoseconds: ``ttl`` ("600s"), an hour without one."""
    seconds = float(str(body.get("ttl", f"{DEFAULT_SECONDS}s")).removesuffix("s"))
    return int(seconds * SECOND)


def _named(call: Call) -> Cache:
    return call.world.caches.get(f"cachedContents/{call.path('id')}", call.world.clock.now_ns())


async def get(call: Call) -> Response:
    """GET cachedContents/{id}."""
    return call.answer(_named(call).wire())


async def list_caches(call: Call) -> Response:
    """GET cachedContents."""
    living = call.world.caches.living(call.world.clock.now_ns())
    size, start = page_bounds(call.query, 50, 1000)
    answer: JsonObject = {}
    if shown := living[start : start + size]:
        answer["cachedContents"] = [cache.wire() for cache in shown]
    if start + size < len(living):
        answer["nextPageToken"] = page_token(start + size)
    return call.answer(answer)


async def update(call: Call) -> Response:
    """PATCH cachedContents/{id}: only the time it lives can be changed."""
    cache = _named(call)
    body = await call.message("CachedContent", MAX_BODY)
    cache.updated_ns = call.world.clock.now_ns()
    cache.expires_ns = cache.updated_ns + _lifetime(body)
    return call.answer(cache.wire())


async def delete(call: Call) -> Response:
    """DELETE cachedContents/{id} -> {}."""
    call.world.caches.remove(_named(call))
    return call.answer({})
