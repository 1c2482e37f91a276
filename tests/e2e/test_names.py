"""OpenAI's names, unchanged: what they imply holds too. The real SDK against the real program."""

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import openai
import pytest
from openai.types import CreateEmbeddingResponse

from gateway.emulator.testing import Emulator
from tests.e2e.harness import (
    GatewayProcess,
    chat_line,
    content_of,
    embedding_line,
    extension,
    finished,
    line,
    read_lines,
    serving,
    submit,
)

CHAT, RESPONSES, EMBEDDINGS = "/v1/chat/completions", "/v1/responses", "/v1/embeddings"
LITE = "gemini-3.5-flash-lite"
OWN = 'openai {"mine":{"model":"gemini-3.8-flash","reasoning_effort":"high"},"gone":"gemini-0"}'


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, gemini: Emulator) -> Iterator[GatewayProcess]:
    """A gateway that knows OpenAI's names."""
    folder = tmp_path_factory.mktemp("gateway")
    with serving(folder, gemini.base_url, GATEWAY_MODEL_ALIASES=OWN) as process:
        yield process


def answered(
    gateway: GatewayProcess, lines: list[bytes], endpoint: str = CHAT
) -> dict[str, dict[str, Any]]:
    """Output lines by custom_id; nothing is noted or refused."""
    client = gateway.client()
    batch = finished(client, submit(client, lines, endpoint))
    assert (batch.status, batch.error_file_id) == ("completed", None)
    assert extension(batch)["warnings"] == {}
    return {row["custom_id"]: row for row in read_lines(client, batch.output_file_id)}


def test_a_small_cap_gets_words(gateway: GatewayProcess) -> None:
    """Thoughts took all 16 tokens and `content` was null: at OpenAI these models do not think."""
    names = ("gpt-4o-mini", "gpt-4o-mini-2024-07-18", "gpt-3.5-turbo", "gpt-4.1-nano-2025-04-14")
    lines = [
        chat_line(f"{number} {name}", f"Hello {number}", name, max_tokens=16)
        for name in names
        for number in range(5)
    ]

    rows = answered(gateway, lines)

    assert {content_of(row)[:5] for row in rows.values()} == {"Echo:"}
    assert {row["response"]["body"]["model"] for row in rows.values()} == {LITE}


def test_a_line_says_how_much_it_thinks(gateway: GatewayProcess) -> None:
    """The line's own effort comes first, on both endpoints."""
    chats = answered(
        gateway,
        [
            chat_line("default", "x", "gpt-4o-mini"),
            chat_line("own", "x", "gpt-4o-mini", reasoning_effort="high"),
        ],
    )
    body = {"model": "gpt-4o-mini", "input": "x"}
    responses = answered(
        gateway,
        [
            line("default", RESPONSES, body),
            line("own", RESPONSES, {**body, "reasoning": {"effort": "high"}}),
        ],
        RESPONSES,
    )

    for rows, details in (
        (chats, "completion_tokens_details"),
        (responses, "output_tokens_details"),
    ):
        usages = {name: row["response"]["body"]["usage"] for name, row in rows.items()}
        thoughts = {name: usage[details]["reasoning_tokens"] for name, usage in usages.items()}
        assert thoughts["default"] < 5 < thoughts["own"]
    efforts = {name: row["response"]["body"]["reasoning"] for name, row in responses.items()}
    assert {name: one["effort"] for name, one in efforts.items()} == {
        "default": "minimal",
        "own": "high",
    }


def test_vectors_have_the_size_of_their_name(gateway: GatewayProcess) -> None:
    """3,072 numbers came for text-embedding-3-small, in silence; a line may ask for fewer."""
    rows = answered(
        gateway,
        [
            embedding_line("small", "x", model="text-embedding-3-small"),
            embedding_line("ada", "x", model="text-embedding-ada-002"),
            embedding_line("large", "x", model="text-embedding-3-large"),
            embedding_line("own", "x", model="text-embedding-3-small", dimensions=256),
        ],
        EMBEDDINGS,
    )

    made = {
        name: CreateEmbeddingResponse.model_validate(row["response"]["body"]).data[0].embedding
        for name, row in rows.items()
    }
    sizes = {name: len(vector) for name, vector in made.items()}
    assert sizes == {"small": 1536, "ada": 1536, "large": 3072, "own": 256}
    for vector in made.values():
        assert sum(number * number for number in vector) == pytest.approx(1, abs=1e-3)


@pytest.mark.parametrize("asked", [False, True], ids=["served", "asked"])
def test_answers_name_models_alike(
    tmp_path: Path, gateway: GatewayProcess, gemini: Emulator, *, asked: bool
) -> None:
    """Chat said Gemini's name and embeddings the alias; so do files that are rendered again."""
    own = {"GATEWAY_MODEL_ALIASES": "openai", "GATEWAY_ANSWER_MODEL": "asked"}
    with ExitStack() as stack:
        used = stack.enter_context(serving(tmp_path, gemini.base_url, **own)) if asked else gateway
        client = used.client()
        chat, small = "gpt-4o-mini-2024-07-18", "text-embedding-3-small"
        batches = [
            submit(client, [chat_line("a", "x", chat)]),
            submit(client, [embedding_line("a", "x", model=small)], EMBEDDINGS),
        ]
        ended = [finished(client, batch) for batch in batches]
        rows = [read_lines(client, batch.output_file_id)[0] for batch in ended]

        named = [row["response"]["body"]["model"] for row in rows]
        assert named == ([chat, small] if asked else [LITE, "gemini-embedding-001"])
        for batch, row in zip(ended, rows, strict=True):
            told = client.post(
                f"/batches/{batch.id}/rerender", body={"policy": "stored"}, cast_to=dict
            )
            (again,) = told["gateway"]["rerendered"]
            assert read_lines(client, again["output_file_id"]) == [row]


def test_models_are_listed_by_openais_names(gateway: GatewayProcess) -> None:
    """A dated name can be retrieved; an alias of a model that is not offered is not there."""
    client = gateway.client()

    listed = [model.id for model in client.models.list()]

    assert {"gpt-4o-mini", "text-embedding-3-small", "mine", "gemini-3.8-flash"} <= set(listed)
    assert len(listed) == len(set(listed))
    assert not [name for name in listed if "*" in name or name == "gone"]
    assert client.models.retrieve("gpt-4o-2024-08-06").id == "gpt-4o-2024-08-06"


def test_azures_client_with_azures_file(gateway: GatewayProcess) -> None:
    """Its own examples, unchanged: no version in the endpoint, of the batch and of its lines."""
    with openai.AzureOpenAI(
        azure_endpoint=gateway.url.removesuffix("/v1"), api_key="any", api_version="2024-10-21"
    ) as client:
        body = {"model": "gpt-4o-mini", "messages": [{"role": "user", "content": "Hi"}]}
        lines = [line("azure", "/chat/completions", body), line("openai", CHAT, body)]

        batch = finished(client, submit(client, lines, "/chat/completions"))

        rows = read_lines(client, batch.output_file_id)
        assert (batch.status, batch.endpoint) == ("completed", "/chat/completions")
        assert {row["custom_id"] for row in rows} == {"azure", "openai"}
        assert next(iter(client.batches.list(limit=1))).endpoint == "/chat/completions"
