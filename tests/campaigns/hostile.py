"""Hostile uploads and requests, one after the other, against the real program: figures of each.

``python -m tests.campaigns.hostile`` prints a table of what was answered, after how long, by how
much the process and its workers grew meanwhile, and how long a probe waited at most; ``--scale
0.01`` is what CI runs. Nothing may take room without end, keep others waiting, or answer 5xx but
for the 503 of too many uploads at once.
"""

import argparse
import asyncio
import gzip
import os
import sys
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Sequence
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

import httpx
import psutil

from gateway.emulator.testing import EmulatorOptions, running
from tests.e2e.harness import CLOCK, GatewayProcess, chat_line, serving

MIB: Final = 2**20
# What the main process may grow by: one block of an upload, the pieces of a JSON body, buffers.
GROWTH: Final = 48
# And by a block and its pieces of each of the 48 uploads that one key may have under way, and a few
# reads of each of those that wait.
STALLED: Final = 112
# The probe shares its processor with the attack, which sends 500 MB meanwhile.
PROBE_SECONDS: Final = 20.0
KEY: Final = {"authorization": "Bearer any"}
HEAD: Final = b"POST /v1/files HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer any\r\n"
FORM: Final = b"Content-Type: multipart/form-data; boundary=b\r\n"
CHUNKED: Final = b"Transfer-Encoding: chunked\r\n\r\n"
PART: Final = b'--b\r\nContent-Disposition: form-data; name="%b"%b\r\n\r\n'
END: Final = b"\r\n--b--\r\n"


@dataclass
class Row:
    """What one attack came to."""

    attack: str
    answer: str
    seconds: float = 0.0
    grown: float = 0.0
    workers: float = 0.0
    probe: float = 0.0

    def told(self) -> str:
        """A line of the table."""
        figures = f"{self.seconds:.1f} | {self.grown:.0f} | {self.workers:.0f} | {self.probe:.2f}"
        return f"| {self.attack} | {self.answer} | {figures} |"


@dataclass
class Report:
    """What was seen."""

    rows: list[Row] = field(default_factory=list)
    wrong: list[str] = field(default_factory=list)

    def told(self) -> str:
        """The table."""
        head = (
            "| attack | answer | seconds | MB grown | MB of workers | probe, s |\n"
            "| --- | --- | --- | --- | --- | --- |"
        )
        rows = "\n".join(row.told() for row in self.rows)
        return f"{head}\n{rows}\n\nwrong: {self.wrong or 'nothing'}"


