"""The head of a request has an end, in bytes and in time."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, closing
from pathlib import Path

import pytest
import uvicorn

from gateway.api import connections, protocol
from gateway.api.protocol import MAX_HEAD_BYTES, BoundedHttpProtocol
from gateway.emulator.serve import listen
from tests.api.world import new_world


@pytest.fixture
async def port(tmp_path: Path) -> AsyncIterator[int]:
    """The API behind the protocol."""
    async with new_world(tmp_path) as world:
        with closing(listen("127.0.0.1", 0)) as listener:
            config = uvicorn.Config(
                world.app(), http=BoundedHttpProtocol, ws="none", lifespan="off", log_config=None
            )
            server = uvicorn.Server(config)
            task = asyncio.ensure_future(server.serve(sockets=[listener]))
            yield listener.getsockname()[1]
            server.should_exit = True
            await task


async def talk(port: int, *pieces: bytes) -> bytes:
    """Send and read to the end of the connection."""
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        try:
            for piece in pieces:
                writer.write(piece)
                await writer.drain()
            return await reader.read()
        except ConnectionError:
            return b""
        finally:
            writer.close()


HEAD = b"GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n"


async def test_a_usual_head_is_answered(port: int) -> None:
    """In however many pieces."""
    assert (await talk(port, HEAD, b"X-A: b\r\n", b"\r\n")).startswith(b"HTTP/1.1 200")


async def test_a_head_without_end_is_cut_off(port: int) -> None:
    """Long before it fills the memory."""
    line = b"X-Filler: " + b"x" * 1000 + b"\r\n"

    assert await talk(port, HEAD, *[line] * (4 * MAX_HEAD_BYTES // 1000)) == b""


async def test_bodies_are_not_heads(port: int) -> None:
    """A large body is the endpoints' business."""
    body = b"x" * (3 * MAX_HEAD_BYTES)
    head = (
        b"POST /v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret-a\r\n"
        b"Connection: close\r\nContent-Length: %d\r\n\r\n" % len(body)
    )

    answer = await talk(port, head, *[body[:MAX_HEAD_BYTES]] * 3)

    assert answer.startswith((b"HTTP/1.1 400", b"HTTP/1.1 413"))


