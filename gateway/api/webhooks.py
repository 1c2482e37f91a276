"""``/v1/webhook_endpoints``: the resource of openai-python 3.53 and openai-node 7, and deliveries.

The endpoint that the settings name is listed to every owner, without its path, and only the
settings change it.
"""

from dataclasses import replace
from typing import Any, Final
from urllib.parse import urlsplit

from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.body import read_json_bytes
from gateway.api.services import Call
from gateway.batches.webhooks import (
    EVERY_OWNER,
    OFFERED_TYPES,
    Attempt,
    Delivery,
    WebhookEndpoint,
)
from gateway.errors import ConflictError, NotFoundError, RequestError
from gateway.ids import new_webhook_endpoint_id, new_webhook_secret
from gateway.wire.openai import encode_page, parse_json, parse_list_query, truncate
from gateway.wire.webhooks import (
    parse_endpoint_change,
    parse_new_endpoint,
    parse_rotation,
    parse_test,
    refused_url,
)

OFFERED: Final = OFFERED_TYPES
# Endpoints of one owner: each has connections of its own.
MOST_ENDPOINTS: Final = 20
# OpenAI's parameter is called keep_old_secret_active_for_24_hours.
OVERLAP_MS: Final = 24 * 3600 * 1000
HINT_CHARACTERS: Final = 4


async def create(call: Call) -> Response:
    """``POST /v1/webhook_endpoints``: the only answer, but a rotation's, that has the secret."""
    wanted = parse_new_endpoint(parse_json(await read_json_bytes(call)), OFFERED)
    _check_url(call, wanted.url or "")
    now = call.now()
    endpoint = WebhookEndpoint(
        id=new_webhook_endpoint_id(),
        owner=call.owner,
        name=wanted.name or "",
        url=wanted.url or "",
        event_types=wanted.event_types or (),
        created_at=now,
        updated_at=now,
        secret=new_webhook_secret(),
    )
    made = await call.store.add_endpoint(endpoint, MOST_ENDPOINTS)
    if made is None:
        raise RequestError(
            f"There are {MOST_ENDPOINTS} webhook endpoints already: delete one first.",
            code="too_many_webhook_endpoints",
        )
    return answer({**encode_endpoint(made), "signing_secret": made.secret})


async def list_endpoints(call: Call) -> Response:
    """``GET /v1/webhook_endpoints``, newest first."""
    query = parse_list_query(call.request.query_params)
    page = await call.store.list_endpoints(call.owner, limit=query.limit, after=query.after)
    if page is None:
        raise _no_such_endpoint(query.after or "", param="after")
    return answer(encode_page([encode_endpoint(one) for one in page.data], has_more=page.has_more))


async def retrieve(call: Call) -> Response:
    """``GET /v1/webhook_endpoints/{id}``."""
    return answer(encode_endpoint(await _visible(call)))


async def update(call: Call) -> Response:
    """``POST /v1/webhook_endpoints/{id}``; an update that changes nothing is none."""
    endpoint = await _owned(call)
    wanted = parse_endpoint_change(parse_json(await read_json_bytes(call)), OFFERED)
    if wanted.url is not None:
        _check_url(call, wanted.url)
    changed = replace(
        endpoint,
        name=endpoint.name if wanted.name is None else wanted.name,
        url=endpoint.url if wanted.url is None else wanted.url,
        event_types=endpoint.event_types if wanted.event_types is None else wanted.event_types,
    )
    if changed != endpoint:
        changed = await _saved(call, replace(changed, updated_at=call.now()))
    return answer(encode_endpoint(changed))


async def delete(call: Call) -> Response:
    """``DELETE /v1/webhook_endpoints/{id}``; what waits to be delivered to it goes with it."""
    endpoint = await _owned(call)
    if not await call.store.delete_endpoint(call.owner, endpoint.id):
        raise _no_such_endpoint(endpoint.id)
    return answer({"id": endpoint.id, "object": "webhook_endpoint.deleted", "deleted": True})


async def rotate_secret(call: Call) -> Response:
    """``POST /v1/webhook_endpoints/{id}/rotate_secret``: with an overlap both secrets sign."""
    body = await read_json_bytes(call)
    keep = parse_rotation(parse_json(body) if body.strip() else {})
    endpoint = await _owned(call)
    now = call.now()
    rotated = replace(
        endpoint,
        secret=new_webhook_secret(),
        old_secret=endpoint.secret if keep else None,
        old_secret_until=now + OVERLAP_MS if keep else None,
        updated_at=now,
    )
    await _saved(call, rotated)
    return answer({**encode_endpoint(rotated), "signing_secret": rotated.secret})


