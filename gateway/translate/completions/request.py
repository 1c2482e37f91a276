"""``/v1/completions`` -> GenerateContentRequests: one user turn per prompt.

Gemini follows instructions, it does not go on with raw text: a prompt is a request here. The
endpoint is there for programs that still use it, with its own defaults kept: 16 tokens unless
``max_tokens`` says otherwise. As thoughts count among them, thinking is turned down as far as the
model lets it unless the line asks for it.

Several prompts, and several choices of each on models with one candidate, are as many items; the
choices come back in OpenAI's order: all of the first prompt, then all of the second.
"""

from typing import Final

import orjson

from gateway.translate.contract import Json, Policy, Translation
from gateway.translate.frames import translates
from gateway.translate.google import GOOGLE_ROWS, refuse_google
from gateway.translate.reading import refusal
from gateway.translate.reading.checks import boolean, integer, words
from gateway.translate.reading.table import FieldTable, mapped, refused, varying
from gateway.translate.request import fields, thinking
from gateway.translate.request.builder import RequestBuilder, keep, read_options
from gateway.translate.request.compiled_options import (
    CompiledOptions,
    Hints,
    Values,
    refuse_amplified,
)

PATH: Final = "/v1/completions"
# OpenAI's default, which old programs rely on.
DEFAULT_MAX_TOKENS: Final = 16
MAX_PROMPTS: Final = 2048
# Of one line: prompts times their choices.
MAX_ITEMS: Final = 4096
MAX_LOGPROBS: Final = 5


def _read_echo(value: bool, builder: RequestBuilder) -> None:
    if value:
        builder.hints["echo_prompts"] = []


def _read_logprobs(value: int, builder: RequestBuilder) -> None:
    """Read the number of alternatives; 0 still gives the chosen token's."""
    builder.top_logprobs = value
    fields.ask_logprobs(builder, "")


COMPLETIONS: Final = FieldTable(
    PATH,
    mapped("model", "the model of the job"),
    mapped("prompt", "`contents`: one user turn; an array of strings is as many items"),
    *fields.SAMPLING,
    varying(
        mapped(
            "max_tokens",
            "`generationConfig.maxOutputTokens`, at most the model's; 16 when absent",
            fields.token_limit,
            fields.read_max_tokens,
        ),
        fields.OWN_LIMIT,
    ),
    mapped(
        "best_of",
        "nothing when it is `n`; otherwise refused",
        integer(1, fields.MAX_CHOICES),
        keep("best_of"),
    ),
    mapped("echo", "the prompt is put in front of the answer's text", boolean, _read_echo),
    mapped(
        "logprobs",
        "`generationConfig.responseLogprobs`, `logprobs`",
        integer(0, MAX_LOGPROBS),
        _read_logprobs,
    ),
    mapped(
        "reasoning_effort",
        "`generationConfig.thinkingConfig` (extension); as little as possible when absent",
        thinking.effort,
        thinking.read_reasoning_effort,
    ),
    *GOOGLE_ROWS,
    fields.STREAM,
    fields.STREAM_OPTIONS,
    fields.USER,
    refused("suffix", "Gemini cannot write towards a text that follows."),
)


# Members of Google's whose answers are more than text.
_WITHOUT_PLACE: Final = words(
    "tools retrieval_config response_modalities speech_config image_config"
)


def _build(rest: Json, model: str, policy: Policy) -> CompiledOptions:
    builder = read_options(COMPLETIONS, rest, model, policy)
    refuse_google(builder, _WITHOUT_PLACE)
    thinking.refuse_thoughts(builder)
    thinking.resolve_thinking(builder)
    if builder.best_of not in (None, builder.choices):
        refusal.unsupported_value("Gemini does not choose among its answers; give 'n'.", "best_of")
    if "echo_prompts" in builder.hints and "logprobs" in builder.hints:
        refusal.unsupported_value(
            "Gemini gives no log probabilities of a prompt; leave one out.", "echo"
        )
    builder.config.setdefault("maxOutputTokens", DEFAULT_MAX_TOKENS)
    if not builder.config.get("thinkingConfig", {}).keys() - {"includeThoughts"}:
        builder.config.update(thinking.least_thinking(builder.can))
    fields.resolve_choices(builder)
    if builder.choices > builder.can.max_candidates:
        builder.hints["items"] = builder.choices
    return CompiledOptions(builder)


@translates("prompt", COMPLETIONS, _build)
def to_gemini(
    options: CompiledOptions, prompt: object, values: Values = (), hints: Hints = ()
) -> Translation:
    """Translate one line.

    ``{"model": "gemini-2.5-flash", "prompt": "Say hi", "max_tokens": 5}`` ->
    ``{"contents": [{"role": "user", "parts": [{"text": "Say hi"}]}], "generationConfig": {…}}``
    """
    prompts = fields.read_texts(prompt, "prompt", "prompt", MAX_PROMPTS, "prompt")
    if len(prompts) * options.items > MAX_ITEMS:
        refusal.invalid_value(f"at most {MAX_ITEMS} choices are possible in all.", "prompt")
    first, marks = options.text(prompts[0], values)
    count = len(prompts) * options.items
    if count > 1:
        # Both as they are written: a line end in a prompt is two bytes there.
        refuse_amplified(len(first) - len(orjson.dumps(prompts[0])), count, "prompt")
    written = (first, *(options.text(prompt, values)[0] for prompt in prompts[1:]))
    items = [item for one in written for item in options.one_item_per_choice(one)]
    hints = hints or options.hints
    if "echo_prompts" in options.asked:
        hints = (*hints, orjson.dumps({"echo_prompts": prompts}))
    return items, hints, options.notes, (), marks, options.most(values)
