"""The real program in a process of its own, and what an SDK user does with it."""

import contextlib
import io
import os
import sqlite3
import subprocess
import sys
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import openai
import orjson
import psutil
from openai.types import Batch

from gateway.clock import SystemClock
from gateway.runner.blob_names import AT_ONCE

START_SECONDS = 60
CLOCK = SystemClock()

# A run of tests that is ended, by SIGTERM too, takes the gateways with it: they hold a lifeline.
LIFELINE = (sys.executable, "-m", "gateway.cli.lifeline")
SERVE = (*LIFELINE, "gateway", "serve")

# Quick, so that a test waits for work and not for pauses.
QUICK = {
    "GATEWAY_PORT": "0",
    "GATEWAY_POLL_MIN_SECONDS": "0.05",
    "GATEWAY_POLL_MAX_SECONDS": "0.2",
    "GATEWAY_POLLS_PER_MINUTE": "60000",
    "GATEWAY_RETRY_MIN_SECONDS": "0.05",
    "GATEWAY_RETRY_MAX_SECONDS": "0.5",
    "GATEWAY_SETTLE_SECONDS": "0.3",
    "GATEWAY_SWEEP_SECONDS": "0",
    "GATEWAY_GIVE_UP_SECONDS": "12",
}

TERMINAL = frozenset({"completed", "failed", "expired", "cancelled"})


def until(condition: Callable[[], Any], what: str, seconds: float = 60) -> Any:
    """The first true value of ``condition``; fails after ``seconds``."""
    pause = threading.Event()
    end = CLOCK.monotonic() + seconds
    while not (value := condition()):
        assert CLOCK.monotonic() < end, f"not within {seconds} s: {what}"
        pause.wait(0.01)
    return value


