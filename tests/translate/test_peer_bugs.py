"""Where other gateways are known to be wrong, a case says what is right."""

import orjson
import pytest

from tests.every import in_one_item
from tests.translate.cases import CASES, load

BUGS = orjson.loads((CASES / "peer_bugs.json").read_bytes())
NAMES = {
    f"{direction}/{case.id}" for direction in ("requests", "answers") for case in load(direction)
}


@in_one_item
@pytest.mark.parametrize("bug", BUGS, ids=[bug["bug"].split(":")[0] for bug in BUGS])
def test_a_known_bug_has_its_cases(bug: dict[str, list[str]]) -> None:
    """The cases that prove it are there, and so are run by the tables' own tests."""
    assert bug["cases"]
    assert set(bug["cases"]) - NAMES == set()
