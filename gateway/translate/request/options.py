"""Flat options that endpoints share: sampling, limits, ``stream``, ``metadata``, verbosity."""

from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading.refusal import (
    invalid_choice,
    invalid_type,
    invalid_value,
    shortened,
    unsupported_value,
)
from gateway.translate.reading.table import mapped
from gateway.translate.request.builder import RequestBuilder

_VERBOSITIES: Final = ("low", "medium", "high")


def read_parallel_tool_calls(value: object, builder: RequestBuilder) -> None:
    """True is how Gemini works; of false, the answer may keep its first call."""
    if boolean(value, "parallel_tool_calls"):
        return
    if builder.policy.parallel_tool_calls == "first":
        builder.echo["one_call"] = True
    else:
        builder.note("dropped", "parallel_tool_calls")


def read_verbosity(value: object, builder: RequestBuilder, field: str = "verbosity") -> None:
    """``low``, ``medium`` or ``high``, in ``field`` of the body."""
    if value not in _VERBOSITIES:
        invalid_choice(value, _VERBOSITIES, field)
    builder.note("dropped", field)


def checked_metadata(value: object) -> Json:
    """``{"ticket": "7"}``, when that is what it is."""
    if type(value) is not dict:
        invalid_type(value, "an object", "metadata")
    for name, member in value.items():
        if type(member) is not str:
            invalid_type(member, "a string", f"metadata.{shortened(name)}")
    return value


def read_stream(value: object, builder: RequestBuilder) -> None:  # noqa: ARG001 - the shape of a Reader
    """False says what a batch does anyway."""
    if value is not False:
        unsupported_value("streaming is not supported in a batch.", "stream")


# OpenAI allows 4, Gemini 5: whatever passes Gemini passes here.
MAX_STOP_SEQUENCES: Final = 5
# Gemini names no limit; it stands in every item of the line, and nobody ends a text so.
MAX_STOP_CHARACTERS: Final = 1_000
MAX_TOP_LOGPROBS: Final = 20
MAX_CHOICES: Final = 128
_INT32_MAX: Final = 2**31 - 1


def number(value: object, low: float, high: float, param: str) -> float:
    """A number within its range; JSON's integers count as numbers, its booleans do not."""
    if type(value) is not float and type(value) is not int:
        invalid_type(value, "a decimal", param)
    if not low <= value <= high:
        invalid_value(f"expected a value between {low:g} and {high:g}.", param)
    return value


def integer(value: object, low: int, high: int, param: str) -> int:
    """An integer within its range; ``8.0`` counts, because JSON does not tell it from ``8``."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        invalid_type(value, "an integer", param)
    if not low <= value <= high:
        invalid_value(f"expected a value between {low} and {high}.", param)
    return value


def boolean(value: object, param: str) -> bool:
    """A boolean."""
    if type(value) is not bool:
        invalid_type(value, "a boolean", param)
    return value


def read_temperature(value: object, builder: RequestBuilder) -> None:
    """``temperature`` -> ``temperature``; never invented."""
    _sampling("temperature", "temperature", number(value, 0, 2, "temperature"), builder)


def read_top_p(value: object, builder: RequestBuilder) -> None:
    """``top_p`` -> ``topP``."""
    _sampling("top_p", "topP", number(value, 0, 1, "top_p"), builder)


def read_top_k(value: object, builder: RequestBuilder) -> None:
    """``top_k`` (an extension many clients know) -> ``topK``."""
    _top_k(value, builder, "top_k")


def read_google_top_k(value: object, builder: RequestBuilder) -> None:
    """The same among Google's own members."""
    _top_k(value, builder, f"{builder.google_path}.top_k")


def _top_k(value: object, builder: RequestBuilder, path: str) -> None:
    count = integer(value, 1, _INT32_MAX, "top_k")
    if builder.top_k_path:
        invalid_value(f"it is given twice, also as '{builder.top_k_path}'.", "top_k")
    builder.top_k_path = path
    _sampling(path, "topK", count, builder)


def _sampling(field: str, target: str, value: float, builder: RequestBuilder) -> None:
    if builder.can.sampling:
        builder.config[target] = value
    else:
        builder.note("dropped", field)


def read_seed(value: object, builder: RequestBuilder) -> None:
    """``seed`` -> ``seed``: OpenAI's has 64 bits, Gemini's 32, so a larger one is folded."""
    if type(value) is float and value.is_integer():
        value = int(value)
    if type(value) is not int:
        invalid_type(value, "an integer", "seed")
    if not -_INT32_MAX - 1 <= value <= _INT32_MAX:
        value %= 2**31
        builder.note("approximated", "seed", str(value))
    builder.config["seed"] = value


def read_stop(value: object, builder: RequestBuilder) -> None:
    """``"END"`` or ``["END", "STOP"]`` -> ``stopSequences``; empty ones stop nothing."""
    words = [value] if type(value) is str else value
    if type(words) is not list:
        invalid_type(value, "one of a string or array of strings", "stop")
    for index, word in enumerate(words):
        if type(word) is not str:
            invalid_type(word, "a string", f"stop[{index}]")
        if len(word) > MAX_STOP_CHARACTERS:
            param = "stop" if type(value) is str else f"stop[{index}]"
            invalid_value(f"at most {MAX_STOP_CHARACTERS} characters are possible.", param)
    words = [word for word in words if word]
    if len(words) > MAX_STOP_SEQUENCES:
        invalid_value(f"at most {MAX_STOP_SEQUENCES} sequences are possible.", "stop")
    if words:
        builder.config["stopSequences"] = words


