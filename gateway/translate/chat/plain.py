"""Plain answers of a chat: one text, signed or not, or calls of declared functions, by template.

Most lines of a batch get one of these. A template takes half the time of building and writing the
same members (measured), and is made of what the ordinary way writes. What has anything else in it
is left to that way.
"""

from collections.abc import Sequence
from typing import Any, Final

import orjson
from msgspec import UNSET

from gateway.translate.answer import envelope
from gateway.translate.answer.envelope import single_of
from gateway.translate.answer.failure import Failure
from gateway.translate.answer.parts import read_function_call
from gateway.translate.answer.schema_check import check_answer
from gateway.translate.chat.choice import choice_of
from gateway.translate.chat.completion import completion
from gateway.translate.contract import (
    Answer,
    AnswerHints,
    Context,
    Json,
    Note,
    Rendered,
    Usage,
    WriteUsual,
)
from gateway.translate.template import hole, stand_in, template_of
from gateway.wire.usual_results import UsualPart, UsualResponse

# What an answer of one text needs of its request: the model, and the schema that it is checked
# against. Other hints among these matter to calls and to code alone.
_TEXT_HINTS: Final = frozenset(
    ("model", "schema", "functions", "cached", "custom", "legacy", "one_call", "json")
)
# With these, calls are shown as they come.
_CALL_HINTS: Final = frozenset(("model", "schema", "functions", "json"))
_CONTENT: Final = "choices[0].message.content"
# The pieces of a body that is to be filled: its template, what its choice says, and notes.
_Filled = tuple[bytes, tuple[bytes, ...], Sequence[Note]]


def plain_answer(hints: AnswerHints, answer: Answer, context: Context) -> Rendered | None:
    """Render a line of one item; None where the answer or the request is none of the usual."""
    if not hints.keys() <= _TEXT_HINTS:
        return None
    single = single_of(answer)
    if single is None:
        return None
    identity, version, parts, usage = single
    calls = bool(parts) and type(parts[0]) is dict and "functionCall" in parts[0]
    filled = (_called if calls else _said)(parts, hints, context)
    if filled is None:
        return None
    model = envelope.model_of(version, hints, context)
    return 200, _body(filled, identity, model, context.created, usage), usage, filled[2]


def usual_answers(context: Context) -> WriteUsual:
    """Return what renders the usual answers of a job: as :func:`plain_answer` does, without a dict.

    It takes an answer that was read by its types, and the hints and the number of its line; None is
    as above. ``context`` is of any line of the job.
    """

    def write(hints: AnswerHints, line: int, response: UsualResponse) -> Rendered | None:
        if not hints.keys() <= _TEXT_HINTS:
            return None
        parts = response.candidates[0].content.parts
        filled = _usual(parts, hints, line, context)
        if filled is None:
            return None
        counts = response.usage_metadata
        thoughts = counts.thoughts_token_count
        output = counts.candidates_token_count + thoughts
        usage = (counts.prompt_token_count, counts.cached_content_token_count, output, thoughts)
        model = envelope.model_of(response.model_version, hints, context)
        body = _body(filled, response.response_id, model, context.created, usage)
        return 200, body, usage, filled[2]

    return write


def _usual(
    parts: Sequence[UsualPart], hints: AnswerHints, line: int, context: Context
) -> _Filled | None:
    """Take one text, or calls alone."""
    if len(parts) == 1:
        [part] = parts
        if part.function_call is UNSET:
            return _text(part.text, part.thought_signature, hints, context) if part.text else None
    try:
        calls = [*map(_call_part, parts)]
    except orjson.JSONDecodeError:  # such as half of an emoji
        return None
    return _called(calls, hints, context._replace(line=line))


def _call_part(part: UsualPart) -> Json | None:
    """Write a part with a call as the ordinary way has it; None of one that is none."""
    if part.function_call is UNSET or part.text:
        return None
    read = {"functionCall": orjson.loads(memoryview(part.function_call))}
    return {**read, "thoughtSignature": part.thought_signature} if part.thought_signature else read


def _body(filled: _Filled, identity: str, model: str, created: int, usage: Usage) -> bytes:
    template, values, _ = filled
    prompt, cached, output, reasoning = usage
    return template % (
        orjson.dumps("chatcmpl-" + identity),
        created,
        orjson.dumps(model),
        *values,
        prompt,
        output,
        prompt + output,
        cached,
        reasoning,
    )


