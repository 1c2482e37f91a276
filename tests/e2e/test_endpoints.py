"""Every endpoint a batch can have, with the real SDK against the whole program."""

from base64 import b64decode

import openai
import pytest
from openai.types import Completion, ImagesResponse

from tests.e2e.harness import GatewayProcess, finished, line, read_lines, submit


def test_completions(gateway: GatewayProcess) -> None:
    """Prompts and choices in order, the default of 16 tokens, an error line of its own."""
    client = gateway.client()
    path = "/v1/completions"
    model = {"model": "gemini-2.5-flash"}
    batch = submit(
        client,
        [
            line("one", path, {**model, "prompt": "hello"}),
            line("many", path, {**model, "prompt": ["a", "b"], "n": 2, "echo": True}),
            line("newer", path, {"model": "gemini-3.5-flash", "prompt": ["a", "b"], "n": 2}),
            line("bad", path, {**model, "prompt": "x", "suffix": "y"}),
        ],
        path,
    )
    done = finished(client, batch)
    assert done.status == "completed"
    bodies = {
        row["custom_id"]: Completion.model_validate(row["response"]["body"], strict=True)
        for row in read_lines(client, done.output_file_id)
    }
    assert list(bodies) == ["one", "many", "newer"]
    assert bodies["one"].choices[0].text.startswith("Echo: hello")
    assert [choice.index for choice in bodies["many"].choices] == [0, 1, 2, 3]
    texts = [choice.text for choice in bodies["many"].choices]
    assert [text[:1] for text in texts] == ["a", "a", "b", "b"]
    assert [choice.index for choice in bodies["newer"].choices] == [0, 1, 2, 3]
    [error] = read_lines(client, done.error_file_id)
    assert error["response"]["body"]["error"]["param"] == "suffix"


def test_images(gateway: GatewayProcess) -> None:
    """Real image bytes, one per choice; the size that came is told."""
    client = gateway.client()
    path = "/v1/images/generations"
    body = {"model": "gemini-2.5-flash-image", "prompt": "a red square"}
    batch = submit(
        client,
        [
            line("two", path, {**body, "n": 2}),
            line("url", path, {**body, "response_format": "url"}),
        ],
        path,
    )
    done = finished(client, batch)
    assert done.status == "completed"
    [row] = read_lines(client, done.output_file_id)
    answer = ImagesResponse.model_validate(row["response"]["body"], strict=True)
    assert answer.data is not None
    assert len(answer.data) == 2
    assert answer.output_format == "png"
    for image in answer.data:
        assert b64decode(str(image.b64_json)).startswith(b"\x89PNG")
    [error] = read_lines(client, done.error_file_id)
    assert error["response"]["body"]["error"]["param"] == "response_format"


@pytest.mark.parametrize("path", ["/v1/moderations", "/v1/images/edits", "/v1/videos"])
def test_endpoints_that_gemini_cannot_serve(gateway: GatewayProcess, path: str) -> None:
    """Refused when the batch is created, in OpenAI's words and with the reason."""
    client = gateway.client()
    with pytest.raises(openai.BadRequestError) as caught:
        submit(client, [line("a", path, {"model": "m", "input": "x"})], path)
    assert (caught.value.code, caught.value.param) == ("invalid_value", "endpoint")
    assert f"OpenAI's Batch API has '{path}', this gateway does not: " in str(caught.value)
