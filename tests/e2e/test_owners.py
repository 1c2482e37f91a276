"""Whose objects a restart with other keys reaches."""

from pathlib import Path

import openai
import pytest

from gateway.emulator.testing import Emulator
from tests.e2e.harness import chat_line, finished, serving, submit, until


def test_objects_that_no_key_reaches_are_said_and_reached(tmp_path: Path, gemini: Emulator) -> None:
    """Keys turned on: everything answered 404 without a word. The warning says the way back."""
    with serving(tmp_path, gemini.base_url) as gateway:
        client = gateway.client()
        batch = finished(client, submit(client, [chat_line("a", "x")]))
    said = "1 batch and 2 files are those of 'local'"
    assert said not in gateway.log()

    with serving(tmp_path, gemini.base_url, GATEWAY_API_KEYS="secret-0001") as gateway:
        with pytest.raises(openai.NotFoundError):
            gateway.client(api_key="secret-0001").batches.retrieve(batch.id)
        until(lambda: said in gateway.log(), "it is logged")
        until(lambda: "local=SECRET" in gateway.log(), "and the way back")

    with serving(tmp_path, gemini.base_url, GATEWAY_API_KEYS="local=secret-0001") as gateway:
        assert gateway.client(api_key="secret-0001").batches.retrieve(batch.id).id == batch.id
        assert gateway.log().count(said) == 1
