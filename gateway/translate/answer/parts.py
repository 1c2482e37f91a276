"""The parts of a candidate, read once for every endpoint: one typed value for each, in order.

A renderer matches on these values and decides what its endpoint shows of each. A new kind of part
is a class here, and mypy then names every renderer that does not know it.
"""

import re
from collections.abc import Collection, Iterator, Sequence
from typing import Final, NamedTuple

import orjson

from gateway.ids import digest
from gateway.translate.answer.failure import Failure, unsupported_output
from gateway.translate.contract import AnswerHints, Context, Json
from gateway.translate.reading.function_names import openai_name

# Members of Gemini's Part that no answer shows, in whatever form.
NEVER_SHOWN: Final = {
    "functionResponse": "left out, noted: never part of an answer; alone, an error line",
    "fileData": "left out, noted: never part of an answer; alone, an error line",
    "videoMetadata": "left out: describes inputs",
    "mediaResolution": "left out: describes inputs",
    "partMetadata": "left out: describes inputs",
    "audioTranscription": "left out: describes inputs",
    "mediaProcessing": "left out: describes inputs",
    "speechMetadata": "left out: describes inputs",
    "documentMetadata": "left out: describes inputs",
    "spreadsheetMetadata": "left out: describes inputs",
    "audioMetadata": "left out: describes inputs",
}
_STEPS: Final = ("toolCall", "toolResponse")
# Output that a client cannot be given: `inlineData` counts when it lacks its type or its bytes.
_UNUSABLE: Final = ("inlineData", "fileData", "functionResponse")
# Members that are no output, or whose output was read before.
_NO_OUTPUT: Final = NEVER_SHOWN.keys() | {
    *("text", "thought", "thoughtSignature", "functionCall"),
    *("executableCode", "codeExecutionResult", *_STEPS),
}


# Each signature is Gemini's `thoughtSignature`, "" where there is none.


class Text(NamedTuple):
    """Words of the answer."""

    text: str
    signature: str


class Thought(NamedTuple):
    """A summary of what the model thought; drafts of images are thoughts with an empty text."""

    text: str
    signature: str


class Call(NamedTuple):
    """A part with a functionCall, which :func:`read_function_call` validates."""

    part: Json


class Media(NamedTuple):
    """An image or sound with its type; ``data`` is base64."""

    mime_type: str
    data: str
    signature: str


class Code(NamedTuple):
    """Code that Google ran."""

    code: str | None
    signature: str


class CodeResult(NamedTuple):
    """Outcome of code that Google ran, and its printed output."""

    outcome: str
    output: str
    signature: str


class ToolStep(NamedTuple):
    """A step of Google's own tools (``toolCall``, ``toolResponse``), to go back as it came."""

    kind: str
    part: Json


class Bare(NamedTuple):
    """A part of nothing but a signature, or of a kind that no answer shows.

    ``unusable`` is the member that holds output which no client can be given, or ``""``; a member
    that this version does not know is taken for one.
    """

    signature: str
    unusable: str


Part = Text | Thought | Call | Media | Code | CodeResult | ToolStep | Bare


def parts_of(parts: object) -> Sequence[Part]:
    """``[{"text": "Hm.", "thought": true}, {"text": "Hi"}]`` -> a Thought and a Text."""
    found: list[Part] = []
    for part in parts if type(parts) is list else ():
        if type(part) is not dict:
            continue
        if "functionCall" in part:
            found.append(Call(part))
        elif len(part) == 1 and type(part.get("text")) is str:
            found.append(Text(part["text"], ""))
        else:
            found += _read(part)
    return found


def visible_texts(parts: object) -> Iterator[tuple[int, str]]:
    """Give the texts that readers of an answer see, each with the index of its part."""
    for index, part in enumerate(parts if type(parts) is list else ()):
        for read in parts_of([part]):
            if isinstance(read, Text):
                yield index, read.text


def _read(part: Json) -> Sequence[Part]:
    """Read a part that is no call; code and its result may come in one part."""
    for step in _STEPS:
        if step in part and type(part[step]) is dict:
            return (ToolStep(step, part),)
    text, signature = part.get("text"), _string(part.get("thoughtSignature"))
    if part.get("thought") is True:
        return (Thought(_string(text), signature),)
    if type(text) is str:
        return (Text(text, signature),)
    return _media(part, signature) or _code(part, signature) or (_bare(part, signature),)


