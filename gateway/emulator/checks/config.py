"""Checks of generationConfig and safetySettings, with the texts of the service."""

from collections import Counter
from typing import Final

from gateway.emulator.checks.media import check_image_config, check_speech_config
from gateway.emulator.checks.schema import check_json_schema, check_openapi_schema
from gateway.emulator.protocol.errors import JsonObject, invalid
from gateway.emulator.resources.capabilities import ModelCapabilities

MAX_STOP_SEQUENCES: Final = 5
MIME_TYPES: Final = ("text/plain", "application/json", "text/x.enum")
# generationConfig field -> least and greatest value.
RANGES: Final = {
    "temperature": (0.0, 2.0),
    "topP": (0.0, 1.0),
    "presencePenalty": (-2.0, 2.0),
    "frequencyPenalty": (-2.0, 2.0),
    "logprobs": (0, 20),
    "candidateCount": (1, 8),
    "maxOutputTokens": (1, 2**31 - 1),
}
# The categories this API knows; the others in the grammar are of older models.
HARMS: Final = tuple(
    f"HARM_CATEGORY_{name}"
    for name in (
        "HATE_SPEECH",
        "SEXUALLY_EXPLICIT",
        "DANGEROUS_CONTENT",
        "HARASSMENT",
        "CIVIC_INTEGRITY",
    )
)
_PREFIX: Final = "* GenerateContentRequest.generation_config."


def check_config(model: str, capabilities: ModelCapabilities, request: JsonObject) -> None:
    """Raise ApiError 400 for the first thing a model would refuse."""
    config = request.get("generationConfig", {})
    _ranges(config)
    _sampling(model, capabilities, config)
    _formats(config)
    _thinking(capabilities, config)
    _outputs(model, capabilities, config)
    _safety(request)


def _ranges(config: JsonObject) -> None:
    for name, (least, most) in RANGES.items():
        if name in config and not least <= config[name] <= most:
            raise invalid(f"{_PREFIX}{name}: must be in the range [{least}, {most}].\n")
    if len(config.get("stopSequences", [])) > MAX_STOP_SEQUENCES:
        raise invalid(
            f"{_PREFIX}stop_sequences: at most {MAX_STOP_SEQUENCES} sequences may be set.\n"
        )


def _sampling(model: str, capabilities: ModelCapabilities, config: JsonObject) -> None:
    if config.get("candidateCount", 1) > capabilities.candidates:
        raise invalid("Multiple candidates is not enabled for this model")
    penalty = config.get("presencePenalty") or config.get("frequencyPenalty")
    if penalty and not capabilities.penalties:
        raise invalid("Penalty is not enabled for this model")
    if config.get("responseLogprobs") and not capabilities.logprobs:
        raise invalid(f"Logprobs is not enabled for models/{model}")


def schema_of(config: JsonObject) -> object:
    """Return the schema an answer shall fit, in either dialect; None without one."""
    for name in ("responseSchema", "responseJsonSchema", "_responseJsonSchema"):
        if name in config:
            return config[name]
    return None


def _formats(config: JsonObject) -> None:
    mime = config.get("responseMimeType", "text/plain")
    if mime not in MIME_TYPES:
        raise invalid(
            f"{_PREFIX}response_mime_type: allowed mimetypes are `text/plain`, "
            "`application/json`, `application/xml`, `application/yaml` and `text/x.enum`.\n",
        )
    given = {"responseSchema", "responseJsonSchema", "_responseJsonSchema"} & config.keys()
    if len(given) > 1:
        raise invalid("Only one of response_schema and response_json_schema may be set.")
    if given and mime == "text/plain":
        raise invalid(
            f"{_PREFIX}response_schema: only allowed when response_mime_type is "
            "`application/json` or `text/x.enum`.\n",
        )
    if "responseSchema" in config:
        path = f"{_PREFIX}response_schema"
        check_openapi_schema(config["responseSchema"], path, of_answer=True)
    elif given:
        check_json_schema(schema_of(config))


def _thinking(capabilities: ModelCapabilities, config: JsonObject) -> None:
    thinking = config.get("thinkingConfig")
    if thinking is None:
        return
    budget, level = thinking.get("thinkingBudget"), thinking.get("thinkingLevel")
    if budget is not None and level is not None:
        raise invalid("You can only set only one of thinking budget and thinking level.")
    if not capabilities.may_think:
        raise invalid("Thinking is not enabled for this model.")
    if level is not None:
        _level(capabilities, level)
    if budget is not None:
        _budget(capabilities, budget)


def _level(capabilities: ModelCapabilities, level: str) -> None:
    if not capabilities.levels:
        raise invalid("Thinking level is not supported for this model.")
    if level not in (*capabilities.levels, "THINKING_LEVEL_UNSPECIFIED"):
        raise invalid(
            f"Thinking level {level} is not supported for this model. Please retry with other "
            "thinking level.",
        )


def _budget(capabilities: ModelCapabilities, budget: int) -> None:
    least, most = capabilities.budget
    if budget == 0:
        if not capabilities.may_rest:
            raise invalid("Budget 0 is invalid. This model only works in thinking mode.")
    elif budget != -1 and not least <= budget <= most:
        raise invalid(
            f"The thinking budget ({budget}) is invalid. Please choose a value between {least} "
            f"and {most}.",
        )


def _outputs(model: str, capabilities: ModelCapabilities, config: JsonObject) -> None:
    asked = [word for word in config.get("responseModalities", []) if not word.startswith("MODAL")]
    accepted = {frozenset(kinds) for kinds in capabilities.outputs}
    if capabilities.outputs[0] == ("AUDIO",) and asked != ["AUDIO"]:
        raise invalid(
            f"The requested combination of response modalities ({', '.join(asked) or 'TEXT'}) is "
            f"not supported by the model. models/{model} accepts the following combination of "
            "response modalities:\n* AUDIO\n",
        )
    if asked and frozenset(asked) not in accepted:
        kinds = ",".join(sorted({word.lower() for word in asked}))
        raise invalid(f"Model does not support the requested response modalities: {kinds}")
    if "imageConfig" in config:
        check_image_config(config["imageConfig"])
    if "speechConfig" in config:
        check_speech_config(config["speechConfig"])


def _safety(request: JsonObject) -> None:
    settings = request.get("safetySettings", [])
    for at, one in enumerate(settings):
        if one.get("category") not in HARMS:
            raise invalid(
                f"* GenerateContentRequest.safety_settings[{at}]: element predicate failed: "
                f"$.category in ({', '.join(f'HarmCategory.{name}' for name in HARMS)})\n",
            )
    counts = Counter(one["category"] for one in settings)
    for category, count in counts.items():
        if count > 1:
            raise invalid(f"Duplicate safety setting for category: {category}")
