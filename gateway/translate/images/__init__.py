"""The endpoint ``/v1/images/generations``: request to Gemini, answer back."""

from typing import Final

from gateway.translate.contract import Endpoint
from gateway.translate.images.answer import from_gemini
from gateway.translate.images.request import to_gemini
from gateway.wire.gemini import GENERATE_CONTENT

ENDPOINT: Final = Endpoint(
    path="/v1/images/generations",
    method=GENERATE_CONTENT,
    required=("prompt",),
    to_gemini=to_gemini,
    from_gemini=from_gemini,
)