def _media(part: Json, signature: str) -> Sequence[Part]:
    blob = part.get("inlineData")
    if type(blob) is not dict:
        return ()
    mime_type, data = blob.get("mimeType"), _string(blob.get("data"))
    return (Media(mime_type, data, signature),) if type(mime_type) is str and data else ()


def _code(part: Json, signature: str) -> Sequence[Part]:
    found: list[Part] = []
    code, result = part.get("executableCode"), part.get("codeExecutionResult")
    if type(code) is dict:
        source = code.get("code")
        found.append(Code(source if type(source) is str else None, signature))
    if type(result) is dict:
        outcome, output = _string(result.get("outcome")), _string(result.get("output"))
        found.append(CodeResult(outcome, output, signature))
    return found


def _bare(part: Json, signature: str) -> Bare:
    known = next((name for name in _UNUSABLE if name in part), "")
    return Bare(
        signature, known or next((name for name in part if name not in _NO_OUTPUT), "")[:100]
    )


def _string(value: object) -> str:
    return value if type(value) is str else ""


# Between what Gemini puts in front of a name and the name.
_SEPARATORS: Final = re.compile("[.:]")
_LONGER: Final = "the declared name at the end of Gemini's is shown."
_UNKNOWN: Final = "no declared function is called so."


class FunctionCall(NamedTuple):
    """A call; ``arguments`` is written JSON, ``signature`` is ``""`` where Gemini gave none."""

    call_id: str
    name: str
    arguments: str
    signature: str


def read_function_call(
    part: Json, context: Context, choice: int, number: int, taken: Collection[str] = ()
) -> FunctionCall | Failure:
    """Validate a part with a functionCall.

    ``{"functionCall": {"name": "f", "args": {"a": 1}}}`` ->
    ``FunctionCall("call_…", "f", '{"a":1}', "")``. Args and id may be absent: then the id is made
    of the line, the ``choice`` and the ``number`` of the call in it. So is that of a call whose id
    is ``taken`` by another, because a result could not say which of the two it answers.
    """
    call = part["functionCall"]
    name = call.get("name") if type(call) is dict else None
    if type(name) is not str or not name:
        return Failure(
            502, "malformed_function_call", "Gemini's call names no function; send the line again."
        )
    arguments = call.get("args")
    try:
        text = orjson.dumps({} if arguments is None else arguments).decode()
    except TypeError:
        why = "The arguments of Gemini's call are nested too deep to be written as JSON."
        return Failure(502, "malformed_function_call", why)
    call_id = call.get("id")
    if type(call_id) is not str or not call_id or call_id in taken:
        where = (context.batch_id, context.line, choice, number)
        call_id = "call_" + digest("call", *where)[:24]
    return FunctionCall(call_id, openai_name(name), text, _string(part.get("thoughtSignature")))


def declared_name(name: str, hints: AnswerHints) -> tuple[str, Sequence[str]]:
    """Return the function that Gemini means, and what is to be noted where it has another name.

    ``default_api.lookup`` and ``paloma.lookup`` mean ``lookup`` (cookbook#1374, inspect_ai#2990).
    """
    declared = hints.get("functions", ())
    if name in declared or "cached" in hints:
        return name, ()
    last = openai_name(_SEPARATORS.split(name)[-1])
    return (last, (_LONGER,)) if last in declared else (name, (_UNKNOWN,))


def shows_code(context: Context) -> bool:
    """Tell whether code that the model ran is part of its answer."""
    return context.policy.executed_code == "show"


def unusable_of(parts: object) -> Failure | None:
    """Fail an answer without output for a part that cannot be shown, or a medium without bytes.

    ``[{"fileData": {"fileUri": "https://x/y"}}]`` -> a failure; thoughts and steps are none.
    """
    for part in parts_of(parts):
        if isinstance(part, Bare) and part.unusable:
            return unsupported_output(part.unusable)
    return None
