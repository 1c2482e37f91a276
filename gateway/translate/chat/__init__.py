"""The endpoint ``/v1/chat/completions``: request to Gemini, answer back."""

from typing import Final

from gateway.translate.chat.answer import from_gemini
from gateway.translate.chat.request import to_gemini
from gateway.translate.contract import Endpoint

ENDPOINT: Final = Endpoint(
    path="/v1/chat/completions",
    method="batchGenerateContent",
    required=("messages",),
    to_gemini=to_gemini,
    from_gemini=from_gemini,
)