@dataclass
class GatewayProcess:
    """``gateway serve`` over a data directory; may be killed and started again."""

    data: Path
    base_url: str
    settings: Mapping[str, str]
    command: Sequence[str] = SERVE
    url: str = ""
    process: subprocess.Popen[bytes] | None = None
    clients: list[openai.OpenAI] = field(default_factory=list)

    def start(self) -> None:
        """Start, and wait until it listens."""
        plain = {
            name: value
            for name, value in os.environ.items()  # noqa: TID251 - a child's environment
            if not name.startswith(("GATEWAY_", "GEMINI_", "OPENAI_"))
        }
        own = {"GATEWAY_DATA_DIR": str(self.data), "GATEWAY_GEMINI_BASE_URL": self.base_url}
        with (self.data.parent / "gateway.log").open("ab") as log:
            self.process = subprocess.Popen(
                self.command,
                env={**plain, **QUICK, **own, **self.settings},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline().decode()
        assert "listening on" in line, self.log()[-3000:]
        self.url = line.split()[-1]

    def log(self) -> str:
        """Everything logged so far, over all starts."""
        return (self.data.parent / "gateway.log").read_text()

    @property
    def pid(self) -> int:
        """Of the main process."""
        assert self.process is not None
        return self.process.pid

    def workers(self) -> list[psutil.Process]:
        """The worker processes, now."""
        with contextlib.suppress(psutil.NoSuchProcess):
            return psutil.Process(self.pid).children(recursive=True)
        return []

    def kill(self) -> None:
        """Kill -9, the main process alone; its workers must notice by themselves."""
        assert self.process is not None
        workers = self.workers()
        self.process.kill()
        self._reap()
        gone, alive = psutil.wait_procs(workers, timeout=60)
        assert not alive, f"workers outlived their parent by 60 s: {alive} ({len(gone)} ended)"

    def terminate(self) -> int:
        """SIGTERM, and the exit code."""
        assert self.process is not None
        self.process.terminate()
        return self._reap()

    def _reap(self) -> int:
        assert self.process is not None
        assert self.process.stdout is not None
        assert self.process.stdin is not None
        code = self.process.wait(60)
        self.process.stdin.close()
        self.process.stdout.close()
        return code

    def client(self, **options: Any) -> openai.OpenAI:
        """The real SDK, with strict response validation."""
        given = {"max_retries": 0, "api_key": "any", **options}
        client = openai.OpenAI(base_url=self.url, _strict_response_validation=True, **given)
        self.clients.append(client)
        return client

    def close(self) -> None:
        """End it, and every client of it."""
        for client in self.clients:
            client.close()
        if self.process is not None:
            if self.process.poll():  # by itself, with an error: shown when the test fails
                sys.stderr.write(f"{self.data.parent.name}: {self.log()[-3000:]}\n")
            self.process.kill()
            self._reap()

    def rows(self, query: str, *values: object) -> list[tuple[Any, ...]]:
        """Look into the records, read-only (white box: to hit a phase, to find leftovers)."""
        path = f"file:{self.data}/gateway.sqlite3?mode=ro"
        with contextlib.closing(sqlite3.connect(path, uri=True, timeout=60)) as database:
            return database.execute(query, values).fetchall()

    def bytes_of_blobs(self) -> set[str]:
        """Names of the blobs on disk, whole or not: files, and rows of the small ones."""
        files = {path.name for path in (self.data / "blobs").rglob("*") if path.is_file()}
        return files | {name for (name,) in self.rows("SELECT name FROM blob_contents")}

    def change_blob(self, name: str, change: Callable[[bytes], bytes | None]) -> None:
        """Have other bytes where those of a blob are, or none, behind the gateway's back."""
        path = self.data / "blobs" / name[:2] / name
        rows = self.rows("SELECT content FROM blob_contents WHERE name = ?", name)
        changed = change(rows[0][0] if rows else path.read_bytes())
        if not rows:
            path.unlink() if changed is None else path.write_bytes(changed)
            return
        database = sqlite3.connect(self.data / "gateway.sqlite3", timeout=60)
        with contextlib.closing(database), database:
            if changed is None:
                database.execute("DELETE FROM blob_contents WHERE name = ?", (name,))
            else:
                database.execute(
                    "UPDATE blob_contents SET content = ? WHERE name = ?", (changed, name)
                )

    def litter(self) -> set[str]:
        """Blobs that nothing points at, or ever will; names kept for later have no bytes yet."""
        rows = self.rows("SELECT name, state FROM blobs WHERE state <> 'live'")
        doomed = {name for name, state in rows if state == "doomed"}
        pending = {name for name, state in rows if state == "pending"}
        assert len(pending) <= 2 * AT_ONCE
        return doomed | pending & self.bytes_of_blobs()


@contextlib.contextmanager
def serving(
    tmp_path: Path, base_url: str, command: Sequence[str] = SERVE, **settings: str
) -> Iterator[GatewayProcess]:
    """A gateway process that is ended with the block."""
    gateway = GatewayProcess(tmp_path / "data", base_url, settings, command)
    gateway.data.mkdir(exist_ok=True)
    gateway.start()
    try:
        yield gateway
    finally:
        gateway.close()


def chat_line(
    custom_id: str, text: str, model: str = "gemini-2.5-flash-lite", **body: Any
) -> bytes:
    """One chat line."""
    messages = [{"role": "user", "content": text}]
    return line(custom_id, "/v1/chat/completions", {"model": model, "messages": messages, **body})


def embedding_line(custom_id: str, given: Any, **body: Any) -> bytes:
    """One embeddings line."""
    model = "gemini-embedding-001"
    return line(custom_id, "/v1/embeddings", {"model": model, "input": given, **body})


def line(custom_id: str, url: str, body: Mapping[str, Any]) -> bytes:
    """One line of an input file."""
    value = {"custom_id": custom_id, "method": "POST", "url": url, "body": body}
    return orjson.dumps(value) + b"\n"


def submit(
    client: openai.OpenAI, lines: Iterable[bytes], endpoint: str = "/v1/chat/completions"
) -> Batch:
    """Upload and create, as a user does."""
    content = io.BytesIO(b"".join(lines))
    file = client.files.create(file=("input.jsonl", content), purpose="batch")
    return client.batches.create(
        input_file_id=file.id,
        endpoint=endpoint,  # type: ignore[arg-type]  # also ones that do not exist
        completion_window="24h",
    )


def finished(client: openai.OpenAI, batch: Batch, seconds: float = 60) -> Batch:
    """Poll to the end, as a user does."""

    def ended() -> Batch | None:
        now = client.batches.retrieve(batch.id)
        return now if now.status in TERMINAL else None

    done = until(ended, f"{batch.id} ends", seconds)
    assert isinstance(done, Batch)
    return done


def read_lines(client: openai.OpenAI, file_id: str | None) -> list[dict[str, Any]]:
    """The lines of an output or error file."""
    if file_id is None:
        return []
    content = client.files.content(file_id).content
    assert content.endswith(b"\n")
    return [orjson.loads(one) for one in content.splitlines()]


def extension(batch: Batch) -> Mapping[str, Any]:
    """The gateway's own member, which the SDK keeps and does not know."""
    told = batch.to_dict()["gateway"]
    assert isinstance(told, dict)
    return told


def content_of(row: Mapping[str, Any]) -> str:
    """The text of a chat output line."""
    return str(row["response"]["body"]["choices"][0]["message"]["content"])


def assert_conserved(ids: Sequence[str], *files: Sequence[Mapping[str, Any]]) -> None:
    """Every custom_id exactly once over all files."""
    assert sorted(row["custom_id"] for rows in files for row in rows) == sorted(ids)
