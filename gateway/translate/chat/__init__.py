"""The endpoint ``/v1/chat/completions``: request to Gemini, answer back."""

from typing import Final

from gateway.translate.chat.answer import from_gemini
from gateway.translate.chat.request import to_gemini
from gateway.translate.contract import Endpoint
from gateway.wire.gemini import GENERATE_CONTENT

ENDPOINT: Final = Endpoint(
    path="/v1/chat/completions",
    method=GENERATE_CONTENT,
    required=("messages",),
    to_gemini=to_gemini,
    from_gemini=from_gemini,
)
