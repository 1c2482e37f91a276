"""Flat options that endpoints share: sampling, limits, ``stream``, ``metadata``, verbosity."""

from typing import Final

from gateway.translate.contract import Json
from gateway.translate.reading import checks, refusal
from gateway.translate.reading.own_values import (
    LARGEST_LIMIT,
    STAND_IN_LIMIT,
    own_integer,
    own_number,
    own_texts,
)
from gateway.translate.reading.table import Field, Reader, dropped, mapped, noted, refused, varying
from gateway.translate.request.builder import RequestBuilder, keep

# OpenAI allows 4, Gemini 5: whatever passes Gemini passes here.
MAX_STOP_SEQUENCES: Final = 5
# Our own limit, since Gemini names none: stop sequences are repeated in every request of the line.
MAX_STOP_CHARACTERS: Final = 1_000
MAX_TOP_LOGPROBS: Final = 20
MAX_CHOICES: Final = 128
INT32_MAX: Final = 2**31 - 1

# How many tokens an answer may have.
token_limit: Final = checks.integer(1, INT32_MAX)
top_logprobs: Final = checks.integer(0, MAX_TOP_LOGPROBS)
verbosity: Final = checks.one_of("low", "medium", "high")
_penalty: Final = checks.number(-2, 2)


def metadata(value: object) -> Json:
    """Pairs of strings that come back with the answer: ``{"ticket": "7"}``."""
    for name, member in checks.json_object(value).items():
        refusal.at(refusal.shortened(name), checks.string, member)
    return value  # type: ignore[return-value]  # an object, as just checked


def not_streamed(value: object) -> None:
    """``stream``: only false, because a batch does not stream."""
    if value is not False:
        refusal.unsupported_value("streaming is not supported in a batch.")


def no_bias(value: object) -> None:
    """``logit_bias``: an empty map asks for nothing; token ids belong to OpenAI's tokenizers."""
    if checks.json_object(value):
        refusal.unsupported_value("token ids belong to another tokenizer; leave it out.")


def _sampled(field: str, target: str) -> Reader[RequestBuilder]:
    """Write a value into ``generationConfig``, where the model can be told how to sample."""

    def read(value: float, builder: RequestBuilder) -> None:
        if builder.can.sampling:
            builder.config[target] = value
        else:
            builder.note("dropped", field)

    return read


def _penalised(field: str, target: str) -> Reader[RequestBuilder]:
    """0 is the default; from 2.5 on anything else is a 400 (cookbook#1290), so it is dropped."""

    def read(value: float, builder: RequestBuilder) -> None:
        if value and builder.can.penalties:
            builder.config[target] = value
        elif value:
            builder.note("dropped", field)

    return read


def _read_top_k(value: int, builder: RequestBuilder) -> None:
    """``top_k`` (an extension many clients know) -> ``topK``."""
    _top_k(value, builder, "top_k")


def read_google_top_k(value: int, builder: RequestBuilder) -> None:
    """Read ``top_k`` among Google's own members; both at once are refused."""
    _top_k(value, builder, f"{builder.google_path}.top_k")


def _top_k(value: int, builder: RequestBuilder, path: str) -> None:
    if builder.top_k_path:
        refusal.invalid_value(f"it is given twice, also as '{builder.top_k_path}'.")
    builder.top_k_path = path
    _sampled(path, "topK")(value, builder)


def _read_seed(value: int, builder: RequestBuilder) -> None:
    """``seed`` -> ``seed``: OpenAI's has 64 bits, Gemini's 32, so a larger one is folded."""
    if not -INT32_MAX - 1 <= value <= INT32_MAX:
        value %= 2**31
        builder.note("approximated", "seed", str(value))
    builder.config["seed"] = value


def _read_stop(value: object, builder: RequestBuilder) -> None:
    """``"END"`` or ``["END", "STOP"]`` -> ``stopSequences``; empty ones stop nothing."""
    words = [value] if type(value) is str else value
    if type(words) is not list:
        refusal.invalid_type(value, "one of a string or array of strings")
    for index, word in enumerate(words):
        param = "" if type(value) is str else f"[{index}]"
        if type(word) is not str:
            refusal.invalid_type(word, "a string", param)
        if len(word) > MAX_STOP_CHARACTERS:
            refusal.invalid_value(f"at most {MAX_STOP_CHARACTERS} characters are possible.", param)
    words = [word for word in words if word]
    if len(words) > MAX_STOP_SEQUENCES:
        refusal.invalid_value(f"at most {MAX_STOP_SEQUENCES} sequences are possible.")
    if words:
        builder.config["stopSequences"] = words


def possible_tokens(value: int, builder: RequestBuilder, field: str) -> int:
    """Return a limit on tokens that the model takes: its own, where ``field`` asks for more."""
    most = builder.can.most_tokens
    if value > most:
        builder.note("clamped", field, str(most))
    return min(value, most)


def read_max_tokens(value: int, builder: RequestBuilder) -> None:
    """``max_tokens`` (deprecated) -> ``maxOutputTokens``; the newer field wins over it."""
    value = possible_tokens(value, builder, "max_tokens")
    if builder.config.setdefault("maxOutputTokens", value) != value:
        builder.note("dropped", "max_tokens")


def read_max_completion_tokens(value: int, builder: RequestBuilder) -> None:
    """``max_completion_tokens`` -> ``maxOutputTokens``; it wins over ``max_tokens``."""
    value = possible_tokens(value, builder, "max_completion_tokens")
    if builder.config.get("maxOutputTokens", value) != value:
        builder.note("dropped", "max_tokens")
    builder.config["maxOutputTokens"] = value


