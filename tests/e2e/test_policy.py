"""What the policy decides, and what is noted: the real SDK against the real program."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import pytest

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.e2e.harness import (
    GatewayProcess,
    assert_conserved,
    chat_line,
    extension,
    finished,
    read_lines,
    serving,
    submit,
    until,
)

CALLS: dict[str, Any] = {"functions": [{"name": name} for name in "fg"]}


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, gemini: Emulator) -> Iterator[GatewayProcess]:
    """A gateway with the default policy, and few warnings."""
    with serving(
        tmp_path_factory.mktemp("gateway"), gemini.base_url, GATEWAY_MAX_WARNINGS="5"
    ) as process:
        yield process


def codes(rows: list[dict[str, Any]]) -> dict[str, tuple[str, str | None]]:
    """Code and param of error lines, by custom_id."""
    errors = {row["custom_id"]: row["response"]["body"]["error"] for row in rows}
    return {custom_id: (error["code"], error["param"]) for custom_id, error in errors.items()}


def test_warnings_are_a_file_like_the_others(gateway: GatewayProcess) -> None:
    """Notes of requests and of answers, downloaded, listed and deleted with the SDK."""
    client = gateway.client()
    lines = [
        chat_line("plain", "x"),
        chat_line("noted", "x", verbosity="low", seed=2**40 + 5),
        chat_line("refused", "x", nonsense=1, verbosity="low"),
        chat_line("answer", "[[calls:2]]", **CALLS),
    ]

    batch = submit(client, lines)
    batch = finished(client, batch)

    told = extension(batch)
    assert told["warnings"] == {"dropped": 2, "approximated": 1}
    assert read_lines(client, told["warnings_file_id"]) == [
        {"line": 2, "custom_id": "noted", "code": "dropped", "field": "verbosity"},
        {
            "line": 2,
            "custom_id": "noted",
            "code": "approximated",
            "field": "seed",
            "message": "5",
        },
        {
            "line": 4,
            "custom_id": "answer",
            "code": "dropped",
            "field": "choices[0].message.tool_calls[1]",
        },
    ]
    file = client.files.retrieve(told["warnings_file_id"])
    assert (file.purpose, file.filename) == ("batch_output", f"{batch.id}_warnings.jsonl")
    assert file.id in {other.id for other in client.files.list(purpose="batch_output")}
    assert client.files.delete(file.id).deleted
    with pytest.raises(openai.NotFoundError):
        client.files.content(file.id)


def test_without_warnings_there_is_no_file(gateway: GatewayProcess) -> None:
    """The member is there and null."""
    client = gateway.client()

    batch = finished(client, submit(client, [chat_line("a", "x")]))

    told = extension(batch)
    assert (told["warnings"], told["warnings_file_id"]) == ({}, None)


def test_many_warnings_end_with_how_many_more(gateway: GatewayProcess) -> None:
    """GATEWAY_MAX_WARNINGS of them are listed, all are counted."""
    client = gateway.client()
    lines = [chat_line(f"c{n}", "x", verbosity="low") for n in range(9)]

    batch = finished(client, submit(client, lines))

    told = extension(batch)
    assert told["warnings"] == {"dropped": 9}
    *entries, last = read_lines(client, told["warnings_file_id"])
    assert [entry["line"] for entry in entries] == [1, 2, 3, 4, 5]
    assert last["message"].startswith("4 more are not listed")


def test_warnings_expire_with_the_output(gateway: GatewayProcess) -> None:
    """``output_expires_after`` is for every file that a batch ends with."""
    client = gateway.client()
    file = client.files.create(file=("x", chat_line("a", "x", verbosity="low")), purpose="batch")

    batch = finished(
        client,
        client.batches.create(
            input_file_id=file.id,
            endpoint="/v1/chat/completions",
            completion_window="24h",
            output_expires_after={"anchor": "created_at", "seconds": 3600},
        ),
    )

    made = client.files.retrieve(extension(batch)["warnings_file_id"])
    assert made.expires_at == made.created_at + 3600


def test_a_cancelled_batch_has_its_warnings(tmp_path: Path) -> None:
    """What was noted about lines that never ran was noted all the same."""
    with (
        running(EmulatorOptions(job_seconds=3600)) as slow,
        serving(tmp_path, slow.base_url) as gateway,
    ):
        client = gateway.client()
        batch = submit(client, [chat_line("a", "x", verbosity="low")])
        until(lambda: gateway.rows("SELECT 1 FROM jobs WHERE state = 'running'"), "it is sent")
        assert extension(client.batches.retrieve(batch.id))["warnings"] == {"dropped": 1}

        client.batches.cancel(batch.id)
        done = finished(client, batch)

        assert len(read_lines(client, extension(done)["warnings_file_id"])) == 1


def test_strict_refuses_what_would_be_noted(tmp_path: Path, gemini: Emulator) -> None:
    """The param is the path that the note would have."""
    with serving(tmp_path, gemini.base_url, GATEWAY_STRICT="true") as gateway:
        client = gateway.client()
        schema = {"type": "object", "properties": {"a": {"type": "string", "format": "email"}}}
        wanted = {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}}
        lines = [
            chat_line("plain", "x"),
            chat_line("low", "x", verbosity="low"),
            chat_line("schema", "x", response_format=wanted),
        ]

        batch = finished(client, submit(client, lines))

        errors = read_lines(client, batch.error_file_id)
        assert_conserved(
            ["plain", "low", "schema"], read_lines(client, batch.output_file_id), errors
        )
        assert codes(errors) == {
            "low": ("unsupported_value", "verbosity"),
            "schema": (
                "unsupported_value",
                "response_format.json_schema.schema.properties.a.format",
            ),
        }
        assert extension(batch)["warnings"] == {}


SCHEMA = {
    "type": "object",
    "properties": {"city": {"type": "string"}, "people": {"type": "integer"}},
    "required": ["city", "people"],
    "additionalProperties": False,
}
STRUCTURED: dict[str, Any] = {
    "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": SCHEMA}}
}


def structured_lines() -> list[bytes]:
    """Answers that fit, do not, are cut off, and were not asked to fit anything."""
    return [
        chat_line("fits", "x", **STRUCTURED),
        chat_line("broken", "[[cut-json]]", **STRUCTURED),
        chat_line("foreign", "[[text:{}]]", **STRUCTURED),
        chat_line("short", "[[finish:MAX_TOKENS]]", **STRUCTURED),
        chat_line("free", "[[text:{}]]"),
    ]


def test_structured_answers_are_checked(gateway: GatewayProcess) -> None:
    """A violation is an answer with a note; what it says is not told again."""
    client = gateway.client()

    batch = finished(client, submit(client, structured_lines()))

    assert batch.error_file_id is None
    told = extension(batch)
    assert told["warnings"] == {"schema_violation": 2, "truncated": 1}
    noted = read_lines(client, told["warnings_file_id"])
    assert [(entry["custom_id"], entry["code"], entry.get("message")) for entry in noted] == [
        ("broken", "schema_violation", "it is not JSON."),
        ("foreign", "schema_violation", "$ breaks 'required'."),
        ("short", "truncated", None),
    ]
    assert {entry["field"] for entry in noted} == {"choices[0].message.content"}


def test_a_violation_may_be_an_error(tmp_path: Path, gemini: Emulator) -> None:
    """By setting; the other lines are served."""
    with serving(tmp_path, gemini.base_url, GATEWAY_SCHEMA_CHECK="error") as gateway:
        client = gateway.client()

        batch = finished(client, submit(client, structured_lines()))

        errors = read_lines(client, batch.error_file_id)
        assert codes(errors) == {
            "broken": ("schema_violation", None),
            "foreign": ("schema_violation", None),
        }
        assert {row["response"]["status_code"] for row in errors} == {502}
        assert extension(batch)["warnings"] == {"truncated": 1}


def test_answers_follow_the_policy_that_was_stored(tmp_path: Path) -> None:
    """A batch is rendered under the policy it was created under, whatever is in force by then."""
    blocked = [chat_line("a", "[[block:SAFETY]]")]
    data = tmp_path / "data"
    with running(EmulatorOptions(job_seconds=3600)) as slow:
        with serving(tmp_path, slow.base_url, GATEWAY_BLOCKED_PROMPT="error") as gateway:
            first = submit(gateway.client(), blocked)
            until(lambda: gateway.rows("SELECT 1 FROM jobs WHERE state = 'running'"), "it is sent")
            gateway.terminate()
        assert data.exists()
        with serving(tmp_path, slow.base_url, GATEWAY_BLOCKED_PROMPT="refusal") as gateway:
            client = gateway.client()
            second = submit(client, blocked)
            until(
                lambda: len(gateway.rows("SELECT 1 FROM jobs WHERE state = 'running'")) == 2,
                "both are sent",
            )
            slow.finish()
            done, other = finished(client, first), finished(client, second)

            assert codes(read_lines(client, done.error_file_id)) == {
                "a": ("content_policy_violation", None)
            }
            [row] = read_lines(client, other.output_file_id)
            choice = row["response"]["body"]["choices"][0]
            assert choice["finish_reason"] == "content_filter"
