"""Large files through a real server: memory, breaking off, many at once."""

import asyncio
import http.client
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, Iterator
from functools import partial
from pathlib import Path
from typing import Any, cast

import httpx
import orjson
import pytest
from starlette.datastructures import Headers
from starlette.types import Message

from gateway.api.content import answer_content
from gateway.batches.file import File, Segment
from gateway.blobs.local import LocalBlobs
from tests.api.world import LINE, World, form_of, serving, until
from tests.sampling import highest

MEBIBYTE = 1024 * 1024
BLOCK = (LINE * 700)[:65_536]
KEY = {"authorization": "Bearer secret-a"}


def _anonymous(pid: int) -> int:
    """Bytes of a process that belong to no file: what it holds, the page cache left out."""
    status = Path(f"/proc/{pid}/status").read_text(encoding="ascii")
    [line] = [line for line in status.splitlines() if line.startswith("RssAnon:")]
    return int(line.split()[1]) * 1024


@pytest.fixture
def served(tmp_path: Path) -> Iterator[tuple[int, str]]:
    """A gateway without a runner in a process of its own: its id and address."""
    command = [sys.executable, "-m", "tests.api.serve", str(tmp_path)]
    with subprocess.Popen(
        command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        yield process.pid, process.stdout.readline().strip().removeprefix("http://")
        process.stdin.close()


@pytest.mark.slow
def test_memory_is_flat(served: tuple[int, str]) -> None:
    """A file goes in and comes out without being in memory, Content-Length or not."""
    pid, address = served
    small = _upload(address, blocks=16, chunked=False)
    idle = _anonymous(pid)
    with highest(partial(_anonymous, pid), 0.01) as peak:
        for chunked in (False, True):
            made = _upload(address, blocks=2400, chunked=chunked)
            assert made["bytes"] == 2400 * len(BLOCK)
        assert _download(address, made["id"]) == made["bytes"]

    assert small["bytes"] == 16 * len(BLOCK)
    assert peak.value - idle < 24 * MEBIBYTE


def _upload(address: str, *, blocks: int, chunked: bool) -> dict[str, Any]:
    around, headers = form_of(b"@", purpose="batch")
    head, _, tail = around.partition(b"@")
    if not chunked:
        headers["content-length"] = str(len(head) + blocks * len(BLOCK) + len(tail))

    def body() -> Iterator[bytes]:
        yield head
        for _ in range(blocks):
            yield BLOCK
        yield tail

    client = http.client.HTTPConnection(address)
    client.request("POST", "/v1/files", body(), headers | KEY, encode_chunked=chunked)
    answer = client.getresponse()
    made: dict[str, Any] = orjson.loads(answer.read())
    client.close()
    return made


def _download(address: str, file_id: str) -> int:
    client = http.client.HTTPConnection(address)
    client.request("GET", f"/v1/files/{file_id}/content", headers=KEY)
    answer = client.getresponse()
    got = 0
    while block := answer.read(MEBIBYTE):
        got += len(block)
    client.close()
    return got


@pytest.mark.slow
async def test_two_hundred_at_once(world: World) -> None:
    """Downloads and reads of records, all answered, each with its own bytes."""
    async with (
        serving(world.app()) as url,
        httpx.AsyncClient(base_url=f"{url}/v1", headers=KEY, timeout=60) as client,
    ):
        files = [await _make(client, str(n).encode() * 1000) for n in range(10)]

        async def read(at: int) -> bool:
            path = f"/files/{files[at % 10]}"
            if at % 3:
                return bool((await client.get(path)).json()["id"] == files[at % 10])
            content = (await client.get(f"{path}/content")).content
            return content == str(at % 10).encode() * 1000

        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(read(at)) for at in range(200)]

    assert all(task.result() for task in tasks)


@pytest.mark.slow
async def test_many_uploads_at_once(world: World) -> None:
    """Each file keeps its own bytes."""
    datas = [bytes([97 + at]) * (MEBIBYTE + at) for at in range(20)]
    async with (
        serving(world.app()) as url,
        httpx.AsyncClient(base_url=f"{url}/v1", headers=KEY, timeout=60) as client,
    ):
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(_make(client, data)) for data in datas]
        for task, data in zip(tasks, datas, strict=True):
            answer = await client.get(f"/files/{task.result()}/content")
            assert answer.content == data


async def _make(client: httpx.AsyncClient, data: bytes) -> str:
    answer = await client.post("/files", files={"file": data}, data={"purpose": "batch"})
    return str(answer.json()["id"])


