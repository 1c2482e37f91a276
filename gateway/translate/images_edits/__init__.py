"""The endpoint ``/v1/images/edits`` in its JSON form: request to Gemini, answer back."""

from gateway.translate.images_edits.answer import from_gemini
from gateway.translate.images_edits.request import PATH, to_gemini

__all__ = ["PATH", "from_gemini", "to_gemini"]
