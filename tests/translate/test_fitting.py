"""Lines that are like others before them: translated as ever, and no other line is one of them."""

import copy
from collections.abc import Iterator
from typing import Any, Final

import pytest

from gateway.translate import frames
from gateway.translate.chat.request import fitting, to_gemini
from gateway.translate.contract import LineError, Policy, Translation

MODEL: Final = "gemini-2.5-flash-lite"
PICTURE: Final = {"type": "image_url", "image_url": {"url": "data:image/png;base64,QUJD"}}
# Lines after which those of one shape are looked for by it, whatever lines came before.
LINES: Final = 3 * frames._MISSES


class Lines:
    """Lines of one policy, none of which is known to begin with."""

    def __init__(self) -> None:
        self.policy = Policy()
        self.seeds = 0

    def usual(self, body: dict[str, Any], model: str = MODEL) -> Translation:
        """Translate a line as ever."""
        made = to_gemini(body, self.policy, model)
        assert not isinstance(made, LineError)
        return made

    def many(self, own: bool, **members: Any) -> None:
        """Translate lines of these options, each with its own seed or all with the same."""
        for _ in range(LINES):
            self.seeds += own
            self.usual(self.line(self.seeds, **members))

    def line(self, seed: int, content: Any = "Hi", **members: Any) -> dict[str, Any]:
        """Make a line of the shape of all others."""
        messages = [{"role": "user", "content": content}]
        return {"model": "m", "messages": messages, "seed": seed, **members}

    def fit(self, body: dict[str, Any], model: str = MODEL) -> Translation | None:
        """Translate a line if it is like others, without a trace in it."""
        before = copy.deepcopy(body)
        made = fitting(body, self.policy, model)
        assert body == before
        return made


@pytest.fixture
def lines() -> Iterator[Lines]:
    """With nothing remembered."""
    frames.forget()
    yield Lines()
    frames.forget()


OWN: Final = pytest.mark.parametrize("own", [True, False], ids=["own seeds", "same options"])


@OWN
def test_a_line_like_others_is_translated_as_ever(lines: Lines, *, own: bool) -> None:
    """Item, hints, notes and what it may take."""
    members = {"stop": "x", "metadata": {"a": "b"}, "max_tokens": 50}
    assert lines.fit(lines.line(0, **members)) is None
    lines.many(own, **members)
    line = lines.line(1_000 if own else 0, "Ho", **members)
    made = lines.fit(line)
    assert made is not None
    frames.forget()
    items, hints, *more = lines.usual(line)
    assert (list(made[0]), b"".join(made[1]), *made[2:]) == (list(items), b"".join(hints), *more)


@OWN
@pytest.mark.parametrize(
    "other",
    [
        {"stop": "y"},
        {"top_p": 0.5},
        {"tools": [{"type": "function", "function": {"name": "f"}}]},
        {"max_tokens": "x"},
        {"messages": []},
        {"messages": [{"role": "user", "content": "Hi", "name": "me"}]},
        {"messages": [{"role": "tool", "content": "Hi"}]},
        {"messages": [{"role": "user", "content": [{**PICTURE, "image_url": {"url": "x"}}]}]},
    ],
)
def test_any_other_line_is_none(lines: Lines, other: dict[str, Any], *, own: bool) -> None:
    """Nor is one that is to be refused; those like the others still are."""
    lines.many(own, stop="x")
    assert lines.fit({**lines.line(1_000 if own else 0, stop="x"), **other}) is None
    lines.many(own, stop="x")
    assert lines.fit(lines.line(1_001 if own else 0, stop="x")) is not None


@OWN
def test_a_line_of_another_model_or_policy_is_none(lines: Lines, *, own: bool) -> None:
    """Its options would be compiled in another way."""
    lines.many(own)
    body = lines.line(1_000 if own else 0)
    assert lines.fit(body, "gemini-2.5-flash") is None
    lines.many(own)
    assert Lines().fit(body) is None
    lines.many(own)
    assert lines.fit(body) is not None


@OWN
@pytest.mark.parametrize("content", [[PICTURE], [{"type": "text", "text": "a"}, PICTURE]])
def test_pictures_are_among_others(lines: Lines, content: Any, *, own: bool) -> None:
    """Also where no line before had one: their template is made of the options."""
    lines.many(own)
    line = lines.line(1_000 if own else 0, content)
    made = lines.fit(line)
    assert made is not None
    assert list(made[0]) == list(lines.usual(line)[0])


def test_what_nothing_reads_must_be_flat(lines: Lines) -> None:
    """Its depth was not counted, and it is in no shape."""
    for number in range(LINES):
        lines.usual(lines.line(number, user=f"u{number}", prediction={"content": "a"}))
    assert lines.fit(lines.line(1_000, user="u")) is not None
    assert lines.fit(lines.line(1_001, user=7)) is not None
    for nested in ([], {}, ["u"], {"a": ["u"]}):
        assert lines.fit(lines.line(1_002, user=nested)) is None
        assert lines.fit(lines.line(1_003, prediction=nested)) is None
    assert lines.fit(lines.line(1_004)) is not None


def test_each_choice_has_its_item(lines: Lines) -> None:
    """On a model with one candidate."""
    model = "gemini-2.5-flash-image"
    body = {"model": "m", "messages": [{"role": "user", "content": "Hi"}], "n": 3}
    for _ in range(LINES):
        usual = lines.usual(body, model)
    made = lines.fit(body, model)
    assert made is not None
    assert list(made[0]) == list(usual[0])
    assert len(made[0]) == 3


def test_a_limit_beyond_the_budget_of_thoughts_is_none(lines: Lines) -> None:
    """Where no frame takes it: it is read, and noted."""
    budget = {"google": {"thinking_config": {"thinking_budget": 600}}}
    for number in range(LINES):
        body = {**lines.line(number), "max_tokens": 2_000 + number, **budget}
        lines.usual(body, "gemini-2.5-flash")
    body["max_tokens"] = 3_000
    assert lines.fit(body, "gemini-2.5-flash") is not None
    body["google"] = {"thinking_config": {"thinking_budget": 601}}
    assert lines.fit(body, "gemini-2.5-flash") is None
