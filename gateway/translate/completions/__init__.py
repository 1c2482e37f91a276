"""The endpoint ``/v1/completions``: request to Gemini, answer back."""

from typing import Final

from gateway.translate.completions.answer import from_gemini
from gateway.translate.completions.request import to_gemini
from gateway.translate.contract import Endpoint
from gateway.wire.gemini import GENERATE_CONTENT

ENDPOINT: Final = Endpoint(
    path="/v1/completions",
    method=GENERATE_CONTENT,
    required=("prompt",),
    to_gemini=to_gemini,
    from_gemini=from_gemini,
)
