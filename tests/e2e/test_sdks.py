"""Both SDKs, from upload to download, against the whole program."""

from pathlib import Path

import openai
import orjson
import pytest
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion

from gateway.emulator.testing import EmulatorOptions, running
from tests.e2e.harness import (
    GatewayProcess,
    chat_line,
    embedding_line,
    finished,
    serving,
    submit,
    until,
)
from tests.sdk.nodejs import run_node


async def test_node_runs_a_batch(tmp_path: Path, gateway: GatewayProcess) -> None:
    """openai-node: upload, create, poll, download output and error file."""
    lines = [chat_line(f"n{n}", f"čau {n}") for n in range(5)] + [chat_line("bad", "x", nope=1)]

    saw = await run_node(
        tmp_path,
        gateway.url,
        "run",
        lines=[orjson.loads(line) for line in lines],
        endpoint="/v1/chat/completions",
        pollMilliseconds=50,
    )

    assert saw["batch"]["status"] == "completed"
    assert saw["batch"]["request_counts"] == {"total": 6, "completed": 5, "failed": 1}
    assert [row["custom_id"] for row in saw["output"]] == [f"n{n}" for n in range(5)]
    for number, row in enumerate(saw["output"]):
        answer = ChatCompletion.model_validate(row["response"]["body"])
        assert answer.choices[0].message.content == f"Echo: čau {number}"
    assert [row["custom_id"] for row in saw["errors"]] == ["bad"]


async def test_node_and_files(tmp_path: Path, gateway: GatewayProcess) -> None:
    """Upload, list, retrieve, content, delete."""
    saw = await run_node(tmp_path, gateway.url, "files")

    assert saw["content"].count("\n") == 1
    assert saw["deleted"]["deleted"] is True
    assert saw["gone"]["name"] == "NotFoundError"


async def test_node_and_batches(tmp_path: Path) -> None:
    """Create, retrieve, list, and a cancel that ends it."""
    (tmp_path / "programs").mkdir()
    aliases = {"GATEWAY_MODEL_ALIASES": '{"m":"gemini-embedding-001"}'}
    with (
        running(EmulatorOptions(job_seconds=3600)) as slow,
        serving(tmp_path, slow.base_url, **aliases) as gateway,
    ):
        saw = await run_node(tmp_path / "programs", gateway.url, "batches")

        assert saw["retrieved"]["id"] == saw["created"]["id"]
        assert [batch["id"] for batch in saw["listed"]] == [saw["created"]["id"]]
        assert saw["inUse"]["name"] == "ConflictError"
        assert {saw["cancelled"]["status"], saw["again"]["status"]} <= {"cancelling", "cancelled"}
        client = gateway.client()
        done = finished(client, client.batches.retrieve(saw["created"]["id"]))
        assert done.status == "cancelled"


async def test_the_async_client_runs_embeddings(gateway: GatewayProcess) -> None:
    """AsyncOpenAI, strict; base64 vectors as floats' bytes."""
    async with openai.AsyncOpenAI(
        base_url=gateway.url, api_key="any", _strict_response_validation=True
    ) as client:
        content = embedding_line("f", "text") + embedding_line("b", "x", encoding_format="base64")
        file = await client.files.create(file=("in.jsonl", content), purpose="batch")
        batch = await client.batches.create(
            input_file_id=file.id, endpoint="/v1/embeddings", completion_window="24h"
        )
        finished(gateway.client(), batch)
        done = await client.batches.retrieve(batch.id)
        assert done.output_file_id is not None
        text = (await client.files.content(done.output_file_id)).text

    floats, packed = [orjson.loads(row)["response"]["body"] for row in text.splitlines()]
    answer = CreateEmbeddingResponse.model_validate(floats)
    assert len(answer.data[0].embedding) == 3072
    assert len(packed["data"][0]["embedding"]) == 3072 * 4 * 4 / 3


def test_files_of_a_batch_can_be_listed_and_deleted(gateway: GatewayProcess) -> None:
    """An input in use is kept; output files are files like any other."""
    client = gateway.client()
    batch = submit(client, [chat_line("a", "x"), chat_line("b", "x", nope=1)])
    done = finished(client, batch)

    listed = {file.id: file for file in client.files.list()}

    assert done.output_file_id in listed
    assert listed[str(done.error_file_id)].filename == f"{batch.id}_error.jsonl"
    assert listed[str(done.output_file_id)].purpose == "batch_output"
    for file_id in (batch.input_file_id, done.output_file_id, done.error_file_id):
        assert client.files.delete(str(file_id)).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.content(str(done.output_file_id))
    assert client.batches.retrieve(batch.id).output_file_id == done.output_file_id


def test_an_input_in_use_cannot_be_deleted(tmp_path: Path) -> None:
    """409 while the batch lives, fine afterwards; a job never sent is never created."""
    with running(EmulatorOptions(job_seconds=3600)) as slow:
        slow.fault("quota")  # nothing is ever accepted
        with serving(tmp_path, slow.base_url) as gateway:
            client = gateway.client()
            batch = submit(client, [chat_line("a", "x")])
            until(lambda: gateway.rows("SELECT 1 FROM jobs WHERE failures > 1"), "it is tried")
            waiting = client.batches.retrieve(batch.id)
            assert waiting.status == "in_progress"
            # Held visibly: an extension member that SDKs keep.
            assert "429" in waiting.to_dict()["gateway"]["waiting_for"]  # type: ignore[index]

            with pytest.raises(openai.ConflictError):
                client.files.delete(batch.input_file_id)
            client.batches.cancel(batch.id)
            done = finished(client, batch)

            assert done.status == "cancelled"
            assert done.to_dict()["gateway"]["waiting_for"] is None  # type: ignore[index]
            assert done.request_counts is not None
            assert done.request_counts.model_dump() == {"total": 1, "completed": 0, "failed": 0}
            assert slow.journal("create") == []
            assert client.files.delete(batch.input_file_id).deleted


def test_a_retried_create_returns_the_first_batch(gateway: GatewayProcess) -> None:
    """As the SDK repeats it when an answer was lost."""
    client = gateway.client()
    batch = submit(client, [chat_line("a", "x")])

    again = client.batches.create(
        input_file_id=batch.input_file_id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        extra_headers={"X-Stainless-Retry-Count": "1"},
    )

    assert again.id == batch.id
