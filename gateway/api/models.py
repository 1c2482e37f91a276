"""``/v1/models``: what the upstream runs batches of, now."""

from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.services import Call
from gateway.batches.planning import BATCH_METHODS
from gateway.errors import NotFoundError
from gateway.translate import Policy, plain_names, resolve_model
from gateway.wire.openai import encode_model, truncate


async def list_models(call: Call) -> Response:
    """``GET /v1/models``; never paged, at OpenAI neither."""
    return answer({"object": "list", "data": [encode_model(name) for name in await _names(call)]})


async def retrieve(call: Call) -> Response:
    """``GET /v1/models/{id}``, with or without Google's ``models/`` before the id."""
    model_id = call.path_id().removeprefix("models/")
    model = resolve_model(model_id, Policy.from_json(call.services.policy)).model
    if model not in await _offered(call):
        raise NotFoundError(
            f"The model '{truncate(model_id)}' does not exist or you do not have access to it.",
            param="model",
            code="model_not_found",
        )
    return answer(encode_model(model_id))


async def _names(call: Call) -> list[str]:
    """List the upstream's models and the aliases of them that batches may name."""
    offered = await _offered(call)
    policy = Policy.from_json(call.services.policy)
    aliases = plain_names(policy.aliases)
    known = (alias for alias in aliases if resolve_model(alias, policy).model in offered)
    return list(dict.fromkeys([*offered, *known]))


async def _offered(call: Call) -> list[str]:
    """List the models that the upstream runs batches of."""
    offered = call.services.models
    models = [] if offered is None else await offered()
    return [model.id for model in models if model.methods & BATCH_METHODS]
