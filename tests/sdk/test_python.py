"""openai-python, validating strictly, against a real server; in both its forms."""

import asyncio
import hashlib
import io
from collections.abc import AsyncGenerator, Callable, Iterator
from pathlib import Path
from typing import Any

import openai
import pytest
from openai import AsyncOpenAI, OpenAI

from gateway.batches.batch import BatchError, BatchStatus, Counts
from tests.api.world import LINE, START, World, new_world, serving

BIG = LINE * 40_000  # some megabytes


@pytest.fixture
async def world(tmp_path: Path) -> AsyncGenerator[World, None]:
    """A store and blobs of the test's own."""
    async with new_world(tmp_path) as made:
        yield made


@pytest.fixture
async def url(world: World) -> AsyncGenerator[str, None]:
    """A server on it."""
    async with serving(world.app()) as base:
        yield base


@pytest.fixture
async def client(url: str) -> AsyncGenerator[AsyncOpenAI, None]:
    """The asynchronous client, validating what it reads."""
    async with AsyncOpenAI(
        base_url=f"{url}/v1", api_key="secret-a", _strict_response_validation=True
    ) as made:
        yield made


@pytest.fixture
def sync(url: str) -> Iterator[OpenAI]:
    """The synchronous client; to be used in a thread, the server runs in the test's loop."""
    with OpenAI(base_url=f"{url}/v1", api_key="secret-a", _strict_response_validation=True) as made:
        yield made


async def _created(client: AsyncOpenAI, **members: Any) -> openai.types.Batch:
    file = await client.files.create(file=("in.jsonl", LINE), purpose="batch")
    return await client.batches.create(
        input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h", **members
    )


async def test_files(client: AsyncOpenAI) -> None:
    """The whole life of a file."""
    made = await client.files.create(
        file=("größe.jsonl", BIG),
        purpose="batch",
        expires_after={"anchor": "created_at", "seconds": 7200},
    )

    assert (made.bytes, made.filename, made.status) == (len(BIG), "größe.jsonl", "processed")
    assert made.expires_at == START // 1000 + 7200
    assert await client.files.retrieve(made.id) == made
    assert [file.id async for file in client.files.list()] == [made.id]
    assert (await client.files.content(made.id)).content == BIG
    assert (await client.files.wait_for_processing(made.id)) == made
    assert (await client.files.delete(made.id)).deleted
    with pytest.raises(openai.NotFoundError) as caught:
        await client.files.content(made.id)
    assert (caught.value.param, caught.value.request_id) != (None, None)


async def test_files_without_a_name(client: AsyncOpenAI) -> None:
    """Bytes and unnamed streams come as ``upload``."""
    made = await client.files.create(file=io.BytesIO(LINE), purpose="user_data")

    assert (made.filename, made.expires_at) == ("upload", None)


@pytest.mark.parametrize("part_size", [1_000_000, 2**30])
async def test_uploads(client: AsyncOpenAI, tmp_path: Path, part_size: int) -> None:
    """The SDK's own way to send a file in parts, and each call by itself."""
    path = tmp_path / "big.jsonl"
    path.write_bytes(BIG)
    done = await client.uploads.upload_file_chunked(
        file=path,
        mime_type="text/jsonl",
        purpose="batch",
        part_size=part_size,
        md5=hashlib.md5(BIG).hexdigest(),
    )

    assert (done.status, done.filename, done.bytes) == ("completed", "big.jsonl", len(BIG))
    assert done.file is not None
    assert (await client.files.content(done.file.id)).content == BIG
    other = await client.uploads.create(
        bytes=4, filename="a", mime_type="text/plain", purpose="user_data"
    )
    part = await client.uploads.parts.create(other.id, data=b"abcd")
    assert (part.object, part.upload_id) == ("upload.part", other.id)
    assert (await client.uploads.cancel(other.id)).status == "cancelled"
    with pytest.raises(openai.BadRequestError) as caught:
        await client.uploads.complete(other.id, part_ids=[part.id])
    assert caught.value.param == "upload_id"


