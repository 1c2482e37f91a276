"""GenerateContentResponse -> ``response`` of ``/v1/responses``."""

from collections.abc import Sequence
from typing import Final, NamedTuple

import orjson

from gateway.translate.answer import envelope
from gateway.translate.answer.envelope import plain_of
from gateway.translate.answer.failure import Failure, failure_of
from gateway.translate.answer.finish import NO_OUTPUT, failed, finish_of
from gateway.translate.answer.logprobs import openai_logprobs
from gateway.translate.answer.schema_check import check_answer
from gateway.translate.answer.usage import USAGE_LEFT_OUT, uncounted, usage_of
from gateway.translate.contract import Answer, AnswerHints, Context, Json, Note, Rendered, Usage
from gateway.translate.reading.table import answer_table
from gateway.translate.responses.citations import cite
from gateway.translate.responses.output import CALLS, Output
from gateway.translate.template import hole, stand_in, template_of

# Every field of the response and of a candidate, and what becomes of it in a Response; a test
# compares this with google-genai's types.
RESPONSE: Final = answer_table(
    "GenerateContentResponse, in a Response",
    {
        "candidates": "`output`, of the first",
        "promptFeedback": "a message item with a `refusal` when the prompt was blocked",
        "usageMetadata": "`usage`",
        "modelVersion": "`model`",
        "responseId": "`id`, and part of the ids of items",
        "createTime": "left out: the batch's own end time is `created_at` (Vertex only)",
        **envelope.RESPONSE_LEFT_OUT,
    },
)
CANDIDATE: Final = answer_table(
    "Candidate, in a Response",
    {
        "content": "`output`",
        "finishReason": "`status`, `incomplete_details`, and as it was in `native_finish_reason`",
        "finishMessage": "the message of an error line",
        "index": "left out: a Response has one answer",
        "logprobsResult": "`logprobs` of the first text when asked for",
        "groundingMetadata": "`annotations` and web_search_call items, or "
        "`extra_content.google.grounding_metadata`",
        "urlContextMetadata": "`annotations` and web_search_call items, or "
        "`extra_content.google.url_context_metadata`",
        **envelope.CANDIDATE_LEFT_OUT,
    },
)
USAGE: Final = answer_table(
    "UsageMetadata, in a Response",
    {
        "promptTokenCount": "`input_tokens`",
        "toolUsePromptTokenCount": "`input_tokens`",
        "cachedContentTokenCount": "`input_tokens_details.cached_tokens`",
        "candidatesTokenCount": "`output_tokens`",
        "thoughtsTokenCount": "`output_tokens`, `output_tokens_details.reasoning_tokens`",
        "totalTokenCount": "`output_tokens` where the candidates are not counted",
        "promptTokensDetails": "left out: tokens by kind of medium",
        "candidatesTokensDetails": "left out: tokens by kind of medium",
        **USAGE_LEFT_OUT,
    },
)
# Items whose status may say that they are not whole.
_CAN_BE_CUT: Final = ("message", "function_call")
# Chat's finish_reason -> the reason of an incomplete Response; "stop" is a completed one.
_INCOMPLETE: Final = {"length": "max_output_tokens", "content_filter": "content_filter"}


def from_gemini(hints: AnswerHints, answers: Sequence[Answer], context: Context) -> Rendered:
    """Render one line, which has one item.

    ``{"response": {"candidates": [{"content": {"parts": [{"text": "Hi"}]},
    "finishReason": "STOP"}], "usageMetadata": {…}}}`` -> ``{"object": "response",
    "status": "completed", "output": [{"type": "message", "content": [{"type": "output_text",
    "text": "Hi", …}], …}], …}``
    """
    answer = answers[0]
    # Two hints are `model` and `repeats`, which every line has: nothing else was asked for. The
    # names of functions matter to calls alone.
    plain = plain_of(answer) if len(hints) - ("functions" in hints) == 2 else None
    if plain is not None:
        return _plain(plain, hints, context)
    failure = failure_of(answer)
    if failure is not None:
        return failure.rendered()
    response = answer["response"]
    usage = usage_of(response.get("usageMetadata"))
    made = _answered(response, hints, context)
    if isinstance(made, Failure):
        return made.rendered(usage)
    body = _response(hints, response, made, usage, context)
    # The members that repeat the request pass through as they were written.
    written = orjson.dumps(body)[:-1] + b"," + hints["repeats"].encode()
    return 200, written, usage, (*made.notes, *uncounted([response]))


