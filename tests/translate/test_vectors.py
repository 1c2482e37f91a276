"""Vectors cut out as bytes are the vectors that parsing gives, or are left to the parser."""

from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from openai.types import CreateEmbeddingResponse

from gateway.translate.embeddings import from_gemini, wants_raw_vectors
from gateway.translate.shapes import Context
from gateway.translate.vectors import cut_vector, loads_vector
from tests.translate.checks import body_of
from tests.translate.samples import embedding_answers

CONTEXT = Context(batch_id="batch_" + "0" * 32, line=17, created=1_790_000_000)
ECHO = {"model": "m"}
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
    quick = from_gemini(ECHO, [cut], CONTEXT)
    slow = from_gemini(ECHO, [orjson.loads(line)], CONTEXT)
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
        assert orjson.loads(orjson.dumps(cut)) == answer


@settings(max_examples=200, derandomize=True, deadline=None)
@given(st.lists(st.floats(allow_nan=False, allow_infinity=False), min_size=1), st.integers(0, 1))
def test_any_vector_survives(values: list[float], indented: int) -> None:
    """Whatever numbers a JSON writer writes come out as they were."""
    answer: dict[str, Any] = {"response": {"embedding": {"values": values}}, "key": "1.0"}
    line = orjson.dumps(answer, option=orjson.OPT_INDENT_2 * indented)
    cut = cut_vector(line)
    assert cut is not None or b"\n" in line
    if cut is not None:
        assert orjson.loads(orjson.dumps(cut[1])) == values
        assert orjson.loads(cut[0])["response"]["embedding"]["values"] is None


def test_only_lines_that_change_nothing_want_raw_vectors() -> None:
    """Packing and renormalising need the numbers."""
    assert wants_raw_vectors({"model": "m"})
    assert not wants_raw_vectors({"model": "m", "base64": True})
    assert not wants_raw_vectors({"model": "m", "normalise": True})
    assert not wants_raw_vectors(None)
