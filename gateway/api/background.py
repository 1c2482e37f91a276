"""``GET /v1/background``, an extension: responses in the background, together as they are sent.

Their batches are no client's to list; a person wants to see what runs, what it waits for and what
it costs all the same.
"""

from typing import Any, Final

from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.batches import encoded
from gateway.api.services import Call
from gateway.batches.batch import Batch
from gateway.batches.response import WaitingQueue
from gateway.wire.openai import parse_list_query

QUEUED: Final = "queued"
_ENDS: Final = ("completed_at", "failed_at", "expired_at", "cancelled_at")


async def list_background(call: Call) -> Response:
    """List what waits to be sent, oldest first, then the batches of what was, newest first."""
    query = parse_list_query(call.request.query_params)
    waiting = await call.store.waiting_queues(call.owner, query.limit)
    shown = [_waiting(queue, call.now()) for queue in waiting]
    sent = await call.store.backgrounds(call.owner, query.limit - len(shown))
    shown += [await _sent(call, batch) for batch in sent]
    return answer({"object": "list", "data": shown, "has_more": len(shown) == query.limit})


def _waiting(queue: WaitingQueue, now: int) -> dict[str, Any]:
    left = (queue.due_at - now + 999) // 1000
    why = (
        f"others to be sent with, for {left} s"
        if left > 0
        else "room: a quarter of GATEWAY_MAX_LIVE_JOBS is for batches of responses"
    )
    return {
        "object": "background",
        "batch_id": None,
        "model": queue.model,
        "status": QUEUED,
        "created_at": queue.since // 1000,
        "ended_at": None,
        "responses": {"total": queue.responses, "completed": 0, "failed": 0},
        "tokens": 0,
        "waiting_for": why,
        "waiting_since": queue.since // 1000,
        "eta_seconds": None,
        "cost_usd": 0.0,
        "cost_at_most_usd": None if queue.most is None else queue.most / 1_000_000_000,
    }


async def _sent(call: Call, batch: Batch) -> dict[str, Any]:
    told = await encoded(call, batch, 0)
    more = told["gateway"]
    same = ("waiting_for", "waiting_since", "eta_seconds", "cost_usd", "cost_at_most_usd")
    return {
        "object": "background",
        "batch_id": batch.id,
        "model": batch.model,
        "status": told["status"],
        "created_at": told["created_at"],
        "ended_at": next((told[name] for name in _ENDS if told[name]), None),
        "responses": told["request_counts"],
        "tokens": told["usage"]["total_tokens"],
        **{name: more[name] for name in same},
    }
