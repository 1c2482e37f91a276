"""The endpoint ``/v1/chat/completions``: request to Gemini, answer back."""

from gateway.translate.chat.answer import from_gemini
from gateway.translate.chat.plain import usual_answers
from gateway.translate.chat.request import PATH, fitting, to_gemini

__all__ = ["PATH", "fitting", "from_gemini", "to_gemini", "usual_answers"]
