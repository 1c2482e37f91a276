"""What a generate request is refused for beyond its grammar; texts as the service words them."""

from collections import Counter
from collections.abc import Callable

from gateway.emulator.errors import JsonObject, invalid
from gateway.emulator.models import signs, thinks

MAX_STOP_SEQUENCES = 5
MAX_CANDIDATES = 8
MAX_INPUT_TOKENS = 1_048_576
MIME_TYPES = ("text/plain", "application/json", "text/x.enum")
SIGNATURE_TEXT = (
    "Function call is missing a thought_signature in functionCall parts. This is required for "
    "tools to work correctly, and missing thought_signature may lead to degraded model performance."
)
RANGES = {
    "temperature": (0.0, 2.0),
    "topP": (0.0, 1.0),
    "presencePenalty": (-2.0, 2.0),
    "frequencyPenalty": (-2.0, 2.0),
    "logprobs": (0, 20),
    "candidateCount": (1, MAX_CANDIDATES),
}
"""generationConfig field -> least and greatest value."""


def check(model: str, request: JsonObject) -> None:
    """Raise ApiError 400 for the first thing this model would refuse."""
    for rule in _RULES:
        rule(model, request)


def _contents(_model: str, request: JsonObject) -> None:
    contents = request.get("contents", [])
    if not contents:
        raise invalid("* GenerateContentRequest.contents: contents is not specified\n")
    for at, content in enumerate(contents):
        if content.get("role", "") not in {"", "user", "model", "function"}:
            raise invalid("Please use a valid role: user, model.")
        if not content.get("parts"):
            path = f"GenerateContentRequest.contents[{at}].parts"
            raise invalid(f"* {path}: contents.parts must not be empty.\n")
        for place, part in enumerate(content["parts"]):
            _part(part, f"GenerateContentRequest.contents[{at}].parts[{place}]")


def _part(part: JsonObject, path: str) -> None:
    if not part.keys() - {"thought", "thoughtSignature", "partMetadata", "mediaResolution"}:
        if "thoughtSignature" in part:
            return
        raise invalid(
            f"* {path}.data: required oneof field 'data' must have one initialized field\n"
        )
    if "functionCall" in part and not part["functionCall"].get("name"):
        raise invalid(f"* {path}.function_call.name: Name cannot be empty.\n")
    if "functionResponse" in part and not part["functionResponse"].get("name"):
        raise invalid(f"* {path}.function_response.name: Name cannot be empty.\n")


def _ranges(_model: str, request: JsonObject) -> None:
    config = request.get("generationConfig", {})
    for name, (least, most) in RANGES.items():
        if name in config and not least <= config[name] <= most:
            raise invalid(
                f"* GenerateContentRequest.generation_config.{name}: must be in the range "
                f"[{least}, {most}].\n",
            )
    if len(config.get("stopSequences", [])) > MAX_STOP_SEQUENCES:
        raise invalid(
            "* GenerateContentRequest.generation_config.stop_sequences: at most "
            f"{MAX_STOP_SEQUENCES} sequences may be set.\n",
        )


def _formats(_model: str, request: JsonObject) -> None:
    config = request.get("generationConfig", {})
    mime = config.get("responseMimeType", "text/plain")
    if mime not in MIME_TYPES:
        raise invalid(
            "* GenerateContentRequest.generation_config.response_mime_type: allowed mimetypes are "
            "`text/plain`, `application/json`, `application/xml`, `application/yaml` and "
            "`text/x.enum`.\n",
        )
    given = [name for name in ("responseSchema", "responseJsonSchema") if name in config]
    if len(given) > 1:
        raise invalid("Only one of response_schema and response_json_schema may be set.")
    if given and mime == "text/plain":
        raise invalid(
            "* GenerateContentRequest.generation_config.response_schema: only allowed when "
            "response_mime_type is `application/json` or `text/x.enum`.\n",
        )


