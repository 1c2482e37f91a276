"""``/v1/models``: what the upstream runs batches of, now."""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.services import Call
from gateway.batches.planning import BATCH_METHODS
from gateway.errors import NotFoundError
from gateway.ports.upstream import Model
from gateway.translate import Policy, life_of, plain_names, resolve_model
from gateway.wire.openai import encode_model, truncate
from gateway.wire.openai_errors import did_you_mean


async def list_models(call: Call) -> Response:
    """``GET /v1/models``; never paged, at OpenAI neither."""
    offered = await _offered(call)
    known = {name: name for name in offered} | _aliases(call, offered)
    data = [_shown(name, offered[model]) for name, model in known.items()]
    return answer({"object": "list", "data": data})


async def retrieve(call: Call) -> Response:
    """``GET /v1/models/{id}``, with or without Google's ``models/`` before the id."""
    model_id = call.path_id().removeprefix("models/")
    offered = await _offered(call)
    model = offered.get(resolve_model(model_id, _policy(call)).model)
    if model is None:
        hint = did_you_mean(model_id, (*offered, *_aliases(call, offered)))
        raise NotFoundError(
            f"The model '{truncate(model_id)}' does not exist or you do not have access to it."
            f"{hint}",
            param="model",
            code="model_not_found",
        )
    return answer(_shown(model_id, model))


def _shown(name: str, model: Model) -> dict[str, Any]:
    life = life_of(model.id, model.version)
    created = 0
    if life.released is not None:
        created = int(datetime.fromisoformat(life.released).replace(tzinfo=UTC).timestamp())
    return encode_model(name, created, life.shutdown)


def _policy(call: Call) -> Policy:
    return Policy.from_json(call.services.policy)


def _aliases(call: Call, offered: Mapping[str, Model]) -> dict[str, str]:
    """Map the aliases that batches may name to the models that they are of."""
    policy = _policy(call)
    names = plain_names(policy.aliases)
    resolved = {name: resolve_model(name, policy).model for name in names}
    return {name: model for name, model in resolved.items() if model in offered}


async def _offered(call: Call) -> dict[str, Model]:
    """List the models that the upstream runs batches of, by name."""
    offered = call.services.models
    models = [] if offered is None else await offered(call.owner)
    return {model.id: model for model in models if model.methods & BATCH_METHODS}
