"""The endpoint ``/v1/images/generations``: request to Gemini, answer back."""

from gateway.translate.images.answer import from_gemini
from gateway.translate.images.request import PATH, to_gemini

__all__ = ["PATH", "from_gemini", "to_gemini"]
