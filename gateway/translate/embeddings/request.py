"""``/v1/embeddings`` -> EmbedContentRequests: one item per input string.

Several parts in one content would be merged into one vector, so an array is fanned out.
"""

from typing import Final

import orjson

from gateway.translate.contract import Json, Policy, Translation
from gateway.translate.frames import translates
from gateway.translate.google import google_rows
from gateway.translate.models.estimates import marks_of
from gateway.translate.reading import refusal
from gateway.translate.reading.checks import integer, keyword, one_of, string, whole
from gateway.translate.reading.table import FieldTable, mapped
from gateway.translate.request import fields
from gateway.translate.request.builder import RequestBuilder, read_options
from gateway.translate.request.compiled_options import refuse_amplified
from gateway.translate.request.fields import read_texts
from gateway.translate.template import hole, stand_in, template_of

PATH: Final = "/v1/embeddings"
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


def _read_dimensions(value: int, builder: RequestBuilder) -> None:
    size = integer(1, builder.can.most_dimensions)(value)
    builder.members["outputDimensionality"] = size
    if size < builder.can.full_dimensions:
        builder.hints["normalise"] = True


def _read_encoding_format(value: str, builder: RequestBuilder) -> None:
    if value == "base64":
        builder.hints["base64"] = True


def _read_task_type(value: str, builder: RequestBuilder) -> None:
    builder.members["taskType"] = value


def _read_title(value: str, builder: RequestBuilder) -> None:
    if value:
        builder.members["title"] = value


GOOGLE_EMBEDDING: Final = FieldTable(
    f"{PATH} google",
    mapped(
        "task_type",
        "`taskType`; from gemini-embedding-2 on the documented words in front of the text",
        keyword(*TASKS),
        _read_task_type,
    ),
    mapped("title", "`title`, of task_type RETRIEVAL_DOCUMENT; likewise", string, _read_title),
)
EMBEDDINGS: Final = FieldTable(
    PATH,
    mapped("model", "the model of the job"),
    mapped("input", "`content`, one item per string"),
    mapped(
        "dimensions",
        "`outputDimensionality`, renormalised where the model does not",
        whole,
        _read_dimensions,
    ),
    mapped(
        "encoding_format",
        "applied to the answer: float, or base64 of little-endian float32",
        one_of("float", "base64"),
        _read_encoding_format,
    ),
    *google_rows(GOOGLE_EMBEDDING, "`task_type` and `title`"),
    fields.USER,
)


class _EmbeddingOptions:
    """The compiled options of a body: all but its input, as chat's CompiledOptions."""

    def __init__(self, builder: RequestBuilder) -> None:
        members = builder.members
        task = members.get("taskType")
        if "title" in members and task != _DOCUMENT:
            why = "only task_type RETRIEVAL_DOCUMENT has one."
            refusal.invalid_value(why, f"{builder.google_path}.title")
        self.prefix = ""
        if builder.can.task_words:
            members = {k: v for k, v in members.items() if k not in ("taskType", "title")}
            self.prefix = TASKS.get(task or "", "")
            if "title" in builder.members:
                self.prefix = f"title: {builder.members['title']} | text: "
        item = {"content": {"parts": [{"text": stand_in(0)}]}, **members}
        template = template_of(orjson.dumps(item), [hole(0)])
        if template is None:
            refusal.invalid_value("it holds control characters.", f"{builder.google_path}.title")
        self.template = template
        self.marks = marks_of(template)
        self.hints = (orjson.dumps(builder.hints),)
        self.notes = tuple(builder.notes)


def _build(rest: Json, model: str, policy: Policy) -> _EmbeddingOptions:
    return _EmbeddingOptions(read_options(EMBEDDINGS, rest, model, policy))


@translates("input", EMBEDDINGS, _build)
def to_gemini(options: _EmbeddingOptions, given: object) -> Translation:
    """Translate one line.

    ``{"input": ["a", "b"], "dimensions": 256}`` -> two times
    ``{"content": {"parts": [{"text": …}]}, "outputDimensionality": 256}``
    """
    texts = read_texts(given, "input", "input", MAX_INPUTS)
    refuse_amplified(len(options.template) + len(options.prefix), len(texts), "input")
    prefix, template = options.prefix, options.template
    items = [template % orjson.dumps(prefix + text) for text in texts]
    return items, options.hints, options.notes, (), options.marks, 0
