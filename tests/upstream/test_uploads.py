"""The resumable upload, on a good day and on the bad ones."""

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from typing import Any

import httpx
import orjson
import pytest

from gateway.errors import (
    DamagedBlobError,
    UpstreamError,
    UpstreamHeldError,
    UpstreamRefusedError,
    UpstreamUnavailableError,
)
from gateway.units import MIB
from gateway.upstream.options import BLOCK_BYTES, HOUR_MS
from gateway.upstream.transport import is_upload_host
from tests.upstream.bench import KEY, Bench, Spool, Wire, make_job

HOME = "https://gemini.test"
UNIT = 1024  # chunk granularity of the little server

Fault = Callable[["Server", httpx.Request], httpx.Response]


class Server:
    """A little upload server. ``faults`` replace the answers to chunks and queries, in order."""

    def __init__(self, *faults: Fault | None, **changes: Any) -> None:
        self.faults = list(faults)
        self.changes = changes
        self.received = bytearray()
        self.sessions = 0
        self.commands: list[str] = []
        self.requests: list[httpx.Request] = []
        self.states = ["ACTIVE"]

    def __call__(self, request: httpx.Request) -> httpx.Response:
        self.requests.append(request)
        if request.method != "POST":
            self.commands.append(request.method)
            return httpx.Response(200, json=self.file())
        command = request.headers["x-goog-upload-command"]
        self.commands.append(command)
        if command == "start":
            return self.start()
        fault = self.faults.pop(0) if self.faults else None
        return fault(self, request) if fault else self.honest(request)

    def start(self) -> httpx.Response:
        self.sessions += 1
        self.received.clear()
        url = f"{HOME}/upload/v1beta/files?upload_id=secret{self.sessions}"
        headers = {"x-goog-upload-url": url, "x-goog-upload-chunk-granularity": str(UNIT)}
        return httpx.Response(200, headers={**headers, "x-goog-upload-status": "active"})

    def honest(self, request: httpx.Request) -> httpx.Response:
        """Do what is asked, as the real server does."""
        command = request.headers["x-goog-upload-command"]
        if command == "query":
            size = str(len(self.received))
            headers = {"x-goog-upload-status": "active", "x-goog-upload-size-received": size}
            return httpx.Response(200, headers=headers)
        assert int(request.headers["x-goog-upload-offset"]) == len(self.received)
        assert int(request.headers["content-length"]) == len(request.content)
        self.received += request.content
        if "finalize" not in command:
            assert len(request.content) % UNIT == 0
            return httpx.Response(200, headers={"x-goog-upload-status": "active"})
        return self.final()

    def final(self) -> httpx.Response:
        body = {"file": self.file()}
        return httpx.Response(200, headers={"x-goog-upload-status": "final"}, json=body)

    def file(self) -> Any:
        digest = hashlib.sha256(self.received).hexdigest().encode()
        file = {
            "name": f"files/upload{self.sessions}",
            "sizeBytes": str(len(self.received)),
            "sha256Hash": base64.b64encode(digest).decode(),
            "createTime": "2026-08-19T14:34:22.044992Z",
            "expirationTime": "2026-08-21T14:34:21.475407640Z",
            "state": self.states.pop(0) if len(self.states) > 1 else self.states[0],
            **self.changes,
        }
        return {name: value for name, value in file.items() if value is not None}


def status(code: int, **headers: str) -> Fault:
    """Answer this status and do nothing."""
    return lambda _, __: httpx.Response(code, headers=headers)


def raising(exc: Exception) -> Fault:
    """The connection dies; nothing arrived."""

    def fault(_: Server, __: httpx.Request) -> httpx.Response:
        raise exc

    return fault


def lost_answer(server: Server, request: httpx.Request) -> httpx.Response:
    """Everything arrived, the answer did not."""
    server.honest(request)
    raise httpx.ReadError("reset")


