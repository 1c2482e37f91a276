"""Single requests by the SDKs against the real program: whole, streamed, tools, Azure, errors."""

from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import ImageEditCompletedEvent, ImagesResponse
from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam
from pydantic import BaseModel

from gateway.emulator.testing import Emulator
from tests.e2e.harness import GatewayProcess
from tests.sdk.nodejs import run_node

MODEL = "gemini-3.5-flash"
HELLO: list[ChatCompletionMessageParam] = [{"role": "user", "content": "hello there"}]
TOOLS: list[ChatCompletionToolParam] = [
    {
        "type": "function",
        "function": {
            "name": "f",
            "parameters": {"type": "object", "properties": {"x": {"type": "string"}}},
        },
    }
]


@pytest.fixture
def client(gateway: GatewayProcess) -> openai.OpenAI:
    """The SDK, pointed at the gateway and nothing else changed."""
    return openai.OpenAI(base_url=gateway.url, api_key="any", max_retries=0)


def test_chat(client: openai.OpenAI) -> None:
    """One answer, and the same one as a stream."""
    whole = client.chat.completions.create(model=MODEL, messages=HELLO)
    assert whole.choices[0].message.content == "Echo: hello there"
    assert whole.choices[0].finish_reason == "stop"
    options: Any = {"include_usage": True}
    with client.chat.completions.stream(
        model=MODEL, messages=HELLO, stream_options=options
    ) as stream:
        final = stream.get_final_completion()
    assert final.choices[0].message.content == whole.choices[0].message.content
    assert final.usage is not None
    assert final.usage.prompt_tokens > 0


def test_a_loop_of_tools_ends(client: openai.OpenAI) -> None:
    """A call, its result, words: each turn streamed, signatures carried by the SDK."""
    messages: list[Any] = list(HELLO)
    with client.chat.completions.stream(
        model=MODEL, messages=messages, tools=TOOLS, tool_choice="required"
    ) as stream:
        asked = stream.get_final_completion().choices[0]
    assert asked.finish_reason == "tool_calls"
    [call] = asked.message.tool_calls or []
    assert call.function.name == "f"
    messages += [
        asked.message.model_dump(exclude_none=True, exclude={"parsed"}),
        {"role": "tool", "tool_call_id": call.id, "content": "42"},
    ]
    end = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS)
    assert end.choices[0].finish_reason == "stop"
    assert end.choices[0].message.content


class Answer(BaseModel):
    """What a structured answer holds."""

    name: str
    number: int


def test_parse(client: openai.OpenAI) -> None:
    """A structured answer, whole and streamed."""
    whole = client.chat.completions.parse(model=MODEL, messages=HELLO, response_format=Answer)
    assert isinstance(whole.choices[0].message.parsed, Answer)
    with client.chat.completions.stream(
        model=MODEL, messages=HELLO, response_format=Answer
    ) as stream:
        assert isinstance(stream.get_final_completion().choices[0].message.parsed, Answer)


def test_responses(client: openai.OpenAI) -> None:
    """One answer, and the same one as events."""
    whole = client.responses.create(model=MODEL, input="hello there")
    assert whole.output_text == "Echo: hello there"
    with client.responses.stream(model=MODEL, input="hello there") as stream:
        types = [event.type for event in stream]
        assert stream.get_final_response().output_text == whole.output_text
    assert types[0] == "response.created"
    assert types[-1] == "response.completed"


def test_other_endpoints(client: openai.OpenAI) -> None:
    """Embeddings in several calls, texts and images."""
    texts = [f"text {number}" for number in range(205)]
    made = client.embeddings.create(model="gemini-embedding-001", input=texts, dimensions=8)
    assert [one.index for one in made.data] == list(range(205))
    alone = client.embeddings.create(model="gemini-embedding-001", input=texts[204], dimensions=8)
    assert alone.data[0].embedding == made.data[204].embedding
    text = client.completions.create(model=MODEL, prompt=["a", "b"], n=1)
    assert [choice.text for choice in text.choices] == ["Echo: a", "Echo: b"]
    pieces = client.completions.create(model=MODEL, prompt="hello there", stream=True)
    assert "".join(piece.choices[0].text for piece in pieces) == "Echo: hello there"
    image = client.images.generate(model="gemini-3.1-flash-image", prompt="a cat")
    assert image.data is not None
    assert image.data[0].b64_json
    [event] = client.images.generate(
        model="gemini-3.1-flash-image", prompt="a cat", stream=True, partial_images=2
    )
    assert event.type == "image_generation.completed"
    assert event.b64_json == image.data[0].b64_json


