"""Whatever is translated twice is the same bytes, in any process."""

import subprocess
import sys
from hashlib import sha256

from gateway.translate.endpoints import ENDPOINTS
from gateway.translate.shapes import Context, Policy
from tests.translate.cases import load, path_of
from tests.translate.samples import with_odd_words
from tests.translate.test_answers import CONTEXT, told

RESPONSE = {
    "input": [{"role": "user", "content": [{"type": "input_text", "text": "Hi"}]}],
    "tools": [{"type": "web_search"}],
}
SEEDS = ("1", "2")


def digest_of_all_cases() -> str:
    """One digest of what every case of both tables becomes, messages of refusals included.

    Of requests also with each member an odd word in turn, because complaints list what is known.
    """
    found = sha256()
    lines = [(path_of(case.values[0]), case.values[1]["openai"]) for case in load("requests")]
    for path, body in [*lines, ("/v1/responses", RESPONSE)]:
        for line in (body, *with_odd_words(body)):
            made = ENDPOINTS[path].to_gemini(line, Policy(), "gemini-3.6-flash")
            found.update(repr(made).encode())
    for case in load("answers"):
        concept, body = case.values
        path = path_of(concept)
        echo = told(path, body, Policy())
        context = Context(CONTEXT.batch_id, CONTEXT.line, CONTEXT.created)
        rendered = ENDPOINTS[path].from_gemini(echo, body["gemini"], context)
        found.update(repr(rendered).encode())
    return found.hexdigest()


def test_another_process_says_the_same() -> None:
    """Sets of strings have another order in every process; nothing may hang on it."""
    program = "from tests.translate.test_determinism import *; print(digest_of_all_cases())"
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
    assert digests == {digest_of_all_cases() + "\n"}
