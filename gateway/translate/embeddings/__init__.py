"""The endpoint ``/v1/embeddings``: request to Gemini, answer back."""

from typing import Final

from gateway.translate.contract import Endpoint
from gateway.translate.embeddings.answer import from_gemini, quick_loads
from gateway.translate.embeddings.request import to_gemini
from gateway.wire.gemini import EMBED_CONTENT

ENDPOINT: Final = Endpoint(
    path="/v1/embeddings",
    method=EMBED_CONTENT,
    required=("input",),
    to_gemini=to_gemini,
    from_gemini=from_gemini,
    quick=quick_loads,
)