EDIT: dict[str, Any] = {
    "model": "gemini-3.1-flash-image",
    "prompt": "Add a hat.",
    "images": [{"image_url": "data:image/png;base64,iVBORw0KGgo="}],
}


def test_edits_of_images(client: openai.OpenAI) -> None:
    """As JSON, whole and streamed; the form that the SDK sends is refused with the way out."""
    whole = client.post("/images/edits", cast_to=ImagesResponse, body=EDIT)
    assert whole.data is not None
    assert whole.data[0].b64_json
    [event] = client.post(
        "/images/edits",
        cast_to=ImagesResponse,
        body={**EDIT, "stream": True},
        stream=True,
        stream_cls=openai.Stream[ImageEditCompletedEvent],
    )
    assert event.type == "image_edit.completed"
    assert event.b64_json == whole.data[0].b64_json
    with pytest.raises(openai.BadRequestError, match="not as a multipart form") as caught:
        client.images.edit(model=EDIT["model"], prompt="Add a hat.", image=b"png")
    assert caught.value.code == "unsupported_content_type"


def test_notes_say_what_was_lost(client: openai.OpenAI) -> None:
    """What the warnings file of a batch says, in a header and in the body."""
    answer = client.chat.completions.with_raw_response.create(
        model=MODEL, messages=HELLO, parallel_tool_calls=False, tools=TOOLS
    )
    assert "parallel_tool_calls" in answer.headers["x-gateway-notes"]
    extra: Any = answer.parse().model_dump()["extra_content"]
    assert extra["gateway"]["notes"][0]["field"] == "parallel_tool_calls"


@pytest.mark.parametrize("stream", [False, True])
def test_errors_have_their_status(client: openai.OpenAI, stream: bool) -> None:
    """Whether it was to be a stream or not."""
    with pytest.raises(openai.NotFoundError):
        client.chat.completions.create(model="gemini-none", messages=HELLO, stream=stream)
    with pytest.raises(openai.BadRequestError, match="temperature"):
        client.chat.completions.create(model=MODEL, messages=HELLO, temperature=9, stream=stream)
    with pytest.raises(openai.BadRequestError, match="stream_options"):
        client.chat.completions.create(
            model=MODEL, messages=HELLO, extra_body={"stream_options": {"no": 1}}, stream=stream
        )


def test_flex_costs_half(client: openai.OpenAI, gemini: Emulator) -> None:
    """Google's tier is asked for, and the answer says which one served."""
    answer = client.chat.completions.create(model=MODEL, messages=HELLO, service_tier="flex")
    assert answer.service_tier == "flex"
    assert gemini.journal("generate")[-1]["tier"] == "flex"
    usual = client.chat.completions.create(model=MODEL, messages=HELLO)
    assert usual.service_tier == "default"


def test_azure(gateway: GatewayProcess) -> None:
    """Azure's client names the model in the path, and sends its key in a header of its own."""
    client = openai.AzureOpenAI(
        azure_endpoint=gateway.url.removesuffix("/v1"),
        api_key="any",
        api_version="2025-01-01",
        max_retries=0,
    )
    answer = client.chat.completions.create(model=MODEL, messages=HELLO)
    assert answer.choices[0].message.content == "Echo: hello there"
    with client.chat.completions.stream(model=MODEL, messages=HELLO) as stream:
        assert stream.get_final_completion().choices[0].message.content == "Echo: hello there"


@pytest.mark.slow
async def test_node(gateway: GatewayProcess, tmp_path: Path) -> None:
    """openai-node and its helpers: whole, streamed, tools, Responses, embeddings, Azure."""
    saw = await run_node(
        tmp_path, gateway.url, "single", model=MODEL, azureURL=gateway.url.removesuffix("/v1")
    )
    text = saw["whole"]["choices"][0]["message"]["content"]
    assert text == "Echo: hello there"
    assert saw["streamed"]["choices"][0]["message"]["content"] == text
    assert saw["streamed"]["usage"]["prompt_tokens"] > 0
    assert saw["called"]["choices"][0]["message"]["tool_calls"][0]["function"]["name"] == "f"
    assert isinstance(saw["structured"]["choices"][0]["message"]["parsed"]["x"], int)
    assert saw["types"][-1] == "response.completed"
    assert saw["response"]["output_text"] == text
    assert len(saw["vectors"]["data"][1]["embedding"]) == 8
    assert saw["deployed"]["choices"][0]["message"]["content"] == text
    assert saw["unknown"]["status"] == 404
