"""``/v1/embeddings`` <-> EmbedContentRequest: one item and one vector per input string.

Several parts in one content would be merged into one vector, so an array is fanned out.
"""

import struct
from binascii import b2a_base64
from collections.abc import Sequence
from dataclasses import replace
from functools import lru_cache
from math import fsum, isfinite, sqrt
from typing import Final

import orjson

from gateway.translate.answer.failure import Failure, failure_of
from gateway.translate.answer.usage import UNCOUNTED, count
from gateway.translate.contract import (
    Answer,
    AnswerHints,
    Context,
    Json,
    LineError,
    Note,
    Policy,
    Rendered,
    Translation,
)
from gateway.translate.google import google_readers
from gateway.translate.reading.refusal import (
    Refused,
    invalid_type,
    invalid_value,
    missing,
    one_of,
    unsupported_value,
)
from gateway.translate.reading.table import FieldTable, dropped, mapped
from gateway.translate.reading.unknown_fields import refused_line
from gateway.translate.request.draft import Draft
from gateway.translate.request.frame import refuse_amplified
from gateway.translate.request.options import integer
from gateway.translate.schemas.convert import written
from gateway.translate.template import hole, stand_in, template_of

# OpenAI's limit on the inputs of one request.
MAX_INPUTS: Final = 2048

# taskType, and the words that gemini-embedding-2 wants in front of the text instead (page
# "Embeddings", "Task types": it ignores the field). A document has its title there.
TASKS: Final = {
    "RETRIEVAL_QUERY": "task: search result | query: ",
    "RETRIEVAL_DOCUMENT": "title: none | text: ",
    "SEMANTIC_SIMILARITY": "task: sentence similarity | query: ",
    "CLASSIFICATION": "task: classification | query: ",
    "CLUSTERING": "task: clustering | query: ",
    "QUESTION_ANSWERING": "task: question answering | query: ",
    "FACT_VERIFICATION": "task: fact checking | query: ",
    "CODE_RETRIEVAL_QUERY": "task: code retrieval | query: ",
}
_DOCUMENT: Final = "RETRIEVAL_DOCUMENT"


def _read_dimensions(value: object, draft: Draft) -> None:
    size = integer(value, 1, draft.can.most_dimensions, "dimensions")
    draft.members["outputDimensionality"] = size
    if size < draft.can.full_dimensions:
        draft.echo["normalise"] = True


def _read_encoding_format(value: object, draft: Draft) -> None:
    if value not in _FORMATS:
        one_of(value, _FORMATS, "encoding_format")
    if value == "base64":
        draft.echo["base64"] = True


def _read_task_type(value: object, draft: Draft) -> None:
    word = value.upper() if type(value) is str else ""
    if word not in TASKS:
        one_of(value, TASKS, "task_type")
    draft.members["taskType"] = word


def _read_title(value: object, draft: Draft) -> None:
    if type(value) is not str:
        invalid_type(value, "a string", "title")
    if value:
        draft.members["title"] = value


GOOGLE_EMBEDDING: Final = FieldTable(
    mapped(
        "task_type",
        "`taskType`; from gemini-embedding-2 on the documented words in front of the text",
        _read_task_type,
    ),
    mapped("title", "`title`, of task_type RETRIEVAL_DOCUMENT; likewise", _read_title),
)
_read_google, _read_extra_body = google_readers(GOOGLE_EMBEDDING)
EMBEDDINGS: Final = FieldTable(
    mapped("model", "the model of the job"),
    mapped("input", "`content`, one item per string"),
    mapped(
        "dimensions",
        "`outputDimensionality`, renormalised where the model does not",
        _read_dimensions,
    ),
    mapped(
        "encoding_format",
        "applied to the answer: float, or base64 of little-endian float32",
        _read_encoding_format,
    ),
    mapped("google", "`task_type` and `title`", _read_google),
    mapped("extra_body", "the same one level further down", _read_extra_body),
    dropped("user", "names the caller's user to OpenAI"),
)
# Every field of EmbedContentResponse and what becomes of it; a test compares this with the SDK.
RESPONSE: Final = {
    "embedding": "`data[].embedding`",
    "embeddings": "left out: the SDK's own list of one",
    "usageMetadata": "`usage`",
    "tokenCount": "`usage`",
    "metadata": "left out: Vertex only",
    "truncated": "left out: Vertex only",
    "sdkHttpResponse": "left out: made by the SDK, never on the wire",
}
_FORMATS: Final = ("float", "base64")


def to_gemini(body: Json, policy: Policy, model: str) -> Translation | LineError:
    """Translate one line.

    ``{"input": ["a", "b"], "dimensions": 256}`` -> two times
    ``{"content": {"parts": [{"text": …}]}, "outputDimensionality": 256}``
    """
    rest = body.copy()
    given = rest.pop("input", None)
    try:
        frame = _frame_of(rest, model, policy)
        texts = _texts(given)
        refuse_amplified(len(frame.template) + len(frame.prefix), len(texts), "input")
    except Refused as refusal:
        return refused_line(refusal, to_gemini, body, policy, model)
    prefix, template = frame.prefix, frame.template
    items = [template % orjson.dumps(prefix + text) for text in texts]
    return items, frame.echo, frame.notes, ()


