"""The endpoint ``/v1/responses``: request to Gemini, answer back."""

from gateway.translate.responses.answer import from_gemini
from gateway.translate.responses.request import PATH, to_gemini

__all__ = ["PATH", "from_gemini", "to_gemini"]
