"""What is remembered of the options of lines: for which lines, how long, and in how many bytes.

What comes out is the same either way (test_frames.py). Here a line that gains nothing, or a cache
that grows, is noticed.
"""

from collections.abc import Callable, Iterator
from typing import Any, Final

import orjson
import pytest

from gateway.translate import frames
from gateway.translate.chat import request as chat
from gateway.translate.chat.messages import read_messages
from gateway.translate.chat.request import CHAT
from gateway.translate.contract import Policy
from gateway.translate.reading.own_values import shape_of, take_members
from gateway.translate.reading.refusal import Refused
from gateway.translate.request.compiled_options import CompiledOptions

MODEL: Final = "gemini-3.6-flash"
POLICY: Final = Policy()
# The first line is compiled as it is, the second makes the frame; after so many more that were
# framed and not remembered, a line is looked for by its shape first.
BY_SHAPE: Final = 1 + frames._MISSES


def calls_of(function: Callable[..., Any], monkeypatch: pytest.MonkeyPatch) -> list[Any]:
    """What frames give to a function, and what comes back, from now on."""
    calls: list[Any] = []

    def counted(*arguments: Any) -> Any:
        calls.append((arguments, function(*arguments)))
        return calls[-1][1]

    monkeypatch.setattr(frames, function.__name__, counted)
    return calls


class Compiling:
    """A compiler of chat's options, and how often they were built."""

    def __init__(self) -> None:
        self.built: list[dict[str, Any]] = []
        self.compiler = frames.Compiler(CHAT.own, self._build, frozenset({"store"}))

    def _build(self, rest: dict[str, Any], model: str, policy: Policy) -> CompiledOptions:
        self.built.append(rest)
        return chat._build(rest, model, policy)

    def line(self, model: str = MODEL, policy: Policy = POLICY, **body: Any) -> Any:
        """Compile the options of one line."""
        return self.compiler.compile({"model": "m", **body}, model, policy)

    def knows(self) -> bool:
        """Whether the last line was known."""
        assert isinstance(self.compiler.known, bool)
        return self.compiler.known

    def lines(self, count: int, first: int = 0) -> list[Any]:
        """Compile lines that differ in their seed."""
        return [self.line(seed=seed, stop="y") for seed in range(first, first + count)]


@pytest.fixture
def compiling() -> Iterator[Compiling]:
    """With nothing remembered."""
    frames.forget()
    yield Compiling()
    frames.forget()


def test_options_are_remembered_by_their_bytes(compiling: Compiling) -> None:
    """With the model and the policy."""
    assert not compiling.knows()
    one = compiling.line(stop="y")
    assert one == (one[0], (), ())
    assert compiling.line(stop="y") is one
    assert compiling.knows()
    others = [
        compiling.line(stop="y", model="gemini-2.5-flash"),
        compiling.line(stop="y", policy=Policy(blocked_prompt="error")),
        compiling.line(stop="x"),
    ]
    assert not compiling.knows()
    assert len({id(made) for made in (one, *others)}) == 4
    assert len(frames._options) == len(compiling.built) == 4
    frames.forget()
    assert compiling.line(stop="y") is not one


def test_the_second_line_of_a_shape_makes_its_frame(compiling: Compiling) -> None:
    """Which later ones share, with their own values."""
    first, *others = compiling.lines(4)
    assert first[1:] == ((), ())
    assert [values for _, values, _ in others] == [(b"1",), (b"2",), (b"3",)]
    assert all(hints == () for _, _, hints in others)
    assert len({id(options) for options, _, _ in others}) == 1
    assert others[0][0] is not first[0]
    assert len(compiling.built) == 2
    assert len(frames._options) == 4
    assert len(frames._frames) == 1
    assert compiling.line(seed=2, stop="y") is others[1]
    # A template is worth it from the first of them on.
    assert not first[0].shared
    assert others[0][0].shared


def test_lines_of_another_model_have_another_frame(compiling: Compiling) -> None:
    """As those of another policy have."""
    compiling.lines(2)
    compiling.line(seed=2, stop="y", model="gemini-2.5-flash")
    compiling.line(seed=3, stop="y", policy=Policy(blocked_prompt="error"))
    assert len(compiling.built) == 4
    assert len(frames._frames) == 3


