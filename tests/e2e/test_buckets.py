"""The whole program with its bytes in a bucket."""

import io
import os
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import httpx
import openai
import orjson
import pytest

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from gateway.runner.cpu.trail import PLACE
from gateway.runner.spares import KEPT
from tests.e2e.harness import (
    GatewayProcess,
    assert_conserved,
    chat_line,
    finished,
    read_lines,
    serving,
    submit,
    until,
)
from tests.engines.buckets import BucketServer
from tests.sampling import highest

MIB = 1 << 20
# Every blob is an object; those of a few lines would be in the records.
OBJECTS = {"GATEWAY_RECORDED_BLOB_BYTES": "0"}
IDS = [f"id-{number}" for number in range(300)]


def lines(length: int = 0) -> list[bytes]:
    """The lines of an input."""
    return [chat_line(name, f"{name} {'x' * length}") for name in IDS]


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, gemini: Emulator, bucket_server: BucketServer
) -> Iterator[GatewayProcess]:
    """A gateway over a bucket of its own."""
    bucket_server.make_bucket("whole")
    settings = bucket_server.environment() | {"GATEWAY_BLOBS": "s3://whole/pre/fix", **OBJECTS}
    directory = tmp_path_factory.mktemp("gateway")
    with serving(directory, gemini.base_url, **settings) as process:
        yield process


def bytes_below(directory: Path) -> int:
    """Of all files, some of which may just be going."""
    found = 0
    for root, _, names in os.walk(directory):
        for name in names:
            try:
                found += (Path(root) / name).stat().st_size
            except FileNotFoundError:
                continue
    return found


def test_a_batch_leaves_nothing_on_the_disk(
    gateway: GatewayProcess, bucket_server: BucketServer
) -> None:
    """Scratch holds what one step reads and writes; afterwards places of workers, kept spare."""
    client = gateway.client()
    content = b"".join(lines(length=10_000))
    with highest(partial(bytes_below, gateway.data / "scratch"), 0.005) as scratch:
        done = finished(client, submit(client, [content]))
    assert done.status == "completed"
    output = read_lines(client, done.output_file_id)
    assert_conserved(IDS, output, read_lines(client, done.error_file_id))
    assert 0 < scratch.value < 4 * len(content)
    spare = KEPT * PLACE.size
    until(lambda: bytes_below(gateway.data / "scratch") <= spare, "scratch is empty")
    assert not (gateway.data / "blobs").exists()
    assert bucket_server.count("whole", "pre/fix/blobs/") > 0


def test_what_is_deleted_leaves_the_bucket(
    gateway: GatewayProcess, bucket_server: BucketServer
) -> None:
    """The sweeper's part."""
    client = gateway.client()
    made = client.files.create(file=("a.jsonl", chat_line("a", "b")), purpose="batch")
    [[segments]] = gateway.rows("SELECT segments FROM files WHERE id = ?", made.id)
    [[blob, _]] = orjson.loads(segments)
    objects = partial(bucket_server.count, "whole", f"pre/fix/blobs/{blob}")
    assert objects() == 1
    client.files.delete(made.id)
    until(lambda: objects() == 0, "the object is deleted")


def test_a_download_that_breaks_off_is_taken_up_again(gateway: GatewayProcess) -> None:
    """By its range, as from a disk."""
    client = gateway.client()
    content = b"".join(lines(length=40_000))
    made = client.files.create(file=("a.jsonl", io.BytesIO(content)), purpose="batch")
    url = f"{gateway.url}/files/{made.id}/content"
    headers = {"authorization": "Bearer any"}
    with httpx.stream("GET", url, headers=headers, timeout=60) as answer:
        had = next(answer.iter_bytes(MIB))
    rest = httpx.get(url, headers=headers | {"range": f"bytes={len(had)}-"}, timeout=60)
    assert rest.status_code == 206
    assert had + rest.content == content
    client.files.delete(made.id)


