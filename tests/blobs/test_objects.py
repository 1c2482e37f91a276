"""Buckets as places for blobs: Amazon's, Google's and Microsoft's protocol."""

import asyncio
import itertools
import logging
from pathlib import Path

import httpx
import obstore
import pytest

from gateway.blobs.buckets import open_bucket
from gateway.blobs.objects import MARKER, PART, ObjectBlobs
from gateway.errors import NoRoomError, SettingsError, UnavailableError
from gateway.ports.blobs import Blobs
from tests.blobs.limits import file_size_limit
from tests.conformance.blobs import MIB, BlobsRules, get, names, put, some_bytes
from tests.engines.buckets import BUCKET, BucketServer

pytestmark = pytest.mark.slow

_numbers = itertools.count()


async def opened(scheme: str, prefix: str = "") -> ObjectBlobs:
    """Open and empty, below a prefix of its own."""
    prefix = prefix or f"pre/fix-{next(_numbers)}"
    blobs = ObjectBlobs(f"{scheme}://{BUCKET}/{prefix}", "gateway-a", new=True)
    await blobs.open()
    return blobs


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """What a bucket refuses is tried again for less than the 10 s that users get."""
    monkeypatch.setattr("gateway.blobs.buckets.RETRIES", 1)


@pytest.mark.usefixtures("found_buckets")
class TestAmazon(BlobsRules):
    """S3's protocol."""

    @pytest.fixture
    async def blobs(self) -> Blobs:
        """A prefix of a bucket."""
        return await opened("s3")


@pytest.mark.usefixtures("found_buckets")
class TestGoogle(BlobsRules):
    """Google Cloud Storage's protocol."""

    @pytest.fixture
    async def blobs(self) -> Blobs:
        """A prefix of a bucket."""
        return await opened("gs")


class TestMicrosoft(BlobsRules):
    """Azure Blob Storage's protocol."""

    @pytest.fixture
    async def blobs(
        self, azure_environment: dict[str, str], monkeypatch: pytest.MonkeyPatch
    ) -> Blobs:
        """A prefix of a container."""
        for name, value in azure_environment.items():
            monkeypatch.setenv(name, value)
        return await opened("az")


@pytest.fixture
async def blobs(found_buckets: BucketServer) -> ObjectBlobs:
    """Open and empty, on S3."""
    assert found_buckets.url
    return await opened("s3")


async def upload(blobs: ObjectBlobs, size: int, *, broken: bool = False) -> None:
    """Write a blob in blocks of 1 MiB."""
    data = some_bytes(size)
    async with blobs.create("blob") as writer:
        for start in range(0, size, MIB):
            await writer.write(data[start : start + MIB])
        if broken:
            raise KeyError("broken upload")