async def test_content_as_a_stream(client: AsyncOpenAI) -> None:
    """Line by line, without holding the file."""
    made = await client.files.create(file=("in.jsonl", BIG), purpose="batch")
    lines = 0
    async with client.files.with_streaming_response.content(made.id) as response:
        assert response.headers["content-length"] == str(len(BIG))
        async for _ in response.iter_lines():
            lines += 1

    assert lines == BIG.count(b"\n")


async def test_batches(client: AsyncOpenAI) -> None:
    """Create, look, cancel."""
    made = await _created(
        client,
        metadata={"a": "b"},
        output_expires_after={"anchor": "created_at", "seconds": 3600},
    )

    assert (made.status, made.metadata) == ("validating", {"a": "b"})
    assert made.usage is not None
    assert await client.batches.retrieve(made.id) == made
    assert [batch.id async for batch in client.batches.list()] == [made.id]
    assert (await client.batches.cancel(made.id)).status == "cancelling"
    assert set(made.to_dict()) >= {"output_file_id", "errors", "cancelled_at"}


async def test_every_status_is_understood(world: World, client: AsyncOpenAI) -> None:
    """Strictly."""
    ends: list[dict[str, Any]] = [
        {"status": BatchStatus.IN_PROGRESS, "in_progress_at": START},
        {"status": BatchStatus.FINALIZING, "finalizing_at": START},
        {"status": BatchStatus.COMPLETED, "completed_at": START, "counts": Counts(3, 2, 1)},
        {"status": BatchStatus.EXPIRED, "expired_at": START},
        {"status": BatchStatus.CANCELLED, "cancelled_at": START},
        {"status": BatchStatus.FAILED, "failed_at": START, "errors": (BatchError("a", "b"),)},
    ]
    for end in ends:
        made = await _created(client)
        await world.move(made.id, **end)
        assert (await client.batches.retrieve(made.id)).status == end["status"].value


@pytest.mark.parametrize("limit", [1, 2, 3, 100])
async def test_pages(client: AsyncOpenAI, limit: int) -> None:
    """Every object once, newest first, whatever the size of a page."""
    made = [await _created(client) for _ in range(5)]

    batches = [batch.id async for batch in client.batches.list(limit=limit)]
    files = [file.id async for file in client.files.list(limit=limit, order="asc")]

    assert batches == [batch.id for batch in made][::-1]
    assert files == [batch.input_file_id for batch in made]


async def test_deleting_while_listing(client: AsyncOpenAI) -> None:
    """The iterator's cursor is a file that was just deleted."""
    made = {(await client.files.create(file=("a", LINE), purpose="batch")).id for _ in range(5)}
    deleted = set()
    async for file in client.files.list(limit=2):
        await client.files.delete(file.id)
        deleted.add(file.id)

    assert deleted == made


async def test_a_late_cancel_is_told_once(world: World, client: AsyncOpenAI) -> None:
    """409 is not retried: the SDK would try three times otherwise."""
    made = await _created(client)
    await world.move(made.id, status=BatchStatus.COMPLETED, completed_at=START)

    with pytest.raises(openai.ConflictError, match="Cannot cancel a batch with status 'completed'"):
        await client.batches.cancel(made.id)


async def test_a_create_whose_answer_was_lost(world: World, client: AsyncOpenAI) -> None:
    """What the SDK sends when it tries again: the same body, its count raised."""
    file = await client.files.create(file=("a.jsonl", LINE), purpose="batch")
    ids = set()
    for count in ("0", "1", "2"):
        made = await client.batches.create(
            input_file_id=file.id,
            endpoint="/v1/embeddings",
            completion_window="24h",
            extra_headers={"x-stainless-retry-count": count},
        )
        ids.add(made.id)

    assert len(ids) == 1
    page = await world.store.list_batches("alice", limit=10)
    assert page is not None
    assert len(page.data) == 1


