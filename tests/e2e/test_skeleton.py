"""A batch end to end: the real openai SDK, the real program, the emulator upstream."""

from collections.abc import Iterator
from pathlib import Path

import openai
import pytest
from openai.types import CreateEmbeddingResponse
from openai.types.chat import ChatCompletion

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.e2e.harness import (
    GatewayProcess,
    assert_conserved,
    chat_line,
    content_of,
    embedding_line,
    finished,
    line,
    read_lines,
    serving,
    submit,
    until,
)

EMBEDDINGS = "/v1/embeddings"


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, gemini: Emulator) -> Iterator[GatewayProcess]:
    """A gateway before it; ten items inline at most, so that both ways are taken."""
    tmp_path = tmp_path_factory.mktemp("gateway")
    settings = {"GATEWAY_INLINE_MAX_ITEMS": "10", "GATEWAY_INLINE_MAX_EMBEDDINGS": "10"}
    with serving(tmp_path, gemini.base_url, **settings) as process:
        yield process


@pytest.mark.parametrize("count", [1, 10, 11])
def test_chat_goes_through_inline_and_by_file(
    gateway: GatewayProcess, gemini: Emulator, count: int
) -> None:
    """Each line gets its own answer, in input order, as a real ChatCompletion."""
    uploads = len(gemini.journal("upload"))
    client = gateway.client()
    ids = [f"id-{number}" for number in range(count)]

    batch = finished(client, submit(client, (chat_line(i, f"say {i}") for i in ids)))

    assert batch.status == "completed"
    assert batch.request_counts is not None
    assert batch.request_counts.model_dump() == {"total": count, "completed": count, "failed": 0}
    assert batch.error_file_id is None
    assert batch.model == "gemini-2.5-flash-lite"
    rows = read_lines(client, batch.output_file_id)
    assert [row["custom_id"] for row in rows] == ids
    assert [content_of(row) for row in rows] == [f"Echo: say {i}" for i in ids]
    for row in rows:
        assert row["error"] is None
        assert row["response"]["status_code"] == 200
        ChatCompletion.model_validate(row["response"]["body"])
    usage = batch.usage
    assert usage is not None
    assert usage.output_tokens == sum(
        row["response"]["body"]["usage"]["completion_tokens"] for row in rows
    )
    assert len(gemini.journal("upload")) - uploads == (1 if count > 10 else 0)


@pytest.mark.parametrize("count", [4, 12])
def test_embeddings_go_through_inline_and_by_file(gateway: GatewayProcess, count: int) -> None:
    """Arrays are fanned out and joined again, in order; dimensions are obeyed."""
    client = gateway.client()
    lines = [embedding_line(f"e{n}", [f"text {n}", "shared"], dimensions=8) for n in range(count)]

    batch = finished(client, submit(client, lines, EMBEDDINGS))

    rows = read_lines(client, batch.output_file_id)
    assert [row["custom_id"] for row in rows] == [f"e{n}" for n in range(count)]
    answers = [CreateEmbeddingResponse.model_validate(row["response"]["body"]) for row in rows]
    assert all([one.index for one in answer.data] == [0, 1] for answer in answers)
    assert all(len(one.embedding) == 8 for answer in answers for one in answer.data)
    assert len({tuple(answer.data[1].embedding) for answer in answers}) == 1
    assert len({tuple(answer.data[0].embedding) for answer in answers}) == count


def test_faulty_lines_cost_themselves_alone(gateway: GatewayProcess, gemini: Emulator) -> None:
    """Refused at validation, refused upstream, blocked: every line is there once."""
    client = gateway.client()
    lines = [
        chat_line("good", "hello"),
        chat_line("unknown", "hello", nonsense=1),
        chat_line("upstream", "[[error:13]]"),
        chat_line("blocked", "[[block]]"),
        chat_line("bad-type", "hello", temperature="hot"),
    ]

    batch = finished(client, submit(client, lines))

    output = read_lines(client, batch.output_file_id)
    errors = read_lines(client, batch.error_file_id)
    assert batch.status == "completed"
    assert_conserved(["good", "unknown", "upstream", "blocked", "bad-type"], output, errors)
    assert [row["custom_id"] for row in output] == ["good", "blocked"]
    assert output[1]["response"]["body"]["choices"][0]["finish_reason"] == "content_filter"
    by_id = {row["custom_id"]: row["response"] for row in errors}
    assert by_id["unknown"]["status_code"] == 400
    assert by_id["unknown"]["body"]["error"]["param"] == "nonsense"
    assert by_id["upstream"]["status_code"] == 500
    assert by_id["bad-type"]["body"]["error"]["param"] == "temperature"
    assert all(row["error"] is None for row in errors)
    assert [job["items"] for job in gemini.journal("create")[-3:]] == [3, 1, 1]


