"""One candidate of an answer -> one choice of a chat completion."""

from typing import Final

from gateway.translate.answer.audio import openai_audio
from gateway.translate.answer.envelope import CANDIDATE_LEFT_OUT
from gateway.translate.answer.failure import Failure
from gateway.translate.answer.finish import NO_OUTPUT, failed, finish_of
from gateway.translate.answer.grounding import citations
from gateway.translate.answer.logprobs import openai_logprobs
from gateway.translate.answer.parts import declared_name
from gateway.translate.answer.schema_check import check_answer
from gateway.translate.chat.message import AssistantMessage
from gateway.translate.contract import AnswerHints, Context, Json, Note
from gateway.translate.reading.table import answer_table
from gateway.translate.tools.custom import chat_call

# Every field of a candidate, and what becomes of it; a test compares this with google-genai's type.
CANDIDATE: Final = answer_table(
    "Candidate",
    {
        "content": "`message`",
        "finishReason": "`finish_reason`, and as it was in `native_finish_reason`",
        "finishMessage": "the message of an error line",
        "index": "`index`",
        "logprobsResult": "`logprobs` when asked for",
        "groundingMetadata": "`annotations`, or `extra_content.google.grounding_metadata`",
        "urlContextMetadata": "`annotations`, or `extra_content.google.url_context_metadata`",
        **CANDIDATE_LEFT_OUT,
    },
)


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
    message = AssistantMessage(context, index, code="json" not in hints)
    message.read(parts)
    finish = finish_of(reason)
    if finish.failure and (finish.always or not message.has_output()):
        return message.failure or failed(finish, reason, candidate.get("finishMessage"))
    if message.sounds:
        _add_audio(message, index, hints, context)
    if message.failure:
        return message.failure
    if "groundingMetadata" in candidate or "urlContextMetadata" in candidate:
        _cite(parts, candidate, message)
    word = finish.word
    if word in NO_OUTPUT and not message.has_output():
        notes.append(Note(NO_OUTPUT[word], f"choices[{index}].message.content"))
    choice: Json = {
        "index": index,
        "message": {"role": "assistant", "content": message.text or None, "refusal": None},
        "logprobs": None,
        "finish_reason": word,
    }
    if message.calls or message.extras or message.google:
        _change_calls(message, index, notes, hints)
        choice["finish_reason"] = _extend(choice["message"], message, word, hints)
    if "logprobs" in hints:
        _add_logprobs(choice, candidate, notes)
    notes += message.lost
    if type(reason) is str and reason != "STOP":
        choice["native_finish_reason"] = reason[:100]
    if "schema" in hints and not message.calls:
        return _checked(choice, notes, hints, context)
    return choice


def _add_logprobs(choice: Json, candidate: Json, notes: list[Note]) -> None:
    """Add the log probabilities of a text; some models are asked for them and give none."""
    choice["logprobs"] = openai_logprobs(candidate.get("logprobsResult"))
    if choice["logprobs"] is None and choice["message"]["content"]:
        notes.append(Note("unknown", f"choices[{choice['index']}].logprobs"))


def _checked(
    choice: Json, notes: list[Note], hints: AnswerHints, context: Context
) -> Json | Failure:
    """Check the answer against the schema that its line asked for."""
    field = f"choices[{choice['index']}].message.content"
    text, cut = choice["message"]["content"] or "", choice["finish_reason"] != "stop"
    checked = check_answer(text, hints, field, context, cut=cut)
    if isinstance(checked, Failure):
        return checked
    notes += checked
    return choice


def _add_audio(message: AssistantMessage, index: int, hints: AnswerHints, context: Context) -> None:
    """Add sound in the format that the line asked for; the text of the answer is its transcript."""
    audio = openai_audio(message.sounds, hints.get("audio", "wav"), message.text, index, context)
    if isinstance(audio, Failure):
        message.failure = audio
    else:
        message.extras["audio"] = audio


def _change_calls(
    message: AssistantMessage, index: int, notes: list[Note], hints: AnswerHints
) -> None:
    if message.calls:
        _name_calls(message, index, notes, hints)
        _drop_calls(message, index, notes, hints)


def _name_calls(
    message: AssistantMessage, index: int, notes: list[Note], hints: AnswerHints
) -> None:
    """Show each call by its declared name, which Gemini may have put a prefix in front of."""
    declared = hints.get("functions", ())
    for number, call in enumerate(message.calls):
        function = call["function"]
        if function["name"] in declared:
            continue
        function["name"], noted = declared_name(function["name"], hints)
        where = f"choices[{index}].message.tool_calls[{number}]"
        notes += [Note("undeclared", where, why) for why in noted]


def _drop_calls(
    message: AssistantMessage, index: int, notes: list[Note], hints: AnswerHints
) -> None:
    """Keep the first call where the line has room for one."""
    if len(message.calls) > 1 and ("legacy" in hints or "one_call" in hints):
        where = f"choices[{index}].message.tool_calls"
        notes += [Note("dropped", f"{where}[{n}]") for n in range(1, len(message.calls))]
        del message.calls[1:]


def _cite(parts: object, candidate: Json, message: AssistantMessage) -> None:
    """Add citations. They count the answer's own text; blocks of code in `content` shift them."""
    cited, rest = citations(parts, candidate)
    for citation in cited if message.blocks else ():
        start, end = citation["start_index"], citation["end_index"]
        citation["start_index"] += sum(size for at, size in message.blocks if at <= start)
        end += sum(size for at, size in message.blocks if at < end)
        citation["end_index"] = max(end, citation["start_index"])
    if cited:
        message.extras["annotations"] = [
            {"type": "url_citation", "url_citation": citation} for citation in cited
        ]
    message.google.update(rest)


def _extend(written: Json, message: AssistantMessage, word: str, hints: AnswerHints) -> str:
    """Add what is not plain text; calls turn ``stop`` into the word for calls."""
    written.update(message.extras)
    if message.google:
        written["extra_content"] = {"google": message.google}
    if not message.calls:
        return word
    if "legacy" in hints:
        # The old form has room for one call.
        written["function_call"] = shown_call(message.calls[0], hints)
        return "function_call" if word == "stop" else word
    calls = message.calls
    written["tool_calls"] = (
        [shown_call(call, hints) for call in calls] if "custom" in hints else calls
    )
    return "tool_calls" if word == "stop" else word


def shown_call(call: Json, hints: AnswerHints) -> Json:
    """Write a call in the form that the line declared its functions in.

    ``{"id": …, "type": "function", "function": {"name": "f", "arguments": "{}"}}`` -> the same;
    its function alone for the old form; ``custom`` with a text for a custom tool.
    """
    if "legacy" in hints:
        extra = {name: call[name] for name in ("extra_content",) if name in call}
        return {**call["function"], **extra}
    declared = call["function"]["name"] in hints.get("custom", ())
    return chat_call(call) if declared else call
