"""``/v1/responses`` with the real SDK against the whole program, and a second turn."""

from typing import Any

import orjson
import pytest
from openai import OpenAI
from openai.types.responses import Response

from tests.e2e.harness import (
    GatewayProcess,
    assert_conserved,
    finished,
    line,
    read_lines,
    submit,
)

PATH = "/v1/responses"
MODEL = "gemini-2.5-flash"
NEWER = "gemini-3.5-flash"
WEATHER = {
    "type": "function",
    "name": "get_weather",
    "description": "The weather of a city.",
    "parameters": {
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": False,
    },
}
PERSON = {
    "type": "json_schema",
    "name": "person",
    "strict": True,
    "schema": {
        "type": "object",
        "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
        "required": ["name", "age"],
        "additionalProperties": False,
    },
}


def ask(
    client: OpenAI, bodies: dict[str, dict[str, Any]]
) -> tuple[dict[str, Response], dict[str, dict[str, Any]]]:
    """Run one batch; its Responses by the SDK's strict types, and its errors, by custom_id."""
    lines = [line(name, PATH, {"model": MODEL, **body}) for name, body in bodies.items()]
    done = finished(client, submit(client, lines, PATH))
    assert done.status == "completed"
    output = read_lines(client, done.output_file_id)
    errors = read_lines(client, done.error_file_id)
    assert_conserved(list(bodies), output, errors)
    answers = {}
    for row in output:
        assert row["response"]["status_code"] == 200
        body = orjson.dumps(row["response"]["body"])
        answers[row["custom_id"]] = Response.model_validate_json(body, strict=True)
    return answers, {row["custom_id"]: row["response"]["body"]["error"] for row in errors}


def kinds(response: Response) -> list[str]:
    """The kinds of a Response's items, in order."""
    return [item.type for item in response.output]


def test_a_batch_of_responses(gateway: GatewayProcess) -> None:
    """Texts, formats, reasoning, calls and the tools that Google runs, in one batch."""
    answers, errors = ask(
        gateway.client(),
        {
            "text": {"input": "hello"},
            "items": {
                "instructions": "Be brief.",
                "input": [
                    {"role": "developer", "content": "Rhyme."},
                    {"role": "user", "content": [{"type": "input_text", "text": "hello"}]},
                ],
                "metadata": {"ticket": "7"},
            },
            "json": {"input": "Invent a person.", "text": {"format": PERSON}},
            "reasoning": {
                "input": "Is 2027 prime?",
                "reasoning": {"effort": "high", "summary": "auto"},
            },
            "calls": {"input": "Weather here and there? [[calls:2]]", "tools": [WEATHER]},
            "search": {
                "input": "What is new?",
                "tools": [{"type": "web_search"}],
                "include": ["web_search_call.action.sources"],
            },
            "code": {
                "input": "Count to seven.",
                "tools": [{"type": "code_interpreter", "container": {"type": "auto"}}],
                "include": ["code_interpreter_call.outputs"],
            },
            "cut": {"input": "Count. [[tokens:200]]", "max_output_tokens": 60},
            "blocked": {"input": "This is blocked. [[block:SAFETY]]"},
            "filtered": {"input": "This is filtered. [[finish:SAFETY]]"},
            "refused": {"input": "hello", "n": 2},
            "stateless": {"input": "hello", "previous_response_id": "resp_1"},
            "failed": {"input": "[[error:3,message=Not this one.]]"},
        },
    )

    assert answers["text"].output_text == "Echo: hello"
    assert answers["text"].status == "completed"
    items = answers["items"]
    assert (items.instructions, items.metadata) == ("Be brief.", {"ticket": "7"})
    person = orjson.loads(answers["json"].output_text)
    assert person.keys() == {"name", "age"}
    assert answers["json"].text is not None
    assert answers["json"].text.to_dict()["format"] == {**PERSON, "description": None}
    assert kinds(answers["reasoning"]) == ["reasoning", "message"]
    usage = answers["reasoning"].usage
    assert usage is not None
    assert usage.output_tokens_details.reasoning_tokens > 0
    assert usage.total_tokens == usage.input_tokens + usage.output_tokens
    assert kinds(answers["calls"]) == ["function_call", "function_call"]
    assert kinds(answers["search"]) == ["web_search_call", "message"]
    assert_cited(answers["search"])
    assert kinds(answers["code"]) == ["code_interpreter_call", "message"]
    code = answers["code"].output[0].to_dict()
    assert "print" in str(code["code"])
    assert code["outputs"] == [{"type": "logs", "logs": "Count to seven.\n"}]
    assert reason(answers["cut"]) == "max_output_tokens"
    assert reason(answers["blocked"]) == reason(answers["filtered"]) == "content_filter"
    assert "blocked the prompt" in orjson.dumps(answers["blocked"].output[0].to_dict()).decode()
    assert errors["refused"]["param"] == "n"
    assert errors["stateless"]["param"] == "previous_response_id"
    assert errors["failed"]["message"] == "Not this one."


def reason(response: Response) -> str | None:
    """Why a Response is not whole."""
    assert response.status == "incomplete"
    assert response.incomplete_details is not None
    return response.incomplete_details.reason


def assert_cited(response: Response) -> None:
    """A source of a search, and the words that rest on it."""
    search, message = response.output
    assert search.type == "web_search_call"
    assert search.action.to_dict()["sources"] == [{"type": "url", "url": "https://example.com/"}]
    assert message.type == "message"
    [content] = message.content
    assert content.type == "output_text"
    assert content.annotations
    for citation in content.annotations:
        assert citation.type == "url_citation"
        assert citation.url == "https://example.com/"
        assert content.text[citation.start_index : citation.end_index]


@pytest.mark.parametrize("model", [MODEL, NEWER])
def test_what_came_back_is_the_next_input(gateway: GatewayProcess, model: str) -> None:
    """Two turns: calls, then their results behind the first turn's own items.

    The emulator refuses a call of Gemini 3 without its signature, as Google does.
    """
    client = gateway.client()
    asked = {"role": "user", "content": "Weather here and there? [[calls:2]]"}
    common = {
        "model": model,
        "tools": [WEATHER],
        "include": ["reasoning.encrypted_content"],
        "store": False,
    }
    first, _ = ask(client, {"first": {**common, "input": [asked]}})
    items = [item.model_dump(mode="json") for item in first["first"].output]
    calls = [item for item in items if item["type"] == "function_call"]
    assert len(calls) == 2
    results = [
        {"type": "function_call_output", "call_id": call["call_id"], "output": '{"degrees":21}'}
        for call in calls
    ]
    plain = [{**item, "encrypted_content": None} for item in items if item["type"] == "reasoning"]
    without = [*plain, *(item for item in items if item["type"] != "reasoning")]
    answers, errors = ask(
        client,
        {
            "kept": {**common, "input": [asked, *items, *results]},
            "dropped": {**common, "input": [asked, *without, *results]},
        },
    )
    assert errors == {}
    assert {answer.status for answer in answers.values()} == {"completed"}
