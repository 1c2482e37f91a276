"""``include``: what an answer holds beyond the usual."""

from typing import Final

from gateway.translate.reading.refusal import invalid_type, one_of
from gateway.translate.reading.table import FieldTable, Placing, dropped, mapped
from gateway.translate.request.draft import Draft
from gateway.translate.request.options import ask_logprobs

INCLUDE: Final = FieldTable(
    mapped("message.output_text.logprobs", "`generationConfig.responseLogprobs`"),
    mapped(
        "reasoning.encrypted_content",
        "Gemini's signatures, to be sent back with the reasoning item",
    ),
    mapped("code_interpreter_call.outputs", "what the code printed"),
    mapped("web_search_call.action.sources", "the pages that an answer rests on"),
    dropped("web_search_call.results", "Gemini does not show them; noted"),
    dropped("file_search_call.results", "there is no file search"),
    dropped("computer_call_output.output.image_url", "an answer does not repeat its input"),
    dropped("message.input_image.image_url", "an answer does not repeat its input"),
)
# What FromGemini is told of each.
_ECHOED: Final = {
    "reasoning.encrypted_content": "signatures",
    "code_interpreter_call.outputs": "outputs",
    "web_search_call.action.sources": "sources",
}


def read_include(value: object, draft: Draft) -> None:
    """``["reasoning.encrypted_content"]``."""
    if type(value) is not list:
        invalid_type(value, "an array of strings", "include")
    for index, name in enumerate(value):
        row = INCLUDE.by_name.get(name) if type(name) is str else None
        if row is None:
            one_of(name, INCLUDE.by_name, f"include[{index}]")
        if name in _ECHOED:
            draft.echo[_ECHOED[name]] = True
        elif row.placing is Placing.MAPPED:
            draft.logprobs = True
        elif name == "web_search_call.results":
            draft.note("dropped", f"include[{index}]")


def close_include(draft: Draft) -> None:
    """Log probabilities come when ``include`` asks; how many alternatives, another field says."""
    if draft.logprobs:
        ask_logprobs(draft, "include")
    elif draft.top_logprobs:
        draft.note("dropped", "top_logprobs")