def test_a_batch_of_refused_lines_makes_no_job(gateway: GatewayProcess, gemini: Emulator) -> None:
    """It still ends completed, with an error file and no output file."""
    created = gemini.journal("create")
    client = gateway.client()

    batch = finished(client, submit(client, [chat_line("a", "x", nonsense=1)]))

    assert batch.status == "completed"
    assert batch.output_file_id is None
    assert len(read_lines(client, batch.error_file_id)) == 1
    assert gemini.journal("create") == created


def test_mixed_models_become_one_job_each(gateway: GatewayProcess, gemini: Emulator) -> None:
    """Aliases are followed, prefixes stripped; the output is in input order all the same."""
    client = gateway.client()
    models = ["gemini-2.5-flash", "models/gemini-2.5-pro", "google/gemini-2.5-flash"]
    lines = [chat_line(f"c{n}", f"text {n}", models[n % 3]) for n in range(30)]

    batch = finished(client, submit(client, lines))

    assert batch.status == "completed"
    assert batch.model is None
    jobs = {(job["model"], job["items"]) for job in gemini.journal("create")[-2:]}
    assert jobs == {("gemini-2.5-flash", 20), ("gemini-2.5-pro", 10)}
    rows = read_lines(client, batch.output_file_id)
    assert [content_of(row) for row in rows] == [f"Echo: text {n}" for n in range(30)]


@pytest.mark.parametrize(
    ("content", "code", "param", "number"),
    [
        (b"{]\n", "invalid_json_line", None, 1),
        (b"[]\n", "invalid_json_line", None, 1),
        (b"\n" + chat_line("a", "x"), "invalid_json_line", None, 1),
        (chat_line("a", "x") + b"{}\n", "missing_required_parameter", "custom_id", 2),
        (chat_line("a", "x") * 2, "duplicate_custom_id", "custom_id", 2),
        (line("a", EMBEDDINGS, {}), "invalid_url", "url", 1),
        (chat_line("a", "x", stream=True), "streaming_unsupported", "body.stream", 1),
        (chat_line("a", "x", "gpt-4o-mini"), "model_not_found", "body.model", 1),
        (chat_line("a", "x", "gemini-embedding-001"), "model_not_found", "body.model", 1),
        (
            line("a", "/v1/chat/completions", {"model": "gemini-2.5-flash"}),
            "missing_required_parameter",
            "body.messages",
            1,
        ),
        (
            line("a", "/v1/chat/completions", {"messages": []}),
            "missing_required_parameter",
            "body.model",
            1,
        ),
        (chat_line("a", "x").replace(b"POST", b"GET"), "invalid_method", "method", 1),
    ],
)
def test_bad_lines_fail_the_batch(
    gateway: GatewayProcess, content: bytes, code: str, param: str | None, number: int
) -> None:
    """With OpenAI's code, param and line; nothing runs."""
    client = gateway.client()

    batch = finished(client, submit(client, [content]))

    assert batch.status == "failed"
    assert batch.errors is not None
    assert batch.errors.data is not None
    [error] = batch.errors.data
    assert (error.code, error.param, error.line) == (code, param, number)
    assert batch.request_counts is not None
    assert batch.request_counts.total == 0
    assert batch.in_progress_at is None


def test_cancel_keeps_what_was_served(tmp_path: Path) -> None:
    """Lines that ran are in the output file, the others in the error file, as batch_cancelled."""
    with (
        running(EmulatorOptions(job_seconds=3600)) as gemini,
        serving(tmp_path, gemini.base_url) as gateway,
    ):
        client = gateway.client()
        batch = submit(client, [chat_line(f"c{n}", "x") for n in range(5)])
        until(lambda: gateway.rows("SELECT 1 FROM jobs WHERE state = 'running'"), "it is sent")

        cancelling = client.batches.cancel(batch.id)
        done = finished(client, batch)

        assert cancelling.status in {"cancelling", "cancelled"}
        assert done.status == "cancelled"
        assert done.cancelling_at is not None
        output = read_lines(client, done.output_file_id)
        errors = read_lines(client, done.error_file_id)
        assert_conserved([f"c{n}" for n in range(5)], output, errors)
        assert {row["error"]["code"] for row in errors} == {"batch_cancelled"}
        assert client.batches.cancel(batch.id).status == "cancelled"


def test_cancel_of_a_finished_batch_conflicts(gateway: GatewayProcess) -> None:
    """409 with OpenAI's words, and no retry."""
    client = gateway.client(max_retries=2)
    batch = finished(client, submit(client, [chat_line("a", "x")]))

    with pytest.raises(openai.ConflictError, match="Cannot cancel a batch with status 'completed'"):
        client.batches.cancel(batch.id)
