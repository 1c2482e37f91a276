"""Responses in the background, pure: whose turn it is, and how one ends."""

from dataclasses import replace
from typing import Any

import orjson
import pytest

from gateway.batches.background import (
    answered,
    failed,
    line_of,
    next_queues,
    of_failed_batch,
    shown,
)
from gateway.batches.batch import Batch, BatchError, BatchStatus
from gateway.batches.response import DueQueue, ResponseStatus, StoredResponse

KEPT: dict[str, Any] = {
    "response": {
        "id": "resp_1",
        "created_at": 5,
        "status": "queued",
        "background": True,
        "store": True,
        "previous_response_id": None,
        "service_tier": "default",
        "output": [],
        "error": None,
    },
    "input": [{"role": "user", "content": "Hi"}],
    "request": {"model": "m", "include": ["reasoning.encrypted_content"]},
    "policy": {},
    "hides": True,
}
REASONED = {"type": "reasoning", "summary": ["why"], "encrypted_content": "s"}
KEEPER = {"type": "reasoning", "summary": [], "encrypted_content": "t"}
SAID = {"type": "message", "content": ["Hello"]}
ROW = StoredResponse("resp_1", "alice", "blob", 5_000, 9_000, ResponseStatus.QUEUED, "q", 6_000)


def answer(status: int, body: dict[str, Any]) -> dict[str, Any]:
    """A line of an output or error file."""
    return {"custom_id": "resp_1", "response": {"status_code": status, "body": body}}


def test_a_line_is_named_by_its_response() -> None:
    """And ends where no reader sees an end inside it."""
    line = line_of("resp_1", {**KEPT, "input": "a\u2028b"})
    assert line.count(b"\n") == 1
    assert len(line.decode().splitlines()) == 1
    told = orjson.loads(line)
    assert (told["custom_id"], told["url"]) == ("resp_1", "/v1/responses")
    assert told["body"] == {**KEPT["request"], "input": "a\u2028b"}


def test_an_answer_is_the_responses_own() -> None:
    """With its id and time; signatures are kept for the next turn and not shown."""
    body = {"id": "x", "status": "incomplete", "background": False, "created_at": 99, "usage": {}}
    body |= {"output": [KEEPER, REASONED, SAID], "extra_content": {"google": {"a": 1}}}
    ended = answered(KEPT, answer(200, body), [{"code": "dropped"}], "flex")
    told = ended.kept["response"]
    assert ended.status is ResponseStatus.INCOMPLETE
    assert (told["id"], told["created_at"], told["background"]) == ("resp_1", 5, True)
    assert told["output"] == [{"type": "reasoning", "summary": ["why"]}, SAID]
    assert ended.kept["output"] == [KEEPER, REASONED, SAID]
    assert told["service_tier"] == "flex"
    gateway = {"served_by": "batch", "notes": [{"code": "dropped"}]}
    assert told["extra_content"] == {"google": {"a": 1}, "gateway": gateway}
    assert ended.kept.keys() == {"response", "input", "output"}


@pytest.mark.parametrize(
    ("line", "code", "own"),
    [
        (
            answer(429, {"error": {"code": "rate_limit_exceeded", "message": "m"}}),
            "rate_limit_exceeded",
            "rate_limit_exceeded",
        ),
        (
            answer(400, {"error": {"type": "invalid_request_error", "code": "x", "message": "m"}}),
            "invalid_prompt",
            "x",
        ),
        (
            {"response": None, "error": {"code": "batch_expired", "message": "m"}},
            "server_error",
            "batch_expired",
        ),
    ],
)
def test_an_error_line_fails_it(line: dict[str, Any], code: str, own: str) -> None:
    """OpenAI's word, and the gateway's own."""
    ended = answered(KEPT, line, [], "flex")
    assert ended.status is ResponseStatus.FAILED
    assert ended.kept["response"]["error"] == {"code": code, "message": "m"}
    assert ended.kept["response"]["extra_content"]["gateway"]["error"]["code"] == own


def test_a_batch_that_ran_nothing() -> None:
    """Refused: why; cancelled: that; expired: that nothing was run."""
    batch = Batch("batch_1", "alice", "/v1/responses", "file-1", 1, 2)
    error = BatchError("model_not_found", "No such model.", "body.model", 1)
    refused = of_failed_batch(KEPT, replace(batch, status=BatchStatus.FAILED, errors=(error,)))
    assert refused.kept["response"]["error"] == {
        "code": "invalid_prompt",
        "message": "No such model.",
    }
    cancelled = of_failed_batch(KEPT, replace(batch, status=BatchStatus.CANCELLED))
    assert cancelled.status is ResponseStatus.CANCELLED
    expired = of_failed_batch(KEPT, replace(batch, status=BatchStatus.EXPIRED))
    assert "24 hours" in expired.kept["response"]["error"]["message"]


def test_a_cancelled_one_is_never_completed() -> None:
    """Whatever came of it, which is shown."""
    done = answered(KEPT, answer(200, {"status": "completed", "output": [SAID]}), [], "flex")
    told = shown(replace(ROW, status=ResponseStatus.CANCELLED, due_at=None), done.kept)
    assert (told["status"], told["output"], told["completed_at"]) == ("cancelled", [SAID], None)
    lost = shown(replace(ROW, status=ResponseStatus.CANCELLED), failed(KEPT, {}).kept)
    assert lost["error"] is None


def test_what_it_waits_for_is_shown() -> None:
    """While it waits, and for one of a batch alone."""
    row = replace(ROW, waiting_for="quota")
    assert shown(row, KEPT)["extra_content"]["gateway"] == {"waiting_for": "quota"}
    assert "extra_content" not in shown(ROW, KEPT)
    assert shown(replace(row, queue=None), KEPT) == KEPT["response"]


def queue(owner: str, number: int) -> DueQueue:
    """One that is due."""
    return DueQueue(f"{owner}{number}", owner, number)


def chosen(due: list[DueQueue], live: dict[str, int], of_all: int | None, own: int) -> list[str]:
    """Their names."""
    queues = next_queues(due, live, most_of_all=of_all, most_of_owner=own)
    return [each.queue for each in queues]


def test_owners_take_turns() -> None:
    """The one with the least live first; nobody takes all the room there is."""
    due = [*(queue("a", n) for n in range(4)), queue("b", 9), queue("c", 9)]
    assert chosen(due, {"b": 1}, None, 2) == ["a0", "c9", "b9", "a1"]
    assert chosen(due, {"a": 2}, 4, 2) == ["b9", "c9"]
    assert chosen(due, {"a": 2, "x": 1}, 4, 3) == ["b9"]
    assert chosen(due, {"x": 9}, 4, 2) == []
