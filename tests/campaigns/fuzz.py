"""Fuzzing: malformed lines through the validation, malformed requests through the real program.

``python -m tests.campaigns.fuzz`` sends 100,000 requests over plain sockets, a third with another
behind, and validates 1,000,000 lines; ``--requests 500 --lines 3000 --seed 7`` is what CI runs.
Nothing may answer 5xx, take more than five seconds, be logged as our error, or make the process
grow. It prints the figures.
"""

import argparse
import asyncio
import os
import re
import sys
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random  # noqa: TID251 - seeded: a failing run can be tried again
from typing import Final

import orjson
import psutil

from gateway.batches.planning import JobLimits
from gateway.runner.cpu.validate import InputLimits, ValidateTask, validate
from tests.api.world import form_of
from tests.e2e.harness import CLOCK, GatewayProcess, chat_line, line, serving

MIB: Final = 2**20
SLOW_SECONDS: Final = 5.0
# What the allocator keeps of the largest request; a leak of 100,000 requests is far more.
GROWTH: Final = 32 * MIB
AT_ONCE: Final = 20
LINES_PER_FILE: Final = 1_000
STATUS: Final = re.compile(rb"^HTTP/1\.1 (\d{3})", re.MULTILINE)
LIMITS: Final = InputLimits(10_000, 10_000, 100_000, 1_000, 1_000, 100, 10**9)
JOBS: Final = JobLimits(50_000, 512 * MIB, MIB, 100, 20)


@dataclass
class Report:
    """What was seen."""

    wrong: list[str] = field(default_factory=list)
    statuses: Counter[str] = field(default_factory=Counter)
    slowest: float = 0.0
    memory: list[float] = field(default_factory=list)
    lines: Counter[str] = field(default_factory=Counter)

    def told(self) -> str:
        """A few lines."""
        memory = f"{self.memory[0]:.0f} to {max(self.memory):.0f} MB" if self.memory else "-"
        return (
            f"requests: {dict(self.statuses)}, slowest {self.slowest:.2f} s, memory {memory}\n"
            f"lines: {dict(self.lines.most_common(12))}\nwrong: {self.wrong or 'nothing'}"
        )


# Lines


def good_lines() -> Sequence[bytes]:
    """What is spoilt."""
    tool = {"type": "function", "function": {"name": "f", "parameters": {"type": "object"}}}
    return (
        chat_line("a", "hello", model="gemini-3.8-flash", temperature=0.5, n=2),
        chat_line("b", "ü\u2028 \U0001f600", model="gemini-3.8-flash", tools=[tool]),
        chat_line("c", "x" * 300, response_format={"type": "json_object"}, metadata={"a": "b"}),
        line("d", "/v1/chat/completions", {"model": "gemini-3.8-flash", "messages": [{}]}),
    )


Spoiler = Callable[[Random, bytes], bytes]
ODD: Final = (
    b"\x00", b"\xff", b"\xef\xbb\xbf", b"\\ud800", b"NaN", b"1e999", b'"', b"{", b"]", b"\r", b"\n",
    b"\\", b"null", b"-", b"9" * 400, b"[" * 2_000, b'{"a":' * 200, "\u2028".encode(), b"\x1a",
)  # fmt: skip


def cut(random: Random, text: bytes) -> bytes:
    """Break off."""
    return text[: random.randrange(len(text))]


def insert(random: Random, text: bytes) -> bytes:
    """Put something odd anywhere."""
    at = random.randrange(len(text))
    return text[:at] + random.choice(ODD) + text[at:]


def replace(random: Random, text: bytes) -> bytes:
    """Replace a stretch by something odd."""
    at, length = random.randrange(len(text)), random.randrange(1, 20)
    return text[:at] + random.choice(ODD) + text[at + length :]


def flip(random: Random, text: bytes) -> bytes:
    """Flip a bit."""
    at = random.randrange(len(text))
    return text[:at] + bytes([text[at] ^ 1 << random.randrange(8)]) + text[at + 1 :]


def repeat(random: Random, text: bytes) -> bytes:
    """Say a stretch many times."""
    start = random.randrange(len(text))
    stretch = text[start : start + random.randrange(1, 40)]
    return text[:start] + stretch * random.randrange(2, 50) + text[start:]


