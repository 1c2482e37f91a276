"""Uploaded files that single requests name: sent along, and none but the owner's."""

import base64
from pathlib import Path
from typing import Any

import openai
import pytest

from gateway.live import files as files_module
from tests.live.world import Live, live_world

MODEL = "gemini-3.8-flash"
CONTENT = bytes(range(256)) * 5000  # more than one block


def ask(file_id: str) -> dict[str, Any]:
    """A chat that names a file."""
    part = {"type": "file", "file": {"file_id": file_id}}
    text = {"type": "text", "text": "What is this?"}
    return {"model": MODEL, "messages": [{"role": "user", "content": [part, text]}]}


async def upload(client: openai.AsyncOpenAI, name: str = "a.pdf", **more: Any) -> str:
    """Upload a file; its id."""
    made = await client.files.create(file=(name, CONTENT), **{"purpose": "user_data", **more})
    return made.id


def sent(live: Live, number: int = -1) -> Any:
    """The parts of what Google was asked."""
    return live.google.bodies[number]["contents"][0]["parts"]


def play(live: Live) -> None:
    """Google answers with a word."""
    candidate = {"content": {"parts": [{"text": "A file."}]}, "finishReason": "STOP"}
    live.google.play_json({"candidates": [candidate]})


PDF = {"mimeType": "application/pdf", "data": base64.b64encode(CONTENT).decode()}


@pytest.mark.slow
async def test_a_file_is_sent_along(tmp_path: Path) -> None:
    """In chats, responses and edits of images; the answer is as any other."""
    async with live_world(tmp_path) as live:
        file_id, picture = await upload(live.client), await upload(live.client, "a.png")
        play(live)
        chat = await live.client.chat.completions.create(**ask(file_id))
        assert chat.choices[0].message.content == "A file."
        assert sent(live) == [{"inlineData": PDF}, {"text": "What is this?"}]
        content = [
            {"type": "input_file", "file_id": file_id},
            {"type": "input_image", "file_id": picture, "detail": "auto"},
            {"type": "input_file", "file_id": file_id},
        ]
        items: Any = [{"role": "user", "content": content}]
        await live.client.responses.create(model=MODEL, input=items)
        kinds = [part["inlineData"]["mimeType"] for part in sent(live)]
        assert kinds == ["application/pdf", "image/png", "application/pdf"]
        body = {"model": MODEL, "prompt": "Blue", "images": [{"file_id": picture}]}
        with pytest.raises(openai.APIStatusError):  # a text is no image
            await live.client.post("/images/edits", body=body, cast_to=object)
        assert sent(live)[0]["inlineData"]["mimeType"] == "image/png"


async def test_a_file_is_sent_along_with_a_stream(tmp_path: Path) -> None:
    """And a conversation that names one goes on."""
    async with live_world(tmp_path) as live:
        file_id = await upload(live.client)
        end = {"content": {"parts": [{"text": "A file."}]}, "finishReason": "STOP"}
        live.google.play_pieces([{"candidates": [end]}])
        stream = await live.client.chat.completions.create(**ask(file_id), stream=True)
        assert "".join([chunk.choices[0].delta.content or "" async for chunk in stream])
        assert sent(live)[0] == {"inlineData": PDF}
        play(live)
        content = [{"type": "input_file", "file_id": file_id}]
        items: Any = [{"role": "user", "content": content}]
        first = await live.client.responses.create(model=MODEL, input=items)
        await live.client.responses.create(model=MODEL, input="On", previous_response_id=first.id)
        assert sent(live)[0] == {"inlineData": PDF}


async def test_what_cannot_be_named(tmp_path: Path) -> None:
    """Another owner's, a deleted one, an input of batches: as the line of a batch is told."""
    async with live_world(tmp_path) as live:
        file_id = await upload(live.client)
        other = live.client.with_options(api_key="secret-b")
        gone = await upload(live.client)
        await live.client.files.delete(gone)
        text = await upload(live.client, "a.unknown")
        for client, name, code in (
            (other, file_id, "file_not_found"),
            (live.client, gone, "file_not_found"),
            (live.client, "file-" + "1" * 24, "file_not_found"),
            (live.client, text, "unsupported_value"),
        ):
            with pytest.raises(openai.BadRequestError) as refused:
                await client.chat.completions.create(**ask(name))
            assert refused.value.code == code
            assert refused.value.param == "messages[0].content[0].file.file_id"
        assert live.google.bodies == []


async def test_what_is_too_large_is_for_batches(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each content counts once; files together have a bound, and so has their number."""
    async with live_world(tmp_path) as live:
        first, second = await upload(live.client), await upload(live.client)
        play(live)
        monkeypatch.setattr(files_module, "MOST_INLINE_BYTES", len(CONTENT))
        body = ask(first)
        body["messages"] *= 2
        await live.client.chat.completions.create(**body)
        body["messages"] = [*ask(first)["messages"], *ask(second)["messages"]]
        with pytest.raises(openai.APIStatusError, match="batch") as refused:
            await live.client.chat.completions.create(**body)
        assert refused.value.status_code == 413
        monkeypatch.setattr(files_module, "MOST_NAMED", 1)
        with pytest.raises(openai.APIStatusError, match="names 2") as refused:
            await live.client.chat.completions.create(**body)
        assert refused.value.status_code == 413


async def test_a_file_whose_bytes_are_gone_is_not_half_sent(tmp_path: Path) -> None:
    """An error of ours, and Google is not asked."""
    async with live_world(tmp_path) as live:
        file_id = await upload(live.client)
        for path in (tmp_path / "blobs").rglob("*"):
            path.unlink() if path.is_file() else None
        with pytest.raises(openai.APIStatusError) as failed:
            await live.client.chat.completions.create(**ask(file_id))
        assert failed.value.status_code >= 500
        assert live.google.bodies == []


async def test_a_file_that_is_cut_short_is_not_sent(tmp_path: Path) -> None:
    """The storage fails, which passes: 503."""
    async with live_world(tmp_path) as live:
        file_id = await upload(live.client)
        for path in (tmp_path / "blobs").rglob("*"):
            path.write_bytes(b"%") if path.is_file() else None
        with pytest.raises(openai.APIStatusError) as failed:
            await live.client.chat.completions.create(**ask(file_id))
        assert failed.value.status_code == 503
        assert live.google.bodies == []
