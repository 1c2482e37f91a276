"""The lines of ``gateway demo``: what people put into batches, and a few that are wrong."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import orjson

Body = dict[str, Any]

FLASH: Final = "gemini-3.8-flash"
NEWER: Final = "gemini-3.5-flash"
EMBEDDING: Final = "gemini-embedding-001"

# A name of OpenAI's in the lines, and what GATEWAY_MODEL_ALIASES makes of it.
ALIASES: Final = {"gpt-4o-mini": FLASH}

_PIXEL: Final = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGA"
    "WjR9awAAAABJRU5ErkJggg=="
)
_WEATHER: Final[Body] = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "The weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {
                "city": {"type": "string"},
                "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
            },
            "required": ["city", "unit"],
            "additionalProperties": False,
        },
        "strict": True,
    },
}
_PERSON: Final[Body] = {
    "type": "json_schema",
    "json_schema": {
        "name": "person",
        "strict": True,
        "schema": {
            "type": "object",
            "properties": {
                "name": {"type": "string"},
                "age": {"type": "integer", "minimum": 0, "maximum": 150},
                "email": {"type": ["string", "null"], "format": "email"},
            },
            "required": ["name", "age", "email"],
            "additionalProperties": False,
        },
    },
}
_CITIES: Final = (
    "Zürich", "Ürümqi", "São Paulo", "Reykjavík", "東京", "القاهرة", "Αθήνα", "Київ", "Hà Nội",
    "서울", "मुंबई", "Tromsø",
)  # fmt: skip


def write_lines(directory: Path, name: str, endpoint: str, bodies: Mapping[str, Body]) -> Path:
    """Write an OpenAI batch file; the names of the bodies are its custom_ids."""
    path = directory / f"{name}.jsonl"
    with path.open("wb") as file:
        for custom_id, body in bodies.items():
            line = {"custom_id": custom_id, "method": "POST", "url": endpoint, "body": body}
            file.write(orjson.dumps(line, option=orjson.OPT_APPEND_NEWLINE))
    return path


def chat_lines() -> dict[str, Body]:
    """Return bodies for ``/v1/chat/completions`` by custom_id."""
    return {name: body for part in _CHAT for name, body in part()}


def response_lines() -> dict[str, Body]:
    """Return bodies for ``/v1/responses`` by custom_id."""
    weather = {"type": "function", **_WEATHER["function"]}
    person = {"type": "json_schema", **_PERSON["json_schema"]}
    interpreter: Body = {"type": "code_interpreter", "container": {"type": "auto"}}
    history = [
        _said("What is the weather in Zürich?"),
        _called("call_1", '{"city":"Zürich","unit":"celsius"}'),
        {"type": "function_call_output", "call_id": "call_1", "output": '{"degrees": 21}'},
    ]
    return {
        "text": _response("Say hello."),
        "instructions": _response("What is a batch?", instructions="You answer in rhymes."),
        "items": _response([_said("What is a batch?")], model=NEWER, metadata={"ticket": "7"}),
        "reasoning": _response("Is 2027 prime?", reasoning={"effort": "high", "summary": "auto"}),
        "json-format": _response("Invent a person.", text={"format": person}),
        "function-calls": _response("Weather here and there? [[calls:2]]", tools=[weather]),
        "function-result": _response(history, tools=[weather]),
        "web-search": _response("What is new?", tools=[{"type": "web_search"}]),
        "code-interpreter": _response("Count to seven.", tools=[interpreter]),
        "incomplete": _response("Count. [[tokens:200]]", max_output_tokens=60),
        "blocked-prompt": _response("This is blocked. [[block:SAFETY]]"),
        "refused-previous": _response("And then?", previous_response_id="resp_1"),
    }


def _response(given: object, model: str = FLASH, **options: object) -> Body:
    return {"model": model, "input": given, **options}


def _called(call_id: str, arguments: str) -> Body:
    named = {"name": "get_weather", "arguments": arguments}
    return {"type": "function_call", "call_id": call_id, **named}


def embedding_lines() -> dict[str, Body]:
    """Return bodies for ``/v1/embeddings`` by custom_id."""
    return {
        "one-string": _embedding("A gateway is a door in a wall."),
        "unicode": _embedding("Grüße aus 東京 🗼"),
        "array-of-three": _embedding(["red", "green", "blue"]),
        "dimensions-256": _embedding("short vector", dimensions=256),
        "base64": _embedding("as bytes", encoding_format="base64"),
        "base64-array": _embedding(["one", "two"], encoding_format="base64", dimensions=768),
        "with-user": _embedding("the user is not passed on", user="someone"),
        **{f"city-{number}": _embedding(city) for number, city in enumerate(_CITIES, 1)},
        "refused-token-ids": _embedding([[1, 2, 3]]),
        "refused-encoding": _embedding("how?", encoding_format="hex"),
    }


def _embedding(given: object, **options: object) -> Body:
    return {"model": EMBEDDING, "input": given, **options}


def _chat(content: object, model: str = FLASH, **options: object) -> Body:
    return {"model": model, "messages": [{"role": "user", "content": content}], **options}


def _plain() -> Iterator[tuple[str, Body]]:
    yield "hello", _chat("Say hello.")
    yield "alias", _chat("A model by OpenAI's name.", model="gpt-4o-mini")
    yield "newer-model", _chat("Another model in the same file.", model=NEWER)
    yield "emoji", _chat("\U0001f469\u200d\U0001f680 was here 🪐")
    yield "separators", _chat("a\u2028b\u2029c\u0085d")
    for number, city in enumerate(_CITIES, 1):
        yield f"city-{number}", _chat(f"Name one sight of {city}.")


def _conversations() -> Iterator[tuple[str, Body]]:
    system = {"role": "system", "content": "You answer in rhymes."}
    asked = {"role": "user", "content": "What is a batch?"}
    yield "system-prompt", {"model": FLASH, "messages": [system, asked]}
    developer = {"role": "developer", "content": "Be brief."}
    yield "developer-prompt", {"model": FLASH, "messages": [developer, asked]}
    turns = [asked, {"role": "assistant", "content": "Many at once."}, _said("And a gateway?")]
    yield "three-turns", {"model": FLASH, "messages": turns}
    yield "text-parts", _chat([{"type": "text", "text": "in "}, {"type": "text", "text": "parts"}])
    yield "image", _chat([{"type": "text", "text": "What is on the picture?"}, _image(_PIXEL)])


def _options() -> Iterator[tuple[str, Body]]:
    yield "temperature", _chat("Be bold.", temperature=1.5, top_p=0.9, seed=7)
    yield "two-choices", _chat("Toss a coin.", n=2)
    yield "two-choices-newer", _chat("Toss it again.", model=NEWER, n=2)
    yield "cut-off", _chat("Count to a million. [[tokens:200]]", max_completion_tokens=60)
    yield "stop", _chat("One. STOP Two.", stop=["STOP"])
    yield "effort-high", _chat("Is 2027 prime?", reasoning_effort="high")
    yield "effort-none", _chat("Is 2029 prime?", reasoning_effort="none")
    yield "effort-newer", _chat("Is 2039 prime?", model=NEWER, reasoning_effort="low")
    yield "json-object", _chat("A JSON object, please.", response_format={"type": "json_object"})
    yield "json-schema", _chat("Invent a person.", response_format=_PERSON)


def _tools() -> Iterator[tuple[str, Body]]:
    weather: Body = {"tools": [_WEATHER]}
    named = {"type": "function", "function": {"name": "get_weather"}}
    yield "tool-auto", _chat("What is the weather in Zürich?", **weather)
    yield "tool-forced", _chat("Hello there.", **weather, tool_choice=named)
    yield "tool-parallel", _chat("Weather here and there? [[calls:2]]", **weather)
    yield "tool-none", _chat("The weather, in words.", **weather, tool_choice="none")
    call = {
        "id": "call_1",
        "type": "function",
        "function": {"name": "get_weather", "arguments": '{"city":"Zürich","unit":"celsius"}'},
    }
    answered = [
        _said("What is the weather in Zürich?"),
        {"role": "assistant", "tool_calls": [call]},
        {"role": "tool", "tool_call_id": "call_1", "content": '{"degrees": 21}'},
    ]
    yield "tool-answered", {"model": FLASH, "messages": answered, **weather}


def _wrong() -> Iterator[tuple[str, Body]]:
    """Each fails alone. [[...]] tells the emulator how to answer."""
    yield "refused-unknown-field", _chat("Hi.", temprature=1)
    yield "refused-bad-image", _chat([_image("data:image/png;base64,%%%")])
    yield "refused-range", _chat("Hi.", temperature=3)
    yield "upstream-error", _chat("This fails at the upstream. [[error:3,message=Not this one.]]")
    yield "upstream-blocked", _chat("This is blocked. [[block:SAFETY]]")


_CHAT: Final = (_plain, _conversations, _options, _tools, _wrong)


def _said(text: str) -> Body:
    return {"role": "user", "content": text}


def _image(url: str) -> Body:
    return {"type": "image_url", "image_url": {"url": url}}
