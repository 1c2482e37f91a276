"""Uploaded files in lines, end to end: openai's SDK, the real program, the emulator.

The emulator refuses an item whose ``fileUri`` is not a file of its project that is there and
ACTIVE, so a line that is answered has named the right one in time.
"""

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import Batch, FileObject
from openai.types.responses import Response

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.e2e import shifted
from tests.e2e.harness import (
    LIFELINE,
    assert_conserved,
    chat_line,
    content_of,
    finished,
    line,
    read_lines,
    serving,
    submit,
    until,
)
from tests.e2e.test_kill import Killer, Phase, assert_nothing_left, assert_paid_once

PDF = b"%PDF-1.7 " + bytes(range(256)) * 400
PNG = b"\x89PNG\r\n\x1a\n" + bytes(range(256)) * 4
MODEL = "gemini-2.5-flash-lite"
HOUR = 3600


@pytest.fixture
def gemini() -> Iterator[Emulator]:
    """Jobs that end at once."""
    with running(EmulatorOptions(job_seconds=0.1, max_live_jobs=10_000)) as emulator:
        yield emulator


def upload(
    client: openai.OpenAI, name: str, content: bytes, purpose: Any = "user_data"
) -> FileObject:
    """As a user does."""
    return client.files.create(file=(name, io.BytesIO(content)), purpose=purpose)


def asking(custom_id: str, *file_ids: str, endpoint: str = "/v1/chat/completions") -> bytes:
    """A line that names files."""
    parts: list[dict[str, Any]] = [{"type": "text", "text": f"about {custom_id}"}]
    parts += [{"type": "file", "file": {"file_id": file_id}} for file_id in file_ids]
    return line(
        custom_id, endpoint, {"model": MODEL, "messages": [{"role": "user", "content": parts}]}
    )


def left_at(gemini: Emulator) -> set[str]:
    """Files that were uploaded to the emulator and not removed."""
    uploaded = {str(entry["file"]) for entry in gemini.journal("upload")}
    return uploaded - {str(entry["file"]) for entry in gemini.journal("file-delete")}


def refusal(row: dict[str, Any]) -> tuple[int, str, str | None]:
    """Status, code and param of an error line."""
    error = row["response"]["body"]["error"]
    return row["response"]["status_code"], error["code"], error["param"]


@pytest.mark.parametrize("inline", ["100", "0"], ids=["inline", "file"])
def test_a_batch_names_files(tmp_path: Path, gemini: Emulator, inline: str) -> None:
    """Each content is uploaded once, each line answered, and nothing is left at Gemini."""
    settings = {
        "GATEWAY_INLINE_MAX_ITEMS": inline,
        "GATEWAY_API_KEYS": "alice=alices-secret,bob=bobs-secret",
        "GATEWAY_RAW_RESULTS_SECONDS": "0",
    }
    with serving(tmp_path, gemini.base_url, **settings) as gateway:
        client = gateway.client(api_key="alices-secret")
        pdf = upload(client, "report.pdf", PDF)
        again = upload(client, "copy.pdf", PDF, "assistants")
        png = upload(client, "picture.png", PNG, "vision")
        foreign = upload(gateway.client(api_key="bobs-secret"), "bob.pdf", b"%PDF bob")
        gone = upload(client, "gone.pdf", b"%PDF gone")
        client.files.delete(gone.id)
        good = [
            asking("one", pdf.id),
            asking("two", again.id, png.id),
            asking("three", png.id, png.id),
        ]
        bad = {
            "unknown": "file-" + "0" * 24,
            "foreign": foreign.id,
            "gone": gone.id,
            "openai's": "file-abc123",
        }
        lines = [*good, chat_line("plain", "x"), *(asking(name, bad[name]) for name in bad)]

        done = finished(client, submit(client, lines))

        assert done.status == "completed"
        output = read_lines(client, done.output_file_id)
        errors = read_lines(client, done.error_file_id)
        assert_conserved(["one", "two", "three", "plain", *bad], output, errors)
        assert [content_of(row)[:15] for row in output[:2]] == [
            "Echo: about one",
            "Echo: about two",
        ]
        for row in errors:
            param = "messages[0].content[1].file.file_id"
            assert refusal(row) == (400, "file_not_found", param)
            assert bad[row["custom_id"]] in row["response"]["body"]["error"]["message"]
        until(lambda: not left_at(gemini), "everything is removed")
        sizes = [entry["bytes"] for entry in gemini.journal("upload")]
        assert max(sizes) == len(PDF)
        assert sizes.count(len(PDF)) == sizes.count(len(PNG)) == 1
        assert len(sizes) == (3 if inline == "0" else 2)
        assert client.files.content(pdf.id).content == PDF
        assert client.files.delete(pdf.id).deleted
        assert "about" not in gateway.log()
        assert_nothing_left(gateway)


