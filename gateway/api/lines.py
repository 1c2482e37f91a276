"""``GET /v1/batches/{id}/line``: the story of one line by its custom_id, an extension."""

from typing import Any

from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.batches import owned_batch
from gateway.api.services import Call
from gateway.errors import NotFoundError, RequestError
from gateway.wire.openai import truncate


async def story(call: Call) -> Response:
    """Show what the client asked, what went to Gemini, what Gemini answered, what the client gets.

    What went to Gemini is translated again from the input, with the settings that the batch was
    created under; a deleted input, or raw results that are gone, leave their part empty.
    """
    batch = await owned_batch(call)
    custom_id = call.request.query_params.get("custom_id")
    if not custom_id:
        raise RequestError(
            "Missing required parameter: 'custom_id'.",
            param="custom_id",
            code="missing_required_parameter",
        )
    tell = call.services.line_story
    if tell is None:
        raise RequestError("This gateway tells no stories of lines.")
    told = await tell(batch, custom_id)
    if told["asked"] is None and told["got"] is None:
        raise NotFoundError(
            f"Batch '{batch.id}' has no line with the custom_id '{truncate(custom_id)}', or its"
            " files are gone.",
            param="custom_id",
        )
    shown: dict[str, Any] = {"object": "batch.line", "custom_id": custom_id, **told}
    return answer(shown)
