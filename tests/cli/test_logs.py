"""Logs: one JSON object a line; of an exception only its type."""

import fcntl
import logging
import os
import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import copy_context
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.cli import logs
from gateway.cli.logs import JsonLines, PatientHandler, TextLines
from gateway.log_fields import bind


def entry_of(record: logging.LogRecord) -> dict[str, str]:
    """What becomes of a record."""
    text = JsonLines().format(record)
    assert "\n" not in text
    entry: dict[str, str] = orjson.loads(text)
    return entry


def test_an_entry_has_time_level_logger_and_message() -> None:
    """Times are UTC with milliseconds."""
    record = logging.LogRecord("gateway.x", logging.INFO, "x.py", 1, "made %d", (3,), None)
    record.created = 0.0625

    assert entry_of(record) == {
        "time": "1970-01-01T00:00:00.062+00:00",
        "level": "info",
        "logger": "gateway.x",
        "message": "made 3",
    }


def test_an_exception_shows_its_type_alone() -> None:
    """Its text, or a traceback's, may quote a prompt."""
    error = ValueError("the prompt")
    record = logging.LogRecord(
        "x", logging.ERROR, "x.py", 1, "failed", (), (ValueError, error, None)
    )

    entry = entry_of(record)

    assert entry["error"] == "ValueError"
    assert "the prompt" not in str(entry)


def test_a_pipe_that_is_not_read_blocks_nothing() -> None:
    """After some 500 lines nothing was answered any more, and SIGTERM was not obeyed."""
    reader, writer = os.pipe()
    handler = PatientHandler(writer, waiting=100)
    handler.setFormatter(JsonLines())
    for number in range(5000):
        handler.emit(logging.LogRecord("x", logging.INFO, "x.py", 1, "%d", (number,), None))
    text = b""
    written = dropped = 0
    while written + dropped < 5000:
        text += os.read(reader, 1 << 16)
        *lines, text = text.split(b"\n")
        for message in (orjson.loads(line)["message"] for line in lines):
            count, _, rest = message.partition(" ")
            written += not rest
            dropped += int(count.replace(",", "")) if "dropped" in rest else 0
    assert written >= 100
    assert dropped > 0
    handler.flush()
    os.close(writer)
    os.close(reader)


