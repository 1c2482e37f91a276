"""OpenAI's batch lines <-> the Gemini API: pure functions, and all that other rooms may import.

``ENDPOINTS["/v1/chat/completions"].to_gemini(body, policy, model)`` translates a line's body,
``.from_gemini(hints, answers, context)`` renders its answer. Start reading at
:mod:`gateway.translate.contract`; README.md of this room is its map.
"""

from gateway.translate.answer.cost import answer_cost, usages_cost
from gateway.translate.answer.failure import failure_of
from gateway.translate.answer.passing import passes
from gateway.translate.contract import (
    DEFAULT_POLICY,
    NO_USAGE,
    Answer,
    AnswerHints,
    Context,
    Endpoint,
    Json,
    LineError,
    Loads,
    Marks,
    Note,
    NoteCode,
    Policy,
    Rendered,
    Translation,
    Usage,
    WriteUsual,
)
from gateway.translate.defaults import check_aliases, defaults_of
from gateway.translate.endpoints import ENDPOINTS
from gateway.translate.models.aliases import OPENAI_ALIASES, plain_names, resolve_model
from gateway.translate.models.capabilities import capabilities_of, check_capabilities
from gateway.translate.models.costs import line_cost, most_cost
from gateway.translate.models.estimates import (
    LOGPROBS,
    Estimate,
    estimate,
    item_tokens,
    line_tokens,
    marks_of,
)
from gateway.translate.models.known import KNOWN_MODELS
from gateway.translate.models.lives import Life, life_of
from gateway.translate.models.prices import (
    BILLION,
    LONG_PROMPT,
    PRICES_PAGE,
    PRICES_READ_ON,
    Price,
    check_prices,
    price_of,
)
from gateway.translate.reading.notes import ENDING, NOT_LISTED, REUSED, UNKNOWN_MEMBER
from gateway.translate.request.modalities import check_voices
from gateway.translate.request.safety import check_safety_settings
from gateway.translate.request.uploads import (
    PLACEHOLDER,
    Unusable,
    judged,
    not_found,
    parts_with_files,
    placeholders,
    refusal_of,
)
from gateway.translate.streams import STREAMS, AnswerStream, StreamOptions, replayed

__all__ = [
    "BILLION",
    "DEFAULT_POLICY",
    "ENDING",
    "ENDPOINTS",
    "KNOWN_MODELS",
    "LOGPROBS",
    "LONG_PROMPT",
    "NOT_LISTED",
    "NO_USAGE",
    "OPENAI_ALIASES",
    "PLACEHOLDER",
    "PRICES_PAGE",
    "PRICES_READ_ON",
    "REUSED",
    "STREAMS",
    "UNKNOWN_MEMBER",
    "Answer",
    "AnswerHints",
    "AnswerStream",
    "Context",
    "Endpoint",
    "Estimate",
    "Json",
    "Life",
    "LineError",
    "Loads",
    "Marks",
    "Note",
    "NoteCode",
    "Policy",
    "Price",
    "Rendered",
    "StreamOptions",
    "Translation",
    "Unusable",
    "Usage",
    "WriteUsual",
    "answer_cost",
    "capabilities_of",
    "check_aliases",
    "check_capabilities",
    "check_prices",
    "check_safety_settings",
    "check_voices",
    "defaults_of",
    "estimate",
    "failure_of",
    "item_tokens",
    "judged",
    "life_of",
    "line_cost",
    "line_tokens",
    "marks_of",
    "most_cost",
    "not_found",
    "parts_with_files",
    "passes",
    "placeholders",
    "plain_names",
    "price_of",
    "refusal_of",
    "replayed",
    "resolve_model",
    "usages_cost",
]
