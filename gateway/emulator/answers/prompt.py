"""A generate request as the answers need it, and the errors its markers ask for."""

from dataclasses import dataclass
from hashlib import sha256
from typing import Final

import orjson

from gateway.emulator.faults.markers import Marks, Seen, find_marks
from gateway.emulator.protocol.errors import HTTP_OF_CODE, TEXTS, ApiError, JsonObject
from gateway.emulator.protocol.numbers import whole_number
from gateway.emulator.resources.capabilities import ModelCapabilities, capabilities_of

# Longer prompts are named by their beginning and their digest.
ECHO_CHARACTERS: Final = 200


@dataclass(frozen=True)
class Prompt:
    """Prompt, its model, and the configuration of its answer."""

    model: str
    capabilities: ModelCapabilities
    request: JsonObject
    config: JsonObject
    text: str
    marks: Marks
    digest: bytes

    @property
    def echo(self) -> str:
        """Text that names this prompt in its answer."""
        if len(self.text) <= ECHO_CHARACTERS:
            return self.text
        return f"{self.text[:ECHO_CHARACTERS]}… (sha256 {self.digest.hex()})"

    @property
    def outputs(self) -> tuple[str, ...]:
        """The kinds of parts to answer with."""
        asked = tuple(self.config.get("responseModalities", ()))
        return asked or self.capabilities.outputs[0]


def read_prompt(model: str, request: JsonObject) -> Prompt:
    """Return the prompt of a parsed and checked GenerateContentRequest."""
    text = last_user_text(request["contents"])
    digest = sha256(orjson.dumps(request["contents"])).digest()
    if len(text) > ECHO_CHARACTERS:
        digest = sha256(text.encode()).digest()
    config = request.get("generationConfig", {})
    return Prompt(model, capabilities_of(model), request, config, text, find_marks(text), digest)


def last_user_text(contents: list[JsonObject]) -> str:
    """Return the texts of the last content of the user that has any, joined by line ends."""
    for content in reversed(contents):
        if content.get("role") != "model":
            texts = [part["text"] for part in content.get("parts", []) if "text" in part]
            if texts:
                return "\n".join(texts)
    return ""


def check_error_mark(marks: Marks, text: str, seen: Seen) -> None:
    """Raise the ApiError that ``[[error:...]]`` asks for."""
    mark = marks.get("error")
    if mark is None:
        return
    times = whole_number(mark.options.get("times", ""))
    if times is not None and seen.count(text) > times:
        return
    code = HTTP_OF_CODE.get(mark.number(13), 500)
    raise ApiError(code, mark.options.get("message", TEXTS.get(code, "The request is invalid.")))