def test_many_framed_lines_are_looked_for_by_their_shape(compiling: Compiling) -> None:
    """Then they fill no cache."""
    made = compiling.lines(BY_SHAPE + 20)
    assert len(compiling.built) == 2
    assert len(frames._options) == BY_SHAPE
    assert not compiling.knows()
    assert [values for _, values, _ in made[1:]] == [(b"%d" % n,) for n in range(1, len(made))]
    assert len({id(options) for options, _, _ in made[1:]}) == 1
    # What nothing reads is in no shape.
    options, values, hints = compiling.line(seed=999, stop="y", store=True)
    assert (options, values, hints) == (made[-1][0], (b"999",), ())
    assert len(frames._options) == BY_SHAPE


def test_a_known_line_ends_the_search_by_shape(compiling: Compiling) -> None:
    """Two in a row of the same values may be of a program that repeats them."""
    made = compiling.lines(BY_SHAPE + 2)
    compiling.lines(1, BY_SHAPE + 1)  # the same as the last
    assert compiling.line(seed=3, stop="y") is made[3]
    assert compiling.knows()
    compiling.lines(20, 100)
    assert len(frames._options) == 2 * BY_SHAPE - 1


def test_two_lines_of_the_same_values_end_the_search_by_shape(compiling: Compiling) -> None:
    """For as many lines as at first."""
    compiling.lines(BY_SHAPE + 2)
    compiling.lines(1, BY_SHAPE + 1)
    compiling.lines(20, 100)
    assert len(frames._options) == BY_SHAPE + frames._MISSES