def test_responses_name_files(tmp_path: Path, gemini: Emulator) -> None:
    """As ``input_file`` and as ``input_image``."""
    with serving(tmp_path, gemini.base_url) as gateway:
        client = gateway.client()
        pdf = upload(client, "report.pdf", PDF)
        png = upload(client, "picture.png", PNG, "vision")

        def asked(custom_id: str, image: str) -> bytes:
            content = [
                {"type": "input_text", "text": "What is it?"},
                {"type": "input_file", "file_id": pdf.id},
                {"type": "input_image", "file_id": image, "detail": "low"},
            ]
            body = {"model": MODEL, "input": [{"role": "user", "content": content}]}
            return line(custom_id, "/v1/responses", body)

        lines = [asked("good", png.id), asked("bad", "file-" + "0" * 24)]

        done = finished(client, submit(client, lines, "/v1/responses"))

        [good] = read_lines(client, done.output_file_id)
        assert Response.model_validate(good["response"]["body"]).output_text
        [bad] = read_lines(client, done.error_file_id)
        assert refusal(bad) == (400, "file_not_found", "input[0].content[2].file_id")
        assert len(gemini.journal("upload")) == 2
        until(lambda: not left_at(gemini), "the copies are removed")


def test_batches_share_a_copy_and_hold_the_file(tmp_path: Path) -> None:
    """While a batch names it, it cannot be deleted; the copy goes with the last job."""
    with (
        running(EmulatorOptions(job_seconds=3600)) as gemini,
        serving(tmp_path, gemini.base_url) as gateway,
    ):
        client = gateway.client()
        file = upload(client, "report.pdf", PDF)
        first = submit(client, [asking("a", file.id)])
        until(lambda: len(gemini.journal("create")) == 1, "the first is created")
        second = submit(client, [asking("b", file.id)])
        until(lambda: len(gemini.journal("create")) == 2, "the second is created")
        assert len(gemini.journal("upload")) == 1
        with pytest.raises(openai.ConflictError, match="a batch that has not ended"):
            client.files.delete(file.id)

        gemini.finish(str(gemini.journal("create")[0]["name"]))
        assert finished(client, first).status == "completed"
        assert left_at(gemini)
        with pytest.raises(openai.ConflictError):
            client.files.delete(file.id)
        gemini.finish()
        assert finished(client, second).status == "completed"

        until(lambda: not left_at(gemini), "the copy is removed")
        assert client.files.delete(file.id).deleted


def test_a_file_gemini_cannot_process(tmp_path: Path, gemini: Emulator) -> None:
    """Costs the lines that name it; one that takes its time is waited for."""
    gemini.fault("file-processing", times=1, seconds=1)
    gemini.fault("file-fails", times=1)
    with serving(tmp_path, gemini.base_url) as gateway:
        client = gateway.client()
        film = upload(client, "film.mp4", b"no film at all")
        batch = submit(client, [asking("a", film.id), chat_line("b", "x"), asking("c", film.id)])

        done = finished(client, batch)

        assert [row["custom_id"] for row in read_lines(client, done.output_file_id)] == ["b"]
        errors = read_lines(client, done.error_file_id)
        assert [row["custom_id"] for row in errors] == ["a", "c"]
        assert {refusal(row) for row in errors} == {(400, "file_failed", None)}
        assert film.id in errors[0]["response"]["body"]["error"]["message"]
        until(lambda: not left_at(gemini), "the copy is removed")