def _said(parts: list[Any], hints: AnswerHints, context: Context) -> _Filled | None:
    """Take the words of an answer that is one text, with its signature if it has one."""
    try:
        [part] = parts
        text = part["text"]
        signature = part["thoughtSignature"] if len(part) > 1 else ""
    except (KeyError, TypeError, ValueError):
        return None
    if not (text and type(text) is type(signature) is str and len(part) == 1 + bool(signature)):
        return None
    return _text(text, signature, hints, context)


def _text(text: str, signature: str, hints: AnswerHints, context: Context) -> _Filled | None:
    """Write a text, and check it against the schema if there is one."""
    notes: Sequence[Note] = ()
    if "schema" in hints:
        checked = check_answer(text, hints, _CONTENT, context, cut=False)
        if isinstance(checked, Failure):
            return None
        notes = checked
    if signature:
        return _SIGNED, (orjson.dumps(text), orjson.dumps(signature)), notes
    return _TEXT, (orjson.dumps(text),), notes


def _called(parts: Sequence[Any], hints: AnswerHints, context: Context) -> _Filled | None:
    """Write the calls of an answer that has nothing else."""
    if not hints.keys() <= _CALL_HINTS:
        return None
    declared = hints.get("functions", ())
    written: list[bytes] = []
    taken: list[str] = []
    for number, part in enumerate(parts):
        if type(part) is not dict or "functionCall" not in part:
            return None
        call = read_function_call(part, context, 0, number, taken)
        if isinstance(call, Failure) or call.name not in declared:
            return None
        taken.append(call.call_id)
        values = [orjson.dumps(value) for value in call[:3]]
        if call.signature:
            written.append(_SIGNED_CALL % (*values, orjson.dumps(call.signature)))
        else:
            written.append(_CALL % tuple(values))
    return (_CALLS, (b",".join(written),), ()) if written else None


def _template(parts: Sequence[Json], holes: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Make a template of what the ordinary way writes for these parts."""
    response = {"responseId": stand_in(0), "modelVersion": stand_in(1)}
    candidate = {"content": {"parts": parts}, "finishReason": "STOP"}
    # Larger than any count that usage_of gives, so each occurs once in the text.
    created, prompt, output, cached, reasoning = (2**60 + n for n in range(5))
    context = Context("", 0, created)
    choice = choice_of(candidate, 0, [], {}, context)
    assert not isinstance(choice, Failure)  # noqa: S101 - there is output
    usage = (prompt, cached, output, reasoning)
    body = completion({"model": ""}, [response], [choice], usage, context)
    counts = [(b"%d" % n, b"%d") for n in (prompt, output, prompt + output, cached, reasoning)]
    name = (orjson.dumps("chatcmpl-" + stand_in(0)), b"%b")
    made = (b"%d" % created, b"%d")
    return _cut(orjson.dumps(body), [name, made, hole(1), *holes, *counts])


def _cut(written: bytes, holes: Sequence[tuple[bytes, bytes]]) -> bytes:
    template = template_of(written, holes)
    assert template is not None  # noqa: S101 - tested
    return template


def _call(signature: Json, holes: Sequence[bytes]) -> tuple[bytes, bytes]:
    """Return the template of a call, and of the answer with it."""
    call = {"id": stand_in(2), "name": _NAME, "args": {stand_in(3): ""}}
    part = {"functionCall": call, **signature}
    choice = choice_of({"content": {"parts": [part]}}, 0, [], {}, Context("", 0, 0))
    assert not isinstance(choice, Failure)  # noqa: S101 - a call is an answer
    [written] = map(orjson.dumps, choice["message"]["tool_calls"])
    found = (orjson.dumps(call["id"]), orjson.dumps(_NAME), orjson.dumps(_ARGUMENTS), *holes)
    return _cut(written, [(text, b"%b") for text in found]), _template([part], [(written, b"%b")])


# Not all texts are names of functions; stand-ins are none.
_NAME: Final = "stand_in_for_a_name"
_ARGUMENTS: Final = orjson.dumps({stand_in(3): ""}).decode()
_SIGNATURE: Final = {"thoughtSignature": stand_in(4)}
_TEXT: Final = _template([{"text": stand_in(2)}], [hole(2)])
_SIGNED: Final = _template([{"text": stand_in(2), **_SIGNATURE}], [hole(2), hole(4)])
_CALL, _CALLS = _call({}, [])
_SIGNED_CALL, _ = _call(_SIGNATURE, [orjson.dumps(stand_in(4))])
