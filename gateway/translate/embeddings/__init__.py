"""The endpoint ``/v1/embeddings``: request to Gemini, answer back."""

from gateway.translate.embeddings.answer import from_gemini, quick_loads
from gateway.translate.embeddings.request import PATH, to_gemini

__all__ = ["PATH", "from_gemini", "quick_loads", "to_gemini"]