class Target:
    """The gateway, and what it costs."""

    def __init__(self, gateway: GatewayProcess, scale: float) -> None:
        self.gateway = gateway
        self.scale = scale
        self.port = int(gateway.url.split(":")[2].partition("/")[0])
        self.process = psutil.Process(gateway.pid)

    def many(self, count: int) -> int:
        """So many, or fewer in a sample."""
        return max(1, int(count * self.scale))

    async def connect(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        """Open a connection."""
        return await asyncio.open_connection("127.0.0.1", self.port)

    async def sent(self, pieces: Iterator[bytes] | Sequence[bytes], pause: float = 0.0) -> str:
        """Send the pieces on a connection, until it is closed; the status of the answer."""
        reader, writer = await self.connect()
        reading = asyncio.ensure_future(reader.read(64 * 1024))
        try:
            with suppress(ConnectionError):
                for piece in pieces:
                    if reading.done():
                        break
                    writer.write(piece)
                    await writer.drain()
                    if pause:
                        await asyncio.wait((reading,), timeout=pause)
            with suppress(ConnectionError):
                return _status(await asyncio.wait_for(reading, 120))
            return "closed"
        finally:
            reading.cancel()
            writer.close()

    async def posted(self, path: str, body: bytes, **headers: str) -> httpx.Response:
        """Send a request that is whole."""
        async with httpx.AsyncClient(base_url=self.gateway.url, headers=KEY, timeout=300) as client:
            return await client.post(path, content=body, headers=headers)

    async def batch_of(self, content: bytes, name: str = "in.jsonl") -> str:
        """Upload, create, wait for the end; the status, and codes of errors."""
        async with httpx.AsyncClient(base_url=self.gateway.url, headers=KEY, timeout=300) as client:
            files = {"file": (name, content)}
            made = await client.post("/files", files=files, data={"purpose": "batch"})
            if made.status_code != httpx.codes.OK:
                return str(made.status_code)
            wanted = {
                "input_file_id": made.json()["id"],
                "endpoint": "/v1/chat/completions",
                "completion_window": "24h",
            }
            batch = (await client.post("/batches", json=wanted)).json()
            while batch["status"] not in {"completed", "failed", "expired", "cancelled"}:
                path = f"/batches/{batch['id']}"
                batch = (await client.get(path, params={"wait": 60})).json()
            codes = {error["code"] for error in (batch["errors"] or {"data": []})["data"]}
            return " ".join([batch["status"], *sorted(codes)])


Attack = Callable[[Target], Awaitable[str]]


def _status(answer: bytes) -> str:
    return answer.split(b" ", 2)[1].decode() if answer.startswith(b"HTTP/1.1 ") else "closed"


def _some(found: Sequence[str]) -> str:
    return ", ".join(sorted(set(found)))


async def slow_heads(target: Target) -> str:
    """Heads that come a byte a second, on many connections."""
    head = b"GET /v1/files HTTP/1.1\r\nHost: localhost\r\nX-A: " + b"x" * 200
    drip = [head[at : at + 1] for at in range(len(head))]
    count = target.many(500)
    return _some(await asyncio.gather(*(target.sent(drip, pause=1) for _ in range(count))))


async def slow_bodies(target: Target) -> str:
    """Bodies that come a byte a second, on many connections."""
    body = PART % (b"file", b'; filename="a.txt"')
    pieces = [HEAD + FORM + b"Content-Length: 9999\r\n\r\n" + body, *[b"x"] * 60]
    count = target.many(500)
    return _some(await asyncio.gather(*(target.sent(pieces, pause=1) for _ in range(count))))


async def stalled_uploads(target: Target) -> str:
    """Files that stop just short of a block, on many connections."""
    body = PART % (b"file", b'; filename="a.txt"') + b"x" * (MIB - 4096)
    pieces = [HEAD + FORM + b"Content-Length: 9999999\r\n\r\n" + body]
    count = target.many(500)
    return _some(await asyncio.gather(*(target.sent(pieces) for _ in range(count))))


async def tiny_chunks(target: Target) -> str:
    """A file in chunks of one byte."""
    body = PART % (b"purpose", b"") + b"user_data\r\n"
    body += PART % (b"file", b'; filename="a.txt"') + b"x" * target.many(4 * MIB) + END
    chunks = [b"1\r\n%c\r\n" % byte for byte in body]
    blocks = [b"".join(chunks[at : at + 8192]) for at in range(0, len(chunks), 8192)]
    return await target.sent([HEAD + FORM + CHUNKED, *blocks, b"0\r\n\r\n"])


async def endless_heads(target: Target) -> str:
    """A head without end: many headers, then one that never ends."""
    many = (b"X-%d: %b\r\n" % (n, b"x" * 100) for n in range(10**7))
    long = (b"x" * 8192 for _ in range(10**6))
    first = await target.sent(_after(HEAD, many))
    return _some([first, await target.sent(_after(HEAD + b"X-A: ", long))])


async def endless_parts(target: Target) -> str:
    """Forms without end: a part's head, many parts, what comes before the first one."""
    start = HEAD + FORM + CHUNKED
    heads = (_chunk(b"X-%d: %b\r\n" % (n, b"x" * 4096)) for n in range(10**6))
    parts = (_chunk(PART % (b"a", b"") + b"x\r\n") for _ in range(10**6))
    before = (_chunk(b"x" * 8192) for _ in range(10**6))
    begun = start + _chunk(b'--b\r\nContent-Disposition: form-data; name="file"\r\n')
    return _some(
        [
            await target.sent(_after(begun, heads)),
            await target.sent(_after(start, parts)),
            await target.sent(_after(start, before)),
        ]
    )


async def endless_trailers(target: Target) -> str:
    """Trailers behind a chunked body."""
    trailers = (b"X-%d: %b\r\n" % (n, b"x" * 1024) for n in range(10**6))
    start = HEAD + b"Content-Type: application/json\r\n" + CHUNKED + b"0\r\n"
    return await target.sent(_after(start, trailers))


async def gzip_bombs(target: Target) -> str:
    """Blanks that pack to a thousandth: as JSON, as a form, and as an input file."""
    bomb = gzip.compress(b" " * target.many(1024 * MIB))
    packed = {"content-encoding": "gzip"}
    json = await target.posted("/batches", bomb, **packed, **{"content-type": "application/json"})
    form = {"content-type": "multipart/form-data; boundary=b"}
    found = [str(json.status_code)]
    found.append(str((await target.posted("/files", bomb, **packed, **form)).status_code))
    return _some([*found, await target.batch_of(bomb, "in.jsonl.gz")])


async def long_line(target: Target) -> str:
    """A line of 10 MB that is good, and one of 100 MB that is not."""
    good = await target.batch_of(chat_line("a", "x" * target.many(10 * MIB)))
    bad = await target.batch_of(b'"' + b"x" * target.many(100 * MIB))
    return f"{good}; {bad}"


async def many_objects(target: Target) -> str:
    """A line of 10 MB of empty objects, thirty times as large once it is parsed."""
    body = b",".join([b"{}"] * target.many(3_000_000))
    line = chat_line("a", "MARK").replace(b'"MARK"', b"[" + body + b"]")
    return await target.batch_of(line)


async def tiny_lines(target: Target) -> str:
    """A million lines of two bytes, and a million of nothing."""
    count = target.many(1_000_000)
    tiny, blank = await target.batch_of(b"{}\n" * count), await target.batch_of(b"\n" * count)
    return f"{tiny}; {blank}"


async def deep_json(target: Target) -> str:
    """JSON 100,000 deep: as a line, within a line, as a body."""
    depth = 100_000
    deep = b"[" * depth + b"]" * depth
    inner = chat_line("a", "MARK").replace(b'"MARK"', b'{"a":' * depth + b"1" + b"}" * depth)
    json = await target.posted("/batches", deep, **{"content-type": "application/json"})
    lines = [await target.batch_of(deep + b"\n"), await target.batch_of(inner)]
    return "; ".join([str(json.status_code), *lines])


NAMES: Final = (
    "../../../etc/passwd", "/etc/passwd", "..\\..\\boot.ini", "a/../../b.jsonl", ".", "..", "con",
    "a\x00.jsonl", "a\r\nX-Evil: 1.jsonl", '"; filename="b', "%2e%2e%2fetc", "x" * 5000,
    "\u202egpj", "~/.ssh", "$(id).jsonl", "a;b.jsonl",
)  # fmt: skip
# Directories in which batches are worked on, those of earlier attacks too.
WORKED_IN: Final = frozenset({"blobs", "scratch", "trails"})
PATHS: Final = (
    b"/v1/files/../../../etc/passwd", b"/v1/files/..%2f..%2f..%2fetc%2fpasswd/content",
    b"/v1/files/%2e%2e/%2e%2e/gateway.sqlite3", b"/v1/files/file-\x00/content",
    b"/v1/files/file-%00/content", b"//etc/passwd", b"/v1//files/../batches",
    b"/v1/files/%252e%252e", b"/v1/files/..\\..\\x", b"/ui/static/../../app.py",
    b"/ui/static/..%2f..%2fapp.py",
    b"/v1/models/..%2f..%2ffiles", b"http://169.254.169.254/v1/files", b"/v1/batches/%ff%fe",
)  # fmt: skip


async def path_tricks(target: Target) -> str:
    """Names of files, and paths, that lead elsewhere: nothing is read or written there."""
    before = _made_below(target.gateway.data.parent)
    found = []
    for name in NAMES:
        head = b'; filename="%b"' % name.encode().replace(b'"', b"%22")
        body = (
            PART % (b"file", head) + b"secret\r\n" + PART % (b"purpose", b"") + b"user_data" + END
        )
        length = b"Content-Length: %d\r\n\r\n" % len(body)
        found.append(await target.sent([HEAD + FORM + length + body]))
    for path in PATHS:
        head = b"GET %b HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n" % path
        found.append(await target.sent([head + b"Authorization: Bearer any\r\n\r\n"]))
    made = _made_below(target.gateway.data.parent) - before
    return _some([*found, *(f"made {path.name}" for path in made)])


def _made_below(directory: Path) -> set[Path]:
    """Everything there but what is made, and goes, while batches run."""
    found = {
        Path(place, name) for place, *both in os.walk(directory) for names in both for name in names
    }
    return {path for path in found if WORKED_IN.isdisjoint(path.parts)}


async def lying_lengths(target: Target) -> str:
    """Bodies that are shorter than they say, longer, or of no length that there is."""
    short = [HEAD + FORM + b"Content-Length: 1000\r\n\r\n" + b"--b"]
    huge = [HEAD + FORM + b"Content-Length: 99999999999999\r\n\r\n" + b"--b"]
    odd = [HEAD + FORM + b"Content-Length: -5\r\n\r\n" + b"--b"]
    two = [HEAD + FORM + b"Content-Length: 5\r\nContent-Length: 6\r\n\r\n" + b"--b--"]
    return _some(await asyncio.gather(*(target.sent(each) for each in (short, huge, odd, two))))


# What each may answer: words of statuses of HTTP and of batches, and codes of errors.
ATTACKS: Final[Sequence[tuple[Attack, frozenset[str]]]] = (
    (slow_heads, frozenset({"closed"})),
    (slow_bodies, frozenset({"408", "503", "closed"})),
    (stalled_uploads, frozenset({"408", "503", "closed"})),
    (tiny_chunks, frozenset({"200"})),
    (endless_heads, frozenset({"closed", "400"})),
    (endless_parts, frozenset({"400", "413", "closed"})),
    (endless_trailers, frozenset({"closed", "400"})),
    (gzip_bombs, frozenset({"400", "413"})),
    (long_line, frozenset({"completed", "failed", "invalid_json_line", "line_too_long", "400"})),
    (many_objects, frozenset({"completed", "failed", "invalid_json_line", "line_too_complex"})),
    (
        tiny_lines,
        frozenset(
            {
                "failed",
                "missing_required_parameter",
                "too_many_tasks",
                "too_many_errors",
                "invalid_json_line",
                "empty_file",
            }
        ),
    ),
    (deep_json, frozenset({"400", "failed", "completed", "invalid_json_line"})),
    (path_tricks, frozenset({"200", "400", "404"})),
    (lying_lengths, frozenset({"400", "408", "413", "closed"})),
)


def _after(first: bytes, rest: Iterator[bytes]) -> Iterator[bytes]:
    yield first
    yield from rest


def _chunk(data: bytes) -> bytes:
    return b"%x\r\n%b\r\n" % (len(data), data)


@asynccontextmanager
async def watching(target: Target, row: Row) -> AsyncIterator[None]:
    """Measure while an attack goes on: memory, and how long a probe waits."""
    before = target.process.memory_info().rss / MIB

    async def look() -> None:
        async with httpx.AsyncClient(base_url=target.gateway.url, timeout=120) as client:
            while True:
                began = CLOCK.monotonic()
                await client.get("/../healthz")
                row.probe = max(row.probe, CLOCK.monotonic() - began)
                row.grown = max(row.grown, target.process.memory_info().rss / MIB - before)
                row.workers = max(row.workers, _workers(target))
                await asyncio.sleep(0.05)

    looking = asyncio.ensure_future(look())
    began = CLOCK.monotonic()
    try:
        yield
    finally:
        row.seconds = CLOCK.monotonic() - began
        looking.cancel()


def _workers(target: Target) -> float:
    sizes = []
    for worker in target.gateway.workers():
        with suppress(psutil.NoSuchProcess):
            sizes.append(worker.memory_info().rss / MIB)
    return max(sizes, default=0.0)


async def _attack(report: Report, target: Target, attack: Attack, allowed: frozenset[str]) -> None:
    row = Row((attack.__doc__ or "").strip().rstrip("."), "")
    async with watching(target, row):
        row.answer = await attack(target)
    report.rows.append(row)
    strange = set(row.answer.replace(",", " ").replace(";", " ").split()) - allowed
    if strange:
        report.wrong.append(f"{attack.__name__}: {sorted(strange)}")
    most = GROWTH + (STALLED if attack is stalled_uploads else 0)
    if row.grown > most or row.probe > PROBE_SECONDS:
        report.wrong.append(f"{attack.__name__}: {row.grown:.0f} MB, a probe of {row.probe:.1f} s")


def attacked(scale: float, names: Sequence[str] = ()) -> Report:
    """Attack a gateway of ours, by all attacks or those of these names."""
    report = Report()
    with (
        tempfile.TemporaryDirectory(prefix="hostile-") as place,
        running(EmulatorOptions(job_seconds=0.05)) as google,
        serving(Path(place), google.base_url) as gateway,
    ):
        target = Target(gateway, scale)
        asyncio.run(target.batch_of(chat_line("a", "warm")))
        for attack, allowed in ATTACKS:
            if not names or attack.__name__ in names:
                asyncio.run(_attack(report, target, attack, allowed))
        log = gateway.log()
    for words in ("Exception in ASGI", "Traceback", " in request "):
        if words in log:
            report.wrong.append(f"logged: {log[log.index(words) :][:1500]}")
    return report


def main(arguments: Sequence[str]) -> int:
    """Print the figures; 1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--scale", type=float, default=1.0)
    parser.add_argument("--only", nargs="*", default=())
    chosen = parser.parse_args(arguments)
    report = attacked(chosen.scale, chosen.only)
    print(report.told())
    return bool(report.wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