def half(server: Server, request: httpx.Request) -> httpx.Response:
    """Half of the chunk arrived, then the connection died."""
    server.received += request.content[: len(request.content) // 2]
    raise httpx.WriteError("reset")


CONTENT = bytes(range(256)) * 18  # 4,608 bytes: chunks of 2,048, 2,048 and 512


class Broken(Spool):
    """A spool that turns out to be another than was written."""

    def __init__(self) -> None:
        super().__init__(CONTENT, block=700)
        self.sealed = hashlib.sha256(b"what was written").hexdigest()

    async def digest(self) -> str:
        raise DamagedBlobError("a blob")


async def staged(bench: Bench, server: Server, content: bytes = CONTENT, **options: Any) -> Any:
    """Stage the content; what came of it, with the spool."""
    spool = Spool(content, block=700)
    upstream = bench.asking(server, **{"chunk_bytes": 2 * UNIT, **options})
    try:
        return await upstream.stage(make_job(), spool)
    finally:
        assert spool.open == 0, "the spool is let go"


class TestGoodDay:
    """What is sent when nothing goes wrong."""

    async def test_the_protocol(self, bench: Bench) -> None:
        server = Server()
        result = await staged(bench, server)
        assert bytes(server.received) == CONTENT
        assert server.commands == ["start", "upload", "upload", "upload, finalize"]
        assert result.ref == "files/upload1"
        start = server.requests[0]
        assert start.url == f"{HOME}/upload/v1beta/files"
        assert start.headers["x-goog-api-key"] == KEY
        assert start.headers["x-goog-upload-header-content-length"] == str(len(CONTENT))
        assert start.headers["x-goog-upload-header-content-type"] == "application/jsonl"
        assert orjson.loads(start.content) == {
            "file": {"displayName": "gw12345678-jobidjobid12", "mimeType": "application/jsonl"}
        }

    async def test_the_key_is_not_sent_to_the_upload_url(self, bench: Bench) -> None:
        server = Server()
        await staged(bench, server)
        assert not any("x-goog-api-key" in request.headers for request in server.requests[1:])

    async def test_a_chunk_is_a_multiple_of_what_the_upstream_wants(self, bench: Bench) -> None:
        server = Server()
        await staged(bench, server, chunk_bytes=2 * UNIT + 5)
        assert [int(each.headers["content-length"]) for each in server.requests[1:]] == [
            2048,
            2048,
            512,
        ]

    async def test_a_chunk_is_never_smaller_than_what_the_upstream_wants(
        self, bench: Bench
    ) -> None:
        server = Server()
        await staged(bench, server, chunk_bytes=1)
        assert len(server.requests) == 1 + 5

    async def test_an_exact_number_of_chunks_ends_with_a_full_one(self, bench: Bench) -> None:
        server = Server()
        await staged(bench, server, CONTENT[:4096])
        assert server.commands == ["start", "upload", "upload, finalize"]

    async def test_an_empty_spool(self, bench: Bench) -> None:
        server = Server()
        await staged(bench, server, b"")
        assert server.commands == ["start", "upload, finalize"]

    @pytest.mark.parametrize("changes", [{}, {"sha256Hash": None}])
    async def test_content_that_the_disk_has_changed_is_deleted_and_not_sent_again(
        self, bench: Bench, changes: Any
    ) -> None:
        """By the upstream's digest; where it gives none, by what is read here once more."""
        server = Server(**changes)
        upstream = bench.asking(server, chunk_bytes=2 * UNIT)
        with pytest.raises(DamagedBlobError):
            await upstream.stage(make_job(), Broken())
        assert (server.sessions, server.commands.count("DELETE")) == (1, 1)

    @pytest.mark.parametrize(("told", "times"), [({}, 0), ({"sha256Hash": None}, 1)])
    async def test_content_is_digested_here_only_if_the_upstream_has_not(
        self, bench: Bench, told: Any, times: int
    ) -> None:
        spool = Spool(CONTENT, block=700)
        await bench.asking(Server(**told), chunk_bytes=2 * UNIT).stage(make_job(), spool)
        assert spool.digested == times

    async def test_content_without_a_seal_is_compared_with_what_arrived(self, bench: Bench) -> None:
        """An older version wrote it."""
        spool = Spool(CONTENT, block=700)
        spool.sealed = None
        await bench.asking(Server(), chunk_bytes=2 * UNIT).stage(make_job(), spool)
        assert spool.digested == 1

    async def test_chunks_leave_in_blocks_not_whole(self, bench: Bench) -> None:
        sizes: list[int] = []

        class Inner(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                assert isinstance(request.stream, httpx.AsyncByteStream)
                blocks = [bytes(block) async for block in request.stream]
                if request.headers["x-goog-upload-command"] != "start":
                    sizes.extend(map(len, blocks))
                return server(
                    httpx.Request(
                        "POST", request.url, headers=request.headers, content=b"".join(blocks)
                    )
                )

        server = Server()
        spool = Spool(bytes(3 * MIB))
        await bench.client(HOME, Inner(), chunk_bytes=2 * MIB).stage(make_job(), spool)
        assert max(sizes) == BLOCK_BYTES
        assert sum(sizes) == 3 * MIB
        assert spool.starts == [0], "the spool is read once, on and on"

    @pytest.mark.parametrize(
        ("expiry", "milliseconds"),
        [
            ("2026-08-21T14:34:21.475407640Z", 47 * HOUR_MS - 569),  # recorded
            ("2026-08-19T14:35:22.044992Z", 54_000),
            (None, 47 * HOUR_MS),
        ],
    )
    async def test_it_must_be_used_well_before_it_expires(
        self, bench: Bench, expiry: str | None, milliseconds: int
    ) -> None:
        """Counted on our own clock: theirs may be elsewhere."""
        result = await staged(bench, Server(expirationTime=expiry))
        assert result.until - bench.clock.now() == milliseconds

    async def test_without_size_and_hash_nothing_can_be_checked(self, bench: Bench) -> None:
        assert await staged(bench, Server(sizeBytes=None, sha256Hash=None))


class TestTrouble:
    """Whatever happens to a chunk, what arrives is what was sent."""

    @pytest.mark.parametrize(
        "fault",
        [
            pytest.param(raising(httpx.ReadError("reset")), id="reset"),
            pytest.param(raising(httpx.WriteTimeout("stalled")), id="stalled"),
            pytest.param(raising(httpx.ConnectError("refused")), id="refused"),
            pytest.param(lost_answer, id="lost answer"),
            pytest.param(half, id="half a chunk"),
            pytest.param(status(500), id="500"),
            pytest.param(status(503), id="503"),
            pytest.param(status(429), id="429"),
            pytest.param(status(408), id="408"),
            pytest.param(status(200), id="no status header"),
        ],
    )
    @pytest.mark.parametrize("position", [0, 1])
    async def test_the_upload_goes_on_from_what_arrived(
        self, bench: Bench, fault: Fault, position: int
    ) -> None:
        server = Server(*[None] * position, fault)
        await staged(bench, server)
        assert bytes(server.received) == CONTENT
        assert server.sessions == 1
        assert server.commands.count("query") == 1
        assert bench.clock.slept, "it waits before it asks again"

    @pytest.mark.parametrize("fault", [half, status(500), raising(httpx.ReadError("reset"))])
    async def test_the_last_chunk_too(self, bench: Bench, fault: Fault) -> None:
        server = Server(None, None, fault)
        await staged(bench, server)
        assert bytes(server.received) == CONTENT
        assert server.sessions == 1

    async def test_a_lost_final_answer_is_asked_for_again(self, bench: Bench) -> None:
        def finished(server: Server, _: httpx.Request) -> httpx.Response:
            return server.final()

        server = Server(None, None, lost_answer, finished)
        result = await staged(bench, server)
        assert (result.ref, server.sessions) == ("files/upload1", 1)

    async def test_a_final_session_that_gives_no_file_is_begun_anew(self, bench: Bench) -> None:
        server = Server(None, None, lost_answer, status(200, **{"x-goog-upload-status": "final"}))
        result = await staged(bench, server)
        assert (result.ref, server.sessions) == ("files/upload2", 2)

    async def test_everything_there_but_not_finalized_is_finalized(self, bench: Bench) -> None:
        def not_final(server: Server, request: httpx.Request) -> httpx.Response:
            server.received += request.content
            raise httpx.ReadError("reset")

        server = Server(None, None, not_final)
        await staged(bench, server)
        assert bytes(server.received) == CONTENT
        assert server.commands[-2:] == ["query", "upload, finalize"]

    @pytest.mark.parametrize("code", [400, 404, 410])
    async def test_a_lost_session_is_begun_anew(self, bench: Bench, code: int) -> None:
        server = Server(None, status(code))
        result = await staged(bench, server)
        assert (result.ref, server.sessions) == ("files/upload2", 2)
        assert bytes(server.received) == CONTENT

    async def test_a_final_answer_without_a_file_is_begun_anew(self, bench: Bench) -> None:
        """python-genai#1248."""
        empty = status(200, **{"x-goog-upload-status": "final"})
        server = Server(None, None, empty)
        result = await staged(bench, server)
        assert (result.ref, server.sessions) == ("files/upload2", 2)

    async def test_uploads_that_never_give_a_file_are_given_up(self, bench: Bench) -> None:
        empty = status(200, **{"x-goog-upload-status": "final"})
        server = Server(*[empty] * 3)
        with pytest.raises(UpstreamUnavailableError, match="gave no file"):
            await staged(bench, server, session_attempts=3, chunk_bytes=8 * UNIT)
        assert server.sessions == 3

    async def test_chunks_that_never_arrive_are_given_up(self, bench: Bench) -> None:
        server = Server(*[status(503)] * 99)
        with pytest.raises(UpstreamUnavailableError):
            await staged(bench, server, chunk_attempts=4)
        assert server.commands == ["start", "upload", "query", "query", "query"]

    async def test_an_upstream_that_takes_nothing_is_given_up(self, bench: Bench) -> None:
        """Every query says 0 and every chunk dies: no progress, so no end of patience either."""
        dies = raising(httpx.ReadError("reset"))
        server = Server(*[dies, None] * 50)
        with pytest.raises(UpstreamUnavailableError):
            await staged(bench, server, chunk_attempts=4)
        assert server.commands.count("upload") == 4

    async def test_progress_renews_the_patience(self, bench: Bench) -> None:
        faults = [half, None] * 8
        server = Server(*faults)
        await staged(bench, server, chunk_attempts=2)
        assert bytes(server.received) == CONTENT
        assert server.sessions == 1

    async def test_an_upstream_that_lost_bytes_gets_them_again(self, bench: Bench) -> None:
        def forgets(server: Server, _: httpx.Request) -> httpx.Response:
            del server.received[1000:]
            raise httpx.ReadError("reset")

        server = Server(None, forgets)
        await staged(bench, server)
        assert bytes(server.received) == CONTENT
        assert server.sessions == 1

    @pytest.mark.parametrize("received", ["99999999", "-1", "", "many"])
    async def test_an_upstream_that_cannot_count_is_asked_anew(
        self, bench: Bench, received: str
    ) -> None:
        headers = {"x-goog-upload-status": "active", "x-goog-upload-size-received": received}
        server = Server(status(500), status(200, **headers))
        await staged(bench, server)
        assert server.sessions == 2

    async def test_a_cancelled_session_is_begun_anew(self, bench: Bench) -> None:
        server = Server(status(500), status(200, **{"x-goog-upload-status": "cancelled"}))
        await staged(bench, server)
        assert server.sessions == 2

    async def test_a_chunk_for_a_cancelled_session_too(self, bench: Bench) -> None:
        server = Server(None, status(200, **{"x-goog-upload-status": "cancelled"}))
        await staged(bench, server)
        assert server.sessions == 2
        assert "query" not in server.commands

    @pytest.mark.parametrize(
        "changes", [{"sizeBytes": "4607"}, {"sha256Hash": base64.b64encode(b"0" * 64).decode()}]
    )
    async def test_what_arrived_otherwise_is_deleted_and_sent_anew(
        self, bench: Bench, changes: Any
    ) -> None:
        server = Server(**changes)
        with pytest.raises(UpstreamUnavailableError, match="not what was sent"):
            await staged(bench, server, session_attempts=2)
        assert server.sessions == 2
        assert server.commands.count("DELETE") == 2

    async def test_the_digest_survives_chunks_sent_twice(self, bench: Bench) -> None:
        """sha256Hash is verified, so a digest over repeated bytes would end the upload."""
        server = Server(half, None, half, None, lost_answer)
        await staged(bench, server)
        assert server.sessions == 1

    async def test_a_chunk_out_of_time_while_the_spool_is_read(self, bench: Bench) -> None:
        """The interrupted reading is over; the spool is read anew from there."""

        class Slow(Spool):
            async def unchecked(self, start: int = 0) -> AsyncIterator[bytes]:
                async for block in super().unchecked(start):
                    if len(self.starts) == 1:
                        await asyncio.Event().wait()
                    yield block

        server = Server()
        spool = Slow(CONTENT, block=700)
        upstream = bench.asking(server, chunk_bytes=2 * UNIT, chunk_seconds=0.05)
        await upstream.stage(make_job(), spool)
        assert bytes(server.received) == CONTENT
        assert (server.sessions, len(spool.starts)) == (1, 2)

    async def test_an_answer_before_the_chunk_had_left_is_doubted(self, bench: Bench) -> None:
        """What the upstream has then is asked, not taken from what it should have."""
        server = Server()
        early = [httpx.Response(200, headers={"x-goog-upload-status": "active"})]

        class Inner(httpx.AsyncBaseTransport):
            async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
                if request.headers["x-goog-upload-command"] == "upload" and early:
                    return early.pop()
                await request.aread()
                return server(request)

        upstream = bench.client(HOME, Inner(), chunk_bytes=2 * UNIT)
        await upstream.stage(make_job(), Spool(CONTENT, block=700))
        assert bytes(server.received) == CONTENT
        assert server.sessions == 1

    async def test_a_connection_dropped_inside_a_chunk(self, bench: Bench) -> None:
        """The same on a real socket."""
        server = Server()
        drops = [5000, None, None]

        async def script(wire: Wire) -> None:
            if wire.head.headers["x-goog-upload-command"] == "upload, finalize":
                limit = drops.pop(0)
                body = await wire.read_body(limit)
                if limit is not None:
                    server.received += body
                    return
            else:
                await wire.read_body()
            request = httpx.Request("POST", HOME, headers=wire.head.headers, content=wire.head.body)
            answer = server(request)
            headers: dict[str, Any] = {
                name.replace("-", "_"): value for name, value in answer.headers.items()
            }
            headers.pop("content_length", None)
            if "x_goog_upload_url" in headers:
                headers["x_goog_upload_url"] = f"{url}/upload?upload_id=1"
            await wire.answer(answer.status_code, answer.content, **headers)

        url = await bench.serving(script)
        content = bytes(range(256)) * 8192
        result = await bench.client(url).stage(make_job(), Spool(content))
        assert result.ref == "files/upload1"
        assert bytes(server.received) == content
        assert server.commands == ["start", "query", "upload, finalize"]


class TestReady:
    """The file must be ACTIVE before create may name it."""

    async def test_it_is_waited_for(self, bench: Bench) -> None:
        server = Server()
        server.states = ["PROCESSING", "PROCESSING", "ACTIVE"]
        assert (await staged(bench, server)).ref == "files/upload1"
        assert server.commands[-2:] == ["GET", "GET"]

    async def test_not_for_ever(self, bench: Bench) -> None:
        server = Server()
        server.states = ["PROCESSING"]
        with pytest.raises(UpstreamUnavailableError, match="still being processed"):
            await staged(bench, server)

    async def test_a_file_that_vanishes_is_uploaded_again(self, bench: Bench) -> None:
        server = Server()
        server.states = ["PROCESSING", "ACTIVE"]
        gone = {"error": {"code": 404, "message": "m", "status": "NOT_FOUND"}}

        def handler(request: httpx.Request) -> httpx.Response:
            return server(request) if request.method == "POST" else httpx.Response(404, json=gone)

        staged = await bench.asking(handler).stage(make_job(), Spool(CONTENT))
        assert staged.ref == "files/upload2"

    async def test_a_failed_file_is_uploaded_again(self, bench: Bench) -> None:
        server = Server()
        server.states = ["FAILED", "ACTIVE"]
        assert (await staged(bench, server)).ref == "files/upload2"


class TestStart:
    """Opening a session."""

    @pytest.mark.parametrize(
        ("code", "body", "kind", "calls"),
        [
            (429, b"", UpstreamUnavailableError, 1),
            (503, b"", UpstreamUnavailableError, 3),
            (401, b"", UpstreamHeldError, 1),
            (413, b"", UpstreamRefusedError, 1),
            (404, b"", UpstreamHeldError, 1),
        ],
    )
    async def test_refusals(
        self, bench: Bench, code: int, body: bytes, kind: type[UpstreamError], calls: int
    ) -> None:
        asked: list[httpx.Request] = []

        def handler(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            return httpx.Response(code, content=body)

        with pytest.raises(kind):
            await bench.asking(handler).stage(make_job(), Spool(b"x"))
        assert len(asked) == calls

    @pytest.mark.parametrize(
        "url",
        [
            "https://evil.test/upload?upload_id=1",
            "http://gemini.test/upload?upload_id=1",
            "https://gemini.test:8443/upload",
            "https://gemini.test@evil.test/upload",
            "https://gemini.test.evil.test/upload",
            "/upload?upload_id=1",
            "https://[odd/upload",
            "",
        ],
    )
    async def test_no_byte_goes_to_another_host(self, bench: Bench, url: str) -> None:
        asked: list[httpx.Request] = []

        def handler(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            return httpx.Response(200, headers={"x-goog-upload-url": url})

        with pytest.raises(UpstreamUnavailableError, match="its own host"):
            await bench.asking(handler).stage(make_job(), Spool(b"x"))
        assert len(asked) == 1


GOOGLE = "https://generativelanguage.googleapis.com"


class TestUploadHosts:
    """Where bytes may go."""

    @pytest.mark.parametrize(
        ("url", "base_url", "allowed"),
        [
            (f"{GOOGLE}/upload/v1beta/files?upload_id=1", GOOGLE, True),
            ("https://www.googleapis.com/upload?upload_id=1", GOOGLE, True),
            ("https://WWW.GoogleAPIs.com/upload", GOOGLE, True),
            ("https://generativelanguage.googleapis.com:443/upload", GOOGLE, True),
            ("https://generativelanguage.googleapis.com:444/upload", GOOGLE, False),
            ("http://generativelanguage.googleapis.com/upload", GOOGLE, False),
            ("https://evilgoogleapis.com/upload", GOOGLE, False),
            ("https://user@generativelanguage.googleapis.com/upload", GOOGLE, False),
            ("https://googleapis.com.evil.test/upload", GOOGLE, False),
            ("https://evil.test\\.googleapis.com/upload", GOOGLE, False),
            ("https://evil.test#.googleapis.com", GOOGLE, False),
            ("https://www.googleapis.com/upload", "https://proxy.test", False),
            ("http://127.0.0.1:9/upload", "http://127.0.0.1:9/", True),
            ("http://127.0.0.1:9/upload", "http://127.0.0.1:8", False),
            ("http://localhost:9/upload", "http://127.0.0.1:9", False),
            ("https://proxy.test/upload", "https://proxy.test/gemini/", True),
        ],
    )
    def test_it_is_the_upstreams_own(self, url: str, base_url: str, allowed: bool) -> None:
        assert is_upload_host(url, base_url) is allowed
