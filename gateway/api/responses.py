"""``/v1/responses/{id}``: stored answers, retrieved, listed by their input, deleted."""

from typing import Any

from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.services import Call
from gateway.api.single import STREAM_HEADERS, EventsResponse
from gateway.errors import NotFoundError, RequestError
from gateway.ports.single import StoredResponses
from gateway.wire.openai import encode_page, parse_list_query, truncate


async def retrieve(call: Call) -> Response:
    """``GET /v1/responses/{id}``: the answer as it was given."""
    if call.request.query_params.get("stream") == "true":
        return await _streamed(call)
    found = await _stored(call).get(call.owner, call.path_id())
    if found is None:
        raise _not_found(call)
    return answer(found)


async def _streamed(call: Call) -> Response:
    """Stream its events, behind the number in ``starting_after``."""
    after = call.request.query_params.get("starting_after", "-1")
    if after != "-1" and not (after.isascii() and after.isdecimal() and len(after) < 10):
        raise RequestError(
            "Invalid 'starting_after': expected the sequence_number of an event.",
            param="starting_after",
        )
    follower = call.services.follower
    events = (
        None if follower is None else await follower.events(call.owner, call.path_id(), int(after))
    )
    if events is None:
        raise _not_found(call)
    return EventsResponse(events, STREAM_HEADERS)


async def delete(call: Call) -> Response:
    """``DELETE /v1/responses/{id}``."""
    if not await _stored(call).delete(call.owner, call.path_id()):
        raise _not_found(call)
    return answer({"id": call.path_id(), "object": "response", "deleted": True})


async def cancel(call: Call) -> Response:
    """``POST /v1/responses/{id}/cancel``: for answers made in the background alone."""
    found = await _stored(call).cancel(call.owner, call.path_id())
    if found is None:
        raise _not_found(call)
    return answer(found)


async def input_items(call: Call) -> Response:
    """``GET /v1/responses/{id}/input_items``, newest first unless asked otherwise."""
    query = parse_list_query(call.request.query_params, sortable=True)
    items: list[Any] | None = await _stored(call).input_items(call.owner, call.path_id())
    if items is None:
        raise _not_found(call)
    if not query.ascending:
        items.reverse()
    if query.after is not None:
        places = [place for place, item in enumerate(items) if item["id"] == query.after]
        if not places:
            raise RequestError(
                f"No item '{truncate(query.after)}' is in this input.", param="after"
            )
        items = items[places[0] + 1 :]
    return answer(encode_page(items[: query.limit], has_more=len(items) > query.limit))


def _stored(call: Call) -> StoredResponses:
    stored = call.services.responses
    if stored is None:
        raise _not_found(call)
    return stored


def _not_found(call: Call) -> NotFoundError:
    return NotFoundError(f"Response with id '{truncate(call.path_id())}' not found.")
