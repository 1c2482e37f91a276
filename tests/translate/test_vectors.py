"""Vectors cut out as bytes are the vectors that parsing gives, or are left to the parser."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse

from gateway.translate.contract import AnswerHints
from gateway.translate.embeddings.answer import (
    cut_vector,
    from_gemini,
    loads_vector,
    quick_loads,
)
from tests.translate.checks import body_of
from tests.translate.running import CONTEXT
from tests.translate.samples import embedding_answers

HINTS: AnswerHints = {"model": "m"}
LINES = [
    b'{"response":{"embedding":{"values":[0.5,-1e-05,1]}},"key":"1.0"}',
    b'{"key":"1.0","response":{"tokenCount":"4","embedding":{"values": [ 0.5, 2 ]}}}',
    b'{"key":"values","response":{"embedding":{"values":[0.5]}}}',
    b'{"response":{"embedding":{"values":[0.5],"shape":[1]}},"key":"1.0"}',
]
LEFT_ALONE = [
    b"",
    b"{}",
    b'{"response":{"embedding":{"values":[]}}}',
    b'{"response":{"embedding":{"values":null}}}',
    b'{"response":{"embedding":{"values":[NaN]}}}',
    b'{"response":{"embedding":{"values":["0.5"]}}}',
    b'{"response":{"embedding":{"values":[[0.5]]}}}',
    b'{"response":{"embedding":{"values":[0.5,,1]}}}',
    b'{"response":{"embedding":{"values":[0.5,]}}}',
    b'{"response":{"embedding":{"values":[,0.5]}}}',
    b'{"response":{"embedding":{"values":[01]}}}',
    b'{"response":{"embedding":{"values":[0.5.5]}}}',
    b'{"response":{"embedding":{"values":[1e999]}}}',
    b'{"response":{"embedding":{"values":[true]}}}',
    b'{"response":{"embedding":{"values":[0.5,\r1]}}}',
    b'{"response":{"embedding":{"values":[0.5',
    b'{"response":{"embedding":{"values":[0.5]},"more":{"values":[1]}}}',
    b'{"response":{"other":{"values":[0.5]}}}',
    b'{"response":{"embedding":{"values":[0.5]}}',
    b'{"error":{"code":3,"message":"\\"values\\":[1]"}}',
]


@pytest.mark.parametrize("line", LINES)
def test_a_cut_line_reads_as_a_parsed_one(line: bytes) -> None:
    """The answer is the same, number for number."""
    cut = loads_vector(line)
    if b'"key":"values"' in line:
        assert cut is None
        return
    assert cut is not None
    quick = from_gemini(HINTS, [cut], CONTEXT)
    slow = from_gemini(HINTS, [orjson.loads(line)], CONTEXT)
    assert body_of(quick) == body_of(slow)
    CreateEmbeddingResponse.model_validate_json(quick[1], strict=True)
    assert quick[2] == slow[2]


@pytest.mark.parametrize("line", LEFT_ALONE)
def test_unusual_lines_are_left_to_the_parser(line: bytes) -> None:
    """Any doubt means None, never an exception."""
    assert loads_vector(line) is None


def test_recorded_lines_are_cut() -> None:
    """Both recorded forms of a batch's embedding line take the quick way."""
    for _, answer in embedding_answers():
        cut = loads_vector(orjson.dumps(answer))
        assert cut is not None
        cut["response"]["embedding"]["values"] = orjson.loads(
            cut["response"]["embedding"]["values"]
        )
        assert cut == answer


@pytest.mark.slow
@settings(max_examples=200, derandomize=True, deadline=None)
@given(
    st.lists(st.floats(allow_nan=False, allow_infinity=False, width=32), min_size=1),
    st.integers(0, 1),
)
def test_any_vector_survives(values: list[float], indented: int) -> None:
    """Whatever numbers a JSON writer writes come out as they were; vectors are of 32 bits."""
    answer: dict[str, Any] = {"response": {"embedding": {"values": values}}, "key": "1.0"}
    line = orjson.dumps(answer, option=orjson.OPT_INDENT_2 * indented)
    cut = cut_vector(line)
    assert cut is not None or b"\n" in line
    if cut is not None:
        assert orjson.loads(cut[1]) == values
        assert orjson.loads(cut[0])["response"]["embedding"]["values"] is None


@pytest.mark.parametrize("extra", [{"base64": True}, {"normalise": True}])
def test_a_cut_vector_can_be_packed_and_scaled(extra: AnswerHints) -> None:
    """As one that was parsed; what is no JSON is not cut, and so is parsed as any other line."""
    line = b'{"response":{"embedding":{"values":[0.5, -1.25e-1]}},"key":"1.0"}'
    cut = loads_vector(line)
    assert cut is not None
    hints: AnswerHints = {**HINTS, **extra}
    assert from_gemini(hints, [cut], CONTEXT) == from_gemini(hints, [orjson.loads(line)], CONTEXT)
    assert loads_vector(line.replace(b"0.5", b"0.5.5")) is None


def test_tokens_that_nobody_counted_are_noted() -> None:
    """OpenAI's usage cannot say unknown."""
    line = b'{"response":{"embedding":{"values":[0.5]}},"key":"1.0"}'
    _, body, usage, notes = from_gemini(HINTS, [orjson.loads(line)], CONTEXT)
    assert orjson.loads(body)["usage"] == {"prompt_tokens": 0, "total_tokens": 0}
    assert usage == (0, 0, 0, 0)
    assert [(note.code, note.field) for note in notes] == [("unknown", "usage")]


def test_who_packs_or_scales_parses() -> None:
    """The quick way is slower where the numbers are needed after all."""
    assert quick_loads(HINTS) is loads_vector
    assert quick_loads({**HINTS, "base64": True}) is None
    assert quick_loads({**HINTS, "normalise": True}) is None
