"""Stored answers of ``/v1/responses``: kept for a while, named by ``previous_response_id``.

A stored answer holds all that its next turn begins with, input and output of the whole chain, so a
turn reads one blob however long the conversation is. Reasoning items are stored with what Gemini
signed them with: without it Gemini 3 refuses the next turn.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway.batches.background import shown
from gateway.batches.response import UNFINISHED, ResponseStatus, StoredResponse
from gateway.clock import Clock
from gateway.errors import RequestError, UnavailableError
from gateway.ids import new_answer_id
from gateway.ports.blobs import Blobs
from gateway.ports.placing import keep_whole
from gateway.ports.store import Store
from gateway.units import MIB
from gateway.wire.jsonl import MAX_STRUCTURE, structure_of
from gateway.wire.openai import truncate

logger = logging.getLogger(__name__)

Json = dict[str, Any]

RESPONSES: Final = "/v1/responses"
DEFAULT_MOST_BYTES: Final = 20 * MIB
_PREFIXES: Final = {"message": "msg", "reasoning": "rs", "function_call": "fc"}


@dataclass(frozen=True, slots=True)
class Turn:
    """A request whose answer is to be stored: the answer's id, what it names, its whole input."""

    identity: str
    previous: str | None
    input: list[Any]

    def repeats(self, hints: Mapping[str, Any]) -> Json:
        """Return the hints with what the answer says of its being stored."""
        told = orjson.loads(b"{" + hints["repeats"].encode())
        told |= {"store": True, "previous_response_id": self.previous}
        return {**hints, "repeats": orjson.dumps(told)[1:].decode()}


