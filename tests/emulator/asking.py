"""Questions to a model without a server between, and what its answers say."""

from typing import Any

import orjson
import pytest

from gateway.emulator.answers.generate import generate
from gateway.emulator.protocol.errors import ApiError
from gateway.emulator.protocol.schema import parse, read
from gateway.emulator.resources.project_resources import ProjectResources

Json = dict[str, Any]
FLASH = "gemini-2.5-flash"
TOOL = {"functionDeclarations": [{"name": "get_weather", "description": "d"}]}


def ask(
    text: str, model: str = FLASH, resources: ProjectResources | None = None, **request: Any
) -> Json:
    """The answer to a prompt, judged by the grammar; raises ApiError."""
    body = {"contents": [{"role": "user", "parts": [{"text": text}]}], **request}
    parsed = parse("GenerateContentRequest", orjson.loads(orjson.dumps(body)))
    response = generate(model, parsed, resources or ProjectResources())
    assert read("GenerateContentResponse", response)[1] == []
    return response


def refusal(text: str = "x", model: str = FLASH, **request: Any) -> ApiError:
    """How a prompt is refused."""
    with pytest.raises(ApiError) as caught:
        ask(text, model, **request)
    return caught.value


def parts_of(response: Json) -> list[Json]:
    """The parts of the first candidate."""
    parts: list[Json] = response["candidates"][0]["content"]["parts"]
    return parts


def texts_of(response: Json) -> list[str]:
    """Its texts, thoughts left out."""
    return [part["text"] for part in parts_of(response) if "text" in part and "thought" not in part]


def text_of(response: Json) -> str:
    """They in one."""
    return "".join(texts_of(response))
