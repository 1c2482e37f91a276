"""Endpoints that answer 404 or 501: tuned models, operations of models, pictures, videos.

Each of these routes is there and answers as for something that does not exist; methods that a model
would serve at Google and this emulator does not are 501, so that they are not taken for a bug.
"""

from typing import Final

from starlette.responses import Response

from gateway.emulator.api.call import Call, Function
from gateway.emulator.protocol.errors import ApiError, entity_not_found, model_not_found

# Methods of models that are left out: Imagen, Veo, AQA, PaLM.
NOT_SERVED: Final = (
    "predict",
    "predictLongRunning",
    "generateAnswer",
    "batchEmbedText",
    "countMessageTokens",
    "countTextTokens",
    "embedText",
    "generateMessage",
    "generateText",
)
# Methods of tuned models.
METHODS: Final = (
    "generateContent",
    "streamGenerateContent",
    "batchGenerateContent",
    "asyncBatchEmbedContent",
    "generateText",
)


def not_served(method: str) -> Function:
    """Return a method of models that no model serves here: 404, or 501 where one does at Google."""

    async def respond(call: Call) -> Response:
        call.state.models.require(call.version, call.path("model"), method)
        raise ApiError(501, f"This emulator does not serve {method}.")

    return respond


def not_found(method: str) -> Function:
    """Return a method of a tuned model: there are none."""

    async def respond(call: Call) -> Response:
        name = f"tunedModels/{call.path('model')}"
        raise model_not_found(call.version, name, method)

    return respond


async def absent(call: Call) -> Response:
    """GET, PATCH, DELETE tunedModels/{m}."""
    raise ApiError(404, f"Tuned model tunedModels/{call.path('model')} does not exist.")


async def list_models(call: Call) -> Response:
    """GET tunedModels."""
    return call.answer({})


async def list_operations(call: Call) -> Response:
    """GET models/{m}/operations."""
    call.state.models.get(call.version, call.path("model"))
    return call.answer({})


async def get_operation(_call: Call) -> Response:
    """GET models/{m}/operations/{id}."""
    raise entity_not_found()
