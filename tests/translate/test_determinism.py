"""The same input gives the same bytes: twice, and in another process."""

import copy
import hashlib
import subprocess
import sys
from typing import Any

import orjson
import pytest

from gateway.runner.cpu.lines import answer_line
from gateway.translate import Price, capabilities_of, line_cost, marks_of, most_cost
from gateway.translate.contract import LineError, Policy, Rendered
from gateway.translate.endpoints import ENDPOINTS
from tests.every import every
from tests.translate.cases import load
from tests.translate.running import CONTEXT, rendered, translated
from tests.translate.samples import with_odd_words

pytestmark = pytest.mark.slow

REQUESTS = [case.values for case in load("requests")]
ANSWERS = [case.values for case in load("answers")]
# The SDKs' own line readers split at these; "…" and "ß" share their first bytes.
SEPARATORS = "…\u2028ß\u2029\u0085"
RESPONSE = {
    "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
    "tools": [{"type": "web_search"}],
}
SEEDS = ("1", "2")


def line_of(made: Rendered) -> bytes:
    """As it stands in an output file."""
    return answer_line(CONTEXT.batch_id, CONTEXT.line, SEPARATORS, made[0], made[1])


def fingerprint() -> str:
    """One digest of what every case becomes, messages of refusals included.

    Of requests also with each member an odd word in turn, because complaints list what is known.
    """
    found = hashlib.sha256()
    for _, case in REQUESTS:
        found.update(repr(translated(case)).encode())
    lines = [(case["endpoint"], case["openai"]) for _, case in REQUESTS]
    for path, body in [*lines, ("/v1/responses", RESPONSE)]:
        for line in with_odd_words(body):
            made = ENDPOINTS[path].to_gemini(line, Policy(), "gemini-3.6-flash")
            found.update(repr(made).encode())
    for _, case in ANSWERS:
        found.update(repr(rendered(case)).encode())
        found.update(line_of(rendered(case)))
    return found.hexdigest()


@every("concept, case", load("requests"))
def test_a_request_is_translated_to_the_same_bytes(concept: str, case: dict[str, Any]) -> None:
    """Also when its frame is remembered by then, and under an equal policy of its own."""
    assert translated(case) == translated(case), concept


@every("concept, case", load("requests"))
def test_marks_are_those_that_the_items_have(concept: str, case: dict[str, Any]) -> None:
    """Also where a template tells them: what a line costs at most rests on them.

    So does the limit of the answer.
    """
    policy, price = Policy.from_json(case.get("policy", {})), Price(1, 2)
    most = capabilities_of(case["model"], policy).most_tokens
    for _ in range(3):
        body = copy.deepcopy(case["openai"])
        made = ENDPOINTS[case["endpoint"]].to_gemini(body, policy, case["model"])
        if not isinstance(made, LineError):
            for item in made[0]:
                assert {*marks_of(item)} == {*made[4]}, concept
                cost = line_cost([item], price, *made[4:])
                assert cost == most_cost([item], price, most), concept
            assert len({*made[4]}) == len(made[4])


@every("concept, case", load("answers"))
def test_an_answer_is_rendered_to_the_same_bytes(concept: str, case: dict[str, Any]) -> None:
    """Ids and times are functions of the batch and the line."""
    assert rendered(case) == rendered(case), concept


def test_another_process_makes_the_same_bytes() -> None:
    """Sets of texts have another order in every process; nothing may hang on it."""
    program = "from tests.translate.test_determinism import fingerprint; print(fingerprint())"
    digests = {
        subprocess.run(
            [sys.executable, "-c", program],
            env={"PYTHONHASHSEED": seed, "PYTHONPATH": "."},
            check=True,
            capture_output=True,
            text=True,
        ).stdout
        for seed in SEEDS
    }

    assert digests == {fingerprint() + "\n"}


def with_separators(value: Any) -> Any:
    """The same answer with the characters in every text that Gemini wrote."""
    if isinstance(value, list):
        return [with_separators(one) for one in value]
    if not isinstance(value, dict):
        return value
    made = {name: with_separators(one) for name, one in value.items()}
    for name in ("text", "code", "output", "message", "finishMessage", "title", "token"):
        if isinstance(made.get(name), str):
            made[name] += SEPARATORS
    return made


@every("concept, case", load("answers"))
def test_no_output_line_is_split_by_the_sdks(concept: str, case: dict[str, Any]) -> None:
    """Not by what Gemini says, not by a custom_id; and nothing of it is lost."""
    made = rendered({**case, "gemini": with_separators(case["gemini"])})

    line = line_of(made)

    assert line.decode().splitlines() == [line[:-1].decode()], concept
    read = orjson.loads(line)
    assert read["custom_id"] == SEPARATORS
    assert read["response"]["body"] == orjson.loads(made[1])
