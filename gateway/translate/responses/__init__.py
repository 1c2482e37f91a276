"""The endpoint ``/v1/responses``: request to Gemini, answer back."""

from typing import Final

from gateway.translate.contract import Endpoint
from gateway.translate.responses.answer import from_gemini
from gateway.translate.responses.request import to_gemini

ENDPOINT: Final = Endpoint(
    path="/v1/responses",
    method="batchGenerateContent",
    required=("input",),
    to_gemini=to_gemini,
    from_gemini=from_gemini,
)
