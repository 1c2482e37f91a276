"""``/v1/embeddings`` -> EmbedContentRequests: one item per input string.

Several parts in one content would be merged into one vector, so an array is fanned out.
"""

from functools import lru_cache
from typing import Final

import orjson

from gateway.translate.contract import (
    Json,
    LineError,
    Policy,
    Translation,
)
from gateway.translate.google import google_readers
from gateway.translate.reading.refusal import (
    Refused,
    invalid_choice,
    invalid_type,
    invalid_value,
    missing,
    unsupported_value,
)
from gateway.translate.reading.table import FieldTable, dropped, mapped
from gateway.translate.reading.unknown_fields import refused_line
from gateway.translate.request.builder import RequestBuilder
from gateway.translate.request.compiled_options import refuse_amplified
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


def _read_dimensions(value: object, draft: RequestBuilder) -> None:
    size = integer(value, 1, draft.can.most_dimensions, "dimensions")
    draft.members["outputDimensionality"] = size
    if size < draft.can.full_dimensions:
        draft.echo["normalise"] = True


def _read_encoding_format(value: object, draft: RequestBuilder) -> None:
    if value not in _FORMATS:
        invalid_choice(value, _FORMATS, "encoding_format")
    if value == "base64":
        draft.echo["base64"] = True


def _read_task_type(value: object, draft: RequestBuilder) -> None:
    word = value.upper() if type(value) is str else ""
    if word not in TASKS:
        invalid_choice(value, TASKS, "task_type")
    draft.members["taskType"] = word


def _read_title(value: object, draft: RequestBuilder) -> None:
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
    """What lines say beside their input, see :mod:`gateway.translate.request.compiled_options`."""

    def __init__(self, draft: RequestBuilder) -> None:
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
    draft = RequestBuilder(model, policy)
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
