"""Every endpoint a batch can have, with the real SDK against the whole program."""

from base64 import b64decode

import openai
import pytest
from openai.types import Completion, ImagesResponse

from tests.e2e.harness import GatewayProcess, finished, line, read_lines, submit

# A PNG of one pixel.
PIXEL = (
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5Er"
    "kJggg=="
)


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


def test_edits_of_images(gateway: GatewayProcess) -> None:
    """Images by data URI, URL and file id in one batch; the mask's line is refused by name."""
    client = gateway.client()
    path = "/v1/images/edits"
    upload = client.files.create(file=("cat.png", b64decode(PIXEL)), purpose="vision")
    uri = f"data:image/png;base64,{PIXEL}"
    body = {"model": "gemini-3.1-flash-image", "prompt": "Add a hat."}
    batch = submit(
        client,
        [
            line("inline", path, {**body, "images": [{"image_url": uri}], "n": 2}),
            line("url", path, {**body, "image": "https://example.com/cat.png"}),
            line("file", path, {**body, "images": [{"file_id": upload.id}, {"image_url": uri}]}),
            line("bare", path, {**body, "image": [upload.id]}),
            line("none", path, {**body, "image": ["file-" + "0" * 24]}),
            line("mask", path, {**body, "image": uri, "mask": {"image_url": uri}}),
        ],
        path,
    )
    done = finished(client, batch)
    assert done.status == "completed"
    answers = {
        row["custom_id"]: ImagesResponse.model_validate(row["response"]["body"], strict=True)
        for row in read_lines(client, done.output_file_id)
    }
    counts = {custom_id: len(answer.data or ()) for custom_id, answer in answers.items()}
    assert counts == {"inline": 2, "url": 1, "file": 1, "bare": 1}
    for answer in answers.values():
        assert answer.usage is not None
        assert answer.usage.input_tokens_details.image_tokens > 0
    errors = {
        row["custom_id"]: row["response"]["body"]["error"]
        for row in read_lines(client, done.error_file_id)
    }
    told = {custom_id: (error["code"], error["param"]) for custom_id, error in errors.items()}
    assert told == {
        "none": ("file_not_found", "image[0]"),
        "mask": ("unsupported_parameter", "mask"),
    }


@pytest.mark.parametrize("path", ["/v1/moderations", "/v1/videos"])
def test_endpoints_that_gemini_cannot_serve(gateway: GatewayProcess, path: str) -> None:
    """Refused when the batch is created, in OpenAI's words and with the reason."""
    client = gateway.client()
    with pytest.raises(openai.BadRequestError) as caught:
        submit(client, [line("a", path, {"model": "m", "input": "x"})], path)
    assert (caught.value.code, caught.value.param) == ("invalid_value", "endpoint")
    assert f"OpenAI's Batch API has '{path}', this gateway does not: " in str(caught.value)
