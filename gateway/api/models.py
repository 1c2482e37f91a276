"""``/v1/models``: what the upstream runs batches of, now."""

from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.services import Call
from gateway.batches.planning import BATCH_METHODS
from gateway.errors import NotFoundError
from gateway.wire.openai import encode_model, truncate


async def list_models(call: Call) -> Response:
    """``GET /v1/models``; never paged, at OpenAI neither."""
    return answer({"object": "list", "data": [encode_model(name) for name in await _names(call)]})


async def retrieve(call: Call) -> Response:
    """``GET /v1/models/{id}``, with or without Google's ``models/`` before the id."""
    model_id = call.path_id().removeprefix("models/")
    if model_id not in await _names(call):
        raise NotFoundError(
            f"The model '{truncate(model_id)}' does not exist or you do not have access to it.",
            param="model",
            code="model_not_found",
        )
    return answer(encode_model(model_id))


async def _names(call: Call) -> list[str]:
    """List the upstream's models and the aliases of them that batches may name."""
    offered = call.services.models
    models = [] if offered is None else await offered()
    names = [model.id for model in models if model.methods & BATCH_METHODS]
    aliases = call.services.policy.get("aliases", {})
    return [*names, *(alias for alias, model in aliases.items() if model in names)]
