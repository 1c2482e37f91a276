"""Routes of webhooks; this family of the API speaks snake_case both ways."""

import asyncio
from typing import Final

import orjson
from starlette.responses import Response

from gateway.emulator.api.call import Call
from gateway.emulator.protocol.clock import stamp
from gateway.emulator.protocol.errors import JsonObject, invalid
from gateway.emulator.protocol.rsa import process_key
from gateway.emulator.protocol.schema import parse_json
from gateway.emulator.resources.models import keyed_page

MAX_BODY: Final = 64 * 1024
DEFAULT_PAGE: Final = 50
MAX_PAGE: Final = 1000
AT_ONCE: Final = "revoke_previous_secrets_immediately"
LATER: Final = "revoke_previous_secrets_after_h24"


async def _body(call: Call) -> JsonObject:
    """Return a JSON object, what is null left out; empty for no body. Raises ApiError 400."""
    body = await call.body(MAX_BODY)
    found = parse_json(body) if body.strip() else {}
    if not isinstance(found, dict):
        raise invalid("Invalid JSON payload received. Expected an object.")
    return {name: value for name, value in found.items() if value is not None}


async def create(call: Call) -> Response:
    """POST webhooks: the only answer, besides rotation's, that shows a secret."""
    return call.answer(call.project.webhooks.create(await _body(call)))


async def get(call: Call) -> Response:
    """GET webhooks/{id}."""
    return call.answer(call.project.webhooks.get(call.path("id")).wire())


async def list_webhooks(call: Call) -> Response:
    """GET webhooks."""
    every = call.project.webhooks.every()
    shown, token = keyed_page(
        every, call.query, default=DEFAULT_PAGE, most=MAX_PAGE, newest_first=False
    )
    answer: JsonObject = {"webhooks": [hook.wire() for hook in shown]}
    return call.answer(answer | ({"next_page_token": token} if token else {}))


async def update(call: Call) -> Response:
    """PATCH webhooks/{id}, all of the body or what ``update_mask`` names."""
    mask = call.query.get("updateMask", "")
    names = [name for name in mask.split(",") if name]
    hook = call.project.webhooks.update(call.path("id"), await _body(call), names)
    return call.answer(hook.wire())


async def delete(call: Call) -> Response:
    """DELETE webhooks/{id} -> {}."""
    call.project.webhooks.delete(call.path("id"))
    return call.answer({})


async def ping(call: Call) -> Response:
    """POST webhooks/{id}:ping -> {}; a test event is sent."""
    hook = call.project.webhooks.get(call.path("id"))
    event = {
        "type": "webhook.ping",
        "version": "v1",
        "timestamp": stamp(call.state.clock.now_ns(), 0),
        "data": {"id": hook.id},
    }
    call.state.webhook_delivery.enqueue(hook.uri, event, call.project.webhooks, hook.id, {})
    return call.answer({})


async def rotate(call: Call) -> Response:
    """POST webhooks/{id}:rotateSigningSecret -> {"secret"}."""
    behaviour = (await _body(call)).get("revocation_behavior", LATER)
    if behaviour not in (AT_ONCE, LATER):
        raise invalid(f"Invalid value at 'revocation_behavior': {behaviour}")
    at_once = behaviour == AT_ONCE
    return call.answer({"secret": call.project.webhooks.rotate(call.path("id"), at_once=at_once)})


async def jwks(_call: Call) -> Response:
    """GET /.well-known/jwks.json: the keys that sign what jobs' own webhooks get."""
    key = await asyncio.to_thread(process_key)
    headers = {"content-type": "application/json; charset=UTF-8"}
    return Response(orjson.dumps({"keys": [key.jwk()]}), 200, headers)