class TestParts:
    """What is longer than one part."""

    @pytest.mark.parametrize("size", [PART, PART + 1, 2 * PART, 3 * PART + 17])
    async def test_what_is_read_is_what_was_written(self, blobs: ObjectBlobs, size: int) -> None:
        await upload(blobs, size)
        assert await get(blobs.read("blob")) == some_bytes(size)

    async def test_a_file_goes_up_in_parts(self, blobs: ObjectBlobs, tmp_path: Path) -> None:
        data = some_bytes(2 * PART + 1)
        (tmp_path / "made").write_bytes(data)
        await blobs.adopt({"blob": tmp_path / "made"})
        await blobs.copy_to("blob", tmp_path / "back")
        assert (tmp_path / "back").read_bytes() == data

    async def test_a_broken_upload_leaves_no_parts(
        self, blobs: ObjectBlobs, bucket_server: BucketServer
    ) -> None:
        with pytest.raises(KeyError):
            await upload(blobs, 3 * PART, broken=True)
        assert bucket_server.unfinished() == 0
        assert await names(blobs) == []

    async def test_a_cancelled_upload_leaves_no_parts(
        self, blobs: ObjectBlobs, bucket_server: BucketServer
    ) -> None:
        """A call of obstore that is cancelled leaves them in the bucket."""
        waiting = asyncio.Event()

        async def stopping() -> None:
            async with blobs.create("blob") as writer:
                for _ in range(3 * PART // MIB):
                    await writer.write(bytes(MIB))
                waiting.set()
                await asyncio.Event().wait()

        task = asyncio.ensure_future(stopping())
        await waiting.wait()
        assert bucket_server.unfinished() == 1
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert bucket_server.unfinished() == 0
        assert await names(blobs) == []


class TestRefusals:
    """A bucket that does not do what it is asked."""

    async def test_a_bucket_that_is_down_is_not_now(
        self, blobs: ObjectBlobs, bucket_server: BucketServer, tmp_path: Path
    ) -> None:
        await put(blobs, "kept", b"kept")
        (tmp_path / "made").write_bytes(b"made")
        with bucket_server.refusing():
            for ask in (
                lambda: put(blobs, "blob", b"x"),
                lambda: get(blobs.read("kept")),
                lambda: blobs.size("kept"),
                lambda: blobs.copy_to("kept", tmp_path / "here"),
                lambda: blobs.adopt({"blob": tmp_path / "made"}),
                lambda: blobs.delete("kept"),
                lambda: names(blobs),
            ):
                with pytest.raises(UnavailableError, match="503") as caught:
                    await ask()
                assert caught.value.retry_after == 10
        assert not (tmp_path / "here").exists()
        assert await get(blobs.read("kept")) == b"kept"
        assert await names(blobs) == ["kept"]
        await blobs.adopt({"blob": tmp_path / "made"})

    async def test_a_failure_in_the_middle_of_an_upload_ends_it(
        self, blobs: ObjectBlobs, bucket_server: BucketServer
    ) -> None:
        """At the first write after it, not at the end of a gigabyte."""
        parts = itertools.count()
        written = 0

        async def upload_all() -> None:
            nonlocal written
            async with blobs.create("blob") as writer:
                for _ in range(40 * PART // MIB):
                    await writer.write(bytes(MIB))
                    written += 1

        rule = lambda method, _: method == "PUT" and next(parts) > 0  # noqa: E731
        with bucket_server.refusing(rule), pytest.raises(UnavailableError):
            await upload_all()
        assert written < 40 * PART // MIB
        assert bucket_server.unfinished() == 0
        assert await names(blobs) == []

    async def test_a_download_that_breaks_off_goes_on(
        self, blobs: ObjectBlobs, bucket_server: BucketServer
    ) -> None:
        """As one does whose client is slow: no request may take longer than 30 s."""
        data = some_bytes(16 * MIB)
        await upload(blobs, 16 * MIB)
        with bucket_server.cutting(5 * MIB + 1):
            assert await get(blobs.read("blob")) == data
            assert await get(blobs.read("blob", MIB, 12 * MIB)) == data[MIB : 13 * MIB]

    async def test_a_failure_in_the_middle_of_a_download_ends_it(
        self, blobs: ObjectBlobs, bucket_server: BucketServer, tmp_path: Path
    ) -> None:
        await upload(blobs, 16 * MIB)
        asked = itertools.count()
        rule = lambda method, _: method == "GET" and next(asked) > 0  # noqa: E731
        with (
            bucket_server.cutting(5 * MIB),
            bucket_server.refusing(rule),
            pytest.raises(UnavailableError),
        ):
            await blobs.copy_to("blob", tmp_path / "here")
        assert not (tmp_path / "here").exists()

    async def test_a_full_disk_is_not_the_buckets_fault(
        self, blobs: ObjectBlobs, tmp_path: Path
    ) -> None:
        await put(blobs, "blob", some_bytes(4 * MIB))
        with file_size_limit(MIB), pytest.raises(NoRoomError):
            await blobs.copy_to("blob", tmp_path / "here")
        assert not (tmp_path / "here").exists()

    async def test_nothing_is_missing_in_a_bucket_that_was_emptied(
        self, blobs: ObjectBlobs, tmp_path: Path
    ) -> None:
        """Or paid results would count as lost because of a mistake in the bucket's name."""
        await put(blobs, "blob", b"paid results")
        await obstore.delete_async(blobs._bucket, ["blobs/blob", MARKER])
        with pytest.raises(UnavailableError, match="not the one that it was"):
            await get(blobs.read("blob"))
        with pytest.raises(UnavailableError, match="not the one that it was"):
            await blobs.copy_to("blob", tmp_path / "here")
        with pytest.raises(UnavailableError, match="not the one that it was"):
            await blobs.size("blob")

    async def test_errors_name_no_object_and_no_address(
        self, blobs: ObjectBlobs, bucket_server: BucketServer, caplog: pytest.LogCaptureFixture
    ) -> None:
        caplog.set_level(logging.DEBUG)
        with bucket_server.refusing(), pytest.raises(UnavailableError) as caught:
            await blobs.size("3f9c0000")
        for text in (caught.value.message, caplog.text):
            assert "3f9c0000" not in text
            assert "127.0.0.1" not in text


@pytest.mark.usefixtures("found_buckets")
class TestOpen:
    """A prefix is one gateway's."""

    async def test_the_same_gateway_comes_back(self, blobs: ObjectBlobs) -> None:
        await put(blobs, "blob", b"x")
        again = ObjectBlobs(blobs._url, "gateway-a", new=False)
        await again.open()
        assert await get(again.read("blob")) == b"x"
        assert await names(again) == ["blob"]

    async def test_replicas_may_start_at_once(self) -> None:
        url = f"s3://{BUCKET}/at-once"
        await asyncio.gather(*(ObjectBlobs(url, "gateway-a", new=True).open() for _ in range(8)))

    async def test_another_gateways_prefix_is_refused(self, blobs: ObjectBlobs) -> None:
        """Each would sweep the other's bytes."""
        with pytest.raises(SettingsError, match="belongs to the gateway gateway-a"):
            await ObjectBlobs(blobs._url, "gateway-b", new=True).open()

    async def test_records_whose_bytes_are_elsewhere_are_refused(self) -> None:
        """Every line would be lost: it looks as if all bytes were gone."""
        with pytest.raises(SettingsError, match="migrate-store"):
            await ObjectBlobs(f"s3://{BUCKET}/fresh", "gateway-a", new=False).open()

    async def test_a_bucket_that_is_not_there_is_refused(self) -> None:
        with pytest.raises(SettingsError, match="no such bucket"):
            await ObjectBlobs("s3://no-such-bucket/x", "gateway-a", new=True).open()

    async def test_a_bucket_that_is_down_is_no_fault_of_the_settings(
        self, bucket_server: BucketServer
    ) -> None:
        with bucket_server.refusing(), pytest.raises(UnavailableError):
            await ObjectBlobs(f"s3://{BUCKET}/down", "gateway-a", new=True).open()

    def test_an_account_must_be_named(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.delenv("AZURE_STORAGE_ACCOUNT_NAME", raising=False)
        with pytest.raises(SettingsError, match=r"(?i)account"):
            open_bucket("az://container/prefix")


async def test_a_link_gives_the_bytes_to_whoever_has_it(
    blobs: ObjectBlobs, bucket_server: BucketServer
) -> None:
    """As a redirect of a download uses it."""
    await put(blobs, "blob", b"bytes")
    link = await blobs.link("blob", 60)
    assert link is not None
    assert link.startswith(bucket_server.url)
    async with httpx.AsyncClient(timeout=60) as client:
        assert (await client.get(link)).content == b"bytes"