@dataclass(frozen=True)
class ResponseMemory:
    """Keeps answers for ``seconds``; 0: none.

    A conversation goes on up to ``most_bytes``, input and output of all its turns: a turn holds
    them in memory, and the limit of bodies sees the new input alone.
    """

    store: Store
    blobs: Blobs
    clock: Clock
    seconds: int
    most_bytes: int = DEFAULT_MOST_BYTES

    async def begin(self, path: str, body: Json, owner: str) -> tuple[Json, Turn | None]:
        """Put the conversation so far in front of the input; the turn, if it is to be stored.

        Errors: RequestError of a previous answer that is not there (any more): a conversation is
        never shortened silently.
        """
        if path != RESPONSES:
            return body, None
        previous = body.get("previous_response_id")
        body = await self.continued(body, owner)
        if not self.seconds or body.get("store") is False or "input" not in body:
            return body, None
        items = items_of(body["input"])
        rest = {name: value for name, value in body.items() if name != "store"}
        return rest, Turn(new_answer_id(), previous, items)

    async def keep(self, owner: str, turn: Turn, body: bytes, output: list[Any]) -> bool:
        """Store an answer; False when the disk or the database does not take it."""
        written = orjson.dumps(
            {"response": orjson.loads(body), "input": turn.input, "output": output}
        )
        now = self.clock.now()
        try:
            blob, seal = await keep_whole(self.store, self.blobs, written, now)
            response = StoredResponse(
                f"resp_{turn.identity}", owner, blob, now, now + self.seconds * 1000
            )
            await self.store.add_response(response, seal)
        except (OSError, UnavailableError) as error:
            # The answer is paid for: it is given, and says that it is not stored.
            logger.warning("an answer could not be stored: %s", type(error).__name__)
            return False
        return True

    async def get(self, owner: str, response_id: str) -> Json | None:
        """Return a stored answer as it was given, or as it is now."""
        row = await self._row(owner, response_id)
        if row is None:
            return None
        if row.queue is not None and row.used_at is None:
            await self.store.note_response_used(owner, response_id, self.clock.now())
        return await self._shown(row)

    async def cancel(self, owner: str, response_id: str) -> Json | None:
        """Cancel one that is made in the background. Errors: RequestError of any other."""
        row = await self._row(owner, response_id)
        if row is not None and row.queue is None:
            raise RequestError("Only responses with background: true can be cancelled.")
        row = await self.store.cancel_response(owner, response_id, self.clock.now())
        return None if row is None else await self._shown(row)

    async def _shown(self, row: StoredResponse) -> Json | None:
        try:
            return shown(row, await self.load(row))
        except FileNotFoundError:  # deleted, or swept, since it was looked up
            return None

    async def input_items(self, owner: str, response_id: str) -> list[Json] | None:
        """List the input of an answer, the oldest first, each item with an id."""
        row = await self._row(owner, response_id)
        if row is None:
            return None
        try:
            kept = await self.load(row)
        except FileNotFoundError:
            return None
        identity = response_id.removeprefix("resp_")
        return [
            {**item, "id": _item_id(item, identity, number)}
            for number, item in enumerate(kept["input"])
        ]

    async def delete(self, owner: str, response_id: str) -> bool:
        """Forget an answer; False when there is none."""
        return await self.store.delete_response(owner, response_id, self.clock.now())

    async def continued(self, body: Json, owner: str) -> Json:
        """Put the conversation so far in front of the input. Errors: RequestError."""
        previous = body.get("previous_response_id")
        if previous is None:
            return body
        row = await self._row(owner, previous) if isinstance(previous, str) else None
        written = None if row is None else await self._read(row)
        if row is None or written is None:
            raise _no_previous(previous)
        _check_ended(row)
        self._check_size(written)
        kept = await asyncio.to_thread(orjson.loads, written)
        if kept["response"].get("store") is False:
            raise _no_previous(previous)
        rest = {name: value for name, value in body.items() if name != "previous_response_id"}
        return {**rest, "input": [*kept["input"], *kept["output"], *items_of(body.get("input"))]}

    def _check_size(self, written: bytes) -> None:
        """Refuse to go on from what is larger than any body. Errors: RequestError."""
        most = self.most_bytes
        if len(written) <= most and structure_of(written, MAX_STRUCTURE) <= MAX_STRUCTURE:
            return
        raise RequestError(
            f"The conversation so far is too large to go on: it is stored in {len(written)} bytes,"
            f" and at most {most} bytes (GATEWAY_SINGLE_MAX_BYTES) and {MAX_STRUCTURE} brackets,"
            " commas and colons are allowed. Send what matters of it in 'input'.",
            param="previous_response_id",
            code="context_length_exceeded",
        )

    async def load(self, row: StoredResponse) -> Json:
        """Read what is kept of an answer. Errors: FileNotFoundError when it is gone by now."""
        written = await self._read(row)
        if written is None:
            raise FileNotFoundError(row.blob)
        kept: Json = await asyncio.to_thread(orjson.loads, written)
        return kept

    async def _row(self, owner: str, response_id: str) -> StoredResponse | None:
        return await self.store.get_response(owner, response_id, self.clock.now())

    async def _read(self, row: StoredResponse) -> bytes | None:
        try:
            return b"".join([block async for block in self.blobs.read(row.blob)])
        except FileNotFoundError:  # deleted, or swept, since it was looked up
            return None


def _no_previous(previous: object) -> RequestError:
    return RequestError(
        f"Previous response with id '{truncate(str(previous))}' not found.",
        param="previous_response_id",
        code="previous_response_not_found",
    )


def _check_ended(row: StoredResponse) -> None:
    """Refuse a response that has no answer to go on from, or none yet. Errors: RequestError."""
    if row.status in (ResponseStatus.COMPLETED, ResponseStatus.INCOMPLETE):
        return
    unfinished = row.status in UNFINISHED
    wait = "wait until it is completed." if unfinished else "it has no answer to go on from."
    raise RequestError(
        f"Previous response with id '{row.id}' has the status '{row.status.value}': {wait}",
        param="previous_response_id",
        code="previous_response_not_completed",
    )


def items_of(given: object) -> list[Any]:
    """``"Hi"`` -> one message of the user; what is no list is refused by the translation."""
    if isinstance(given, str):
        content = [{"type": "input_text", "text": given}]
        return [{"type": "message", "role": "user", "content": content}]
    return list(given) if isinstance(given, list) else [given]


def _item_id(item: Json, identity: str, number: int) -> str:
    """Name an item, which pages of a list go on from: as the client did, if it did."""
    given = item.get("id")
    if isinstance(given, str) and given:
        return given
    kind = str(item.get("type") or "message")
    return f"{_PREFIXES.get(kind, 'item')}_{identity}_in{number}"
