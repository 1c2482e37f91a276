"""Keys in files, read again while the gateway runs; several keys for Google, each a project."""

from pathlib import Path
from typing import Any

import openai
import pytest

from gateway.emulator.testing import EmulatorOptions, running
from tests.e2e.harness import chat_line, finished, serving, submit, until

RIGHT = "right-key-0001"
WRONG = "wrong-key-0001"


def extension(client: openai.OpenAI, batch_id: str) -> dict[str, Any]:
    """What OpenAI has no word for."""
    return dict((client.batches.retrieve(batch_id).model_extra or {})["gateway"])


def test_a_key_for_google_is_turned_without_a_restart(tmp_path: Path) -> None:
    """Its jobs wait visibly for the right one; a broken file changes nothing and is told."""
    key = tmp_path / "key"
    key.write_text(WRONG)
    options = EmulatorOptions(api_keys=(RIGHT,))
    with running(options) as emulator:
        files = {"GEMINI_API_KEY_FILE": str(key)}
        with serving(tmp_path, emulator.base_url, **files) as gateway:
            client = gateway.client()
            batch = submit(client, [chat_line("a", "x")])
            until(lambda: extension(client, batch.id)["waiting_for"], "it says what it waits for")
            key.write_text("")
            until(lambda: "GEMINI_API_KEY is empty" in gateway.log(), "it is told")

            key.write_text(f"{RIGHT}\n")

            assert finished(client, batch).status == "completed"
            assert not any(secret in gateway.log() for secret in (RIGHT, WRONG))


def test_keys_of_clients_are_read_again(tmp_path: Path) -> None:
    """The new one works, the old one does not; an empty file opens nothing."""
    keys = tmp_path / "keys"
    keys.write_text("me=secret-0001")
    with running() as emulator:
        files = {"GATEWAY_API_KEYS_FILE": str(keys)}
        with serving(tmp_path, emulator.base_url, **files) as gateway:
            old, new = (gateway.client(api_key=f"secret-000{number}") for number in (1, 2))
            batch = finished(old, submit(old, [chat_line("a", "x")]))
            keys.write_text("me=secret-0002")
            until(lambda: "keys of clients were read again" in gateway.log(), "it is told")

            assert new.batches.retrieve(batch.id).id == batch.id
            with pytest.raises(openai.AuthenticationError):
                old.batches.retrieve(batch.id)
            keys.write_text("")
            until(lambda: "GATEWAY_API_KEYS is empty in its file" in gateway.log(), "it is told")
            assert new.batches.retrieve(batch.id).id == batch.id


def test_jobs_go_where_there_is_room(tmp_path: Path) -> None:
    """Two projects of one live job each hold two; no answer shows a key."""
    settings = {
        "GEMINI_API_KEYS": "one=first-key-0001,two=second-key-0002",
        "GATEWAY_MAX_LIVE_JOBS": "1",
    }
    with (
        running(EmulatorOptions(speed=1e-6)) as emulator,
        serving(tmp_path, emulator.base_url, **settings) as gateway,
    ):
        client = gateway.client()
        batches = [submit(client, [chat_line("a", f"say {n}")]) for n in range(2)]

        def jobs() -> list[dict[str, Any]]:
            paths = [f"/batches/{batch.id}/jobs" for batch in batches]
            pages = [client.get(path, cast_to=object) for path in paths]
            return [job for page in pages for job in page["data"]]  # type: ignore[index]

        until(lambda: [job["state"] for job in jobs()] == ["running"] * 2, "both run")
        assert {job["credential"] for job in jobs()} == {"one", "two"}
        assert not any("-key-" in str(job) for job in jobs())
        emulator.finish()
        assert {finished(client, batch).status for batch in batches} == {"completed"}


def test_a_job_stays_with_its_credential(tmp_path: Path) -> None:
    """It waits without its key, and goes on with it: the other project has no such job."""
    keys = tmp_path / "keys"
    both = "one=first-key-0001,two=second-key-0002"
    keys.write_text(both)
    settings = {"GEMINI_API_KEYS_FILE": str(keys), "GATEWAY_MAX_LIVE_JOBS": "1"}
    with (
        running(EmulatorOptions(speed=1e-6)) as emulator,
        serving(tmp_path, emulator.base_url, **settings) as gateway,
    ):
        client = gateway.client()
        batches = [submit(client, [chat_line("a", f"say {n}")]) for n in range(2)]

        def credential(batch_id: str) -> str:
            page: Any = client.get(f"/batches/{batch_id}/jobs", cast_to=object)
            job = page["data"][0] if page["data"] else {}
            return str(job.get("credential")) if job.get("state") == "running" else ""

        until(lambda: all(credential(batch.id) for batch in batches), "both run")
        [there] = [batch for batch in batches if credential(batch.id) == "two"]
        keys.write_text("one=first-key-0001")
        without = "There is no upstream key named 'two'."
        until(lambda: extension(client, there.id)["waiting_for"] == without, "it waits")
        emulator.finish()
        keys.write_text(both)
        assert {finished(client, batch).status for batch in batches} == {"completed"}
        assert len(emulator.journal("create")) == 2
