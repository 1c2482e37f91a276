"""Values of a line's own are written into what other lines left: it must not show."""

import copy
from typing import Any, Final

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.translate import frames
from gateway.translate.chat import request as chat
from gateway.translate.contract import LineError, Policy
from gateway.translate.endpoints import ENDPOINTS
from gateway.translate.reading.table import TABLES
from gateway.translate.request import compiled_options
from tests.translate.cases import load
from tests.translate.checks import hints_of
from tests.translate.test_properties import BODY as CHAT_BODY
from tests.translate.test_properties import BOUNDED, MODELS, POLICY
from tests.translate.test_responses_properties import BODY as RESPONSES_BODY

CHAT: Final = "/v1/chat/completions"
RESPONSES: Final = "/v1/responses"
MODEL: Final = "gemini-2.5-flash"
_OWN: Final = {table.path: table.own for table in TABLES if table.path in ENDPOINTS}
_CASES: Final = [pytest.param(one.values[1], id=one.id) for one in load("requests")]


def _otherwise(value: Any, number: int) -> Any:
    """Another value of the kind, for each number another."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value - number if value > number else value + number
    if isinstance(value, float):
        return value / (1 + number)
    if isinstance(value, str):
        return f"{value} {number}" if value else value
    if isinstance(value, dict):
        return {name: _otherwise(member, number) for name, member in value.items()}
    return value


def _other_texts(value: Any, number: int) -> Any:
    """The same with other descriptions and other values of enums."""
    if isinstance(value, list):
        return [_other_texts(one, number) for one in value]
    if not isinstance(value, dict):
        return value
    made = {name: _other_texts(member, number) for name, member in value.items()}
    if isinstance(value.get("description"), str):
        made["description"] = _otherwise(value["description"], number)
    if isinstance(value.get("enum"), list):
        made["enum"] = [_otherwise(one, number) for one in value["enum"]]
    return made


def sibling(path: str, body: dict[str, Any], number: int) -> dict[str, Any]:
    """A body of the same shape with other values of its own."""
    own = _OWN[path]
    return {
        name: _otherwise(value, number) if name in own else _other_texts(value, number)
        for name, value in body.items()
    }


def plain(made: Any) -> Any:
    """What is compared: hints as they are read, because they may be cut in other places."""
    if isinstance(made, LineError):
        return made
    items, hints, notes, files, *weight = made
    return list(items), list(hints), hints_of(made), list(notes), list(files), weight


def translated(path: str, body: dict[str, Any], policy: Policy, model: str) -> Any:
    """One line, however it is done."""
    before = copy.deepcopy(body)
    made = ENDPOINTS[path].to_gemini(body, policy, model)
    assert body == before
    return plain(made)


def check(path: str, body: dict[str, Any], policy: Policy, model: str, around: int = 3) -> None:
    """A line among siblings of its shape becomes what it becomes alone, as do they."""
    bodies = [*(sibling(path, body, number) for number in range(1, around)), body]
    alone = []
    for one in bodies:
        frames.forget()
        alone.append(translated(path, one, policy, model))
    frames.forget()
    for _ in range(2):
        assert [translated(path, one, policy, model) for one in bodies] == alone


@pytest.mark.slow
@pytest.mark.parametrize("case", _CASES)
def test_every_case_among_its_siblings(case: dict[str, Any]) -> None:
    """Whatever a line says, it is written as if it had come alone."""
    policy = Policy.from_json(case.get("policy", {}))
    check(case["endpoint"], case["openai"], policy, case["model"])


@pytest.mark.slow
@BOUNDED
@given(body=CHAT_BODY, model=MODELS)
def test_chat_lines_among_their_siblings(body: dict[str, Any], model: str) -> None:
    """The same of bodies of any members."""
    check(CHAT, body, POLICY, model)


@pytest.mark.slow
@BOUNDED
@given(body=RESPONSES_BODY, model=MODELS)
def test_responses_lines_among_their_siblings(body: dict[str, Any], model: str) -> None:
    """The same of bodies of any members."""
    check(RESPONSES, body, POLICY, model)


TEXT: Final = st.text() | st.sampled_from(
    ["", "%b%%", '"\\', '","', '"]', "\x1a1000\x1a", "7919", ":7919,", "\x1a900\x1a", "\u2028"]
)
OWN_SCHEMA: Final = st.fixed_dictionaries(
    {"type": st.just("string")},
    optional={"description": TEXT, "enum": st.lists(TEXT, min_size=1, max_size=3)},
)
OWN_BODIES: Final = st.fixed_dictionaries(
    {},
    optional={
        "seed": st.sampled_from([0, 7, -5, 2**31, 2**40, 7.0, 1.5, True, "7", 1_073_519_867]),
        "temperature": st.sampled_from([0, 1, 0.5, 2, 2.5, -1, True, 0.739085133215]),
        "top_p": st.sampled_from([0, 0.25, 1, 1.5, None]),
        "max_tokens": st.sampled_from([1, 7_919, 8_192, 8_193, 100_000, 0, 5.0]),
        "max_completion_tokens": st.sampled_from([1, 7_919, 900]),
        "metadata": st.dictionaries(TEXT, TEXT | st.just(7), max_size=2),
        "n": st.sampled_from([1, 2]),
        "stop": TEXT,
        "reasoning_effort": st.sampled_from(["low", "high"]),
        "tools": st.lists(
            st.builds(
                lambda words, schema: {
                    "type": "function",
                    "function": {
                        "name": "f",
                        "description": words,
                        "parameters": {"type": "object", "properties": {"a": schema}},
                    },
                },
                TEXT,
                OWN_SCHEMA,
            ),
            min_size=1,
            max_size=1,
        ),
        "response_format": st.builds(
            lambda one, other, words: {
                "type": "json_schema",
                "json_schema": {
                    "name": "x",
                    "description": words,
                    "schema": {"type": "object", "properties": {"a": one, "b": other}},
                },
            },
            OWN_SCHEMA,
            OWN_SCHEMA,
            TEXT,
        ),
    },
)
CONTENT: Final = TEXT | st.lists(
    st.builds(lambda text: {"type": "text", "text": text}, TEXT)
    | st.sampled_from(
        [
            {"type": "image_url", "image_url": {"url": url}}
            for url in (
                "data:image/png;base64,AAAA",
                "data:image/jpg;base64,QUJD",
                "data:image/png;base64,STANDIN00000",
                "data:image/png;base64,!!!!",
                "data:image/gif;base64,AAAA",
                "DATA:image/png;base64,AAAA",
                "https://example.com/cat.png",
            )
        ]
    ),
    max_size=3,
)


@pytest.mark.slow
@BOUNDED
@given(
    lines=st.lists(st.tuples(OWN_BODIES, CONTENT), min_size=2, max_size=6),
    model=MODELS,
    same=st.booleans(),
)
def test_lines_of_any_values_of_their_own(
    lines: list[tuple[dict[str, Any], Any]], model: str, same: bool
) -> None:
    """In any order: what fits no hole, looks like one, or is refused goes the ordinary way."""
    first = lines[0][0]
    bodies = []
    for own, content in lines:
        members = {name: own.get(name, first[name]) for name in first} if same else own
        turns = [{"role": "user", "content": content}, {"role": "user", "content": "x"}]
        bodies.append({"model": model, "messages": turns, **members})
    alone = []
    for body in bodies:
        frames.forget()
        alone.append(translated(CHAT, body, POLICY, model))
    frames.forget()
    for _ in range(3):
        assert [translated(CHAT, body, POLICY, model) for body in bodies] == alone


@pytest.mark.parametrize(
    ("path", "values"),
    [
        (CHAT, {"seed": [1, 2, 3, 4]}),
        (CHAT, {"temperature": [0.1, 0.2, 0.3, 1]}),
        (CHAT, {"metadata": [{"a": str(n)} for n in range(4)]}),
        (CHAT, {"max_tokens": [1, 2, 3, 8_192]}),
        (RESPONSES, {"user": ["a", "b", "c", "d"], "max_output_tokens": [5, 6, 7, 8]}),
        (RESPONSES, {"instructions": ["a", "b", "c", '"d\\"']}),
    ],
)
def test_options_are_read_for_two_lines_only(
    path: str, values: dict[str, list[Any]], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Otherwise the properties above would compare the ordinary way with itself."""
    read = []
    table = next(table for table in TABLES if table.path == path)
    before = type(table).read

    def counted(self: Any, value: Any, target: Any, where: str = "") -> None:
        read.append(self.path)
        before(self, value, target, where)

    monkeypatch.setattr(type(table), "read", counted)
    frames.forget()
    field = "messages" if path == CHAT else "input"
    for number in range(4):
        own = {name: several[number] for name, several in values.items()}
        body = {"model": MODEL, field: [{"role": "user", "content": "Hi"}], **own}
        made = ENDPOINTS[path].to_gemini(body, POLICY, MODEL)
        assert not isinstance(made, LineError)
        text = b"".join([*made[0], *made[1]]).decode()
        for value in own.values():
            shown = orjson.dumps(value).decode()
            assert shown in text or orjson.dumps(shown).decode()[1:-1] in text
    # The first line as it is, the second as the first of its shape.
    assert read.count(path) == 2


