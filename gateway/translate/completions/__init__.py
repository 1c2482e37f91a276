"""The endpoint ``/v1/completions``: request to Gemini, answer back."""

from gateway.translate.completions.answer import from_gemini
from gateway.translate.completions.request import PATH, to_gemini

__all__ = ["PATH", "from_gemini", "to_gemini"]