def retype(random: Random, text: bytes) -> bytes:
    """Give some member another type; the JSON stays whole."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    odd: list[object] = [
        None,
        True,
        -1,
        2**63,
        1.5,
        "",
        "x" * 1_000,
        [],
        {},
        [[]],
        {"": {}},
        [None],
    ]
    place: object = value
    for _ in range(random.randrange(1, 6)):
        inner: list[object] = (
            [one for one in place.values() if isinstance(one, dict | list)]
            if isinstance(place, dict)
            else [one for one in place if isinstance(one, dict | list)]
            if isinstance(place, list)
            else []
        )
        if not inner:
            break
        place = random.choice(inner)
    if isinstance(place, dict) and place:
        place[random.choice([*place, "unknown"])] = random.choice(odd)
    elif isinstance(place, list):
        place.append(random.choice(odd))
    return orjson.dumps(value) + b"\n"


SPOILERS: Final[Sequence[Spoiler]] = (cut, insert, replace, flip, repeat, retype)


def spoilt(random: Random, texts: Sequence[bytes]) -> bytes:
    """One of the texts with one or a few things wrong."""
    text = random.choice(texts)
    for _ in range(random.choice((1, 1, 1, 2, 3))):
        text = random.choice(SPOILERS)(random, text) or b"\n"
    return text


def fuzz_lines(report: Report, random: Random, count: int) -> None:
    """Validate files of spoilt lines, each whole and then line by line with good envelopes."""
    texts = good_lines()
    with tempfile.TemporaryDirectory(prefix="fuzz-") as scratch:
        for start in range(0, count, LINES_PER_FILE):
            size = min(LINES_PER_FILE, count - start)
            lines = [spoilt(random, texts).replace(b"\n", b" ") + b"\n" for _ in range(size)]
            _validate(report, Path(scratch), lines)
            # One bad line fails a file: the translation is met by those that pass alone.
            passing = [text for text in lines if _has_envelope(text)]
            named = [_renamed(text, at) for at, text in enumerate(passing)]
            if named:
                _validate(report, Path(scratch), named)


def _has_envelope(text: bytes) -> bool:
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return isinstance(value, dict) and isinstance(value.get("body"), dict)


def _renamed(text: bytes, at: int) -> bytes:
    value = orjson.loads(text)
    body = {**value["body"], "model": "gemini-3.8-flash", "stream": False}
    if body.get("messages") is None:
        body["messages"] = []
    whole = {"custom_id": str(at), "method": "POST", "url": "/v1/chat/completions", "body": body}
    return orjson.dumps(whole) + b"\n"


def _validate(report: Report, scratch: Path, lines: Sequence[bytes]) -> None:
    (scratch / "input").write_bytes(b"".join(lines))
    began = CLOCK.monotonic()
    path = "/v1/chat/completions"
    task = ValidateTask(str(scratch / "input"), str(scratch), "b", path, {}, None, LIMITS, JOBS)
    summary = validate(task)
    took = CLOCK.monotonic() - began
    if summary.internal:
        report.wrong.append(f"internal errors: {dict(summary.internal)}")
    if took > SLOW_SECONDS * max(1, len(lines) / LINES_PER_FILE):
        report.wrong.append(f"{len(lines)} lines took {took:.1f} s")
    report.lines["validated"] += len(lines)
    report.lines["refused"] += summary.refused
    for error in summary.errors or ():
        report.lines[error.code] += 1


# Requests


def good_requests() -> Sequence[bytes]:
    """Of every route, with a key; ids are of nothing."""
    create = b'{"input_file_id":"file-x","endpoint":"/v1/embeddings","completion_window":"24h"}'
    upload = b'{"filename":"a","purpose":"batch","bytes":3,"mime_type":"text/jsonl"}'
    form, headers = form_of(b"{}\n", purpose="batch")
    kind = headers["content-type"].encode()
    json = b"application/json"
    return (
        _request(b"GET", b"/v1/files?limit=3&order=asc&purpose=batch"),
        _request(b"HEAD", b"/v1/files"),
        _request(b"GET", b"/v1/batches?limit=3&after=batch_0"),
        _request(b"GET", b"/v1/batches/batch_0?wait=0"),
        _request(b"GET", b"/v1/batches/batch_0/results?limit=3&after=Ly8&status=failed"),
        _request(b"GET", b"/v1/files/file-0/content", b"", b"", b"Range: bytes=0-3\r\n"),
        _request(b"DELETE", b"/v1/files/file-0"),
        _request(b"POST", b"/v1/batches", create, json),
        _request(b"POST", b"/v1/batches/batch_0/cancel"),
        _request(b"POST", b"/v1/batches/batch_0/retry", b"{}", json),
        _request(b"POST", b"/v1/uploads", upload, json),
        _request(b"POST", b"/v1/uploads/upload_0/complete", b'{"part_ids":[]}', json),
        _request(b"POST", b"/v1/files", form, kind),
        _request(b"POST", b"/v1/webhook_endpoints", b'{"url":"x"}', json),
        _request(b"GET", b"/v1/webhook_endpoints"),
        _request(b"OPTIONS", b"/v1/files", b"", b"", b"Origin: http://evil.example\r\n"),
        _chunked(b"/v1/batches", create, json),
        _chunked(b"/v1/files", form, kind),
    )


KEY: Final = b"Authorization: Bearer any\r\n"


def _request(
    method: bytes, target: bytes, body: bytes = b"", kind: bytes = b"", more: bytes = b""
) -> bytes:
    length = b"Content-Length: %d\r\nContent-Type: %b\r\n" % (len(body), kind) if body else b""
    head = b"%b %b HTTP/1.1\r\nHost: localhost\r\n%b%b%b\r\n"
    return head % (method, target, KEY, length, more) + body


def _chunked(target: bytes, body: bytes, kind: bytes) -> bytes:
    head = b"POST %b HTTP/1.1\r\nHost: localhost\r\n%bContent-Type: %b\r\n" % (target, KEY, kind)
    half = len(body) // 2
    chunks = b"".join(b"%x\r\n%b\r\n" % (len(each), each) for each in (body[:half], body[half:]))
    return head + b"Transfer-Encoding: chunked\r\n\r\n" + chunks + b"0\r\n\r\n"


WHOLE: Final[Sequence[Spoiler]] = (cut, insert, replace, flip, repeat)


def bad_requests(random: Random, count: int) -> Iterator[bytes]:
    """A third with another behind; what follows is left to the server to understand."""
    texts = good_requests()
    for _ in range(count):
        text = random.choice(texts)
        for _ in range(random.choice((1, 1, 2))):
            text = random.choice(WHOLE)(random, text) or b"\r\n"
        yield text + (random.choice(texts) if random.randrange(3) == 0 else b"")


async def fuzz_requests(report: Report, gateway: GatewayProcess, texts: Iterator[bytes]) -> None:
    """Send them, some at a time, each on a connection of its own."""
    port = int(gateway.url.split(":")[2].partition("/")[0])
    process = psutil.Process(gateway.pid)
    report.memory.append(_megabytes(process))

    async def send_all() -> None:
        for text in texts:
            began = CLOCK.monotonic()
            answer = await _answer(port, text)
            took = CLOCK.monotonic() - began
            report.slowest = max(report.slowest, took)
            statuses = [found.decode() for found in STATUS.findall(answer)]
            report.statuses.update(statuses or ["closed"])
            if took > SLOW_SECONDS or any(found[0] == "5" for found in statuses):
                report.wrong.append(f"{statuses} in {took:.1f} s: {text[:400]!r}")

    async with asyncio.TaskGroup() as group:
        for _ in range(AT_ONCE):
            group.create_task(send_all())
    report.memory.append(_megabytes(process))


async def _answer(port: int, text: bytes) -> bytes:
    """Send a text and close that side, as a client does that has said all it has to say."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        writer.write(text)
        await writer.drain()
        writer.write_eof()
        async with asyncio.timeout(4 * SLOW_SECONDS):
            return await reader.read()
    except (ConnectionError, TimeoutError):
        return b""
    finally:
        writer.close()


