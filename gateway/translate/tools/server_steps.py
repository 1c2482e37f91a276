"""Steps of Google's own tools in turns with functions: shown to the client and sent back by it.

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
from gateway.translate.reading.checks import json_object, list_of, string, words
from gateway.translate.reading.refusal import at, invalid_value
from gateway.translate.request.conversation import Conversation
from gateway.translate.request.signatures import google_extra, valid_signature
from gateway.translate.tools.calls import MAX_ARGUMENT_DEPTH
from gateway.wire.json_depth import depth_of

# The kinds of step, and the member of each that holds an object.
_KINDS: Final = {"toolCall": "args", "toolResponse": "response"}
# An enum: a word that Google's parser does not know would be a 400.
TOOL_TYPES: Final = frozenset(
    words("""
    TOOL_TYPE_UNSPECIFIED GOOGLE_SEARCH_WEB GOOGLE_SEARCH_IMAGE URL_CONTEXT GOOGLE_MAPS FILE_SEARCH
    MEDIA_PROCESSING
    """)
)


def shown_step(part: Json) -> orjson.Fragment | None:
    """Return a step as it came; None when it is nested deeper than any JSON writer goes."""
    try:
        return orjson.Fragment(orjson.dumps(part))
    except TypeError:
        return None


def returned_steps(message: Json, conversation: Conversation) -> list[Json]:
    """Read the steps that come back with an assistant's message, as Gemini's parts.

    Errors: Refused for what no answer holds. Steps of an unknown kind, and all of them on
    models that have none, are left out and noted.
    """
    given = google_extra(message).get("parts")
    if given is None:
        return []
    steps = []
    for index, step in enumerate(at(_PARTS, _steps, given)):
        if step is None or not conversation.can.mixed_tools:
            conversation.note_of(message, "dropped", f"{_PARTS}[{index}]")
        else:
            steps.append(step)
    return steps


def returned_step(part: object) -> Json | None:
    """Return a step as Gemini takes it; None for a kind that is not known.

    Errors: Refused for what is no step.
    """
    owner = json_object(part)
    for kind, content in _KINDS.items():
        if kind in owner:
            step = at(kind, _step, owner[kind], content)
            signature = valid_signature(owner.get("thoughtSignature"))
            if step is None:
                return None
            return {kind: step, **({"thoughtSignature": signature} if signature else {})}
    return invalid_value(f"expected one of {', '.join(_KINDS)}.")


_PARTS: Final = "extra_content.google.parts"
_steps: Final = list_of(returned_step, of="objects")


def _step(value: object, content: str) -> Json | None:
    given = json_object(value)
    step: Json = {
        name: at(name, string, given[name]) for name in ("id", "toolType") if name in given
    }
    if content in given:
        step[content] = at(content, _shallow, given[content])
    return step if step.get("toolType") in TOOL_TYPES else None


def _shallow(value: object) -> Json:
    if depth_of(json_object(value)) > MAX_ARGUMENT_DEPTH:
        invalid_value(f"nested deeper than {MAX_ARGUMENT_DEPTH} levels.")
    return value  # type: ignore[return-value]  # an object, as just checked


def code_block(label: str, text: object, before: str) -> str:
    """Return the block to put behind ``before``, each fence on its own line; "" without a text."""
    if type(text) is not str or not text:
        return ""
    gap = "" if not before or before.endswith("\n") else "\n"
    end = "" if text.endswith("\n") else "\n"
    return f"{gap}```{label}\n{text}{end}```\n"