def read_max_tokens(value: object, builder: RequestBuilder) -> None:
    """``max_tokens`` (deprecated) -> ``maxOutputTokens``."""
    # Nearly every line has this field: the usual value is let through at once.
    usual = type(value) is int and 0 < value <= _INT32_MAX
    limit = value if usual else integer(value, 1, _INT32_MAX, "max_tokens")
    if builder.config.setdefault("maxOutputTokens", limit) != limit:
        builder.note("dropped", "max_tokens")


def read_max_completion_tokens(value: object, builder: RequestBuilder) -> None:
    """``max_completion_tokens`` -> ``maxOutputTokens``; it wins over ``max_tokens``."""
    limit = integer(value, 1, _INT32_MAX, "max_completion_tokens")
    if builder.config.get("maxOutputTokens", limit) != limit:
        builder.note("dropped", "max_tokens")
    builder.config["maxOutputTokens"] = limit


def read_max_output_tokens(value: object, builder: RequestBuilder) -> None:
    """``max_output_tokens`` of the responses endpoint -> ``maxOutputTokens``."""
    builder.config["maxOutputTokens"] = integer(value, 1, _INT32_MAX, "max_output_tokens")


def read_frequency_penalty(value: object, builder: RequestBuilder) -> None:
    """``frequency_penalty`` -> ``frequencyPenalty`` where the model takes it."""
    _penalty(value, "frequency_penalty", "frequencyPenalty", builder)


def read_presence_penalty(value: object, builder: RequestBuilder) -> None:
    """``presence_penalty`` -> ``presencePenalty`` where the model takes it."""
    _penalty(value, "presence_penalty", "presencePenalty", builder)


def _penalty(value: object, field: str, target: str, builder: RequestBuilder) -> None:
    """0 is the default; from 2.5 on anything else is a 400 (cookbook#1290), so it is dropped."""
    if not number(value, -2, 2, field):
        return
    if builder.can.penalties:
        builder.config[target] = value
    else:
        builder.note("dropped", field)


def read_logit_bias(value: object, builder: RequestBuilder) -> None:  # noqa: ARG001 - the shape of a Reader
    """An empty map says nothing; token ids belong to OpenAI's tokenizers."""
    if type(value) is not dict:
        invalid_type(value, "an object", "logit_bias")
    if value:
        unsupported_value("token ids belong to another tokenizer.", "logit_bias")


def read_logprobs(value: object, builder: RequestBuilder) -> None:
    """``logprobs`` -> ``responseLogprobs``."""
    builder.logprobs = boolean(value, "logprobs")


def read_top_logprobs(value: object, builder: RequestBuilder) -> None:
    """``top_logprobs`` -> ``logprobs``."""
    builder.top_logprobs = integer(value, 0, MAX_TOP_LOGPROBS, "top_logprobs")


def read_n(value: object, builder: RequestBuilder) -> None:
    """``n`` -> ``candidateCount``, or as many items where the model gives one candidate only."""
    builder.choices = integer(value, 1, MAX_CHOICES, "n")


def resolve_logprobs(builder: RequestBuilder) -> None:
    """``logprobs`` and ``top_logprobs`` together."""
    if builder.logprobs:
        ask_logprobs(builder, "logprobs")
    elif builder.top_logprobs:
        invalid_value("'logprobs' must be true when 'top_logprobs' is given.", "top_logprobs")


def ask_logprobs(builder: RequestBuilder, field: str) -> None:
    """Ask for log probabilities, which ``field`` of the body wants."""
    if not builder.can.logprobs:
        unsupported_value("this model gives no log probabilities.", field)
    builder.config["responseLogprobs"] = True
    builder.echo["logprobs"] = True
    if builder.top_logprobs:
        builder.config["logprobs"] = builder.top_logprobs


# What completions of chat and of text say in the same words.
SAMPLING: Final = (
    mapped("temperature", "`generationConfig.temperature`", read_temperature),
    mapped("top_p", "`generationConfig.topP`", read_top_p),
    mapped("top_k", "`generationConfig.topK` (extension)", read_top_k),
    mapped(
        "n", "`candidateCount`, or one item per choice, with `seed`, `seed` + 1 and so on", read_n
    ),
    mapped("stop", "`generationConfig.stopSequences`", read_stop),
    mapped("seed", "`generationConfig.seed`, folded to 31 bits", read_seed),
    mapped(
        "frequency_penalty",
        "`generationConfig.frequencyPenalty`; models from 2.5 on refuse it: dropped, noted",
        read_frequency_penalty,
    ),
    mapped(
        "presence_penalty",
        "`generationConfig.presencePenalty`; models from 2.5 on refuse it: dropped, noted",
        read_presence_penalty,
    ),
    mapped("logit_bias", "nothing when empty; otherwise refused", read_logit_bias),
)
