"""The body of a ``chat.completion``, built around its choices."""

from collections.abc import Sequence

from gateway.translate.answer import envelope
from gateway.translate.answer.usage import media_of, openai_usage
from gateway.translate.contract import AnswerHints, Context, Json, Usage


def completion(
    hints: AnswerHints,
    responses: Sequence[Json],
    choices: list[Json],
    usage: Usage,
    context: Context,
) -> Json:
    """Build the completion around its choices; id and model are the first item's."""
    body = {
        "id": "chatcmpl-" + envelope.identity_of(responses[0], context),
        "object": "chat.completion",
        "created": context.created,
        "model": envelope.model_of(responses[0].get("modelVersion"), hints, context),
        "choices": choices,
        "usage": openai_usage(usage, media_of(responses)),
        "service_tier": "default",
        "system_fingerprint": None,
    }
    if "metadata" in hints:
        body["metadata"] = hints["metadata"]
    return body