def _read_parallel_tool_calls(value: object, builder: RequestBuilder) -> None:
    """Note false or, by setting, keep the first call alone; true is how Gemini works."""
    if not value and builder.policy.parallel_tool_calls == "first":
        builder.hints["one_call"] = True
    elif not value:
        builder.note("dropped", "parallel_tool_calls")


def read_texts(value: object, field: str, noun: str, most: int, tokens: str = "") -> list[str]:
    """Read a text, or an array of ``most`` texts that are each a ``noun``.

    ``field`` is complained of, and ``tokens`` of ids of tokens: their place, unless it is given.
    """
    if value is None:
        refusal.missing(field)
    alone = type(value) is str
    texts = [value] if alone else value
    if type(texts) is not list:
        refusal.invalid_type(value, "one of a string or array of strings", field)
    if not texts:
        refusal.invalid_value("the array is empty.", field)
    if len(texts) > most:
        refusal.invalid_value(f"at most {most} {noun}s are possible.", field)
    for index, text in enumerate(texts):
        param = field if alone else f"{field}[{index}]"
        if type(text) is int or type(text) is list:
            why = "token ids belong to another tokenizer; send text."
            refusal.unsupported_value(why, tokens or param)
        if type(text) is not str:
            refusal.invalid_type(text, "a string", param)
        if not text:
            # OpenAI's default of a prompt, the end-of-text token, has no counterpart.
            article = "an" if noun[0] in "aeiou" else "a"
            refusal.invalid_value(f"{article} {noun} cannot be an empty string.", param)
    return texts


def resolve_choices(builder: RequestBuilder) -> None:
    """Several candidates of one request, where the model gives as many as the line asks for."""
    if 1 < builder.choices <= builder.can.max_candidates:
        builder.config["candidateCount"] = builder.choices
        builder.hints["candidates"] = builder.choices


def resolve_logprobs(builder: RequestBuilder) -> None:
    """``logprobs`` and ``top_logprobs`` together."""
    if builder.logprobs:
        ask_logprobs(builder, "logprobs")
    elif builder.top_logprobs:
        refusal.invalid_value(
            "'logprobs' must be true when 'top_logprobs' is given.", "top_logprobs"
        )


def ask_logprobs(builder: RequestBuilder, field: str) -> None:
    """Ask for log probabilities, which ``field`` of the body wants."""
    if not builder.can.logprobs:
        refusal.unsupported_value("this model gives no log probabilities.", field)
    builder.config["responseLogprobs"] = True
    builder.hints["logprobs"] = True
    if builder.top_logprobs:
        builder.config["logprobs"] = builder.top_logprobs


# Values that lines have of their own, each with a number that no line is likely to have.
OWN_LIMIT: Final = own_integer(1, LARGEST_LIMIT, STAND_IN_LIMIT)
OWN_METADATA: Final = own_texts(900)
_OWN_SEED: Final = own_integer(-INT32_MAX - 1, INT32_MAX, 1_073_519_867)

# Rows of several endpoints.
TEMPERATURE: Final = varying(
    mapped(
        "temperature",
        "`generationConfig.temperature`",
        checks.number(0, 2),
        _sampled("temperature", "temperature"),
    ),
    own_number(2, 0.739085133215),
)
TOP_P: Final = varying(
    mapped("top_p", "`generationConfig.topP`", checks.number(0, 1), _sampled("top_p", "topP")),
    own_number(1, 0.567143290409),
)
TOP_K: Final = varying(
    mapped(
        "top_k", "`generationConfig.topK` (extension)", checks.integer(1, INT32_MAX), _read_top_k
    ),
    own_integer(1, INT32_MAX, 915_965_594),
)
STREAM: Final = mapped("stream", "false only", not_streamed)
# Members of several endpoints that are about OpenAI's service, not about the answer.
STREAM_OPTIONS: Final = dropped("stream_options", "it asks for nothing without streaming")
USER: Final = dropped("user", "names the caller's user to OpenAI")
SAFETY_IDENTIFIER: Final = dropped("safety_identifier", "names the caller's user to OpenAI")
SERVICE_TIER: Final = dropped(
    "service_tier", "batch is a class of its own; a dearer tier is never asked for"
)
CACHE_RETENTION: Final = dropped(
    "prompt_cache_retention", "OpenAI's cache; Gemini caches by itself"
)
MODERATION: Final = refused("moderation", "Gemini gives no moderation scores with an answer.")
PARALLEL_TOOL_CALLS: Final = dropped(
    "parallel_tool_calls",
    "Gemini has no equivalent; false is noted, or by setting keeps the first call",
    checks.boolean,
    _read_parallel_tool_calls,
)
VERBOSITY: Final = noted("verbosity", "Gemini has no such setting; noted", verbosity)
# Sampling of completions, of chat and of text.
SAMPLING: Final[tuple[Field[RequestBuilder], ...]] = (
    TEMPERATURE,
    TOP_P,
    TOP_K,
    mapped(
        "n",
        "`candidateCount`, or one item per choice, with `seed`, `seed` + 1 and so on",
        checks.integer(1, MAX_CHOICES),
        keep("choices"),
    ),
    mapped("stop", "`generationConfig.stopSequences`", read=_read_stop),
    varying(
        mapped("seed", "`generationConfig.seed`, folded to 31 bits", checks.whole, _read_seed),
        _OWN_SEED,
    ),
    mapped(
        "frequency_penalty",
        "`generationConfig.frequencyPenalty`; models from 2.5 on refuse it: dropped, noted",
        _penalty,
        _penalised("frequency_penalty", "frequencyPenalty"),
    ),
    mapped(
        "presence_penalty",
        "`generationConfig.presencePenalty`; models from 2.5 on refuse it: dropped, noted",
        _penalty,
        _penalised("presence_penalty", "presencePenalty"),
    ),
    mapped("logit_bias", "nothing when empty; otherwise refused", no_bias),
)
