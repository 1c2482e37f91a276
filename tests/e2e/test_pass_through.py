"""Clients that present their own keys for Gemini: whose work it is, who pays, what is kept."""

from pathlib import Path

import httpx
import openai
import pytest

from gateway.emulator.testing import EmulatorOptions, running
from tests.e2e.harness import chat_line, content_of, finished, read_lines, serving, submit, until
from tests.e2e.test_retention import contents_below

ALICE, BOB = "AIzaSy-alice-sentinel-0001", "AIzaSy-bob-sentinel-00001"
WRONG = "AIzaSy-mallory-sentinel-01"
SEALING = "c2VhbGluZyBrZXkgb2YgdGhlIHRlc3QsIDMyIGJ5dCE="
SETTINGS = {"GATEWAY_AUTH": "pass-through", "GATEWAY_ENCRYPTION_KEY": SEALING}


@pytest.mark.slow
def test_each_client_pays_with_its_own_key(tmp_path: Path) -> None:
    """And sees its own alone; a key is wiped at the end, and nothing that was written has it."""
    with (
        running(EmulatorOptions(api_keys=(ALICE, BOB), job_seconds=0.2)) as google,
        serving(tmp_path, google.base_url, **SETTINGS) as gateway,
    ):
        alice, bob, mallory = (gateway.client(api_key=key) for key in (ALICE, BOB, WRONG))
        assert {model.id for model in alice.models.list()}
        with pytest.raises(openai.AuthenticationError, match="Google refused this key"):
            mallory.models.list()
        mine = submit(alice, [chat_line("a", "of alice")])
        his = submit(bob, [chat_line("b", "of bob")])
        gateway.kill()
        gateway.start()  # jobs go on without a request that brings the key again
        until(
            lambda: gateway.rows(
                "SELECT count(*) FROM batches WHERE status = 'completed' HAVING count(*) = 2"
            ),
            "both end",
        )
        alice, bob, mallory = (gateway.client(api_key=key) for key in (ALICE, BOB, WRONG))
        done = finished(alice, mine)
        [row] = read_lines(alice, done.output_file_id)
        assert "of alice" in content_of(row)
        for stranger in (bob, mallory):
            with pytest.raises(openai.NotFoundError):
                stranger.batches.retrieve(mine.id)
        assert [batch.id for batch in bob.batches.list()] == [his.id]
        jobs = gateway.rows("SELECT credential, owner FROM jobs ORDER BY owner")
        assert len({credential for credential, _ in jobs}) == 2
        assert all(credential == owner for credential, owner in jobs)
        answer = alice.chat.completions.create(
            model="gemini-2.5-flash", messages=[{"role": "user", "content": "single"}]
        )
        assert answer.choices[0].message.content
        with pytest.raises(openai.AuthenticationError, match="Google refused this key"):
            mallory.chat.completions.create(
                model="gemini-2.5-flash", messages=[{"role": "user", "content": "single"}]
            )
        # Google's own header, and the headers with which OpenAI's SDKs name a project.
        headers = {"x-goog-api-key": ALICE, "openai-project": "p", "openai-organization": "o"}
        told = httpx.get(f"{gateway.url}/batches/{mine.id}", headers=headers, timeout=60)
        assert told.status_code == 200
        assert (
            httpx.get(
                f"{gateway.url}/batches", headers={"api-key": "short"}, timeout=60
            ).status_code
            == 401
        )
        written = contents_below(tmp_path).values()
        assert not any(key.encode() in data for key in (ALICE, BOB, WRONG) for data in written)
        until(lambda: not gateway.rows("SELECT 1 FROM client_keys"), "the keys are wiped", 150)
