"""Gemini models that run batches, by name, with the batch methods they support.

From a listing of the live service (``GET /v1beta/models``, November 2026). The service itself asks
Google; this list is for ``gateway translate``, which asks none.
"""

from collections.abc import Mapping
from typing import Final

from gateway.wire.gemini import EMBED_CONTENT, GENERATE_CONTENT

_CONTENT: Final = (
    "gemini-2.0-flash",
    "gemini-2.0-flash-001",
    "gemini-2.0-flash-lite",
    "gemini-2.0-flash-lite-001",
    "gemini-2.5-flash",
    "gemini-2.5-flash-image",
    "gemini-2.5-flash-lite",
    "gemini-2.5-pro",
    "gemini-2.5-pro-preview-tts",
    "gemini-3-flash-preview",
    "gemini-3-pro-image",
    "gemini-3-pro-image-preview",
    "gemini-3-pro-preview",
    "gemini-3.1-flash-image",
    "gemini-3.1-flash-image-preview",
    "gemini-3.1-flash-lite",
    "gemini-3.1-flash-lite-image",
    "gemini-3.1-flash-lite-preview",
    "gemini-3.1-flash-tts-preview",
    "gemini-3.1-pro-preview",
    "gemini-3.1-pro-preview-customtools",
    "gemini-3.5-flash",
    "gemini-3.5-flash-lite",
    "gemini-3.6-flash",
    "gemini-3.7-flash",
    "gemini-3.8-flash",
    "gemini-4-argon",
    "gemini-4-carbon",
    "gemini-4-hydrogen",
    "gemini-flash-latest",
    "gemini-flash-lite-latest",
    "gemini-pro-latest",
    "gemini-robotics-er-1.6-preview",
    "gemini-robotics-er-2-preview",
    "nano-banana-pro-preview",
)
_EMBEDDINGS: Final = (
    "gemini-embedding-001",
    "gemini-embedding-2",
    "gemini-embedding-2-preview",
    "gemini-embedding-3",
)
KNOWN_MODELS: Final[Mapping[str, frozenset[str]]] = {
    **dict.fromkeys(_CONTENT, frozenset({GENERATE_CONTENT})),
    **dict.fromkeys(_EMBEDDINGS, frozenset({EMBED_CONTENT})),
}
