"""``stream``: a batch has nobody to stream to."""

from gateway.translate.reading.refusal import unsupported_value
from gateway.translate.request.draft import Draft


def read_stream(value: object, draft: Draft) -> None:  # noqa: ARG001 - the shape of a Reader
    """False says what a batch does anyway."""
    if value is not False:
        unsupported_value("streaming is not supported in a batch.", "stream")
