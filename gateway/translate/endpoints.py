"""The OpenAI paths a line may name: a new endpoint is one room, and its line here."""

from collections.abc import Mapping
from typing import Final

from gateway.translate import chat, completions, embeddings, images, images_edits, responses
from gateway.translate.contract import Endpoint

ENDPOINTS: Final[Mapping[str, Endpoint]] = {
    endpoint.path: endpoint
    for endpoint in (
        chat.ENDPOINT,
        completions.ENDPOINT,
        embeddings.ENDPOINT,
        images.ENDPOINT,
        images_edits.ENDPOINT,
        responses.ENDPOINT,
    )
}
