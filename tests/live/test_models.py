"""A model that is none: a single request and a batch's line are told the same."""

from pathlib import Path
from typing import Any

import openai
import pytest

from gateway.batches.batch import BatchError
from gateway.runner.cpu.envelope import Envelope
from gateway.translate import Policy
from gateway.translate.endpoints import ENDPOINTS
from tests.live.world import live_world

WHAT_TO_DO = "Name a Gemini model, or an alias of one: GET /v1/models lists them."
GOT = "Invalid type for 'model': expected a non-empty string, but got {} instead."
MODELS: list[tuple[dict[str, Any], str, str]] = [
    ({}, "missing_required_parameter", "Missing required parameter: 'model'."),
    ({"model": ""}, "invalid_type", GOT.format("an empty string")),
    ({"model": None}, "invalid_type", GOT.format("null")),
    ({"model": 5}, "invalid_type", GOT.format("an integer")),
    ({"model": ["gemini-3.8-flash"]}, "invalid_type", GOT.format("an array")),
    ({"model": {}}, "invalid_type", GOT.format("an object")),
]


@pytest.mark.parametrize("path", ENDPOINTS)
async def test_a_request_and_a_line_are_told_the_same(tmp_path: Path, path: str) -> None:
    """The field by its name, what was given, and what to do."""
    envelope = Envelope(ENDPOINTS[path], Policy(), None, 1000)
    async with live_world(tmp_path) as live:
        for body, code, words in MODELS:
            with pytest.raises(openai.BadRequestError) as failed:
                await live.client.post(path.removeprefix("/v1"), body=body, cast_to=object)
            assert failed.value.body == {
                "message": f"{words} {WHAT_TO_DO}",
                "type": "invalid_request_error",
                "param": "model",
                "code": code,
            }
            line = {"custom_id": "a", "method": "POST", "url": path, "body": body}
            error = envelope.check(b"", line, 1)
            assert isinstance(error, BatchError)
            assert (error.code, error.param) == (code, "body.model")
            assert error.message.replace("'body.model'", "'model'") == f"{words} {WHAT_TO_DO}"
        assert live.google.paths == []
