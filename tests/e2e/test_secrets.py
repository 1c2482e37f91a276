"""Sentinels in keys, prompts and completions, looked for in everything the process wrote."""

from pathlib import Path

import httpx
import openai
import pytest

from gateway.emulator.testing import EmulatorOptions, running
from gateway.ids import new_webhook_secret
from tests.e2e.harness import (
    GatewayProcess,
    chat_line,
    content_of,
    finished,
    read_lines,
    serving,
    submit,
)
from tests.e2e.test_webhooks import receiving

GOOGLE = "AIzaSySentinelOfTheKeyForGoogle00001"
CLIENT = "sentinel-of-the-key-of-a-client"
WRONG = "sentinel-of-a-key-that-is-none"
PROMPT = "sentinel-of-a-prompt"


def records(gateway: GatewayProcess) -> bytes:
    """The database with its log, as they lie there."""
    return b"".join(path.read_bytes() for path in gateway.data.glob("gateway.sqlite3*"))


def lines() -> list[bytes]:
    """Lines that fare differently, each with the sentinel where it may be quoted."""
    return [
        chat_line("good", PROMPT),
        chat_line("tool", f"[[calls:1]] {PROMPT}", tools=[_tool()]),
        chat_line("refused", PROMPT, **{PROMPT: PROMPT}),
        chat_line("wrong", PROMPT, temperature=PROMPT),
        chat_line("late", f"[[finish:SAFETY]] {PROMPT}"),
        chat_line("schema", PROMPT, response_format={"type": PROMPT}),
    ]


def _tool() -> dict[str, object]:
    return {"type": "function", "function": {"name": "f", "description": PROMPT}}


@pytest.mark.slow
def test_nothing_that_is_written_has_a_secret(tmp_path: Path) -> None:
    """Keys nowhere; prompts and completions in the bytes of files alone."""
    secret = new_webhook_secret()
    with (
        running(EmulatorOptions(api_keys=(GOOGLE,))) as google,
        receiving() as receiver,
        serving(
            tmp_path,
            google.base_url,
            GEMINI_API_KEY=GOOGLE,
            GATEWAY_API_KEYS=f"alice={CLIENT}",
            GATEWAY_LOG_LEVEL="debug",
            GATEWAY_WEBHOOK_URL=receiver.url,
            GATEWAY_WEBHOOK_SECRET=secret,
            GATEWAY_WEBHOOK_ALLOW_PRIVATE="true",
            GATEWAY_RECORDED_BLOB_BYTES="0",  # else prompts are in rows that are bytes of files
        ) as gateway,
    ):
        client = gateway.client(api_key=CLIENT)
        google.fault("results-fail", code=13, keys="1", times=1)
        batch = finished(client, submit(client, lines()))
        assert batch.status == "completed"
        answered = read_lines(client, batch.output_file_id)
        assert any(PROMPT in content_of(row) for row in answered)  # the emulator repeats it
        broken = b'{"custom_id":"a","body":{"' + PROMPT.encode() + b'":'
        assert finished(client, submit(client, [broken])).status == "failed"
        for key in (WRONG, GOOGLE):
            with pytest.raises(openai.AuthenticationError) as refused:
                gateway.client(api_key=key).models.list()
            assert key not in str(refused.value.body)
        client.chat.completions.create(
            model="gemini-2.5-flash", messages=[{"role": "user", "content": PROMPT}]
        )
        httpx.get(f"{gateway.url}/{PROMPT}?key={CLIENT}", headers={"api-key": CLIENT}, timeout=60)
        gateway.kill()
        written = gateway.log().encode() + records(gateway)
        everything = [path.read_bytes() for path in tmp_path.rglob("*") if path.is_file()]
    for key in (GOOGLE, CLIENT, WRONG, secret, secret.removeprefix("whsec_")):
        assert not any(key.encode() in data for data in everything), key
    assert b"batch.create owner=alice" in written
    assert PROMPT.encode() not in gateway.log().encode()
    assert PROMPT.encode() not in records(gateway)
    assert any(PROMPT.encode() in data for data in everything)  # so it could have been found