class _Frame:
    """What lines say beside their input, see :mod:`gateway.translate.request.frame`."""

    def __init__(self, draft: Draft) -> None:
        members = draft.members
        task = members.get("taskType")
        if "title" in members and task != _DOCUMENT:
            why = "only task_type RETRIEVAL_DOCUMENT has one."
            invalid_value(why, f"{draft.google_path}.title")
        self.prefix = ""
        if draft.can.task_words:
            members = {k: v for k, v in members.items() if k not in ("taskType", "title")}
            self.prefix = TASKS.get(task or "", "")
            if "title" in draft.members:
                self.prefix = f"title: {draft.members['title']} | text: "
        item = {"content": {"parts": [{"text": stand_in(0)}]}, **members}
        template = template_of(orjson.dumps(item), [hole(0)])
        if template is None:
            invalid_value("it holds control characters.", f"{draft.google_path}.title")
        self.template = template
        self.echo = (orjson.dumps(draft.echo),)
        self.notes = tuple(draft.notes)


def _frame_of(rest: Json, model: str, policy: Policy) -> _Frame:
    try:
        key = orjson.dumps(rest)
    except TypeError:
        for name, value in rest.items():
            written(value, name)
        raise
    return _remembered(key, model, policy)


@lru_cache(maxsize=128)
def _remembered(key: bytes, model: str, policy: Policy) -> _Frame:
    rest = orjson.loads(key)
    draft = Draft(model, policy)
    draft.echo["model"] = rest.get("model", model)
    EMBEDDINGS.read(rest, draft)
    return _Frame(draft)


def _texts(value: object) -> list[str]:
    if value is None:
        missing("input")
    alone = type(value) is str
    value = [value] if alone else value
    if type(value) is not list:
        invalid_type(value, "one of a string or array of strings", "input")
    if not value:
        invalid_value("the array is empty.", "input")
    if len(value) > MAX_INPUTS:
        invalid_value(f"at most {MAX_INPUTS} inputs are possible.", "input")
    for index, text in enumerate(value):
        if type(text) is not str:
            _refuse_input(text, f"input[{index}]")
        if not text:
            param = "input" if alone else f"input[{index}]"
            invalid_value("an input cannot be an empty string.", param)
    return value


def _refuse_input(value: object, param: str) -> None:
    if type(value) is int or type(value) is list:
        unsupported_value("token ids belong to another tokenizer; send text.", param)
    invalid_type(value, "a string", param)


def from_gemini(hints: AnswerHints, answers: Sequence[Answer], context: Context) -> Rendered:  # noqa: ARG001
    """Render one line: any item that failed fails the line, because a vector would be missing.

    ``{"response": {"embedding": {"values": [0.6, 0.8]}, "tokenCount": "1"}}`` ->
    ``{"object": "list", "data": [{"object": "embedding", "index": 0, "embedding": […]}], …}``
    """
    data: list[Json] = []
    tokens = 0
    notes: tuple[Note, ...] = ()
    for index, answer in enumerate(answers):
        made = failure_of(answer) or _read_vector(answer["response"], hints)
        if isinstance(made, Failure):
            failure = replace(made, param=f"input[{index}]") if len(answers) > 1 else made
            return failure.rendered((_paid(answers), 0, 0, 0))
        response, values = answer["response"], made
        data.append({"object": "embedding", "index": index, "embedding": values})
        counted = _tokens(response)
        if counted is None:
            notes = UNCOUNTED
        else:
            tokens += counted
    body = {
        "object": "list",
        "data": data,
        "model": hints["model"],
        "usage": {"prompt_tokens": tokens, "total_tokens": tokens},
    }
    return 200, orjson.dumps(body), (tokens, 0, 0, 0), notes


def _paid(answers: Sequence[Answer]) -> int:
    """The tokens of what was answered, though the line fails."""
    served = (answer["response"] for answer in answers if failure_of(answer) is None)
    return sum(_tokens(response) or 0 for response in served)


def _read_vector(response: Json, hints: AnswerHints) -> object:
    embedding = response.get("embedding")
    values = _vector(embedding.get("values") if type(embedding) is dict else None, hints)
    return values or Failure(502, "invalid_response", "Gemini's answer has no vector.")


def _vector(values: object, hints: AnswerHints) -> object:
    """A vector as the line wants it, or nothing.

    One that was cut out by :mod:`gateway.translate.embeddings.vectors` passes through as it is,
    unless it is to be packed or scaled.
    """
    if type(values) is bytes:
        if not hints.get("base64") and not hints.get("normalise"):
            return orjson.Fragment(values)
        try:
            values = orjson.loads(values)
        except orjson.JSONDecodeError:
            return None
    numbers = _numbers(values)
    return _encoded(numbers, hints) if numbers else None


def _numbers(values: object) -> list[float]:
    """A vector that float32 can hold, or nothing. Packing checks each number at C speed."""
    if type(values) is not list or not values:
        return []
    kinds = set(map(type, values))
    if not kinds <= {float, int}:
        return []
    try:
        numbers: list[float] = list(map(float, values)) if int in kinds else values
        struct.pack(f"<{len(numbers)}f", *numbers)
    except OverflowError:
        return []
    # NaN and infinity pass the packing and spoil the sum.
    return numbers if isfinite(sum(numbers)) else []


def _encoded(values: list[float], hints: AnswerHints) -> list[float] | str:
    if hints.get("normalise"):
        length = sqrt(fsum(value * value for value in values))
        if length:
            values = [value / length for value in values]
    if hints.get("base64"):
        packed = struct.pack(f"<{len(values)}f", *values)
        return b2a_base64(packed, newline=False).decode("ascii")
    return values


def _tokens(response: Json) -> int | None:
    """gemini-embedding-2 reports ``usageMetadata``, -001 in batch ``tokenCount`` as a string."""
    usage = response.get("usageMetadata")
    if type(usage) is dict and "promptTokenCount" in usage:
        return count(usage["promptTokenCount"])
    return count(response["tokenCount"]) if "tokenCount" in response else None