class _Answered(NamedTuple):
    """A rendered candidate.

    ``incomplete`` is OpenAI's reason, ``""`` when there is none; ``word`` is Gemini's finishReason,
    ``""`` for STOP; ``extra`` holds members of ``extra_content.google``.
    """

    items: list[Json]
    incomplete: str
    word: str
    extra: Json
    notes: Sequence[Note]


def _answered(response: Json, hints: AnswerHints, context: Context) -> _Answered | Failure:
    candidates = response.get("candidates")
    if type(candidates) is not list or not candidates:
        return _blocked(response, context)
    candidate = candidates[0]
    if type(candidate) is not dict:
        return envelope.EMPTY
    content = candidate.get("content")
    output = Output(hints, context, envelope.identity_of(response, context))
    parts = content.get("parts") if type(content) is dict else None
    output.read(parts)
    reason = candidate.get("finishReason")
    finish = finish_of(reason)
    if finish.failure and (finish.always or not output.has_output()):
        return output.failure or failed(finish, reason, candidate.get("finishMessage"))
    if output.failure:
        return output.failure
    incomplete = _INCOMPLETE.get(finish.word, "")
    extra: Json = {}
    if "groundingMetadata" in candidate or "urlContextMetadata" in candidate:
        extra = cite(output, parts, candidate, sources="sources" in hints)
    checked = _checked(output.items, hints, context, cut=bool(incomplete))
    if isinstance(checked, Failure):
        return checked
    output.notes += checked
    if "logprobs" in hints:
        _add_logprobs(output, candidate.get("logprobsResult"))
    if len(candidates) > 1:
        output.notes.append(Note("dropped", "output", f"{len(candidates) - 1} more candidates"))
    _end(output, finish.word)
    word = reason[:100] if type(reason) is str and reason != "STOP" else ""
    return _Answered(output.items, incomplete, word, extra, output.notes)


def _checked(
    items: Sequence[Json], hints: AnswerHints, context: Context, *, cut: bool
) -> Sequence[Note] | Failure:
    """Check the text of all messages against the caller's schema; calls are no answer."""
    if "schema" not in hints or any(item["type"] in CALLS for item in items):
        return ()
    messages = [n for n, item in enumerate(items) if item["type"] == "message"]
    text = "".join(part.get("text", "") for n in messages for part in items[n]["content"])
    field = f"output[{messages[0]}].content[0].text" if messages else "output"
    return check_answer(text, hints, field, context, cut=cut)


def _blocked(response: Json, context: Context) -> _Answered | Failure:
    """Answer a blocked prompt as OpenAI does: incomplete by ``content_filter``, and a refusal."""
    blocked = envelope.answered_block(response, context.policy)
    if isinstance(blocked, Failure):
        return blocked
    word, refusal = blocked
    output = Output({}, context, envelope.identity_of(response, context))
    content = [{"type": "refusal", "refusal": refusal}]
    message = {"type": "message", "status": "incomplete", "role": "assistant", "content": content}
    output.add("msg", message)
    return _Answered(output.items, "content_filter", word, {}, ())


