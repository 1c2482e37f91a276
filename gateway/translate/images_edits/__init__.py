"""The endpoint ``/v1/images/edits`` in its JSON form: request to Gemini, answer back."""

from typing import Final

from gateway.translate.contract import Endpoint
from gateway.translate.images_edits.answer import from_gemini
from gateway.translate.images_edits.request import PATH, to_gemini
from gateway.wire.gemini import GENERATE_CONTENT

ENDPOINT: Final = Endpoint(
    path=PATH,
    method=GENERATE_CONTENT,
    required=("prompt",),
    to_gemini=to_gemini,
    from_gemini=from_gemini,
)