@pytest.mark.parametrize("inline", ["100", "0"], ids=["inline", "file"])
def test_copies_are_refreshed_before_they_expire(tmp_path: Path, inline: str) -> None:
    """Twenty hours later it still outlives a new batch, three more later it would not."""
    ahead = tmp_path / "ahead"
    ahead.write_text("0")
    command = (*LIFELINE, shifted.__name__, str(ahead))
    settings = {"GATEWAY_INLINE_MAX_ITEMS": inline}
    with (
        running(EmulatorOptions(job_seconds=40 * HOUR)) as gemini,
        serving(tmp_path, gemini.base_url, command, **settings) as gateway,
    ):

        def wait(hours: float) -> None:
            """On both clocks."""
            ahead.write_text(str(int(ahead.read_text()) + int(hours * HOUR * 1000)))
            gemini.advance(hours * HOUR)

        def uploads() -> int:
            """How often the PDF was uploaded."""
            sizes = [entry["bytes"] for entry in gemini.journal("upload")]
            return sizes.count(len(PDF))

        def run(custom_id: str) -> Batch:
            """A batch whose job runs."""
            count = len(gemini.journal("create"))
            batch = submit(client, [asking(custom_id, file.id)])
            until(lambda: len(gemini.journal("create")) > count, "it is created")
            return batch

        client = gateway.client()
        file = upload(client, "report.pdf", PDF)
        batches = [run("a")]
        wait(20)
        batches.append(run("b"))
        assert uploads() == 1
        wait(3)
        batches.append(run("c"))
        assert uploads() == 2
        gemini.finish()
        for batch in batches:
            done = finished(client, batch)
            assert (done.status, done.error_file_id) == ("completed", None)
        until(lambda: not left_at(gemini), "all copies are removed")


KILLS = 10


@pytest.mark.timeout(300)
@pytest.mark.parametrize("inline", ["100", "0"], ids=["inline", "file"])
def test_kills_while_files_are_staged(tmp_path: Path, gemini: Emulator, inline: str) -> None:
    """Each planned job is accepted once, each line answered; of files nothing is left over.

    What was being uploaded at that moment is uploaded again; its first copy expires by itself.
    """
    gemini.fault("slow", on="upload-start|upload", seconds=0.1)
    query = "SELECT 1 FROM jobs WHERE batch_id = ? AND state IN ('planned', 'staging')"
    killer = Killer(Phase(query), seed=f"files-{inline}")
    batches = []
    settings = {"GATEWAY_INLINE_MAX_ITEMS": inline, "GATEWAY_RAW_RESULTS_SECONDS": "0"}
    with serving(tmp_path, gemini.base_url, **settings) as gateway:
        shared = upload(gateway.client(), "shared.pdf", PDF)
        while killer.hits < KILLS:
            client = gateway.client()
            own = upload(client, "own.png", PNG + str(killer.rounds).encode())
            lines = [asking("a", shared.id), asking("b", own.id, shared.id), chat_line("c", "x")]
            batches.append(submit(client, lines).id)
            killer.strike(gateway, batches[-1])
            gateway.start()
        client = gateway.client()
        for batch_id in batches:
            done = finished(client, client.batches.retrieve(batch_id))
            assert (done.status, done.error_file_id) == ("completed", None)
            output = read_lines(client, done.output_file_id)
            assert [row["custom_id"] for row in output] == ["a", "b", "c"]
        assert_paid_once(gateway, gemini)
        until(lambda: not gateway.rows("SELECT 1 FROM staged_files"), "no copy is left")
        assert not gateway.rows("SELECT 1 FROM job_files")
        lost = left_at(gemini)
        assert len(lost) <= 4 * killer.rounds, "at most what was on its way at each kill"
        assert_nothing_left(gateway)
