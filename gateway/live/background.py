"""``background: true``: a response that is answered later, by a batch, and asked for until then.

Here it is checked and translated as any other, so that what is wrong with it is said at once, and
stored with all that its line in a batch needs. The runner collects it.
"""

import asyncio
import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from gateway.batches.background import ENDPOINT, SIGNATURES, line_of, shown
from gateway.batches.limits import OverLimitError, OwnerLimits, limits_of
from gateway.batches.response import ResponseStatus, StoredResponse
from gateway.clock import Clock
from gateway.errors import LimitedError, RequestError
from gateway.ids import digest, new_answer_id
from gateway.live import notes
from gateway.live.budgets import Budgets
from gateway.live.memory import ResponseMemory, items_of
from gateway.live.prepare import Prepared, prepare
from gateway.ports.blobs import Blobs
from gateway.ports.placing import keep_whole
from gateway.ports.single import Answered, SingleRequest
from gateway.ports.store import Store
from gateway.translate import Policy
from gateway.units import MIB
from gateway.wire.openai import wrong_type

Json = dict[str, Any]

# An SDK's retries of one request come within this (gateway/api/batches.py says why).
RETRY_WINDOW_MS: Final = 15 * 60 * 1000
# Members that are about the request, not about its line.
_TAKEN: Final = ("background", "store", "stream", "stream_options", "service_tier")


@dataclass(frozen=True, slots=True)
class BackgroundLimits:
    """``window``: for how long (ms) a response waits for others; 0 ``seconds``: none is stored."""

    window: int
    seconds: int
    max_line_bytes: int = 20 * MIB
    owners: Mapping[str, OwnerLimits] = field(default_factory=dict)


def wants_background(asked: SingleRequest, body: Json) -> bool:
    """Tell whether a request is to be answered later. Errors: RequestError of no boolean."""
    wanted = body.get("background") if asked.path == ENDPOINT else None
    if wanted is not None and type(wanted) is not bool:
        raise wrong_type("background", "a boolean", wanted)
    return bool(wanted)


@dataclass(frozen=True)
class BackgroundQueue:
    """Takes requests that are answered later."""

    store: Store
    blobs: Blobs
    clock: Clock
    policy: Policy
    memory: ResponseMemory
    budgets: Budgets
    limits: BackgroundLimits

    async def take(self, asked: SingleRequest, body: Json) -> tuple[str, Answered]:
        """Queue a request; its id, and the Response as it is now. Errors: GatewayError."""
        self._check(body)
        identity = new_answer_id()
        whole = await self.memory.continued(body, asked.owner)
        rest = {name: value for name, value in whole.items() if name not in _TAKEN}
        request = await asyncio.to_thread(prepare, asked.path, rest, self.policy)
        kept = self._kept(identity, body, rest, request)
        row = self._row(asked, identity, kept, request)
        written = await asyncio.to_thread(self._written, row.id, kept)
        row, kept = await self._queued(row, written, kept)
        told = notes.told(request.notes)
        return row.id, Answered(200, orjson.dumps(shown(row, kept)), notes.headers(told))

    def _check(self, body: Json) -> None:
        """Refuse what a response in the background cannot be. Errors: RequestError."""
        if not self.limits.seconds:
            raise RequestError(
                "'background' needs answers to be stored, and this gateway stores none"
                " (GATEWAY_RESPONSES_SECONDS=0): leave out 'background'.",
                param="background",
                code="unsupported_value",
            )
        if body.get("stream") is not None and type(body["stream"]) is not bool:
            raise wrong_type("stream", "a boolean", body["stream"])

    def _kept(self, identity: str, body: Json, rest: Json, request: Prepared) -> Json:
        given = rest.get("include")
        asked_for: Sequence[Any] = given if isinstance(given, list) else ()
        hides = SIGNATURES not in asked_for
        line = {name: value for name, value in rest.items() if name != "input"}
        if hides:  # the next turn needs what Gemini signed, whether or not the client does
            line["include"] = [*asked_for, SIGNATURES]
        return {
            "response": self._response(identity, body, request),
            "input": items_of(rest["input"]),
            "request": line,
            "policy": self.policy.to_json(),
            "hides": hides,
        }

    def _response(self, identity: str, body: Json, request: Prepared) -> Json:
        """Return the Response before it has an answer."""
        repeated = orjson.loads(b"{" + request.hints["repeats"].encode())
        own = {
            "background": True,
            "store": body.get("store") is not False,
            "previous_response_id": body.get("previous_response_id"),
        }
        told = notes.told(request.notes)
        extra = {"extra_content": {"gateway": {"notes": told}}} if told else {}
        return {
            "id": f"resp_{identity}",
            "object": "response",
            "created_at": self.clock.now() // 1000,
            "status": ResponseStatus.QUEUED.value,
            "completed_at": None,
            "model": request.model,
            "output": [],
            "incomplete_details": None,
            "usage": None,
            **repeated,
            **own,
            **extra,
        }

    def _row(
        self, asked: SingleRequest, identity: str, kept: Json, request: Prepared
    ) -> StoredResponse:
        now = self.clock.now()
        policy = orjson.dumps(kept["policy"], option=orjson.OPT_SORT_KEYS).decode()
        # Named files have limits for a whole batch: one that names some has a batch of its own.
        alone = identity if request.files else ""
        estimate = self.budgets.estimate(request)
        return StoredResponse(
            id=f"resp_{identity}",
            owner=asked.owner,
            blob="",  # it has none until it is queued
            created_at=now,
            expires_at=now + self.limits.seconds * 1000,
            status=ResponseStatus.QUEUED,
            queue=digest("background", asked.owner, request.model, policy, alone),
            due_at=now + self.limits.window,
            tokens=estimate.tokens,
            most=estimate.most,
            idempotency_key=asked.idempotency_key,
            fingerprint=hashlib.sha256(asked.body).hexdigest(),
            tries=asked.tries,
            model=request.model,
            traceparent=asked.traceparent,
        )

    def _written(self, response_id: str, kept: Json) -> bytes:
        """Write what is kept. Errors: RequestError when its line is longer than one may be."""
        size, most = len(line_of(response_id, kept)), self.limits.max_line_bytes
        if size > most:
            raise RequestError(
                f"This request has {size} bytes, with the conversation so far; in the background at"
                f" most {most} are allowed (GATEWAY_MAX_LINE_BYTES).",
                param="input",
                code="context_length_exceeded",
            )
        return orjson.dumps(kept)

    async def _queued(
        self, row: StoredResponse, written: bytes, kept: Json
    ) -> tuple[StoredResponse, Json]:
        """Store it, or find the one that an SDK asks for again."""
        blob, seal = await keep_whole(self.store, self.blobs, written, row.created_at)
        row = replace(row, blob=blob)
        limits = limits_of(row.owner, self.limits.owners)
        since = row.created_at - RETRY_WINDOW_MS
        try:
            found = await self.store.queue_response(row, seal, same_since=since, within=limits)
        except OverLimitError as over:
            raise LimitedError(over.error.message, code=over.error.code) from over
        if found.id == row.id:
            return row, kept
        if found.fingerprint != row.fingerprint:
            raise RequestError(
                "Keys for idempotent requests can only be used with the same parameters they were"
                " first used with: the header 'Idempotency-Key' names another response.",
                code="idempotency_key_reused",
            )
        return found, await self.memory.load(found)
