"""What errors say: ``python -m tests.translate.words`` writes ``cases/words.json`` anew.

The message is all that a user of the SDK sees of an error, so those of every case of the tables are
in one file, to be proof-read; test_requests.py and test_answers.py compare.
"""

from typing import Any, Final

import orjson

from gateway.translate.contract import LineError
from tests.translate.cases import CASES, load
from tests.translate.checks import body_of
from tests.translate.running import rendered, translated

FILE: Final = CASES / "words.json"
Words = dict[str, dict[str, str]]


def refusals() -> Words:
    """Concept, case, words of what is refused."""
    words: Words = {}
    for concept, case in _errors("requests"):
        made = translated(case)
        if not isinstance(made, LineError):
            raise TypeError(f"{concept}: {case['name']} is not refused")
        words.setdefault(concept, {})[case["name"]] = made.message
    return words


def failures() -> Words:
    """Concept, case, words of answers that are none."""
    words: Words = {}
    for concept, case in _errors("answers"):
        error = body_of(rendered(case))["error"]
        words.setdefault(concept, {})[case["name"]] = error["message"]
    return words


def _errors(direction: str) -> list[tuple[str, dict[str, Any]]]:
    cases = [parameter.values for parameter in load(direction)]
    return [(concept, case) for concept, case in cases if "error" in case["expected"]]


if __name__ == "__main__":
    words = {"requests": refusals(), "answers": failures()}
    FILE.write_bytes(orjson.dumps(words, option=orjson.OPT_INDENT_2) + b"\n")
