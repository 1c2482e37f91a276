"""Logs on stderr, JSON or text; prompts and completions never reach a logger."""

import atexit
import logging
import os
import queue
import sys
import threading
from collections.abc import Iterator
from contextlib import suppress
from datetime import UTC, datetime
from typing import Final

import orjson

from gateway.addresses import hide_userinfo
from gateway.log_fields import LOG_FIELDS, bound
from gateway.units import KIB, counted

# Lines that wait for a reader of standard error; what comes beyond that is dropped and counted.
WAITING: Final = 10_000
# For how long the thread waits for more of them: waking it for each costs more than writing it.
GATHER_SECONDS: Final = 0.05
# Bytes after which no line is added to a write; a pipe holds as many on Linux (pipe(7)).
AT_ONCE: Final = 64 * KIB
# How long the end of the process waits for them.
FLUSH_SECONDS: Final = 2.0

AUDIT: Final = "gateway.audit"


class JsonLines(logging.Formatter):
    """``{"time", "level", "logger", "message", …}``; of an exception only its type.

    The ids that apply follow: ``request_id``, ``owner``, ``batch_id``, ``job_id``.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return one line of JSON."""
        entry = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": hide_userinfo(record.getMessage()),
            **_ids(),
        }
        if record.exc_info and record.exc_info[0] is not None:
            entry["error"] = record.exc_info[0].__name__
        return orjson.dumps(entry).decode()


class TextLines(logging.Formatter):
    """``12:30:01.250 WARNING runner.runner: message [batch_id=… job_id=…]``, for people."""

    def format(self, record: logging.LogRecord) -> str:
        """Return one line: line ends in a message are spaces."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(" ", timespec="milliseconds")
        name = record.name.removeprefix("gateway.")
        told = " ".join(hide_userinfo(record.getMessage()).split())
        if record.exc_info and record.exc_info[0] is not None:
            told += f" ({record.exc_info[0].__name__})"
        ids = " ".join(f"{field}={value}" for field, value in _ids().items())
        return f"{time} {record.levelname} {name}: {told}" + (f" [{ids}]" if ids else "")


def _ids() -> dict[str, str]:
    fields = bound()
    return {name: fields[name] for name in LOG_FIELDS if name in fields}


FORMATS: Final = {"json": JsonLines, "text": TextLines}


class PatientHandler(logging.Handler):
    """Writes on a thread of its own: a pipe that is not read never stops the service.

    Past the descriptor's own text layer: a thread that is blocked there at the end of the process
    would hold a lock that the interpreter needs. The lines of one moment are one write; warnings
    and audit lines do not wait for the moment to pass, nor does a queue that is half full.
    """

    def __init__(self, descriptor: int, waiting: int = WAITING) -> None:
        super().__init__()
        self.descriptor = descriptor
        self._lines: queue.Queue[bytes] = queue.Queue(waiting)
        self._many = waiting // 2
        self._hurry = threading.Event()
        # Lines that did not fit into the queue, that could not be written, and of which a later
        # line has told. Each has one thread that counts it.
        self._dropped = self._lost = self._told = 0
        self._torn = False  # the last line was written in part
        threading.Thread(target=self._write_all, name="logs", daemon=True).start()

    def emit(self, record: logging.LogRecord) -> None:
        """Queue a line, or count it."""
        line = self.format(record).encode() + b"\n"
        try:
            self._lines.put_nowait(line)
        except queue.Full:
            self._dropped += 1
        urgent = record.levelno >= logging.WARNING or record.name == AUDIT
        if urgent or self._lines.qsize() >= self._many:
            self._hurry.set()

    def flush(self) -> None:
        """Have all that is queued written, and wait for it as long as a reader may be awaited."""
        lines = self._lines
        self._hurry.set()
        with lines.all_tasks_done:
            lines.all_tasks_done.wait_for(lambda: not lines.unfinished_tasks, FLUSH_SECONDS)

    def _write_all(self) -> None:
        all_taken = True
        while True:
            lines = [self._lines.get()]
            if all_taken:
                self._hurry.wait(GATHER_SECONDS)
                self._hurry.clear()  # before lines are taken: one that comes later sets it anew
            lines += self._more(AT_ONCE - len(lines[0]))
            all_taken = self._lines.empty()
            self._write_some(lines)
            for _ in lines:
                self._lines.task_done()

    def _write_some(self, lines: list[bytes]) -> None:
        """Write lines, and how many are missing before them.

        Standard error may be a file on a disk that is full, and has room again later.
        """
        self._lost += self._write(b"".join(lines))
        missing = self._dropped + self._lost - self._told
        if missing and self._lines.empty() and not self._write(self._tell_missing(missing)):
            self._told += missing

    def _more(self, room: int) -> Iterator[bytes]:
        with suppress(queue.Empty):
            while room > 0:
                line = self._lines.get_nowait()
                room -= len(line)
                yield line

    def _write(self, text: bytes) -> int:
        """Write whole lines; count those that could not be written."""
        lost = text.count(b"\n")
        text = b"\n" * self._torn + text
        with suppress(OSError):
            while text:
                written = os.write(self.descriptor, text)
                self._torn = text[written - 1 : written] != b"\n"
                text = text[written:]
        return min(lost, text.count(b"\n"))

    def _tell_missing(self, count: int) -> bytes:
        lines = counted(count, "line")
        message = f"{lines} dropped: standard error took them too slowly, or not at all"
        record = logging.LogRecord(__name__, logging.WARNING, __file__, 0, message, (), None)
        return self.format(record).encode() + b"\n"


def set_up_logs(level: str, form: str = "json") -> None:
    """Log to stderr at ``level`` and above; what other libraries say from warnings up."""
    handler = PatientHandler(sys.stderr.fileno())
    handler.setFormatter(FORMATS[form]())
    atexit.register(handler.flush)
    root = logging.getLogger()
    root.handlers = [handler]
    root.setLevel(logging.WARNING)
    logging.getLogger("gateway").setLevel(level.upper())
    logging.getLogger(AUDIT).setLevel(logging.INFO)  # whatever is logged besides