def declarations(request: JsonObject) -> dict[str, JsonObject]:
    """The declared functions by name."""
    return {
        one.get("name", ""): one
        for tool in request.get("tools", [])
        for one in tool.get("functionDeclarations", [])
    }


def _tools(_model: str, request: JsonObject) -> None:
    names = [
        one.get("name", "")
        for tool in request.get("tools", [])
        for one in tool.get("functionDeclarations", [])
    ]
    for name, count in Counter(names).items():
        if count > 1:
            raise invalid(f"Duplicate function declaration found: {name}")
        if not name or len(name) > 128 or not (name[0].isalpha() or name[0] == "_"):
            raise invalid(
                "Invalid function name. Must start with a letter or an underscore. Must be "
                "alphameric (a-z, A-Z, 0-9), underscores (_), dots (.), colons (:), or dashes (-), "
                "with a maximum length of 128.",
            )
    calling = request.get("toolConfig", {}).get("functionCallingConfig", {})
    for name in calling.get("allowedFunctionNames", []):
        if name not in names:
            raise invalid(
                f"allowed_function_names contains a function that is not declared: {name}"
            )


def _parameters(_model: str, request: JsonObject) -> None:
    for name, declared in declarations(request).items():
        if "parameters" in declared and "parametersJsonSchema" in declared:
            raise invalid(
                f"functionDeclaration parameters schema of {name} must be set in only one of "
                "parameters and parameters_json_schema.",
            )


def _thinking(model: str, request: JsonObject) -> None:
    config = request.get("generationConfig", {}).get("thinkingConfig")
    if config is None:
        return
    budget, level = config.get("thinkingBudget"), config.get("thinkingLevel")
    if budget is not None and level is not None:
        raise invalid("You can only set only one of thinking budget and thinking level.")
    if not thinks(model) and "2.5-flash-lite" not in model:
        raise invalid("Thinking is not enabled for this model.")
    if level is not None and "2.5" in model:
        raise invalid("Thinking level is not supported for this model.")
    if budget == 0 and "pro" in model:
        raise invalid("Budget 0 is invalid. This model only works in thinking mode.")


def _cache(_model: str, request: JsonObject) -> None:
    clash = {"systemInstruction", "tools", "toolConfig"} & request.keys()
    if "cachedContent" in request and clash:
        raise invalid(
            "CachedContent can not be used with GenerateContent request setting "
            "system_instruction, tools or tool_config.",
        )


def _turns(model: str, request: JsonObject) -> None:
    contents = request["contents"]
    start = _current_turn(contents)
    for at, content in enumerate(contents):
        calls = [part for part in content["parts"] if "functionCall" in part]
        if calls and signs(model) and at >= start and "thoughtSignature" not in calls[0]:
            raise invalid(SIGNATURE_TEXT)
        following = contents[at + 1]["parts"] if at + 1 < len(contents) else []
        answers = [part for part in following if "functionResponse" in part]
        if calls and len(answers) != len(calls):
            raise invalid(
                "Please ensure that the number of function response parts is equal to the number "
                "of function call parts of the function call turn.",
            )


def _current_turn(contents: list[JsonObject]) -> int:
    """Index of the last content in which the user speaks (text, not function responses)."""
    spoken = [
        at
        for at, content in enumerate(contents)
        if content.get("role") != "model" and any("text" in part for part in content["parts"])
    ]
    return spoken[-1] if spoken else 0


def check_size(total: int) -> None:
    """Raise ApiError 400 for a prompt of more tokens than a model takes."""
    if total > MAX_INPUT_TOKENS:
        raise invalid(
            f"The input token count ({total}) exceeds the maximum number of tokens allowed "
            f"({MAX_INPUT_TOKENS}).",
        )


_RULES: tuple[Callable[[str, JsonObject], None], ...] = (
    _contents,
    _ranges,
    _formats,
    _tools,
    _parameters,
    _thinking,
    _cache,
    _turns,
)
