"""The endpoint ``/v1/responses``: request to Gemini, answer back."""

from typing import Final

from gateway.translate.contract import Endpoint
from gateway.translate.responses.answer import from_gemini
from gateway.translate.responses.request import to_gemini
from gateway.wire.gemini import GENERATE_CONTENT

ENDPOINT: Final = Endpoint(
    path="/v1/responses",
    method=GENERATE_CONTENT,
    required=("input",),
    to_gemini=to_gemini,
    from_gemini=from_gemini,
)
