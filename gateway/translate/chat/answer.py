"""GenerateContentResponse -> ``chat.completion``."""

from collections.abc import Sequence
from typing import Final

import orjson

from gateway.translate.answer import envelope
from gateway.translate.answer.envelope import plain_of
from gateway.translate.answer.failure import Failure
from gateway.translate.answer.schema_check import check_answer
from gateway.translate.answer.usage import USAGE_LEFT_OUT, media_of, openai_usage, uncounted
from gateway.translate.chat.choice import choice_of
from gateway.translate.contract import Answer, AnswerHints, Context, Json, Note, Rendered, Usage
from gateway.translate.reading.table import answer_table
from gateway.translate.template import hole, stand_in, template_of

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

# What an answer of one text needs of its request: the model, and the schema that it is checked
# against. Other hints among these matter to calls and to code alone.
_PLAIN_HINTS: Final = frozenset(
    ("model", "schema", "functions", "custom", "legacy", "one_call", "json")
)
_CONTENT: Final = "choices[0].message.content"


def from_gemini(hints: AnswerHints, answers: Sequence[Answer], context: Context) -> Rendered:
    """Render one line.

    ``{"response": {"candidates": [{"content": {"parts": [{"text": "Hi"}]},
    "finishReason": "STOP"}], "usageMetadata": {…}}}`` -> ``{"object": "chat.completion",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "Hi"}, …}], …}``

    A line of several items (``n`` on models with one candidate) is one completion: what one item
    failed with fails the line, the prompt is counted once.
    """
    if len(answers) == 1 and hints.keys() <= _PLAIN_HINTS:
        plain = plain_of(answers[0])
        if plain is not None:
            checked = check_answer(plain[2], hints, _CONTENT, context, cut=False)
            if not isinstance(checked, Failure):
                return _plain(plain, hints, context, checked)
    return _rendered(hints, answers, context)


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


def _plain(
    plain: tuple[str, str, str, Usage], hints: AnswerHints, context: Context, notes: Sequence[Note]
) -> Rendered:
    """Write an answer of one text by template.

    A template takes half the time of building and writing the same members (measured).
    """
    identity, version, text, usage = plain
    prompt, cached, output, reasoning = usage
    body = _PLAIN % (
        orjson.dumps("chatcmpl-" + identity),
        context.created,
        orjson.dumps(envelope.model_of(version, hints, context)),
        orjson.dumps(text),
        prompt,
        output,
        prompt + output,
        cached,
        reasoning,
    )
    return 200, body, usage, notes


def completion(
    hints: AnswerHints,
    responses: Sequence[Json],
    choices: list[Json],
    usage: Usage,
    context: Context,
) -> Json:
    """Build the completion around its choices; id and model are the first item's."""
    body = {
        "id": "chatcmpl-" + envelope.identity_of(responses[0], context),
        "object": "chat.completion",
        "created": context.created,
        "model": envelope.model_of(responses[0].get("modelVersion"), hints, context),
        "choices": choices,
        "usage": openai_usage(usage, media_of(responses)),
        "service_tier": "default",
        "system_fingerprint": None,
    }
    if "metadata" in hints:
        body["metadata"] = hints["metadata"]
    return body


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


def _plain_template() -> bytes:
    """Make a template of what the ordinary way writes for an answer of one text."""
    response = {"responseId": stand_in(0), "modelVersion": stand_in(1)}
    candidate = {"content": {"parts": [{"text": stand_in(2)}]}, "finishReason": "STOP"}
    # Larger than any count that usage_of gives, so each occurs once in the text.
    created, prompt, output, cached, reasoning = (2**60 + n for n in range(5))
    context = Context("", 0, created)
    choice = choice_of(candidate, 0, [], {}, context)
    assert not isinstance(choice, Failure)  # noqa: S101 - a text is an answer
    usage = (prompt, cached, output, reasoning)
    body = completion({"model": ""}, [response], [choice], usage, context)
    counts = [(b"%d" % n, b"%d") for n in (prompt, output, prompt + output, cached, reasoning)]
    holes = [
        (orjson.dumps("chatcmpl-" + stand_in(0)), b"%b"),
        (b"%d" % created, b"%d"),
        hole(1),
        hole(2),
        *counts,
    ]
    template = template_of(orjson.dumps(body), holes)
    assert template is not None  # noqa: S101 - tested
    return template


_PLAIN: Final = _plain_template()
