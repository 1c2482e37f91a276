"""The endpoint ``/v1/chat/completions``: request to Gemini, answer back."""

from gateway.translate.chat.answer import from_gemini
from gateway.translate.chat.plain import plain_answer
from gateway.translate.chat.request import PATH, fitting, to_gemini

__all__ = ["PATH", "fitting", "from_gemini", "plain_answer", "to_gemini"]
