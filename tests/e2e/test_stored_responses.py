"""Stored answers: retrieved, named by the next turn, listed by their input, deleted."""

from pathlib import Path
from typing import Any

import openai
import pytest

from gateway.emulator.testing import Emulator
from tests.e2e.harness import GatewayProcess, serving

MODEL = "gemini-3.5-flash"


@pytest.fixture
def client(gateway: GatewayProcess) -> openai.OpenAI:
    """The SDK, pointed at the gateway and nothing else changed."""
    return openai.OpenAI(base_url=gateway.url, api_key="any", max_retries=0)


def test_a_stored_answer_comes_back(client: openai.OpenAI) -> None:
    """As it was given, until it is deleted; with store: false there is none."""
    made = client.responses.create(model=MODEL, input="hello there")
    assert made.model_dump()["store"] is True
    assert client.responses.retrieve(made.id) == made
    client.responses.delete(made.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(made.id)
    unkept = client.responses.create(model=MODEL, input="hello there", store=False)
    assert unkept.model_dump()["store"] is False
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(unkept.id)


@pytest.mark.parametrize("stream", [False, True])
def test_the_next_turn_knows_the_last(client: openai.OpenAI, stream: bool) -> None:
    """Input and output of the whole chain go in front; instructions do not carry over."""
    first = client.responses.create(model=MODEL, input="one", instructions="Be brief.")
    if stream:
        with client.responses.stream(
            model=MODEL, input="two", previous_response_id=first.id
        ) as events:
            second: Any = events.get_final_response()
    else:
        second = client.responses.create(model=MODEL, input="two", previous_response_id=first.id)
    assert second.previous_response_id == first.id
    assert client.responses.retrieve(second.id).output_text == second.output_text
    third = client.responses.create(model=MODEL, input="three", previous_response_id=second.id)
    usage = [one.usage.input_tokens for one in (first, second, third) if one.usage]
    assert usage == sorted(set(usage)), "each turn is longer than the one before"
    items = list(client.responses.input_items.list(second.id, order="asc"))
    assert [items[0].type, items[-1].type] == ["message", "message"]
    assert len({item.model_dump()["id"] for item in items}) == len(items) > 2
    assert client.responses.input_items.list(third.id, limit=1).data


def test_a_loop_of_tools_by_id(client: openai.OpenAI) -> None:
    """A call of the stored answer is answered by its id alone, signature and all."""
    tools: Any = [{"type": "function", "name": "f", "parameters": {"type": "object"}}]
    asked = client.responses.create(model=MODEL, input="go", tools=tools, tool_choice="required")
    [call] = [item for item in asked.output if item.type == "function_call"]
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "42"}
    end = client.responses.create(
        model=MODEL, input=[result], tools=tools, previous_response_id=asked.id
    )
    assert end.status == "completed"


def test_a_turn_that_is_not_there(client: openai.OpenAI) -> None:
    """An error with OpenAI's code, never a shortened conversation."""
    with pytest.raises(openai.BadRequestError) as missing:
        client.responses.create(model=MODEL, input="x", previous_response_id="resp_none")
    assert missing.value.code == "previous_response_not_found"
    made = client.responses.create(model=MODEL, input="hello")
    with pytest.raises(openai.BadRequestError, match="background"):
        client.responses.cancel(made.id)


def test_it_survives_a_restart_and_is_its_owners(gemini: Emulator, tmp_path: Path) -> None:
    """Killed and started again it is there; another key gets 404, and cannot go on from it."""
    keys = "alice=secret-of-alice,bob=secret-of-bob"
    with serving(tmp_path, gemini.base_url, GATEWAY_API_KEYS=keys) as gateway:
        alice = openai.OpenAI(base_url=gateway.url, api_key="secret-of-alice", max_retries=0)
        made = alice.responses.create(model=MODEL, input="mine")
        gateway.kill()
        gateway.start()
        alice = openai.OpenAI(base_url=gateway.url, api_key="secret-of-alice", max_retries=0)
        assert alice.responses.retrieve(made.id).id == made.id
        bob = openai.OpenAI(base_url=gateway.url, api_key="secret-of-bob", max_retries=0)
        with pytest.raises(openai.NotFoundError):
            bob.responses.retrieve(made.id)
        with pytest.raises(openai.NotFoundError):
            bob.responses.delete(made.id)
        with pytest.raises(openai.BadRequestError):
            bob.responses.create(model=MODEL, input="x", previous_response_id=made.id)
