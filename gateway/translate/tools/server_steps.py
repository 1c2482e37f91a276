"""Steps of Google's own tools beside functions: shown to the client, and sent back by it.

From Gemini 3 on a turn that both searches and calls functions holds ``toolCall`` and
``toolResponse`` parts, which the next request has to bring back as they were, ids and signatures
included (page "Combine built-in tools and function calling"). OpenAI has no place for them, so
they travel in ``extra_content.google.parts`` of the message::

    {"extra_content": {"google": {"parts": [
        {"toolCall": {"id": "a", "toolType": "GOOGLE_SEARCH_WEB", "args": {…}},
         "thoughtSignature": "…"},
        {"toolResponse": {"id": "a", "toolType": "GOOGLE_SEARCH_WEB", "response": {…}}}]}}}
"""

from typing import Final

import orjson

from gateway.translate.contract import Json
from gateway.translate.reading.refusal import Refused, invalid_type, invalid_value
from gateway.translate.request.conversation import Conversation
from gateway.translate.request.signatures import valid_signature
from gateway.translate.tools.calls import MAX_ARGUMENT_DEPTH, depth_of

# The kinds of step, and the member of each that holds an object.
_KINDS: Final = {"toolCall": "args", "toolResponse": "response"}
# An enum: a word that Google's parser does not know would be a 400.
TOOL_TYPES: Final = frozenset(
    (
        "TOOL_TYPE_UNSPECIFIED",
        "GOOGLE_SEARCH_WEB",
        "GOOGLE_SEARCH_IMAGE",
        "URL_CONTEXT",
        "GOOGLE_MAPS",
        "FILE_SEARCH",
        "MEDIA_PROCESSING",
    )
)


def shown_step(part: Json) -> orjson.Fragment | None:
    """A step as it came; None when it is nested deeper than any JSON writer goes."""
    try:
        return orjson.Fragment(orjson.dumps(part))
    except TypeError:
        return None


def returned_steps(message: Json, conversation: Conversation) -> list[Json]:
    """Read the steps that come back with an assistant's message, as Gemini's parts.

    Errors: Refused for what no answer holds. Steps of a kind nobody knows, and all of them on
    models that have none, are left out and noted.
    """
    extra = message.get("extra_content")
    google = extra.get("google") if type(extra) is dict else None
    given = google.get("parts") if type(google) is dict else None
    if given is None:
        return []
    where = "extra_content.google.parts"
    if type(given) is not list:
        invalid_type(given, "an array of objects", where)
    steps = []
    for index, part in enumerate(given):
        try:
            step = returned_step(part)
        except Refused as refusal:
            refusal.prefixed(f"{where}[{index}]")
            raise
        if step is None or not conversation.can.mixed_tools:
            conversation.note_of(message, "dropped", f"{where}[{index}]")
        else:
            steps.append(step)
    return steps


def returned_step(part: object) -> Json | None:
    """A step as Gemini takes it; None for a kind that nobody knows.

    Errors: Refused for what is no step.
    """
    if type(part) is not dict:
        invalid_type(part, "an object")
    for kind, content in _KINDS.items():
        if kind in part:
            step = _step(part[kind], kind, content)
            signature = valid_signature(part.get("thoughtSignature"))
            if step is None:
                return None
            return {kind: step, **({"thoughtSignature": signature} if signature else {})}
    return invalid_value(f"expected one of {', '.join(_KINDS)}.")


def _step(value: object, kind: str, content: str) -> Json | None:
    if type(value) is not dict:
        invalid_type(value, "an object", kind)
    step: Json = {}
    for name in ("id", "toolType"):
        if name in value:
            if type(value[name]) is not str:
                invalid_type(value[name], "a string", f"{kind}.{name}")
            step[name] = value[name]
    if content in value:
        if type(value[content]) is not dict:
            invalid_type(value[content], "an object", f"{kind}.{content}")
        if depth_of(value[content]) > MAX_ARGUMENT_DEPTH:
            invalid_value(f"nested deeper than {MAX_ARGUMENT_DEPTH} levels.", f"{kind}.{content}")
        step[content] = value[content]
    return step if step.get("toolType") in TOOL_TYPES else None


def fenced(label: str, text: object, before: str) -> str:
    """The block that goes behind ``before``, each fence on a line of its own; no text, no block."""
    if type(text) is not str or not text:
        return ""
    gap = "" if not before or before.endswith("\n") else "\n"
    end = "" if text.endswith("\n") else "\n"
    return f"{gap}```{label}\n{text}{end}```\n"