class _Failing(LocalBlobs):
    """A disk that gives two blocks and then an error: one is held back until the next is there."""

    async def read(
        self, name: str, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        blocks = super().read(name, start, length)
        yield await anext(blocks)
        yield await anext(blocks)
        raise OSError(5, "Input/output error: secret path")


async def test_a_download_whose_source_fails(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """The client sees a body that is too short, never a wrong one; one line is logged."""
    failing = _Failing(world.root / "blobs")
    async with (
        serving(world.app(blobs=failing)) as url,
        httpx.AsyncClient(base_url=f"{url}/v1", headers=KEY, timeout=60) as client,
    ):
        file_id = await _make(client, b"x" * (3 * MEBIBYTE))
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"/files/{file_id}/content")
        assert (await client.get(f"/files/{file_id}")).status_code == 200

    assert "a download broke off: OSError" in caplog.text
    assert "secret path" not in caplog.text
    assert "Traceback" not in caplog.text


async def test_a_blob_that_lost_bytes(world: World) -> None:
    """A body too short for its promise, not a whole one of other bytes."""
    async with (
        serving(world.app()) as url,
        httpx.AsyncClient(base_url=f"{url}/v1", headers=KEY, timeout=60) as client,
    ):
        file_id = await _make(client, b"x" * (3 * MEBIBYTE))
        [blob] = world.blob_files()
        os.truncate(blob, 2 * MEBIBYTE)
        with pytest.raises(httpx.RemoteProtocolError):
            await client.get(f"/files/{file_id}/content")
        os.truncate(blob, 0)
        assert (await client.get(f"/files/{file_id}/content")).status_code == 503


class _Kept(LocalBlobs):
    """Keeps the generators it gives out: none is closed by being forgotten."""

    def __init__(self, root: Path) -> None:
        super().__init__(root)
        self.given: list[AsyncGenerator[bytes, None]] = []

    def read(
        self, name: str, start: int = 0, length: int | None = None
    ) -> AsyncGenerator[bytes, None]:
        """Read a blob, and remember the generator."""
        self.given.append(super().read(name, start, length))
        return self.given[-1]

    def is_closed(self) -> bool:
        """Tell whether every generator has ended, and its descriptor with it."""
        return all(cast("Any", blocks).ag_frame is None for blocks in self.given)


@pytest.mark.slow
async def test_a_client_that_leaves_a_download(world: World) -> None:
    """The file is closed at once, by the answer and not by the garbage collector."""
    blobs = _Kept(world.root / "blobs")
    async with serving(world.app(blobs=blobs)) as url:
        async with httpx.AsyncClient(base_url=f"{url}/v1", headers=KEY, timeout=60) as client:
            file_id = await _make(client, b"x" * (64 * MEBIBYTE))
            async with client.stream("GET", f"/files/{file_id}/content") as answer:
                await anext(answer.aiter_bytes())
                assert blobs.given
                assert not blobs.is_closed()
        await until(blobs.is_closed)


async def test_a_client_that_leaves_before_the_first_byte(world: World) -> None:
    """The file has been opened by then: it is closed although nothing is sent."""
    blobs = _Kept(world.root / "blobs")
    async with blobs.create("0123456789abcdef") as writer:
        await writer.write(b"x" * (2 * MEBIBYTE))
    segments = (Segment("0123456789abcdef", 2 * MEBIBYTE),)
    file = File("f", "o", "batch", "n", 2 * MEBIBYTE, 1, "", segments, 0)
    answer = await answer_content(file, blobs, Headers(), head=False)
    assert not blobs.is_closed()

    async def left() -> Message:
        return {"type": "http.disconnect"}

    async def send(_: Message) -> None:
        await asyncio.Event().wait()

    await answer({"type": "http", "asgi": {"spec_version": "2.3"}}, left, send)
    assert blobs.is_closed()


@pytest.mark.slow
async def test_deleting_during_a_download(world: World) -> None:
    """What was begun is ended; the next one finds nothing."""
    data = b"y" * (32 * MEBIBYTE)
    async with (
        serving(world.app()) as url,
        httpx.AsyncClient(base_url=f"{url}/v1", headers=KEY, timeout=60) as client,
    ):
        file_id = await _make(client, data)
        async with client.stream("GET", f"/files/{file_id}/content") as answer:
            await client.delete(f"/files/{file_id}")
            for blob in world.blob_files():
                await world.blobs.delete(blob.name)
            got = [block async for block in answer.aiter_bytes()]
        assert b"".join(got) == data
        assert (await client.get(f"/files/{file_id}/content")).status_code == 404
