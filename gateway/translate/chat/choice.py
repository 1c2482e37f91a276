"""One candidate of an answer -> one choice of a chat completion."""

from typing import Final

from gateway.translate.answer.audio import openai_audio
from gateway.translate.answer.failure import Failure
from gateway.translate.answer.finish import failed, finish_of
from gateway.translate.answer.grounding import citations
from gateway.translate.answer.logprobs import openai_logprobs
from gateway.translate.answer.schema_check import check_answer
from gateway.translate.chat.message import Reply, read_parts
from gateway.translate.contract import AnswerHints, Context, Json, Note
from gateway.translate.tools.custom import input_of

# Every field of a candidate, and what becomes of it; a test compares this with google-genai's type.
CANDIDATE: Final = {
    "content": "`message`",
    "finishReason": "`finish_reason`, and as it was in `native_finish_reason`",
    "finishMessage": "the message of an error line",
    "index": "`index`",
    "logprobsResult": "`logprobs` when asked for",
    "citationMetadata": "left out: OpenAI has no such member",
    "safetyRatings": "left out: OpenAI has no such member",
    "avgLogprobs": "left out: OpenAI has no such member",
    "tokenCount": "left out: `usage` counts",
    "groundingMetadata": "`annotations`, or `extra_content.google.grounding_metadata`",
    "groundingAttributions": "left out: AQA models only",
    "urlContextMetadata": "`annotations`, or `extra_content.google.url_context_metadata`",
    "continuationToken": "left out: a batch cannot continue an answer",
}


def choice_of(
    candidate: Json, index: int, notes: list[Note], hints: AnswerHints, context: Context
) -> Json | Failure:
    """Render a candidate, or say why there is nothing to render.

    ``{"content": {"parts": [{"text": "Hi"}]}, "finishReason": "STOP"}`` -> ``{"index": 0,
    "message": {"role": "assistant", "content": "Hi", …}, "finish_reason": "stop"}``
    """
    content = candidate.get("content")
    parts = content.get("parts") if type(content) is dict else None
    reason = candidate.get("finishReason")
    reply = read_parts(parts, context, index, code="json" not in hints)
    finish = finish_of(reason)
    if finish.failure and (finish.always or not reply.has_output()):
        return reply.failure or failed(finish, reason, candidate.get("finishMessage"))
    if reply.sounds:
        _speak(reply, index, hints, context)
    if reply.failure:
        return reply.failure
    if "groundingMetadata" in candidate or "urlContextMetadata" in candidate:
        _cite(parts, candidate, reply)
    word = finish.word
    if word == "length" and not reply.has_output():
        notes.append(Note("exhausted", f"choices[{index}].message.content"))
    message: Json = {"role": "assistant", "content": reply.text or None, "refusal": None}
    if reply.calls or reply.extras or reply.google:
        _drop_calls(reply, index, notes, hints)
        word = _extend(message, reply, finish.word, hints)
    choice: Json = {
        "index": index,
        "message": message,
        "logprobs": None,
        "finish_reason": word,
    }
    if "logprobs" in hints:
        choice["logprobs"] = openai_logprobs(candidate.get("logprobsResult"))
    if type(reason) is str and reason != "STOP":
        choice["native_finish_reason"] = reason[:100]
    if "schema" in hints and not reply.calls:
        return _checked(choice, notes, hints, context)
    return choice


def _checked(
    choice: Json, notes: list[Note], hints: AnswerHints, context: Context
) -> Json | Failure:
    """Hold the answer against the schema that its line asked for."""
    field = f"choices[{choice['index']}].message.content"
    text, cut = choice["message"]["content"] or "", choice["finish_reason"] != "stop"
    checked = check_answer(text, hints, field, context, cut=cut)
    if isinstance(checked, Failure):
        return checked
    if checked is not None:
        notes.append(checked)
    return choice


def _speak(reply: Reply, index: int, hints: AnswerHints, context: Context) -> None:
    """Sound in the format that the line asked for; what it says, where Gemini says so."""
    audio = openai_audio(reply.sounds, hints.get("audio", "wav"), reply.text, index, context)
    if isinstance(audio, Failure):
        reply.failure = audio
    else:
        reply.extras["audio"] = audio


def _drop_calls(reply: Reply, index: int, notes: list[Note], hints: AnswerHints) -> None:
    """Keep the first call where the line has room for one."""
    if len(reply.calls) > 1 and ("legacy" in hints or "one_call" in hints):
        where = f"choices[{index}].message.tool_calls"
        notes += [Note("dropped", f"{where}[{n}]") for n in range(1, len(reply.calls))]
        del reply.calls[1:]


def _cite(parts: object, candidate: Json, reply: Reply) -> None:
    """Citations count the visible text; in the content blocks of code may stand among it."""
    cited, rest = citations(parts, candidate)
    for citation in cited if reply.fences else ():
        start, end = citation["start_index"], citation["end_index"]
        citation["start_index"] += sum(size for at, size in reply.fences if at <= start)
        end += sum(size for at, size in reply.fences if at < end)
        citation["end_index"] = max(end, citation["start_index"])
    if cited:
        reply.extras["annotations"] = [
            {"type": "url_citation", "url_citation": citation} for citation in cited
        ]
    reply.google.update(rest)


def _extend(message: Json, reply: Reply, word: str, hints: AnswerHints) -> str:
    """Add what is not plain text; calls turn ``stop`` into the word for calls."""
    message.update(reply.extras)
    if reply.google:
        message["extra_content"] = {"google": reply.google}
    if not reply.calls:
        return word
    if "legacy" in hints:
        # The old form has room for one call.
        call = reply.calls[0]
        message["function_call"] = call["function"]
        if "extra_content" in call:
            message["function_call"]["extra_content"] = call["extra_content"]
        return "function_call" if word == "stop" else word
    if "custom" in hints:
        reply.calls = [_custom(call, hints["custom"]) for call in reply.calls]
    message["tool_calls"] = reply.calls
    return "tool_calls" if word == "stop" else word


def _custom(call: Json, names: list[str]) -> Json:
    """A call of a custom tool has its text where a function has arguments."""
    function = call.pop("function")
    if function["name"] not in names:
        return {**call, "function": function}
    text = input_of(function["arguments"])
    return {**call, "type": "custom", "custom": {"name": function["name"], "input": text}}
