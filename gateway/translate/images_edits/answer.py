"""GenerateContentResponses of Gemini's image models -> ``/v1/images/edits``."""

from collections.abc import Sequence

from gateway.translate.contract import Answer, AnswerHints, Context, Rendered
from gateway.translate.images.answer import from_gemini as generated


def from_gemini(hints: AnswerHints, answers: Sequence[Answer], context: Context) -> Rendered:
    """Render one line: OpenAI has one form, ImagesResponse, for drawn and for edited images."""
    return generated(hints, answers, context)
