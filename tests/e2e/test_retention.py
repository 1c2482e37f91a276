"""What is deleted is gone: no byte of a prompt or an answer is left in the data directory."""

import os
from contextlib import suppress
from pathlib import Path
from typing import Final

import pytest

from gateway.emulator.testing import Emulator
from tests.e2e.harness import GatewayProcess, chat_line, finished, serving, submit, until

pytestmark = pytest.mark.slow

MARK: Final = "wisteria-4711"  # in every prompt, and in every answer, which repeats it
FOLDERS: Final = ("blobs", "scratch", "trails")


def files_below(directory: Path) -> list[Path]:
    """All files below a directory; some go while they are listed."""
    return [Path(folder, name) for folder, _, names in os.walk(directory) for name in names]


def contents_below(directory: Path) -> dict[Path, bytes]:
    """What all files below a directory hold, but those that have gone since they were listed."""
    found = {}
    for path in files_below(directory):
        with suppress(FileNotFoundError):
            found[path] = path.read_bytes()
    return found


def marked(directory: Path) -> list[str]:
    """Names of the files below a directory that hold the mark."""
    return [path.name for path, held in contents_below(directory).items() if MARK.encode() in held]


def left(gateway: GatewayProcess) -> list[Path]:
    """Files that are kept for batches, or for a step of one; not places of workers, kept spare."""
    found = [path for folder in FOLDERS for path in files_below(gateway.data / folder)]
    return [path for path in found if path.parent != gateway.data / "scratch"]


def test_what_is_deleted_is_gone(tmp_path: Path, gemini: Emulator) -> None:
    """Inputs, answers, raw results, spools, hints, what an error quotes, and rows of the database.

    Of a batch that completed and of one that failed, and nothing of them is left at Google.
    """
    settings = {"GATEWAY_RAW_RESULTS_SECONDS": "3600"}
    uploads, deletes = len(gemini.journal("upload")), len(gemini.journal("file-delete"))
    with serving(tmp_path, gemini.base_url, **settings) as gateway:
        client = gateway.client()
        good = [chat_line(str(i), f"say {MARK} {i}") for i in range(200)]
        bad = [chat_line("bad", "x", temperature=f"{MARK} is no number")]
        done = finished(client, submit(client, [*good, *bad]))
        assert done.request_counts is not None
        assert (done.request_counts.completed, done.request_counts.failed) == (200, 1)
        refused = finished(client, submit(client, [f'{{"custom_id": "{MARK}"}}\n'.encode()]))
        assert refused.status == "failed"
        assert marked(gateway.data)

        for file in client.files.list():
            client.files.delete(file.id)
        until(lambda: not left(gateway), "all bytes are swept")
        until(lambda: not marked(gateway.data), "and overwritten where they were rows")
        # A file that is uploaded to Google goes with its job; results cannot be deleted there.
        assert len(gemini.journal("upload")) == uploads + 1
        until(lambda: len(gemini.journal("file-delete")) == deletes + 1, "its spool is deleted")
        gateway.terminate()  # the write-ahead log goes with the process
        assert marked(gateway.data) == []