async def test_a_head_that_never_comes_is_not_waited_for(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Neither on a new connection nor in the middle of a head."""
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.1)

    assert await talk(port) == b""
    assert await talk(port, HEAD) == b""


async def pushed(port: int, start: bytes, piece: bytes, most: int) -> int:
    """Send pieces until the server closes the connection; how many bytes that took."""
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        sent = 0
        try:
            writer.write(start)
            while sent < most and not reader.at_eof():
                writer.write(piece)
                await writer.drain()
                await asyncio.sleep(0)
                sent += len(piece)
            await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()
        return sent


async def write_for_ever(writer: asyncio.StreamWriter, piece: bytes) -> None:
    """Until the connection breaks."""
    while True:
        writer.write(piece)
        await writer.drain()
        await asyncio.sleep(0.01)


CHUNKED = (
    b"POST /v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret-a\r\n"
    b"Content-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
)
ENDLESS = {
    "trailers": (CHUNKED + b"2\r\n{}\r\n0\r\n", b"X-A: " + b"x" * 1000 + b"\r\n"),
    "a trailer's value": (CHUNKED + b"2\r\n{}\r\n0\r\nX-A: ", b"x" * 1000),
    "a chunk's extension": (CHUNKED + b"2;a=", b"x" * 1000),
    "a head": (b"GET /healthz HTTP/1.1\r\n", b"X-A: " + b"x" * 1000 + b"\r\n"),
    "a url": (b"GET /", b"x" * 1000),
}


@pytest.mark.parametrize("kind", ENDLESS)
async def test_nothing_but_a_body_is_endless(port: int, kind: str) -> None:
    """A4: closed long before it fills the memory; no key was shown."""
    start, piece = ENDLESS[kind]

    assert await pushed(port, start, piece, 32 * 1024 * 1024) < 32 * 1024 * 1024


async def test_chunks_of_a_byte_are_a_body(port: int) -> None:
    """Five bytes of frame for one of body; with a trailer."""
    body = b'{"a": 1}' + b" " * 40_000
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in body)
    head = CHUNKED.replace(b"Host", b"Connection: close\r\nHost")

    answer = await talk(port, head, chunks, b"0\r\nX-Trailer: a\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400")
    assert b"unknown_parameter" in answer


@pytest.mark.slow
async def test_requests_in_a_row_take_turns(port: int) -> None:
    """A5: thousands in one segment are all answered, and another client meanwhile."""
    request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
    count = 5_000
    async with asyncio.timeout(120):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(request * (count - 1) + HEAD + b"\r\n")
        reading = asyncio.ensure_future(reader.read())
        await writer.drain()
        assert (await talk(port, HEAD, b"\r\n")).startswith(b"HTTP/1.1 200")
        assert not reading.done()  # the other did not wait for all of these
        answers = await reading
        writer.close()

    assert answers.count(b"HTTP/1.1 200 OK") == count


async def test_a_long_body_and_requests_behind_it(port: int) -> None:
    """A body of a known length is taken up as it comes; what follows takes its turn."""
    file = b"".join(b"%d,\r\n" % number for number in range(200_000))
    head = b'Content-Disposition: form-data; name="%b"\r\n\r\n%b\r\n'
    named = head.replace(b"\r\n", b'; filename="a.txt"\r\n', 1)
    parts = [head % (b"purpose", b"user_data"), named % (b"file", file)]
    body = b"".join(b"--x\r\n" + part for part in parts) + b"--x--\r\n"
    upload = (
        b"POST /v1/files HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret-a\r\n"
        b"Content-Type: multipart/form-data; boundary=x\r\nContent-Length: %d\r\n\r\n"
    )
    probe = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"

    answers = await talk(port, upload % len(body) + body + 2_000 * probe + HEAD + b"\r\n")

    assert b'"bytes":%d,' % len(file) in answers
    assert answers.count(b"HTTP/1.1 200 OK") == 2_002


async def test_a_half_closed_client_gets_its_answer(port: int) -> None:
    """A9: as ``nc -N`` asks; one whose body is cut gets none, since there is none to give."""
    for head, whole in ((HEAD + b"\r\n", True), (CHUNKED, False)):
        async with asyncio.timeout(60):
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(head)
            writer.write_eof()
            answer = await reader.read()
            writer.close()
        assert answer.startswith(b"HTTP/1.1 200") == whole


async def test_a_body_that_goes_on_after_its_answer(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A10: closed soon after the 401, which is read all the same."""
    monkeypatch.setattr(protocol, "LINGER_SECONDS", 0.2)
    head = b"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 100000000\r\n\r\n"
    async with asyncio.timeout(60):
        reader, writer = await asyncio.open_connection("127.0.0.1", port)
        writer.write(head)
        answer = await reader.readuntil(b"\r\n\r\n")
        with pytest.raises(ConnectionError):
            await write_for_ever(writer, b"x")
        writer.close()

    assert answer.startswith(b"HTTP/1.1 401")


async def test_a_body_that_ends_in_time_keeps_its_connection(port: int) -> None:
    """The next request is answered on it."""
    head = b"POST /v1/files HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n"

    answers = await talk(port, head, b"abc", HEAD + b"\r\n")

    assert answers.startswith(b"HTTP/1.1 401")
    assert b"HTTP/1.1 200" in answers


@pytest.mark.slow
async def test_an_answer_that_is_not_read(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """A8: the connection is cut, whatever waits to be written."""
    monkeypatch.setattr(protocol, "READ_SECONDS", 0.2)
    request = b"GET /v1/nothing HTTP/1.1\r\nHost: x\r\n\r\n"
    async with asyncio.timeout(60):
        _, writer = await asyncio.open_connection("127.0.0.1", port, limit=1)
        with pytest.raises(ConnectionError):
            await write_for_ever(writer, request * 1000)  # answers pile up
        writer.close()


async def test_what_is_no_http(port: int) -> None:
    """400 in OpenAI's envelope."""
    answer = await talk(port, b"\x00\x01 nonsense\r\n\r\n")

    assert answer.startswith(b"HTTP/1.1 400")
    assert b'"type":"invalid_request_error"' in answer


@pytest.mark.parametrize("target", [b"/healthz", b"/v1/files", b"/v1/none", b"/v1/batches/x"])
async def test_heads_in_a_row(port: int, caplog: pytest.LogCaptureFixture, target: bytes) -> None:
    """A13: HEAD behind HEAD, and a body behind one, is no error of ours."""
    head = b"HEAD %b HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret-a\r\n" % target
    request = head + b"Content-Length: 2\r\n\r\n{}"

    answers = await talk(port, request * 20, HEAD + b"\r\n")

    assert answers.count(b"HTTP/1.1") == 21
    assert caplog.records == []


@asynccontextmanager
async def connected(port: int) -> AsyncIterator[tuple[asyncio.StreamReader, asyncio.StreamWriter]]:
    """A plain connection."""
    reader, writer = await asyncio.open_connection("127.0.0.1", port)
    try:
        yield reader, writer
    finally:
        writer.close()


HALF_UPLOAD = (
    b"POST /v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret-a\r\n"
    b"Content-Type: application/json\r\nContent-Length: 100\r\n\r\n{"
)
LIST = (
    b"GET /v1/batches HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret-a\r\n"
    b"Connection: close\r\n\r\n"
)


async def test_the_longest_idle_connection_makes_room(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A22: clients have a share of the descriptors; one with a request keeps its connection."""
    monkeypatch.setattr(connections, "share_of_clients", lambda: 3)
    async with asyncio.timeout(60), AsyncExitStack() as stack:
        busy, first, second = [await stack.enter_async_context(connected(port)) for _ in range(3)]
        for _, writer in (first, second):  # answered, so that all three are known to be accepted
            writer.write(b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        for reader, _ in (first, second):
            assert (await reader.readuntil(b"}")).startswith(b"HTTP/1.1 200")
        busy[1].write(HALF_UPLOAD)

        assert (await talk(port, HEAD + b"\r\n")).startswith(b"HTTP/1.1 200")

        assert await first[0].read() == b""
        second[1].write(HEAD + b"\r\n")
        assert (await second[0].read()).startswith(b"HTTP/1.1 200")
        busy[1].write(b"}" * 99)
        assert (await busy[0].readuntil(b"\r\n")).startswith(b"HTTP/1.1 400")


async def test_where_every_connection_has_a_request_a_probe_is_answered(
    port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A22: and everything else is told to come back, until there is room."""
    async with asyncio.timeout(60), AsyncExitStack() as stack:
        held = [await stack.enter_async_context(connected(port)) for _ in range(3)]
        for reader, writer in held:
            writer.write(
                HALF_UPLOAD.replace(b"Content-Length", b"Expect: 100-continue\r\nContent-Length")
            )
            await reader.readuntil(b"100 Continue")
        monkeypatch.setattr(connections, "share_of_clients", lambda: 3)

        assert (await talk(port, HEAD + b"\r\n")).startswith(b"HTTP/1.1 200")
        refused = await talk(port, LIST)
        assert refused.startswith(b"HTTP/1.1 503")
        assert b"retry-after: 5\r\n" in refused

        held[0][1].close()
        await held[0][1].wait_closed()
        while not (await talk(port, LIST)).startswith(b"HTTP/1.1 200"):
            pass


async def test_a_full_house_closes_what_comes(port: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """What is kept back for the rest of the process is given to no client."""
    monkeypatch.setattr(connections, "share_of_clients", lambda: 0)
    monkeypatch.setattr(connections, "backlog", lambda: 0)

    assert await talk(port, HEAD + b"\r\n") == b""


@pytest.mark.parametrize(("limit", "share"), [(64, 16), (1024, 256), (1_000_000, 995_392)])
def test_descriptors_are_kept_back(monkeypatch: pytest.MonkeyPatch, limit: int, share: int) -> None:
    """Whatever the limit, the process keeps half of a small one and some hundreds of a large."""
    monkeypatch.setattr(connections, "descriptors", lambda: limit)

    assert connections.share_of_clients() == share
    assert share + 2 * connections.backlog() < limit
