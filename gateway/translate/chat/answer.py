"""GenerateContentResponse -> ``chat.completion``."""

from collections.abc import Sequence
from typing import Final

import orjson

from gateway.translate.answer import envelope
from gateway.translate.answer.failure import Failure
from gateway.translate.answer.usage import USAGE_LEFT_OUT, uncounted
from gateway.translate.chat.choice import choice_of
from gateway.translate.chat.completion import completion
from gateway.translate.chat.plain import plain_answer
from gateway.translate.contract import Answer, AnswerHints, Context, Json, Note, Rendered
from gateway.translate.reading.table import answer_table

# Every field of the response and of a candidate, and what becomes of it; a test compares this
# with google-genai's types.
RESPONSE: Final = answer_table(
    "GenerateContentResponse",
    {
        "candidates": "`choices`",
        "promptFeedback": "a blocked prompt: a choice with `content_filter`, `refusal`",
        "usageMetadata": "`usage`",
        "modelVersion": "`model`",
        "responseId": "`id`",
        "createTime": "left out: the batch's own end time is `created` (Vertex only)",
        **envelope.RESPONSE_LEFT_OUT,
    },
)
USAGE: Final = answer_table(
    "UsageMetadata",
    {
        "promptTokenCount": "`prompt_tokens`",
        "toolUsePromptTokenCount": "`prompt_tokens`",
        "cachedContentTokenCount": "`prompt_tokens_details.cached_tokens`",
        "candidatesTokenCount": "`completion_tokens`",
        "thoughtsTokenCount": "`completion_tokens`, `completion_tokens_details.reasoning_tokens`",
        "totalTokenCount": "`completion_tokens` where the candidates are not counted",
        "promptTokensDetails": "`prompt_tokens_details`: `audio_tokens`, `image_tokens`",
        "candidatesTokensDetails": "`completion_tokens_details.audio_tokens`",
        **USAGE_LEFT_OUT,
    },
)


def from_gemini(hints: AnswerHints, answers: Sequence[Answer], context: Context) -> Rendered:
    """Render one line.

    ``{"response": {"candidates": [{"content": {"parts": [{"text": "Hi"}]},
    "finishReason": "STOP"}], "usageMetadata": {…}}}`` -> ``{"object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, …}], …}``

    A line of several items (``n`` on models with one candidate) is one completion: what one item
    failed with fails the line, the prompt is counted once.
    """
    plain = plain_answer(hints, answers[0], context) if len(answers) == 1 else None
    return _rendered(hints, answers, context) if plain is None else plain


def _rendered(hints: AnswerHints, answers: Sequence[Answer], context: Context) -> Rendered:
    choices: list[Json] = []
    notes: list[Note] = []

    def read(response: Json) -> Failure | None:
        return add_choices(response, choices, notes, hints, context)

    usage, failure = envelope.read_items(answers, "Choice", read)
    if failure is not None:
        return failure.rendered(usage)
    responses = [answer["response"] for answer in answers]
    body = completion(hints, responses, choices, usage, context)
    return 200, orjson.dumps(body), usage, (*notes, *uncounted(responses))


def add_choices(
    response: Json, choices: list[Json], notes: list[Note], hints: AnswerHints, context: Context
) -> Failure | None:
    """Append one choice per candidate that was asked for, or say why the line fails."""
    candidates = response.get("candidates")
    asked = hints.get("candidates", 1)
    if type(candidates) is not list or not candidates:
        return _add_blocked(response, choices, context)
    if len(candidates) < asked:
        notes.append(Note("fewer", "choices"))
    elif len(candidates) > asked:
        notes.append(Note("dropped", "choices"))
    for candidate in _in_order(candidates)[:asked]:
        if type(candidate) is not dict:
            return envelope.EMPTY
        choice = choice_of(candidate, len(choices), notes, hints, context)
        if isinstance(choice, Failure):
            return choice
        choices.append(choice)
    return None


def _in_order(candidates: list[Json]) -> list[Json]:
    """Put candidates in the order of their own indexes, when these are 0, 1, 2 and so on."""
    if len(candidates) < 2:
        return candidates
    indexes = [c.get("index", 0) for c in candidates if type(c) is dict]
    if any(type(index) is not int for index in indexes):
        return candidates
    if sorted(indexes) != list(range(len(candidates))):
        return candidates
    return [candidates[indexes.index(place)] for place in range(len(candidates))]


def _add_blocked(response: Json, choices: list[Json], context: Context) -> Failure | None:
    """Answer a blocked prompt as OpenAI does: a choice of ``content_filter`` and a refusal."""
    blocked = envelope.answered_block(response, context.policy)
    if isinstance(blocked, Failure):
        return blocked
    reason, refusal = blocked
    message = {"role": "assistant", "content": None, "refusal": refusal}
    choices.append(
        {
            "index": len(choices),
            "message": message,
            "logprobs": None,
            "finish_reason": "content_filter",
            "native_finish_reason": reason,
        }
    )
    return None