async def test_a_create_repeated_by_the_sdk_itself(world: World) -> None:
    """The first answer never arrives; the SDK's own second try finds the first batch."""
    inner = world.app()
    creates = 0

    async def losing(scope: Any, receive: Any, send: Any) -> None:
        nonlocal creates
        if scope["type"] == "http" and (scope["method"], scope["path"]) == ("POST", "/v1/batches"):
            creates += 1
            if creates == 1:
                await inner(scope, receive, _swallow)
                return  # without an answer: the server closes the connection or says 500
        await inner(scope, receive, send)

    async def _swallow(message: Any) -> None:
        del message

    async with (
        serving(losing) as url,
        AsyncOpenAI(base_url=f"{url}/v1", api_key="secret-a") as client,
    ):
        made = await _created(client)

    page = await world.store.list_batches("alice", limit=10)
    assert page is not None
    assert [batch.id for batch in page.data] == [made.id]
    assert creates == 2


async def test_errors(url: str, client: AsyncOpenAI) -> None:
    """The SDK's classes, codes and texts."""
    with pytest.raises(openai.BadRequestError) as wrong:
        await _created(client, extra_body={"priority": 1})
    assert (wrong.value.code, wrong.value.param) == ("unknown_parameter", "priority")
    assert "priority" in str(wrong.value)
    stranger = AsyncOpenAI(base_url=f"{url}/v1", api_key="wrong")
    async with stranger:
        with pytest.raises(openai.AuthenticationError):
            await stranger.files.list()
    with pytest.raises(openai.NotFoundError):
        await client.models.retrieve("gpt-4o")


async def test_an_oversize_upload(world: World) -> None:
    """413 reaches the client though it was still sending; nothing stays."""
    async with (
        serving(world.app(max_file_bytes=len(BIG) - 1)) as url,
        AsyncOpenAI(base_url=url, api_key="secret-a") as client,
    ):
        with pytest.raises(openai.APIStatusError) as caught:
            await client.files.create(file=("in.jsonl", BIG), purpose="batch")

    assert caught.value.status_code == 413
    assert world.blob_files() == []


@pytest.mark.parametrize("form", ["", "/v1", "/v1/", "/openai", "/openai/v1"])
async def test_base_urls(url: str, form: str) -> None:
    """Every base URL that a client may be given."""
    async with AsyncOpenAI(base_url=url + form, api_key="secret-b") as client:
        made = await client.files.create(file=("a", LINE), purpose="batch")
        assert (await client.files.retrieve(made.id)).id == made.id


async def test_azures_client(url: str) -> None:
    """Another path, another header."""
    async with openai.AsyncAzureOpenAI(
        azure_endpoint=url, api_key="secret-a", api_version="2024-10-21"
    ) as client:
        assert (await client.files.list()).data == []
        assert (await client.batches.list()).data == []


async def test_models(client: AsyncOpenAI) -> None:
    """A plain page, and one model with a slash in its name."""
    assert [model.id async for model in client.models.list()] == ["gemini-2.5-flash"]
    assert (await client.models.retrieve("models/gemini-2.5-flash")).owned_by == "google"


def _story(sync: OpenAI, path: Path) -> list[Any]:
    with path.open("rb") as source:
        file = sync.files.create(file=source, purpose="batch")
    batch = sync.batches.create(
        input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h"
    )
    listed = [found.id for found in sync.batches.list(limit=1)]
    cancelled = sync.batches.cancel(batch.id)
    content = sync.files.content(file.id).read()
    return [file.filename, listed == [batch.id], cancelled.status, len(content)]


async def test_the_synchronous_client(sync: OpenAI, tmp_path: Path) -> None:
    """The program most people write."""
    path = tmp_path / "requests.jsonl"
    path.write_bytes(BIG)
    tell: Callable[..., list[Any]] = _story

    assert await asyncio.to_thread(tell, sync, path) == [
        "requests.jsonl",
        True,
        "cancelling",
        len(BIG),
    ]