def test_a_budget_of_thoughts_is_compared_with_each_limit() -> None:
    """A limit that thoughts may take whole is noted, whatever lines came before."""
    frames.forget()
    noted = []
    for limit in (4_000, 5_000, 6_000, 500, 1_024, 1_025, 7_000):
        messages = [{"role": "user", "content": "Hi"}]
        body = {"model": MODEL, "messages": messages, "reasoning_effort": "low", "seed": limit}
        made = ENDPOINTS[CHAT].to_gemini({**body, "max_tokens": limit}, POLICY, MODEL)
        assert not isinstance(made, LineError)
        assert orjson.loads(made[0][0])["generationConfig"]["maxOutputTokens"] == limit
        noted.append([note.code for note in made[2]])
    assert noted == [[], [], [], ["risky"], ["risky"], [], []]


@pytest.mark.parametrize(
    ("budget", "limits", "times"),
    [
        ({"reasoning_effort": "low"}, range(1_020, 1_032), 3),  # each side of 1,024 tokens
        ({"reasoning_effort": "low"}, range(1_030, 1_042), 2),
        ({"reasoning_effort": "medium"}, range(4_000, 4_012), 2),  # 8,192: none is above
        ({"google": {"thinking_config": {"thinking_budget": 510}}}, range(505, 517), 3),
        # There is no stand-in below, or it would not be told from the budget.
        ({"google": {"thinking_config": {"thinking_budget": 509}}}, range(504, 516), 7),
        ({"google": {"thinking_config": {"thinking_budget": 300}}}, range(295, 307), 7),
        # None above, for all that are taken out are below 8,192 and most below 7,919.
        ({"google": {"thinking_config": {"thinking_budget": 8_000}}}, range(7_990, 8_002), 3),
    ],
)
def test_limits_on_both_sides_of_a_budget_are_written_into_frames(
    budget: dict[str, Any], limits: range, times: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Options are read for the first line, for the shape, and once for limits below the budget."""
    read = []
    table = next(table for table in TABLES if table.path == CHAT)
    before = type(table).read

    def counted(self: Any, value: Any, target: Any, where: str = "") -> None:
        read.extend([self.path] if self.path == CHAT else [])
        before(self, value, target, where)

    lines = [
        {"messages": [{"role": "user", "content": "Hi"}], "seed": n, "max_tokens": n, **budget}
        for n in limits
    ]
    alone = []
    for line in lines:
        frames.forget()
        alone.append(translated(CHAT, line, POLICY, MODEL))
    frames.forget()
    monkeypatch.setattr(type(table), "read", counted)
    assert [translated(CHAT, line, POLICY, MODEL) for line in lines] == alone
    assert len(read) == times


_LOOKS_LIKE_ONE: Final = "\x1a1000\x1a"


def described(**members: Any) -> dict[str, Any]:
    """A schema whose text differs from line to line."""
    texts = {"a": {"type": "string", "description": "what differs"}}
    return {"type": "object", "properties": texts, **members}


@pytest.mark.parametrize(
    ("stop", "schema"),
    [
        (_LOOKS_LIKE_ONE, described()),
        ("\x1a900\x1a", described()),
        ("x", described(title=_LOOKS_LIKE_ONE)),
        ("x", described(description=_LOOKS_LIKE_ONE)),
        ("x", described(description="u001a")),
    ],
)
def test_texts_that_look_like_stand_ins_stay_what_they_are(
    stop: str, schema: dict[str, Any]
) -> None:
    """From the second line on another text was written in their place."""
    form = {"type": "json_schema", "json_schema": {"name": "n", "schema": schema}}
    turns = [{"role": "user", "content": "Hi"}]
    body = {"messages": turns, "stop": stop, "response_format": form, "metadata": {"a": "b"}}
    lines = [sibling(CHAT, body, number) for number in range(1, 15)]
    frames.forget()
    among_others = [translated(CHAT, line, POLICY, MODEL) for line in lines]
    for line, made in zip(lines, among_others, strict=True):
        frames.forget()
        assert not isinstance(made, LineError)
        assert translated(CHAT, line, POLICY, MODEL) == made


def test_instructions_that_look_like_stand_ins_stay_what_they_are() -> None:
    """Those of responses are told in the answer, too."""
    form = {"type": "json_schema", "name": "n", "schema": described(title="\x1a901\x1a")}
    body = {"input": "Hi", "instructions": "Rhyme.", "text": {"format": form}}
    lines = [sibling(RESPONSES, body, number) for number in range(1, 15)]
    frames.forget()
    among_others = [translated(RESPONSES, line, POLICY, MODEL) for line in lines]
    for line, made in zip(lines, among_others, strict=True):
        frames.forget()
        assert translated(RESPONSES, line, POLICY, MODEL) == made


def test_values_in_texts_of_the_hints_are_escaped_there() -> None:
    """What a Response repeats of its request is a text that holds JSON."""
    texts = ["a", "b", 'C:\\new "c"', "\\", '"', '\\"\\', "\n\t\x00", "\u2028é", "\\u001a"]
    lines = [{"input": "Hi", "instructions": text, "user": text} for text in texts]
    frames.forget()
    among_others = [translated(RESPONSES, line, POLICY, MODEL) for line in lines]
    for line, made in zip(lines, among_others, strict=True):
        frames.forget()
        assert not isinstance(made, LineError)
        assert translated(RESPONSES, line, POLICY, MODEL) == made


ADDRESS: Final = "https://example.com/cat.png"
DATA: Final = "data:image/png;base64,QUJD"


@pytest.mark.parametrize("templates", [True, False])
@pytest.mark.parametrize("model", [MODEL, "gemini-2.5-flash-preview-tts"])
@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/completions", {"prompt": "Hi", "seed": 7}),
        ("/v1/completions", {"prompt": "Hi", "seed": 7, "stop": "\x1a0\x1a"}),
        ("/v1/completions", {"prompt": ["Hi", "Ho"], "max_tokens": 5_000}),
        (CHAT, {"messages": [{"role": "user", "content": "Hi", "name": "me"}], "seed": 7}),
        (
            CHAT,
            {
                "messages": [
                    {"role": "system", "content": "Rhyme."},
                    {"role": "user", "content": "Hi"},
                ],
                "seed": 7,
            },
        ),
        (
            CHAT,
            {
                "messages": [
                    {
                        "role": "user",
                        "content": [
                            {"type": "image_url", "image_url": {"url": url, "detail": "low"}}
                        ],
                    }
                    for url in (ADDRESS, DATA)
                ],
                "max_tokens": 5_000,
            },
        ),
        (RESPONSES, {"input": "Hi", "instructions": "Rhyme."}),
        (RESPONSES, {"input": "Hi", "instructions": "Rhyme.", "max_output_tokens": 5_000}),
        (
            RESPONSES,
            {
                "input": [
                    {
                        "role": "user",
                        "content": [{"type": "input_image", "image_url": ADDRESS}],
                    }
                ],
                "instructions": "Rhyme.",
                "max_output_tokens": 5_000,
            },
        ),
    ],
)
def test_every_way_to_write_a_line_takes_its_own_values(
    path: str, body: dict[str, Any], model: str, monkeypatch: pytest.MonkeyPatch, *, templates: bool
) -> None:
    """From the template of one text, from that of a conversation, and in full."""
    if not templates:
        monkeypatch.setattr(compiled_options, "_template", lambda *_: None)
    check(path, body, POLICY, model, around=5)


@pytest.mark.parametrize(
    "own", [{"stop": "\ud83d"}, {"metadata": {"a": "\ud83d"}}, {"seed": 2**70}]
)
def test_what_no_writer_writes_is_refused_among_others(own: dict[str, Any]) -> None:
    """Half of a character, or too long a number: no shape is looked for, and no line has it."""
    turns = [{"role": "user", "content": "Hi"}]
    lines = [{"messages": turns, "seed": number, "metadata": {"a": "b"}} for number in range(12)]
    frames.forget()
    alone = translated(CHAT, {"messages": turns, **own}, POLICY, MODEL)
    good = [translated(CHAT, line, POLICY, MODEL) for line in lines]
    assert isinstance(alone, LineError)
    assert translated(CHAT, {"messages": turns, **own}, POLICY, MODEL) == alone
    assert [translated(CHAT, line, POLICY, MODEL) for line in lines] == good


def test_kinds_of_lines_are_found_by_their_members(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kinds of lines in turn are not looked for in the cache; more than some are not kept."""
    frames.forget()
    compiler = frames.Compiler(_OWN[CHAT], chat._build)
    found: list[tuple[str, ...]] = []
    look_up = compiler._look_up

    def counted(place: Any, names: tuple[str, ...], taken: Any) -> Any:
        found.append(names)
        return look_up(place, names, taken)

    monkeypatch.setattr(compiler, "_look_up", counted)
    kinds: list[dict[str, Any]] = [{"top_p": 0.5}, {"stop": "a"}, {"n": 1}]
    for number in range(12):
        for kind in kinds:
            compiler.compile({"model": "m", "seed": number, **kind}, MODEL, POLICY)
    assert sorted(found) == sorted(("model", "seed", *kind) for kind in kinds)
    # Another text in place of the last one is another shape; the next line has it at once.
    for seed in range(4):
        compiler.compile({"model": "m", "seed": seed, "stop": "b"}, MODEL, POLICY)
    assert len(compiler._found) == len(kinds)
    monkeypatch.setattr(frames, "_MOST_FOUND", 3)
    for seed in (1, 2, 3):
        compiler.compile({"model": "m", "top_k": 7, "seed": seed}, MODEL, POLICY)
    assert list(compiler._found) == [("model", "top_k", "seed")]
    # What the cache has given up is not kept here.
    frames.forget()
    compiler.by_shape({"model": "m", "top_k": 7, "seed": 4}, MODEL, POLICY)
    assert not compiler._found


SAFE: Final = Policy(safety_settings={"HARM_CATEGORY_HARASSMENT": "BLOCK_NONE"})
# Each pair differs in one of the two, and in what is made of the same options.
PLACES: Final = ((MODEL, POLICY), ("gemini-3-flash-preview", POLICY), (MODEL, SAFE))


@pytest.mark.parametrize(
    ("path", "same", "own"),
    [
        (CHAT, {"reasoning_effort": "low"}, ()),
        (CHAT, {"reasoning_effort": "low"}, ("seed", "user")),
        (CHAT, {"reasoning_effort": "low"}, ("metadata", "max_tokens")),
        (RESPONSES, {"reasoning": {"effort": "low"}}, ()),
        (RESPONSES, {"reasoning": {"effort": "low"}}, ("metadata", "max_output_tokens")),
    ],
)
def test_lines_in_turn_under_other_models_and_policies(
    path: str, same: dict[str, Any], own: tuple[str, ...]
) -> None:
    """What the line before was compiled to is for its own model, policy and shape alone."""
    lines = []
    for number in range(24):
        model, policy = PLACES[number // 2 % 3]
        # One name for all: where aliases differ, so does the model of a name.
        body = {"model": "x", "messages" if path == CHAT else "input": _turns(number), **same}
        for name in own:
            values = {"seed": number, "user": f"u{number}", "metadata": {"n": f"{number}"}}
            body[name] = values.get(name, 2_000 + number)  # above the budget of thoughts
        if number % 8 == 5:  # another shape
            body["top_p"] = 0.5
        lines.append((body, policy, model))
    alone = []
    for body, policy, model in lines:
        frames.forget()
        alone.append(translated(path, body, policy, model))
    assert len({repr(made[0]) for made in alone}) > len(PLACES)
    frames.forget()
    for _ in range(3):  # often enough that options are looked for by their shape from some line on
        assert [translated(path, *line) for line in lines] == alone


def _turns(number: int) -> list[dict[str, Any]]:
    return [{"role": "user", "content": f"Hi {number}"}]