def _end(output: Output, word: str) -> None:
    """Mark the last item of an answer that was cut; note one without output."""
    spoke, last = output.has_output(), output.items[-1:]
    if word in NO_OUTPUT and not spoke:
        output.notes.append(Note(NO_OUTPUT[word], "output"))
    if word not in _INCOMPLETE and not spoke:
        output.add_empty_message()
    elif word in _INCOMPLETE and last and last[0]["type"] in _CAN_BE_CUT:
        last[0]["status"] = "incomplete"


def _add_logprobs(output: Output, result: object) -> None:
    """Put all tokens at the first text: Gemini does not report which belong to which."""
    logprobs = openai_logprobs(result)
    for number, item in enumerate(output.items):
        if item["type"] == "message":
            if logprobs is None:
                output.notes.append(Note("unknown", f"output[{number}].content[0].logprobs"))
            else:
                item["content"][0]["logprobs"] = logprobs["content"]
            return


def _response(
    hints: AnswerHints, response: Json, answered: _Answered, usage: Usage, context: Context
) -> Json:
    items, incomplete, word, extra, _ = answered
    prompt, cached, written, reasoned = usage
    body: Json = {
        "id": "resp_" + envelope.identity_of(response, context),
        "object": "response",
        "created_at": context.created,
        "status": "incomplete" if incomplete else "completed",
        "completed_at": None if incomplete else context.created,
        "model": envelope.model_of(response.get("modelVersion"), hints, context),
        "output": items,
        "incomplete_details": {"reason": incomplete} if incomplete else None,
        "usage": {
            "input_tokens": prompt,
            "input_tokens_details": {"cached_tokens": cached, "cache_write_tokens": 0},
            "output_tokens": written,
            "output_tokens_details": {"reasoning_tokens": reasoned},
            "total_tokens": prompt + written,
        },
    }
    if extra:
        body["extra_content"] = {"google": extra}
    if word:
        body["native_finish_reason"] = word
    return body


def _plain(plain: tuple[str, str, str, Usage], hints: AnswerHints, context: Context) -> Rendered:
    """Write an answer of one text by template: most are no more."""
    identity, version, text, usage = plain
    prompt, cached, written, reasoned = usage
    name = orjson.dumps(identity)[1:-1]
    body = _PLAIN % (
        name,
        context.created,
        context.created,
        orjson.dumps(envelope.model_of(version, hints, context)),
        name,
        orjson.dumps(text),
        prompt,
        cached,
        written,
        reasoned,
        prompt + written,
        hints["repeats"].encode(),
    )
    return 200, body, usage, ()


def _plain_template() -> bytes:
    """Make a template of what the ordinary way writes for an answer of one text."""
    identity, version, text = map(stand_in, range(3))
    # Larger than any count that usage_of gives, so each occurs once in the text.
    created, prompt, cached, written, reasoned = (2**60 + n for n in range(5))
    part = {"text": text}
    response = {
        "responseId": identity,
        "modelVersion": version,
        "candidates": [{"content": {"parts": [part]}, "finishReason": "STOP"}],
    }
    context = Context("", 0, created)
    made = _answered(response, {}, context)
    assert not isinstance(made, Failure)  # noqa: S101 - a text is an answer
    usage = (prompt, cached, written, reasoned)
    body = orjson.dumps({**_response({}, response, made, usage, context), stand_in(3): 0})
    name = orjson.dumps(identity)[1:-1]
    counts = (prompt, cached, written, reasoned, prompt + written)
    holes = [
        (b'"resp_%b"' % name, b'"resp_%b"'),
        (b'"created_at":%d' % created, b'"created_at":%d'),
        (b'"completed_at":%d' % created, b'"completed_at":%d'),
        hole(1),
        (b'"msg_%b_0"' % name, b'"msg_%b_0"'),
        hole(2),
        *((b"%d" % count, b"%d") for count in counts),
        (b"%b:0}" % orjson.dumps(stand_in(3)), b"%b"),
    ]
    template = template_of(body, holes)
    assert template is not None  # noqa: S101 - tested
    return template


_PLAIN: Final = _plain_template()