def test_lines_come_again_when_a_full_disk_has_room(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """After one write that failed nothing was logged any more, until the end of the process."""
    monkeypatch.setattr(logs, "FLUSH_SECONDS", 60)
    there = tmp_path / "log"
    descriptor = os.open("/dev/full", os.O_WRONLY)
    handler = PatientHandler(descriptor)
    handler.setFormatter(logging.Formatter("%(message)s"))
    for number in range(3):
        handler.emit(told(number))
        handler.flush()
    with there.open("wb") as file:
        os.dup2(file.fileno(), descriptor)
    for number in (3, 4):
        handler.emit(told(number))
        handler.flush()

    first, second, third = there.read_text().splitlines()
    assert (first, third) == ("0003", "0004")
    assert second.startswith("3 lines dropped: ")
    os.close(descriptor)


@pytest.fixture
def without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """Lines are gathered for an hour: what is written before is not written by the clock."""
    monkeypatch.setattr(logs, "GATHER_SECONDS", 3600)
    monkeypatch.setattr(logs, "FLUSH_SECONDS", 60)


@contextmanager
def piped(waiting: int) -> Iterator[tuple[PatientHandler, int]]:
    """A handler that writes to a pipe, and the end to read from."""
    reader, writer = os.pipe()
    handler = PatientHandler(writer, waiting)
    handler.setFormatter(logging.Formatter("%(message)s"))
    yield handler, reader
    os.close(writer)
    os.close(reader)


def told(number: int, level: int = logging.INFO, name: str = "gateway.x") -> logging.LogRecord:
    """A record whose message is a number."""
    return logging.LogRecord(name, level, "x.py", 1, f"{number:04}", (), None)


@pytest.mark.usefixtures("without_end")
def test_a_flush_has_all_lines_written() -> None:
    """Found: 100 lines were written each 50 ms, and a flush left more than half of 9,000 behind."""
    with piped(waiting=20_000) as (handler, reader):
        thread = threading.Thread(target=handler.flush)
        for number in range(9000):
            handler.emit(told(number))
        thread.start()
        with open(reader, "rb", closefd=False) as text:
            assert [int(text.readline()) for _ in range(9000)] == list(range(9000))
        thread.join(60)
        assert not thread.is_alive()


@pytest.mark.usefixtures("without_end")
@pytest.mark.parametrize(
    "last",
    [told(3, logging.WARNING), told(3, logging.ERROR), told(3, name="gateway.audit")],
    ids=["warning", "error", "audit"],
)
def test_what_is_urgent_takes_the_others_with_it(last: logging.LogRecord) -> None:
    """In one write, in their order."""
    with piped(waiting=100) as (handler, reader):
        for number in range(3):
            handler.emit(told(number))
        handler.emit(last)
        assert os.read(reader, 100) == b"0000\n0001\n0002\n0003\n"


@pytest.mark.usefixtures("without_end")
def test_a_queue_that_is_half_full_is_written() -> None:
    """Lines are dropped where the reader is slow, never because more were awaited."""
    with piped(waiting=100) as (handler, reader):
        for number in range(60):
            handler.emit(told(number))
        assert os.read(reader, 5) == b"0000\n"


@pytest.mark.usefixtures("without_end")
def test_a_line_that_was_torn_is_ended_before_the_next() -> None:
    """A program that reads lines loses that one alone."""
    with piped(waiting=100) as (handler, reader):
        os.set_blocking(handler.descriptor, False)
        fcntl.fcntl(handler.descriptor, fcntl.F_SETPIPE_SZ, 4096)
        for letter in "ABC":
            handler.emit(logging.LogRecord("x", logging.INFO, "x.py", 1, letter * 2000, (), None))
        handler.flush()
        begun = os.read(reader, 4096)
        handler.emit(told(3))
        handler.flush()

        assert begun == b"A" * 2000 + b"\n" + b"B" * 2000 + b"\n" + b"C" * 94
        torn, whole, said = os.read(reader, 4096).decode().splitlines()
        assert (torn, whole) == ("", "0003")
        assert said.startswith("1 line dropped: ")


def test_what_was_said_last_is_written_before_the_end() -> None:
    """A process that stops says why."""
    script = (
        "import logging; from gateway.cli import logs; logs.GATHER_SECONDS = 3600;"
        "logs.FLUSH_SECONDS = 60; logs.set_up_logs('info');"
        "[logging.getLogger('gateway.x').info('%d', n) for n in range(4500)]"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, check=True)
    assert [orjson.loads(line)["message"] for line in done.stderr.splitlines()] == [
        str(number) for number in range(4500)
    ]


def test_every_line_bears_the_ids_of_its_task() -> None:
    """In both forms, in a fixed order, and those alone that are known."""

    def logged() -> tuple[dict[str, Any], str]:
        bind(batch_id="batch_1", owner="me", job_id=None)
        bind(request_id="req_1")
        record = logging.LogRecord("gateway.x", logging.INFO, "", 0, "a\nb %d", (1,), None)
        return orjson.loads(JsonLines().format(record)), TextLines().format(record)

    entry, line = copy_context().run(logged)

    assert list(entry)[-3:] == ["request_id", "owner", "batch_id"]
    assert entry["owner"] == "me"
    assert line.endswith(" INFO x: a b 1 [request_id=req_1 owner=me batch_id=batch_1]")
    assert "owner" not in JsonLines().format(
        logging.LogRecord("gateway.x", logging.INFO, "", 0, "of another task", (), None)
    )