def test_the_frame_of_the_line_before_is_not_looked_for(
    compiling: Compiling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As long as shape, model and policy are those of the line before."""
    compiling.lines(BY_SHAPE)
    shapes = calls_of(shape_of, monkeypatch)
    compiling.lines(20, 100)
    assert len(shapes) == 1
    other = Policy(blocked_prompt="error")
    for policy, model in ((other, MODEL), (POLICY, MODEL), (POLICY, "gemini-2.5-flash")):
        made = [
            compiling.line(seed=seed, stop="y", policy=policy, model=model)
            for seed in range(200, 200 + BY_SHAPE + 3)
        ]
        assert made[-1][0].policy is policy
        assert made[-1][0].model == model
        shapes.clear()
        compiling.line(seed=300, stop="y", policy=policy, model=model)
        assert not shapes


def test_lines_of_two_shapes_in_turn_are_both_known(
    compiling: Compiling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """By the names of their members."""
    for _ in range(2):
        for seed in range(BY_SHAPE + 2):
            compiling.line(seed=seed, stop="y")
            compiling.line(seed=seed, presence_penalty=0.5)
    shapes = calls_of(shape_of, monkeypatch)
    for seed in range(100, 105):
        assert compiling.line(seed=seed, stop="y")[1] == (b"%d" % seed,)
        assert compiling.line(seed=seed, presence_penalty=0.5)[1] == (b"%d" % seed,)
    assert not shapes


def test_a_pattern_finds_the_values_of_lines_of_one_shape(
    compiling: Compiling, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Their options are not taken apart, whatever nothing reads, and whatever the line before."""
    compiling.lines(BY_SHAPE + 1)
    for number in range(3):
        compiling.line(metadata={"a": f"{number}"})
    apart = calls_of(take_members, monkeypatch)
    for seed in range(100, 110):
        assert compiling.line(seed=seed, stop="y")[1] == (b"%d" % seed,)
        assert compiling.line(seed=-seed, store=True, stop="y")[1] == (b"-%d" % seed,)
        options, values, hints = compiling.line(metadata={"a": f"{seed}"})
        assert values == (b'{"a":"%d"}' % seed,)
        assert orjson.loads(hints[0])["metadata"] == {"a": f"{seed}"}
        assert options.asked["model"] == "m"
    assert not apart
    # A value that the pattern lacks, and one that no other would go the way of.
    assert compiling.line(seed=2**31, stop="y")[1:] == ((), ())
    assert len(apart) == 1


def test_a_pattern_is_counted_by_its_bytes(compiling: Compiling) -> None:
    """With the frame that it is of, once."""
    compiling.lines(BY_SHAPE)
    before = frames._frames._used
    compiling.lines(1, 100)
    size = frames._PATTERN_TIMES * len(b'{"model":"m","seed":1073519867,"stop":"y"}')
    assert frames._frames._used == before + size
    compiling.lines(20, 200)
    assert frames._frames._used == before + size


def test_a_text_that_looks_like_a_stand_in_is_in_no_frame(compiling: Compiling) -> None:
    """Its options are the very bytes of the shape of others."""

    def tools(text: str) -> list[dict[str, Any]]:
        return [{"type": "function", "function": {"name": "f", "description": text}}]

    for number in range(BY_SHAPE + 2):
        compiling.line(tools=tools(f"text {number}"))
    assert len(compiling.built) == 2
    options, values, hints = compiling.line(tools=tools("\x1a1000\x1a"))
    assert (values, hints) == ((), ())
    assert b'"\\u001a1000\\u001a"' in options.members["tools"]
    assert len(compiling.built) == 3


LOW: Final[dict[str, Any]] = {"google": {"thinking_config": {"thinking_budget": 1_000}}}


def test_limits_below_the_budget_have_their_values_in_their_places(compiling: Compiling) -> None:
    """Wherever the limit is among a line's own values."""
    turns = [{"role": "user", "content": "Hi"}]
    for number in range(4):
        for limit in (2_000 + number, 600 + number):
            own: dict[str, Any] = {"temperature": 0.5 + number / 8, "max_tokens": limit}
            options, values, _ = compiling.line(
                model="gemini-2.5-flash", **own, seed=number, top_p=number / 8, **LOW
            )
            item, _ = options.plain(turns, read_messages, values=values)
            config = orjson.loads(item)["generationConfig"]
            assert config.pop("thinkingConfig") == {"thinkingBudget": 1_000}
            assert config == {
                "temperature": 0.5 + number / 8,
                "maxOutputTokens": limit,
                "seed": number,
                "topP": number / 8,
            }
            assert bool(values) == bool(number or limit < 2_000)


def test_frames_for_low_limits_are_counted(compiling: Compiling) -> None:
    """With the frame that they belong to, as their templates are."""
    for limit in (2_000, 2_001):
        compiling.line(model="gemini-2.5-flash", max_tokens=limit, **LOW)
    before = frames._frames._used
    options, values, _ = compiling.line(model="gemini-2.5-flash", max_tokens=600, **LOW)
    shape = len(orjson.dumps({"model": "m", "max_tokens": 7_919, **LOW}))
    assert frames._frames._used == before + frames._LEAST + frames._TIMES * shape
    before = frames._frames._used
    item, _ = options.plain([{"role": "user", "content": "Hi"}], read_messages, values=values)
    assert orjson.loads(item)["generationConfig"]["maxOutputTokens"] == 600
    assert frames._frames._used > before


def test_another_shape_is_compiled_as_ever(compiling: Compiling) -> None:
    """And the next line is looked for by its shape again."""
    compiling.lines(BY_SHAPE + 1)
    for seed in (1, 2, 3, 4, 5):
        compiling.line(seed=seed, stop="x")
        assert len(compiling.built) == min(2 + seed, 4)
        assert len(frames._options) == BY_SHAPE + min(seed, 2)
    # A line without values of its own is in no shape of others.
    plain = compiling.line(stop="y")
    assert plain[1:] == ((), ())
    assert compiling.line(stop="y") is plain
    assert compiling.knows()


def test_a_line_that_does_not_fit_gets_what_was_taken_back(compiling: Compiling) -> None:
    """A limit on the other side of the budget of thoughts is compiled as it is."""
    body: dict[str, Any] = {"google": {"thinking_config": {"thinking_budget": 300}}}
    for limit in range(2_000, 2_000 + BY_SHAPE + 3):
        compiling.line(max_tokens=limit, model="gemini-2.5-flash", **body)
    assert len(compiling.built) == 2
    assert len(frames._options) == BY_SHAPE
    low = compiling.line(max_tokens=200, model="gemini-2.5-flash", **body)
    assert compiling.built[-1] == {"model": "m", "max_tokens": 200, **body}
    assert low[1:] == ((), ())
    assert low[0].config["maxOutputTokens"] == 200


@pytest.mark.parametrize(
    ("most", "framed"), [(8_191, False), (8_192, True), (8_193, True), (65_536, True)]
)
def test_a_limit_of_its_own_needs_a_model_that_writes_so_much(
    compiling: Compiling, monkeypatch: pytest.MonkeyPatch, most: int, *, framed: bool
) -> None:
    """Every limit that is taken out is one that the model has."""
    build = compiling._build

    def limited(rest: dict[str, Any], model: str, policy: Policy) -> CompiledOptions:
        options = build(rest, model, policy)
        options.most_tokens = most
        return options

    monkeypatch.setattr(compiling.compiler, "_build", limited)
    made = [compiling.line(max_tokens=limit) for limit in (1, 5, 8_192)]
    held = list(frames._frames.new.values())
    assert isinstance(held[0], frames.Frame) if framed else held == [False]
    assert made[2][1] == ((b"8192",) if framed else ())
    # Others have one, whatever their model writes.
    assert [compiling.line(seed=seed)[1] for seed in (1, 2)] == [(), (b"2",)]


def _longer(rest: dict[str, Any], model: str, policy: Policy) -> CompiledOptions:
    """Build options as if a mapping added to the texts of tools and metadata."""
    for tool in rest.get("tools", ()):
        tool["function"]["description"] += "!"
    if "metadata" in rest:
        rest["metadata"] = {f"{name}!": text for name, text in rest["metadata"].items()}
    return chat._build(rest, model, policy)


@pytest.mark.parametrize("name", ["tools", "metadata"])
def test_a_text_that_a_mapping_changes_has_no_frame(compiling: Compiling, name: str) -> None:
    """What stands for it is not found where it was put in, in the request or in the hints."""
    compiling.compiler = frames.Compiler(CHAT.own, _longer)
    for number in range(3):
        text = f"text {number}"
        function = {"name": "f", "description": text}
        own: dict[str, Any] = {
            "tools": [{"type": "function", "function": function}],
            "metadata": {"a": text},
        }
        options, values, hints = compiling.line(**{name: own[name]})
        assert (values, hints) == ((), ())
        made = options.members["tools"] if name == "tools" else options.hints[0]
        assert (f"{text}!" if name == "tools" else f'"a!":"{text}"') in made.decode()
    assert list(frames._frames.new.values()) == [False]


def test_hints_of_a_line_are_its_own(compiling: Compiling) -> None:
    """Those with its values, and the schema, which it shares with others."""
    schema = {"type": "object", "properties": {"a": {"type": "string"}}}
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    for number in range(BY_SHAPE + 3):
        line = compiling.line(metadata={"a": f"{number}"}, response_format=form)
        hints = line[2] or line[0].hints
        own, shared = map(orjson.loads, hints)
        assert own["metadata"] == {"a": f"{number}"}
        assert list(shared) == ["schema"]
        assert bool(line[2]) == bool(number)
    plain = [compiling.line(metadata={"a": f"{number}"}) for number in range(3)]
    assert [orjson.loads(line[2][0])["metadata"] for line in plain[1:]] == [{"a": "1"}, {"a": "2"}]
    assert len(plain[2][2]) == 1


def test_limits_without_thoughts_are_all_of_one_frame(compiling: Compiling) -> None:
    """Also the smallest: a budget of none takes no token of them."""
    body: dict[str, Any] = {"reasoning_effort": "none", "model": "gemini-2.5-flash"}
    made = [compiling.line(max_tokens=limit, **body) for limit in (9, 5, 1)]
    assert made[0][0].config["thinkingConfig"]["thinkingBudget"] == 0
    assert [values for _, values, _ in made] == [(), (b"5",), (b"1",)]


def test_options_that_are_nested_too_deep_are_refused_by_name(compiling: Compiling) -> None:
    """Before anything is built."""
    deep: Any = []
    for _ in range(300):
        deep = [deep]
    with pytest.raises(Refused) as refused:
        compiling.line(stop="y", tools=deep)
    assert refused.value.param == "tools"
    assert compiling.built == []


def test_the_frame_that_lines_use_stays(compiling: Compiling) -> None:
    """Though others fill the cache: each generation is looked into again."""
    compiling.lines(BY_SHAPE + 2)
    room = frames._ROOM // 2
    for number in range(4):
        frames._frames.keep((chat._build, b"%d" % number, "", POLICY), True, room)
        compiling.lines(2, 100 + 2 * number)
        assert any(isinstance(one, frames.Frame) for one in frames._frames.new.values()), number
    assert len(compiling.built) == 2


@pytest.mark.parametrize(
    "body",
    [
        {"n": 2},  # one seed of several is counted on from
        {"stop": "1073519867"},  # a text that looks like what stands for a seed
        {"stop": "x", "max_tokens": 1_073_519_867},
    ],
)
def test_what_may_have_other_effects_has_no_frame(
    compiling: Compiling, body: dict[str, Any]
) -> None:
    """Each such line is compiled as it is."""
    for seed in range(4):
        options, values, hints = compiling.line(**body, seed=seed)
        assert (values, hints) == ((), ())
        assert (options.seed if "n" in body else options.config["seed"]) == seed
    assert list(frames._frames.new.values()) == [False]


def test_a_shape_that_is_refused_has_no_frame(compiling: Compiling) -> None:
    """Each line is refused in its own words."""
    for seed in range(3):
        with pytest.raises(Refused, match="between 0 and 20"):
            compiling.line(seed=seed, top_logprobs=99)
    assert len(compiling.built) == 4
    assert len(frames._options) == 0


def test_what_is_remembered_is_counted_by_its_bytes(compiling: Compiling) -> None:
    """What options take for each byte, and at least; what their templates take comes later."""
    compiling.line(stop="x" * 100)
    size = len(orjson.dumps({"model": "m", "stop": "x" * 100}))
    counted = frames._LEAST + frames._TIMES * size
    assert frames._options._used == counted
    options = compiling.line(stop="x" * 100)[0]
    turns = [{"role": "user", "content": "Hi"}, {"role": "user", "content": "Ho"}]
    plain = options.plain(turns, read_messages)
    # A template has a conversion for each text that the item has.
    form = len("useruser") + len(plain[0]) - len('"Hi""Ho"') + len("%b%b")
    assert frames._options._used == counted + form
    assert options.plain(turns, read_messages) == plain
    assert frames._options._used == counted + form


def test_frames_are_counted_by_their_bytes(compiling: Compiling) -> None:
    """A shape that came once takes less than the frame that is made of it."""
    compiling.lines(1)
    shape = len(orjson.dumps({"model": "m", "seed": 1_073_519_867, "stop": "y"}))
    once = frames._LEAST + shape
    assert frames._frames._used == once
    compiling.lines(1, 1)
    # Where it has texts takes as much again twice.
    assert frames._frames._used == once + frames._LEAST + (frames._TIMES + 2) * shape
    turns = [{"role": "user", "content": "Hi"}]
    options, values, _ = compiling.lines(1, 2)[0]
    before, apart = frames._frames._used, frames._options._used
    item, _ = options.plain(turns, read_messages, values=values)
    assert orjson.loads(item)["generationConfig"]["seed"] == 2
    assert frames._frames._used > before
    assert frames._options._used == apart


def test_what_is_too_large_has_no_frame(compiling: Compiling) -> None:
    """It is compiled for each line."""
    large = "x" * frames._LARGEST_REMEMBERED
    for seed in range(3):
        assert compiling.line(seed=seed, user=large)[1:] == ((), ())
    assert len(compiling.built) == 3
    assert len(frames._options) == len(frames._frames) == 0
