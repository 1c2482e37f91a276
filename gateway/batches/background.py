"""Responses in the background, pure: what is kept of one, its line in a batch, and its end.

Kept is a JSON object: ``response`` as clients see it but for its status, ``input`` as items, and
until it has ended ``request`` (the body without its input), ``policy`` and ``hides`` (signatures,
which the client did not ask for); then ``output``, with what Gemini signed it with.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import Any, Final

import orjson

from gateway.batches.batch import Batch, BatchStatus
from gateway.batches.response import UNFINISHED, DueQueue, ResponseStatus, StoredResponse
from gateway.wire.jsonl import escape_separators
from gateway.wire.openai_errors import response_error_code

Json = dict[str, Any]

ENDPOINT: Final = "/v1/responses"
SIGNATURES: Final = "reasoning.encrypted_content"
# Of the live jobs that a credential may have, those of this kind take so much at most: clients'
# own batches are not kept waiting by a job for each window.
SHARE: Final = 4
# What the gateway says of a response, not the line of its batch.
_OWN: Final = ("id", "created_at", "background", "store", "previous_response_id", "service_tier")
_NOT_CANCELLED: Final = {"completed_at": None, "incomplete_details": None, "error": None}
# OpenAI's words for a price: what a batch costs is what its flex tier does, and it has no third.
HALF_PRICE, FULL_PRICE = "flex", "default"


@dataclass(frozen=True, slots=True)
class Ended:
    """The end of a response: its status and what is kept of it."""

    status: ResponseStatus
    kept: Json


def line_of(response_id: str, kept: Json) -> bytes:
    """Write the line that asks for a response, named by its id."""
    body = {**kept["request"], "input": kept["input"]}
    line = {"custom_id": response_id, "method": "POST", "url": ENDPOINT, "body": body}
    return escape_separators(orjson.dumps(line)) + b"\n"


def shown(row: StoredResponse, kept: Json) -> Json:
    """Return a response as it is now."""
    response: Json = kept["response"]
    if row.queue is None:
        return response
    response = {**response, "status": row.status.value}
    if row.status is ResponseStatus.CANCELLED:
        return {**response, **_NOT_CANCELLED}
    if row.status in UNFINISHED and row.waiting_for is not None:
        return _with_extra(response, {"waiting_for": row.waiting_for})
    return response


def answered(kept: Json, line: Json, notes: Sequence[Json], tier: str) -> Ended:
    """End a response with the line of an output or an error file, and what is noted about it."""
    answer = line.get("response")
    if not isinstance(answer, dict):
        return failed(kept, line.get("error") or {})
    body = answer["body"]
    if answer["status_code"] >= 400:
        return failed(kept, body["error"])
    response = kept["response"]
    own = {name: response[name] for name in _OWN}
    told = {**response, **body, **own, "service_tier": tier}
    told["output"] = _unsigned(body["output"]) if kept["hides"] else body["output"]
    extra = {"google": body.get("extra_content", {}).get("google")}
    told["extra_content"] = {name: value for name, value in extra.items() if value is not None}
    told = _with_extra(told, {"served_by": "batch", **({"notes": notes} if notes else {})})
    done = {"response": told, "input": kept["input"], "output": body["output"]}
    return Ended(ResponseStatus(body["status"]), done)


def failed(kept: Json, error: Mapping[str, Any]) -> Ended:
    """End a response that has no answer: OpenAI's word for it, and the gateway's own."""
    message = error.get("message") or "There is no answer."
    told = {"code": response_error_code(error), "message": message}
    own = {"error": {"code": error.get("code"), "param": error.get("param")}}
    response = _with_extra({**kept["response"], "error": told}, own)
    done = {"response": response, "input": kept["input"], "output": []}
    return Ended(ResponseStatus.FAILED, done)


def of_failed_batch(kept: Json, batch: Batch) -> Ended:
    """End a response whose batch ended before anything of it was run."""
    if batch.status is BatchStatus.CANCELLED:
        done = {"response": kept["response"], "input": kept["input"], "output": []}
        return Ended(ResponseStatus.CANCELLED, done)
    if batch.status is BatchStatus.EXPIRED:
        return failed(kept, {"code": "batch_expired", "message": EXPIRED})
    if not batch.errors:
        return failed(kept, {})
    first = batch.errors[0]
    kind = "server_error" if first.code == "internal_error" else "invalid_request_error"
    return failed(
        kept, {"code": first.code, "message": first.message, "param": first.param, "type": kind}
    )


EXPIRED: Final = "The response was not made within 24 hours. Nothing was run."


def next_queues(
    due: Sequence[DueQueue], live: Mapping[str, int], *, most_of_all: int | None, most_of_owner: int
) -> list[DueQueue]:
    """Choose the queues that are sent now: owners take turns, the one with the least live first.

    The others wait for an end, and become larger batches meanwhile.
    """
    queues: dict[str, list[DueQueue]] = {}
    for queue in due:
        queues.setdefault(queue.owner, []).append(queue)
    owners = sorted(queues, key=lambda owner: live.get(owner, 0))
    counts, chosen = Counter(live), list[DueQueue]()
    for turn in zip_longest(*(queues[owner] for owner in owners)):
        for queue in turn:
            full = most_of_all is not None and counts.total() >= most_of_all
            if queue is None or full or counts[queue.owner] >= most_of_owner:
                continue
            counts[queue.owner] += 1
            chosen.append(queue)
    return chosen


def _with_extra(response: Json, gateway: Json) -> Json:
    extra = response.get("extra_content") or {}
    both = {**extra.get("gateway", {}), **gateway}
    return {**response, "extra_content": {**extra, "gateway": both}}


def _unsigned(items: Sequence[Json]) -> list[Json]:
    """Leave out signatures, and reasoning items that hold nothing else."""
    return [
        {name: value for name, value in item.items() if name != "encrypted_content"}
        for item in items
        if item["type"] != "reasoning" or item["summary"]
    ]
