"""What refusals say: ``python -m tests.translate.words`` writes ``cases/words.json`` anew.

The message is all that a user of the SDK sees of an error, so every refused case of the table has
its words in one file, to be proof-read; test_requests.py compares.
"""

from typing import Any, Final

import orjson

from gateway.translate.endpoints import ENDPOINTS
from gateway.translate.shapes import LineError, Policy
from tests.translate.cases import CASES, load, path_of

FILE: Final = CASES / "words.json"


def words_of(concept: str, case: dict[str, Any]) -> str:
    """What a refused case is told."""
    policy = Policy.from_json(case.get("policy", {}))
    made = ENDPOINTS[path_of(concept)].to_gemini(case["openai"], policy, case["model"])
    if not isinstance(made, LineError):
        raise TypeError(f"{concept}: {case['name']} is not refused")
    return made.message


def written() -> dict[str, dict[str, str]]:
    """Concept, case, words."""
    words: dict[str, dict[str, str]] = {}
    for parameter in load("requests"):
        concept, case = parameter.values
        if "error" in case["expected"]:
            words.setdefault(concept, {})[case["name"]] = words_of(concept, case)
    return words


if __name__ == "__main__":
    FILE.write_bytes(orjson.dumps(written(), option=orjson.OPT_INDENT_2) + b"\n")
