"""Checks of a generate request beyond its grammar, with the texts of the service."""

import re
from collections.abc import Iterator
from typing import Final

from gateway.emulator.checks.config import check_config
from gateway.emulator.checks.tools import check_tools
from gateway.emulator.protocol.errors import JsonObject, invalid
from gateway.emulator.protocol.schema import decode_bytes, snake
from gateway.emulator.resources.caches import Cache
from gateway.emulator.resources.capabilities import ModelCapabilities, capabilities_of
from gateway.emulator.resources.project_resources import ProjectResources

MAX_INPUT_TOKENS: Final = 1_048_576
SIGNATURE_TEXT: Final = (
    "Function call is missing a thought_signature in functionCall parts. This is required for "
    "tools to work correctly, and missing thought_signature may lead to degraded model performance."
)
# 400 for a history that begins with a function call (gemini-cli#11814, pydantic-ai#4148). That a
# history which begins with a model's text is refused, too, is one project's word: it passes here.
CALL_TURN_TEXT: Final = (
    "Please ensure that function call turn comes immediately after a user turn or after a function "
    "response turn."
)
# Media types of ``functionResponse.parts`` (ai.google.dev, "Function calling", by pydantic-ai's
# profile; another is a 400, gemini-cli#16995).
INSIDE_RESULTS: Final = frozenset(
    {"image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain"}
)
# What history without signatures may carry instead (ai.google.dev, "Thought signatures").
UNSIGNED: Final = ("skip_thought_signature_validator", "context_engineering_is_the_way_to_go")
# First byte of every recorded signature: fields 1 (2.5) and 2 (3) of a message.
_SIGNATURE_STARTS: Final = (b"\x0a", b"\x12")
_FILE_URI: Final = re.compile(r"(?:https?://[^/]+/v1(?:alpha|beta)?/)?files/([a-z0-9-]+)")
_DOCUMENTS: Final = re.compile(
    r"(image|audio|video|text)/.+|application/(pdf|json|rtf|xml|x-javascript|javascript|x-python"
    r"|x-python-code|typescript|x-typescript|x-ipynb\+json|ogg)"
)
_NOT_READ: Final = frozenset({"image/gif", "image/svg+xml"})
_ATTRIBUTES: Final = frozenset({"thought", "thoughtSignature", "partMetadata", "mediaResolution"})
_MEDIA: Final = ("inlineData", "fileData")
# ai.google.dev, "Video understanding": a frame rate in (0.0, 24.0].
MAX_FPS: Final = 24.0
# Part -> fields that the grammar requires; an empty one is there.
_REQUIRED: Final = {
    "functionResponse": {"response"},
    "executableCode": {"language", "code"},
    "codeExecutionResult": {"outcome"},
}


def check(model: str, request: JsonObject, resources: ProjectResources) -> None:
    """Raise ApiError for the first thing this model would refuse: 400, 403 for what is not held."""
    capabilities = capabilities_of(model)
    check_model(model, request, "GenerateContentRequest")
    _contents(request)
    _instruction(request)
    check_config(model, capabilities, request)
    check_tools(capabilities, request)
    _cache_beside(request)
    _turns(capabilities, request)
    for part in _parts(request):
        _result_media(part)
        check_media(part, capabilities, resources)


def check_model(model: str, message: JsonObject, name: str) -> None:
    """Raise ApiError 400 for a message that names another model than its URL does.

    A bare name is taken, too (recorded).
    """
    named: str = message.get("model", "")
    if named and named.removeprefix("models/") != model:
        raise invalid(f"* {name}.model: {named} is not the model of the URL, models/{model}\n")


def _instruction(request: JsonObject) -> None:
    for part in request.get("systemInstruction", {}).get("parts", []):
        if part.keys() - _ATTRIBUTES - {"text"}:
            raise invalid("Developer instruction only supports text.")


def _contents(request: JsonObject) -> None:
    contents = request.get("contents", [])
    if not contents:
        raise invalid("* GenerateContentRequest.contents: contents is not specified\n")
    for at, content in enumerate(contents):
        if content.get("role", "") not in {"", "user", "model"}:
            raise invalid("Please use a valid role: user, model.")
        if not content.get("parts"):
            path = f"GenerateContentRequest.contents[{at}].parts"
            raise invalid(f"* {path}: contents.parts must not be empty.\n")
        for place, part in enumerate(content["parts"]):
            _part(part, f"GenerateContentRequest.contents[{at}].parts[{place}]")


