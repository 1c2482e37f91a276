"""Stored answers of ``/v1/responses``: kept for a while, named by ``previous_response_id``.

A stored answer holds all that its next turn begins with, input and output of the whole chain, so a
turn reads one blob however long the conversation is. Reasoning items are stored with what Gemini
signed them with: without it Gemini 3 refuses the next turn.
"""

import asyncio
import hashlib
import logging
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import orjson

from gateway.batches.response import StoredResponse
from gateway.clock import Clock
from gateway.errors import RequestError, UnavailableError
from gateway.ids import new_answer_id, new_blob_name
from gateway.ports.blobs import Blobs
from gateway.ports.store import Seal, Store
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


class ResponseMemory:
    """Keeps answers for ``seconds``; 0: none.

    A conversation goes on up to ``most_bytes``, input and output of all its turns: a turn holds
    them in memory, and the limit of bodies sees the new input alone.
    """

    def __init__(
        self,
        store: Store,
        blobs: Blobs,
        clock: Clock,
        seconds: int,
        most_bytes: int = DEFAULT_MOST_BYTES,
    ) -> None:
        self._store = store
        self._blobs = blobs
        self._clock = clock
        self._seconds = seconds
        self._most_bytes = most_bytes

    async def begin(self, path: str, body: Json, owner: str) -> tuple[Json, Turn | None]:
        """Put the conversation so far in front of the input; the turn, if it is to be stored.

        Errors: RequestError of a previous answer that is not there (any more): a conversation is
        never shortened silently.
        """
        if path != RESPONSES:
            return body, None
        previous = body.get("previous_response_id")
        if previous is not None:
            body = await self._continued(body, previous, owner)
        if not self._seconds or body.get("store") is False or "input" not in body:
            return body, None
        items = _items(body["input"])
        rest = {name: value for name, value in body.items() if name != "store"}
        return rest, Turn(new_answer_id(), previous, items)

    async def keep(self, owner: str, turn: Turn, body: bytes, output: list[Any]) -> bool:
        """Store an answer; False when the disk or the database does not take it."""
        written = orjson.dumps(
            {"response": orjson.loads(body), "input": turn.input, "output": output}
        )
        seal = Seal(len(written), hashlib.sha256(written).hexdigest())
        now, blob = self._clock.now(), new_blob_name()
        response = StoredResponse(
            f"resp_{turn.identity}", owner, blob, now, now + self._seconds * 1000
        )
        try:
            await self._store.register_blob(blob, now)
            async with self._blobs.create(blob) as writer:
                await writer.write(written)
            await self._store.add_response(response, seal)
        except (OSError, UnavailableError) as error:
            # The answer is paid for: it is given, and says that it is not stored.
            logger.warning("an answer could not be stored: %s", type(error).__name__)
            return False
        return True

    async def get(self, owner: str, response_id: str) -> Json | None:
        """Return a stored answer as it was given."""
        kept = await self._load(owner, response_id)
        return None if kept is None else kept["response"]

    async def input_items(self, owner: str, response_id: str) -> list[Json] | None:
        """List the input of an answer, the oldest first, each item with an id."""
        kept = await self._load(owner, response_id)
        if kept is None:
            return None
        identity = response_id.removeprefix("resp_")
        return [
            {**item, "id": _item_id(item, identity, number)}
            for number, item in enumerate(kept["input"])
        ]

    async def delete(self, owner: str, response_id: str) -> bool:
        """Forget an answer; False when there is none."""
        return await self._store.delete_response(owner, response_id, self._clock.now())

    async def _continued(self, body: Json, previous: object, owner: str) -> Json:
        written = await self._read(owner, previous) if isinstance(previous, str) else None
        if written is None:
            raise RequestError(
                f"Previous response with id '{truncate(str(previous))}' not found.",
                param="previous_response_id",
                code="previous_response_not_found",
            )
        self._check_size(written)
        kept = await asyncio.to_thread(orjson.loads, written)
        rest = {name: value for name, value in body.items() if name != "previous_response_id"}
        return {**rest, "input": [*kept["input"], *kept["output"], *_items(body.get("input"))]}

    def _check_size(self, written: bytes) -> None:
        """Refuse to go on from what is larger than any body. Errors: RequestError."""
        most = self._most_bytes
        if len(written) <= most and structure_of(written, MAX_STRUCTURE) <= MAX_STRUCTURE:
            return
        raise RequestError(
            f"The conversation so far is too large to go on: it is stored in {len(written)} bytes,"
            f" and at most {most} bytes (GATEWAY_SINGLE_MAX_BYTES) and {MAX_STRUCTURE} brackets,"
            " commas and colons are allowed. Send what matters of it in 'input'.",
            param="previous_response_id",
            code="context_length_exceeded",
        )

    async def _load(self, owner: str, response_id: str) -> Json | None:
        written = await self._read(owner, response_id)
        return None if written is None else await asyncio.to_thread(orjson.loads, written)

    async def _read(self, owner: str, response_id: str) -> bytes | None:
        found = await self._store.get_response(owner, response_id, self._clock.now())
        if found is None:
            return None
        try:
            return b"".join([block async for block in self._blobs.read(found.blob)])
        except FileNotFoundError:  # deleted, or swept, since it was looked up
            return None


def _items(given: object) -> list[Any]:
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
