"""Routes of cachedContents: made, looked at, prolonged, deleted; gone when their time is over.

Shapes as recorded 2026-05 and 2026-08; what is too small is refused (litellm#17696).
"""

from typing import Final

from starlette.responses import Response

from gateway.emulator.answers.usage import prompt_tokens
from gateway.emulator.api.call import Call
from gateway.emulator.protocol.clock import LAST_NS, SECOND, parse_stamp
from gateway.emulator.protocol.errors import JsonObject, invalid
from gateway.emulator.protocol.ids import new_id
from gateway.emulator.resources.caches import Cache
from gateway.emulator.resources.models import keyed_page

DEFAULT_SECONDS: Final = 3600.0
LEAST_TOKENS: Final = 1024
# Fewer are not cached (ai.google.dev, "Context caching"; pflow#432).
LEAST_PRO_TOKENS: Final = 4096
NAME_LENGTH: Final = 40
MAX_BODY: Final = 100 * 1024 * 1024


async def create(call: Call) -> Response:
    """POST cachedContents."""
    body = await call.message("CachedContent", MAX_BODY)
    if "model" not in body:
        raise invalid("* CreateCachedContentRequest.cached_content.model: model is required\n")
    model = body["model"].removeprefix("models/")
    call.state.models.require(call.version, model, "createCachedContent")
    now, tokens = call.state.clock.now_ns(), prompt_tokens(body)
    _check_size(model, sum(tokens.values()))
    cache = Cache(
        name=f"cachedContents/{new_id(NAME_LENGTH)}",
        model=f"models/{model}",
        display_name=body.get("displayName", ""),
        tokens=tokens,
        created_ns=now,
        updated_ns=now,
        expires_ns=_ends(body, now),
        tools={name: body[name] for name in ("tools", "toolConfig") if name in body},
    )
    call.project.caches.add(cache)
    call.state.journal.note("cache", name=cache.name, tokens=sum(tokens.values()))
    return call.answer(cache.wire())


def _check_size(model: str, tokens: int) -> None:
    least = LEAST_TOKENS if "flash" in model else LEAST_PRO_TOKENS
    if tokens < least:
        raise invalid(
            f"Cached content is too small. total_token_count={tokens}, "
            f"min_total_token_count={least}",
        )


def _ends(body: JsonObject, now: int) -> int:
    """Nanoseconds: at ``expireTime``, or ``ttl`` ("600s") from now; an hour without either."""
    if "expireTime" in body:
        ends = parse_stamp(body["expireTime"])
    else:
        seconds = float(body.get("ttl", f"{DEFAULT_SECONDS}s").removesuffix("s"))
        ends = now + int(seconds * SECOND)
    if ends > LAST_NS:
        raise invalid("CachedContent must expire before the year 10000.")
    if ends <= now:
        raise invalid("CachedContent must not have expired already.")
    return ends


def _named(call: Call) -> Cache:
    return call.project.caches.get(f"cachedContents/{call.path('id')}", call.state.clock.now_ns())


async def get(call: Call) -> Response:
    """GET cachedContents/{id}."""
    return call.answer(_named(call).wire())


async def list_caches(call: Call) -> Response:
    """GET cachedContents."""
    living = call.project.caches.living(call.state.clock.now_ns())
    shown, token = keyed_page(living, call.query, default=50, most=1000, newest_first=False)
    answer: JsonObject = {}
    if shown:
        answer["cachedContents"] = [cache.wire() for cache in shown]
    return call.answer(answer | ({"nextPageToken": token} if token else {}))


async def update(call: Call) -> Response:
    """PATCH cachedContents/{id}: only the time it lives can be changed."""
    cache = _named(call)
    body = await call.message("CachedContent", MAX_BODY)
    if body.keys() - {"ttl", "expireTime", "name", "model"}:
        raise invalid("* UpdateCachedContentRequest: only ttl and expire_time can be updated.\n")
    now = call.state.clock.now_ns()
    cache.expires_ns = _ends(body, now)
    cache.updated_ns = now
    return call.answer(cache.wire())


async def delete(call: Call) -> Response:
    """DELETE cachedContents/{id} -> {}."""
    call.project.caches.remove(_named(call))
    return call.answer({})