def _part(part: JsonObject, path: str) -> None:
    if not part.keys() - _ATTRIBUTES:
        if "thoughtSignature" in part:
            return
        raise invalid(
            f"* {path}.data: required oneof field 'data' must have one initialized field\n"
        )
    if "functionCall" in part and not part["functionCall"].get("name"):
        raise invalid(f"* {path}.function_call.name: Name cannot be empty.\n")
    if "functionResponse" in part and not part["functionResponse"].get("name"):
        raise invalid(f"* {path}.function_response.name: Name cannot be empty.\n")
    for name, needed in _REQUIRED.items():
        for missing in needed - part.get(name, dict.fromkeys(needed)).keys():
            raise invalid(f"* {path}.{snake(name)}.{missing}: {missing} is not specified\n")
    if not 0 < part.get("videoMetadata", {}).get("fps", 1) <= MAX_FPS:
        raise invalid(f"* {path}.video_metadata.fps: must be in (0.0, {MAX_FPS}].\n")


def _parts(request: JsonObject) -> Iterator[JsonObject]:
    """Every part of the conversation, those inside function responses too."""
    for content in request["contents"]:
        for part in content["parts"]:
            yield part
            yield from part.get("functionResponse", {}).get("parts", [])


def _result_media(part: JsonObject) -> None:
    """Refuse media inside a function's result that belong in a turn of their own."""
    for inner in part.get("functionResponse", {}).get("parts", []):
        for name in _MEDIA:
            mime = inner.get(name, {}).get("mimeType", "").partition(";")[0]
            if mime and mime not in INSIDE_RESULTS:
                raise invalid(
                    f"Unable to submit request because the mime_type: {mime} is not supported in "
                    "`function_response.parts`."
                )


def check_media(
    part: JsonObject, capabilities: ModelCapabilities, resources: ProjectResources
) -> None:
    """Raise ApiError for data of a type no model reads, or a file that is not to be had."""
    for name in _MEDIA:
        mime = part.get(name, {}).get("mimeType", "").partition(";")[0]
        if mime and (mime in _NOT_READ or not _DOCUMENTS.fullmatch(mime)):
            raise invalid(f"Unsupported MIME type: {mime}")
    if "inlineData" in part and not part["inlineData"].get("mimeType"):
        raise invalid("Unsupported MIME type: ")
    if "fileData" in part:
        _uri(part["fileData"].get("fileUri", ""), capabilities, resources)


def _uri(uri: str, capabilities: ModelCapabilities, resources: ProjectResources) -> None:
    """Files of this API must be there; public URLs must be https and fetchable."""
    if found := _FILE_URI.fullmatch(uri):
        resources.use_file(found[1])
        return
    if uri.startswith("gs://"):
        resources.use_registered(uri)
        return
    video = re.match(r"https://((www|m)\.)?(youtube\.com|youtu\.be)/", uri)
    if not uri.startswith("https://") or not (capabilities.urls or video):
        raise invalid(f"Invalid or unsupported file uri: {uri}")
    if re.match(r"https://[^/:]*\.invalid([/:]|$)", uri):  # RFC 2606: never to be resolved
        raise invalid("Cannot fetch content from the provided URL.")


def _cache_beside(request: JsonObject) -> None:
    clash = {"systemInstruction", "tools", "toolConfig"} & request.keys()
    if "cachedContent" in request and clash:
        raise invalid(
            "CachedContent can not be used with GenerateContent request setting "
            "system_instruction, tools or tool_config.",
        )


def cache_of(model: str, request: JsonObject, resources: ProjectResources) -> Cache | None:
    """Return the cache a request rests on; raises ApiError 403, 400 when it is another model's."""
    if "cachedContent" not in request:
        return None
    cache = resources.cache(request["cachedContent"])
    if cache.model != f"models/{model}":
        raise invalid(
            f"Model used by GenerateContent request (models/{model}) and CachedContent "
            f"({cache.model}) has to be the same.",
        )
    return cache


def _turns(capabilities: ModelCapabilities, request: JsonObject) -> None:
    contents = request["contents"]
    start = _current_turn(contents)
    if any("functionCall" in part for part in contents[0]["parts"]):
        raise invalid(CALL_TURN_TEXT)
    for at, content in enumerate(contents):
        calls = [part for part in content["parts"] if "functionCall" in part]
        if calls:
            _calls(calls, contents[at + 1 : at + 2], signed=capabilities.signs and at >= start)
    if contents[-1].get("role") == "model" and not capabilities.prefill:
        raise invalid("Requests ending with a model turn are not supported.")


def _calls(calls: list[JsonObject], following: list[JsonObject], *, signed: bool) -> None:
    if signed:
        if "thoughtSignature" not in calls[0]:
            raise invalid(SIGNATURE_TEXT)
        _signature(calls[0]["thoughtSignature"])
    answers = [part for content in following for part in content["parts"]]
    if len([part for part in answers if "functionResponse" in part]) != len(calls):
        raise invalid(
            "Please ensure that the number of function response parts is equal to the number "
            "of function call parts of the function call turn.",
        )


def _signature(text: str) -> None:
    """Refuse bytes no model has signed with; sentinels go as they are or in base64."""
    if text in UNSIGNED:
        return
    signed = decode_bytes(text)
    if not signed.startswith(_SIGNATURE_STARTS) and signed not in map(str.encode, UNSIGNED):
        raise invalid("Corrupted thought signature.")


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