async def test(call: Call) -> Response:
    """``POST /v1/webhook_endpoints/{id}/test``: sends a sample, and says what was answered."""
    endpoint = await _owned(call)
    kind = parse_test(parse_json(await read_json_bytes(call)), OFFERED)
    if call.services.webhooks is None:
        raise RequestError("This gateway delivers no webhooks.")
    attempt = await call.services.webhooks.test(endpoint, kind)
    if attempt.status_code is None:
        raise RequestError(
            f"The webhook endpoint did not answer: {attempt.error}.",
            code="webhook_endpoint_unreachable",
        )
    return answer(
        {
            "object": "webhook_endpoint.test",
            "webhook_endpoint_id": endpoint.id,
            "event_type": kind,
            "status_code": attempt.status_code,
            "success": True,  # OpenAI's type allows nothing else: the test itself has been made
        }
    )


async def list_event_types(_call: Call) -> Response:
    """``GET /v1/webhook_event_types``: those that can be asked for here."""
    return answer({"object": "list", "data": list(OFFERED)})


async def list_deliveries(call: Call) -> Response:
    """``GET /v1/webhook_endpoints/{id}/deliveries``, newest first: an extension."""
    query = parse_list_query(call.request.query_params)
    endpoint = await _visible(call)
    page = await call.store.list_deliveries(
        call.owner, endpoint.id, limit=query.limit, after=query.after
    )
    if page is None:
        raise NotFoundError(
            f"No delivery found with id '{truncate(query.after or '')}'.", param="after"
        )
    return answer(encode_page([encode_delivery(one) for one in page.data], has_more=page.has_more))


def encode_endpoint(endpoint: WebhookEndpoint) -> dict[str, Any]:
    """Write OpenAI's endpoint; of the settings' URL the host alone, as its path may be a secret."""
    by_settings = endpoint.owner == EVERY_OWNER
    return {
        "id": endpoint.id,
        "object": "webhook_endpoint",
        "name": endpoint.name,
        "url": _origin(endpoint.url) if by_settings else endpoint.url,
        "event_types": list(endpoint.event_types),
        "created_at": endpoint.created_at // 1000,
        "updated_at": endpoint.updated_at // 1000,
        "signing_secret_hint": None if by_settings else f"whsec_***{_end_of(endpoint.secret)}",
    }


def encode_delivery(delivery: Delivery) -> dict[str, Any]:
    """Say what became of an event so far; ``id`` is the header ``webhook-id``."""
    return {
        "id": delivery.event_id,
        "object": "webhook_endpoint.delivery",
        "webhook_endpoint_id": delivery.endpoint_id,
        "type": delivery.type,
        "batch_id": delivery.batch_id,
        "created_at": delivery.created_at // 1000,
        "status": delivery.state.value,
        "next_attempt_at": None if delivery.due_at is None else delivery.due_at // 1000,
        "attempt_count": delivery.tried,
        "attempts": [_attempt(one) for one in reversed(delivery.attempts)],
    }


def _attempt(attempt: Attempt) -> dict[str, Any]:
    return {
        "at": attempt.at // 1000,
        "duration_ms": attempt.milliseconds,
        "status_code": attempt.status_code,
        "error": attempt.error,
    }


def _origin(url: str) -> str:
    parts = urlsplit(url)
    return f"{parts.scheme}://{parts.netloc}"


def _end_of(secret: str) -> str:
    return secret[-HINT_CHARACTERS:]


def _check_url(call: Call, url: str) -> None:
    if call.services.webhooks is not None and (why := call.services.webhooks.refusal(url)):
        raise refused_url(why)


async def _visible(call: Call) -> WebhookEndpoint:
    endpoint = await call.store.get_endpoint(call.owner, call.path_id())
    if endpoint is None:
        raise _no_such_endpoint(call.path_id())
    return endpoint


async def _owned(call: Call) -> WebhookEndpoint:
    """Find an endpoint that the caller may change. Errors: NotFoundError, ConflictError."""
    endpoint = await _visible(call)
    if endpoint.owner == EVERY_OWNER:
        raise ConflictError(
            f"Webhook endpoint '{endpoint.id}' is that of the gateway's settings"
            " (GATEWAY_WEBHOOK_URL): only they change it."
        )
    return endpoint


async def _saved(call: Call, endpoint: WebhookEndpoint) -> WebhookEndpoint:
    if not await call.store.save_endpoint(endpoint):
        raise _no_such_endpoint(endpoint.id)
    return endpoint


def _no_such_endpoint(endpoint_id: str, param: str | None = None) -> NotFoundError:
    return NotFoundError(
        f"No webhook endpoint found with id '{truncate(endpoint_id)}'.", param=param
    )