def test_a_kill_in_an_upload_leaves_no_file(
    gateway: GatewayProcess, bucket_server: BucketServer
) -> None:
    """Its parts stay in the bucket, where its lifecycle rule removes them."""
    before = bucket_server.count("whole", "pre/fix/blobs/")
    head = (
        b'--x\r\ncontent-disposition: form-data; name="purpose"\r\n\r\nbatch\r\n--x\r\n'
        b'content-disposition: form-data; name="file"; filename="a.jsonl"\r\n\r\n'
    )
    killed = threading.Event()

    def body() -> Iterator[bytes]:
        yield head
        for _ in range(20):
            yield b"x" * MIB
        killed.wait(60)

    def upload() -> None:
        headers = {"authorization": "Bearer any", "content-type": "multipart/form-data; boundary=x"}
        with pytest.raises(httpx.TransportError):
            httpx.post(f"{gateway.url}/files", content=body(), headers=headers, timeout=60)

    with ThreadPoolExecutor() as pool:
        uploading = pool.submit(upload)
        until(lambda: bucket_server.unfinished("whole") == 1, "parts are in the bucket")
        gateway.kill()
        killed.set()
        uploading.result()
    gateway.start()
    assert "a.jsonl" not in [file.filename for file in gateway.client().files.list()]
    assert bucket_server.count("whole", "pre/fix/blobs/") <= before
    assert bucket_server.unfinished("whole") == 1


def test_a_batch_of_few_short_lines_writes_nothing_to_the_bucket(
    tmp_path: Path, gemini: Emulator, bucket_server: BucketServer
) -> None:
    """Each object would be a call that is paid, and waited for."""
    bucket_server.make_bucket("few")
    settings = bucket_server.environment() | {"GATEWAY_BLOBS": "s3://few/prefix"}
    with serving(tmp_path, gemini.base_url, **settings) as process:
        client = process.client()
        done = finished(client, submit(client, [chat_line("a", "say a"), chat_line("b", "say b")]))
        assert [line["custom_id"] for line in read_lines(client, done.output_file_id)] == ["a", "b"]
        assert bucket_server.count("few", "prefix/blobs/") == 0


def test_a_large_download_goes_to_the_bucket(
    tmp_path: Path, gemini: Emulator, bucket_server: BucketServer
) -> None:
    """The SDK follows the redirect, and does not send its key there."""
    bucket_server.make_bucket("redirects")
    settings = bucket_server.environment() | {
        "GATEWAY_BLOBS": "s3://redirects",
        "GATEWAY_REDIRECT_BYTES": "1 KiB",
        **OBJECTS,
    }
    with serving(tmp_path, gemini.base_url, **settings) as process:
        client = process.client(api_key="the-clients-key")
        content = b"".join(lines())
        made = client.files.create(file=("a.jsonl", content), purpose="batch")
        assert client.files.content(made.id).content == content
        with httpx.stream(
            "GET",
            f"{process.url}/files/{made.id}/content",
            headers={"authorization": "Bearer k"},
            timeout=60,
        ) as answer:
            assert answer.status_code == 307
            assert answer.headers["location"].startswith(f"{bucket_server.url}/redirects/blobs/")
    assert not any("the-clients-key" in given for given in bucket_server.authorizations)


def test_a_bucket_that_is_down_delays_and_loses_nothing(
    tmp_path: Path, bucket_server: BucketServer
) -> None:
    """Requests are answered with 503, steps pause and go on, and each job is paid once."""
    bucket_server.make_bucket("down")
    settings = bucket_server.environment() | {"GATEWAY_BLOBS": "s3://down/prefix", **OBJECTS}
    with (
        running(EmulatorOptions(job_seconds=0.05)) as gemini,
        serving(tmp_path, gemini.base_url, **settings) as process,
    ):
        client = process.client()
        kept = client.files.create(file=("a.jsonl", b"".join(lines())), purpose="batch")
        with bucket_server.refusing(lambda _, path: path.startswith("/down")):
            batch = client.batches.create(
                input_file_id=kept.id, endpoint="/v1/chat/completions", completion_window="24h"
            )
            for ask in (
                lambda: client.files.create(file=("b.jsonl", b"{}\n"), purpose="batch"),
                lambda: client.files.content(kept.id),
            ):
                with pytest.raises(openai.InternalServerError) as refused:
                    ask()
                assert refused.value.status_code == 503
                assert int(refused.value.response.headers["retry-after"]) > 0
            until(lambda: "validate failed (1 in a row)" in process.log(), "the step pauses")
            assert client.batches.retrieve(batch.id).status == "validating"
        done = finished(client, batch)
        assert_conserved(IDS, read_lines(client, done.output_file_id))
        with bucket_server.refusing(
            lambda method, path: method in {"PUT", "POST"} and path.startswith("/down")
        ):
            second = client.batches.create(
                input_file_id=kept.id, endpoint="/v1/chat/completions", completion_window="24h"
            )
            until(lambda: process.log().count("validate failed") > 1, "the step pauses again")
        done = finished(client, second)
        assert_conserved(IDS, read_lines(client, done.output_file_id))
        assert len(gemini.jobs()) == 2