def _megabytes(process: psutil.Process) -> float:
    return float(process.memory_info().rss) / MIB


def fuzz(requests: int, lines: int, seed: int) -> Report:
    """Run both; what was seen."""
    report, random = Report(), Random(seed)
    fuzz_lines(report, random, lines)
    with (
        tempfile.TemporaryDirectory(prefix="fuzz-") as place,
        serving(Path(place), "http://127.0.0.1:9", GATEWAY_REQUESTS_PER_MINUTE="0") as gateway,
    ):
        warm = bad_requests(Random(seed + 1), min(requests, 200))
        asyncio.run(fuzz_requests(Report(), gateway, warm))
        asyncio.run(fuzz_requests(report, gateway, bad_requests(random, requests)))
        log = gateway.log()
    for words in ("Exception in ASGI", "Traceback", " in request "):
        if words in log:
            at = log.index(words)
            report.wrong.append(f"logged: {log[max(0, at - 200) : at + 1500]}")
    if report.memory[-1] - report.memory[0] > GROWTH / MIB:
        report.wrong.append(f"memory grew: {report.memory}")
    return report


def main() -> int:
    """Run as told; 1 if something was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--requests", type=int, default=100_000)
    parser.add_argument("--lines", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=int.from_bytes(os.urandom(3)))
    given = parser.parse_args()
    print(f"seed {given.seed}")
    report = fuzz(given.requests, given.lines, given.seed)
    print(report.told())
    return bool(report.wrong)


if __name__ == "__main__":
    sys.exit(main())
