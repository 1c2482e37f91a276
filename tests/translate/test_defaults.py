"""Defaults that an alias gives a line: the line overrides them, an endpoint may lack them."""

from typing import Any

import orjson
import pytest

from gateway.translate.contract import LineError, Policy
from gateway.translate.defaults import check_aliases, defaults_of
from gateway.translate.endpoints import ENDPOINTS

CHAT, RESPONSES, EMBEDDINGS = "/v1/chat/completions", "/v1/responses", "/v1/embeddings"
COMPLETIONS = "/v1/completions"
MINIMAL = {"reasoning_effort": "minimal"}


def added(path: str, defaults: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """A body with its defaults; the body itself stays as it was."""
    before = orjson.dumps(body)
    add = defaults_of(defaults, path)
    made = body if add is None else add(body)
    assert orjson.dumps(body) == before
    return made


@pytest.mark.parametrize(
    ("path", "defaults", "body", "gained"),
    [
        (CHAT, MINIMAL, {}, {"reasoning_effort": "minimal"}),
        (CHAT, MINIMAL, {"reasoning_effort": None}, {"reasoning_effort": "minimal"}),
        (CHAT, MINIMAL, {"reasoning_effort": "high"}, {}),
        (CHAT, MINIMAL, {"google": {"thinking_config": {"thinking_budget": 9}}}, {}),
        (CHAT, MINIMAL, {"extra_body": {"google": {"thinking_config": {}}}}, {}),
        (CHAT, MINIMAL, {"google": {"cached_content": "x"}}, MINIMAL),
        (CHAT, MINIMAL, {"google": "wrong", "extra_body": 1}, MINIMAL),
        (RESPONSES, MINIMAL, {}, {"reasoning": {"effort": "minimal"}}),
        (RESPONSES, MINIMAL, {"reasoning": None}, {"reasoning": {"effort": "minimal"}}),
        (
            RESPONSES,
            MINIMAL,
            {"reasoning": {"summary": "auto", "effort": None}},
            {"reasoning": {"summary": "auto", "effort": "minimal"}},
        ),
        (RESPONSES, MINIMAL, {"reasoning": {"effort": "low"}}, {}),
        (RESPONSES, MINIMAL, {"reasoning": "wrong"}, {}),
        (RESPONSES, MINIMAL, {"google": {"thinking_config": {}}}, {}),
        (EMBEDDINGS, MINIMAL, {}, {}),
        (COMPLETIONS, MINIMAL, {}, MINIMAL),
        (EMBEDDINGS, {"dimensions": 1536}, {}, {"dimensions": 1536}),
        (EMBEDDINGS, {"dimensions": 1536}, {"dimensions": 256}, {}),
        (CHAT, {"dimensions": 1536}, {}, {}),
        (CHAT, {"max_tokens": 99}, {"max_completion_tokens": 16}, {}),
        (CHAT, {"max_completion_tokens": 99}, {"max_tokens": 16}, {}),
        (CHAT, {"temperature": 0.5, "seed": 0}, {"seed": 1}, {"temperature": 0.5}),
        (CHAT, {"logprobs": True}, {}, {"logprobs": True}),
        (COMPLETIONS, {"logprobs": True}, {}, {}),
    ],
)
def test_a_line_overrides_them(
    path: str, defaults: dict[str, Any], body: dict[str, Any], gained: dict[str, Any]
) -> None:
    """What the line says stays; null is unsaid; an endpoint without the field has no default."""
    assert added(path, defaults, body) == {**body, **gained}


def test_a_name_of_vectors_gives_its_size() -> None:
    """text-embedding-3-small has 1,536 numbers, of unit length as OpenAI's are."""
    body = added(
        EMBEDDINGS, {"dimensions": 1536}, {"model": "text-embedding-3-small", "input": "x"}
    )

    made = ENDPOINTS[EMBEDDINGS].to_gemini(body, Policy(), "gemini-embedding-001")

    assert not isinstance(made, LineError)
    assert orjson.loads(made[0][0])["outputDimensionality"] == 1536
    assert orjson.loads(made[1][0])["normalise"] is True


@pytest.mark.parametrize(
    ("alias", "said"),
    [
        ({}, "'a': 'model' must be the name of a Gemini model"),
        ({"model": ""}, "'a': 'model' must be the name of a Gemini model"),
        ({"model": 1}, "'a': 'model' must be the name of a Gemini model"),
        ({"model": "m", "google": {}}, "'google' must be a text, a number, true or false"),
        ({"model": "m", "dimension": 3}, "'dimension' is no field that a name can have a default"),
        ({"model": "m", "messages": "x"}, "'messages' is no field that a name"),
        ({"model": "m", "stream": False}, "'stream' is no field that a name"),
        ({"model": "m", "user": "x", "store": True}, "'store' is no field that a name"),
        ({"model": "m", "reasoning_effort": "none of it"}, "no endpoint takes 'none of it' as"),
        ({"model": "m", "dimensions": "many"}, "no endpoint takes 'many' as 'dimensions'"),
    ],
)
def test_bad_ones_are_refused_by_name(alias: dict[str, Any], said: str) -> None:
    """When the gateway starts, not when a batch is paid for."""
    with pytest.raises(ValueError, match="'a'") as refused:
        check_aliases({"good*": {"model": "m", **MINIMAL}, "a": alias})

    assert said in str(refused.value)


@pytest.mark.parametrize("name", ["*-mini", "gpt-*-mini", "**"])
def test_a_star_is_at_the_end(name: str) -> None:
    """Elsewhere it would never match."""
    with pytest.raises(ValueError, match="at the end only"):
        check_aliases({name: "gemini-3.8-flash"})
