"""Chat lines that say more than text, with the real SDK against the whole program."""

import wave
from base64 import b64decode
from io import BytesIO
from typing import Any

import orjson
from openai.types.chat import ChatCompletion

from tests.e2e.harness import GatewayProcess, finished, line, read_lines, submit

PATH = "/v1/chat/completions"
FUNCTION = {"type": "function", "function": {"name": "lookup", "parameters": {"type": "object"}}}
SHELL = {"type": "custom", "custom": {"name": "shell", "description": "Runs a command."}}


def answers(
    gateway: GatewayProcess, bodies: dict[str, dict[str, Any]]
) -> tuple[dict[str, ChatCompletion], dict[str, Any]]:
    """The completions and the errors of a batch of these bodies, by custom_id."""
    client = gateway.client()
    lines = [line(name, PATH, body) for name, body in bodies.items()]
    done = finished(client, submit(client, lines, PATH))
    assert done.status == "completed"
    completions = {
        row["custom_id"]: ChatCompletion.model_validate(row["response"]["body"], strict=True)
        for row in (read_lines(client, done.output_file_id) if done.output_file_id else [])
    }
    errors = {
        row["custom_id"]: row["response"]["body"]["error"]
        for row in (read_lines(client, done.error_file_id) if done.error_file_id else [])
    }
    assert completions.keys() | errors.keys() == bodies.keys()
    return completions, errors


def asks(model: str, text: str, **body: Any) -> dict[str, Any]:
    """A body of one question."""
    return {"model": model, "messages": [{"role": "user", "content": text}], **body}


def test_search_and_its_sources(gateway: GatewayProcess) -> None:
    """Citations are of the characters they are about, though Gemini counts bytes."""
    done, _ = answers(
        gateway,
        {
            "search": asks("gemini-2.5-flash", "Wie groß ist Köln? 🎉", web_search_options={}),
            "off": asks("gemini-2.5-flash", "Größe? [[shifted]]", web_search_options={}),
            "page": asks(
                "gemini-3.6-flash",
                "Read https://example.com/a.",
                google={"tools": [{"url_context": {}}]},
            ),
        },
    )
    for name in ("search", "off", "page"):
        message = done[name].choices[0].message
        spans = [entry.url_citation for entry in message.annotations or []]
        assert len(spans) == 2
        halves = [message.content[span.start_index : span.end_index] for span in spans]  # type: ignore[index]
        assert "".join(halves) == message.content
        assert all(span.url.startswith("https://example.com/") for span in spans)


def test_a_turn_of_search_and_functions_goes_on(gateway: GatewayProcess) -> None:
    """Steps and signatures come with the message; sent back as it came, the next turn is sound."""
    body = asks(
        "gemini-3-flash-preview",
        "Find it. [[call:lookup]]",
        web_search_options={},
        tools=[FUNCTION],
    )
    done, _ = answers(gateway, {"first": body})
    choice = done["first"].choices[0]
    assert choice.finish_reason == "tool_calls"
    message = choice.message.model_dump(mode="json")
    steps = message["extra_content"]["google"]["parts"]
    assert [next(iter(step)) for step in steps] == ["toolCall", "toolResponse"]
    [call] = message["tool_calls"]
    assert call["extra_content"]["google"]["thought_signature"]
    result = {"role": "tool", "tool_call_id": call["id"], "content": "42"}
    second = {**body, "messages": [*body["messages"], message, result]}
    done, errors = answers(gateway, {"second": second})
    assert errors == {}
    assert done["second"].choices[0].message.content


def test_custom_tools(gateway: GatewayProcess) -> None:
    """The model's text is the input of the call, and comes back as one."""
    body = asks("gemini-3.6-flash", "List files. [[call:shell]]", tools=[SHELL])
    done, _ = answers(gateway, {"call": body})
    message = done["call"].choices[0].message
    [call] = message.tool_calls or []
    assert call.type == "custom"
    assert call.custom.name == "shell"
    assert isinstance(call.custom.input, str)
    history = [
        *body["messages"],
        message.model_dump(mode="json"),
        {"role": "tool", "tool_call_id": call.id, "content": "a b"},
    ]
    _, errors = answers(gateway, {"again": {**body, "messages": history}})
    assert errors == {}


def test_sound(gateway: GatewayProcess) -> None:
    """``wav`` is a file that a player opens, ``pcm16`` its samples; others are refused."""
    speech = {"modalities": ["text", "audio"]}
    bodies = {
        form: asks(
            "gemini-3.1-flash-tts-preview",
            "Say hello.",
            **speech,
            audio={"voice": "alloy", "format": form},
        )
        for form in ("wav", "pcm16", "mp3")
    }
    bodies["told"] = asks("gemini-3.1-flash-tts-preview", "Hi")
    bodies["told"]["messages"].insert(0, {"role": "system", "content": "Cheerfully:"})
    done, errors = answers(gateway, bodies)
    assert errors["mp3"]["param"] == "audio.format"
    sounds = {name: done[name].choices[0].message.audio for name in ("wav", "pcm16", "told")}
    samples = b64decode(sounds["pcm16"].data)  # type: ignore[union-attr]
    for name in ("wav", "told"):
        with wave.open(BytesIO(b64decode(sounds[name].data))) as file:  # type: ignore[union-attr]
            assert (file.getframerate(), file.getnchannels(), file.getsampwidth()) == (24_000, 1, 2)
            assert file.getnframes() > 0
            assert name == "told" or file.readframes(file.getnframes()) == samples


def test_images_are_edited(gateway: GatewayProcess) -> None:
    """An image of an answer goes back with its message."""
    body = asks("gemini-2.5-flash-image", "Draw a red square.", modalities=["image", "text"])
    done, _ = answers(gateway, {"draw": body})
    message = done["draw"].choices[0].message.model_dump(mode="json")
    [image] = message["images"]
    assert b64decode(image["image_url"]["url"].split(",", 1)[1]).startswith(b"\x89PNG")
    history = [*body["messages"], message, {"role": "user", "content": "Make it blue."}]
    done, errors = answers(gateway, {"edit": {**body, "messages": history}})
    assert errors == {}
    assert orjson.loads(done["edit"].model_dump_json())["choices"][0]["message"]["images"]
