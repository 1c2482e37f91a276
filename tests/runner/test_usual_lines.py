"""Results of the usual kind are written as all others are: a mark sends them the ordinary way."""

import re
from collections.abc import Sequence
from dataclasses import asdict, replace
from pathlib import Path
from random import Random  # noqa: TID251 - hypothesis draws its seed
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.batches.runs import unpack
from gateway.runner.cpu import usual_lines
from gateway.runner.cpu.collect import CollectSummary, CollectTask, collect
from gateway.runner.cpu.echoes import Echoes, EchoWriter
from gateway.runner.cpu.trail import Trail, reading
from gateway.runner.cpu.usual_lines import UsualLines
from gateway.translate import NO_USAGE, AnswerHints, Rendered
from gateway.wire.gemini_results import parse_result
from gateway.wire.usual_results import usual_result
from tests.runner.test_work import CHAT, echo_of

# A member that no answer shows and no usual one has, and as much of nothing.
MARK = '"unheardOf":0,'
NOTHING = " " * len(MARK)
RESPONSE = re.compile(rb'"response"\s*:\s*\{(?=\s*")')
SCHEMA = {"type": "object", "properties": {"a": {"type": "integer"}}, "required": ["a"]}
FORMAT = {"type": "json_schema", "json_schema": {"name": "n", "schema": SCHEMA}}
TOOLS = [{"type": "function", "function": {"name": "find", "parameters": {"type": "object"}}}]
ECHO = [
    echo_of(1, "plain"),
    echo_of(2, 'quoted "\u2028" \\', response_format=FORMAT),
    echo_of(4, "tools", tools=TOOLS),
    echo_of(5, "metadata", metadata={"k": "v"}),
    echo_of(6, "many", n=2),
    echo_of(7, "näive"),
]
KEYS = ["1", "2", "4", "5", "7", "7", "6", "6.0", "6.1", "1.0", "01", "3", "٢", "", "x", 1]
TEXTS = [
    "Hi",
    "",
    "\0",
    "a/b",
    "\u2028\u0085",
    "🙂 größer",
    '{"a":1}',
    '{"a":"1"}',
    "<b>",
    "\\u003c",
]
CALL = {"name": "find", "args": {"a": 1.0, "b": [True, "é"]}}


SEEDED = st.integers(0, 2**40).map(Random)


class Written(str):
    """JSON as it is to be written."""

    __slots__ = ()


ODD: list[Any] = [
    None,
    True,
    -1,
    0,
    1.0,
    "12",
    "",
    2**40,
    [],
    {},
    [{}, {}],
    "AUDIO",
    "SAFETY",
]
ODD += map(
    Written, ("1e999", "1E2", "-0", "9" * 30, "NaN", '"\\ud83d"', '"\\ud83d\\ude00"', "[1,]")
)


def response_of(random: Random) -> dict[str, Any]:
    """A response of the usual kind, nearly."""
    texts: list[dict[str, Any]] = [{"text": random.choice(TEXTS)}, {"text": "Hi"}]
    part = random.choice([*texts, {"functionCall": CALL}, {"functionCall": {"name": "lost"}}])
    if random.random() < 0.3:
        part = {**part, "thoughtSignature": random.choice(["c2ln", "c2ln", ""])}
    parts = [part] * random.choice([1, 1, 1, 2, 0])
    ended = random.choice([*["STOP"] * 9, "MAX_TOKENS", "SAFETY"])
    candidate = {"content": {"parts": parts, "role": "model"}, "finishReason": ended, "index": 0}
    details = [{"modality": random.choice(["TEXT", "TEXT", "IMAGE"]), "tokenCount": 7}]
    output = random.choice([3, 3, 3, 3, 0])
    usage = {"promptTokenCount": 7, "candidatesTokenCount": output, "totalTokenCount": 12}
    more = {"thoughtsTokenCount": 2, "cachedContentTokenCount": 4, "promptTokensDetails": details}
    return {
        "candidates": [candidate] * random.choice([1, 1, 1, 1, 2, 0]),
        "usageMetadata": {**usage, **{name: more[name] for name in random.sample([*more], 2)}},
        "modelVersion": random.choice(["gemini-2.5-flash", "models/gemini-é"]),
        "responseId": random.choice(["an id", "100%d", '"']),
    }


MORE = {"error": {"code": 8}, "metadata": {"key": "2"}, "promptFeedback": {}, "safetyRatings": []}


def written(value: Any, random: Random) -> str:
    """Write JSON in any order, with spaces, doubled and unknown members, and escapes."""
    if isinstance(value, Written):
        return value
    if random.random() < 0.007:
        return written(random.choice(ODD), random)
    space = random.choice(["", "", "", " ", "\t \r"])
    if isinstance(value, list):
        return f"[{space}" + f"{space},".join(written(one, random) for one in value) + "]"
    if isinstance(value, dict):
        members = random.sample([*value.items()], len(value))
        if members and random.random() < 0.03:
            members.append((random.choice(members)[0], random.choice([*ODD, "Hi", "1"])))
        if random.random() < 0.01:
            members.append(random.choice([*MORE.items(), ("odd", {})]))
        texts = [f"{text(name, random)}{space}:{written(one, random)}" for name, one in members]
        return "{" + f"{space},".join(texts) + space + "}"
    return text(value, random) if isinstance(value, str) else orjson.dumps(value).decode()


def text(value: str, random: Random) -> str:
    """Write a text, as Google does or in another way."""
    kind = random.random()
    if kind < 0.05:
        units = value.encode("utf-16-be")
        return '"' + "".join(f"\\u{units[n : n + 2].hex()}" for n in range(0, len(units), 2)) + '"'
    made = orjson.dumps(value).decode()
    return made.replace("/", "\\/").replace("<", "\\u003c") if kind < 0.4 else made


def result(random: Random) -> bytes:
    """A line of a results file, behind whose first brace a mark has room."""
    row = {"key": random.choice(KEYS), "response": response_of(random)}
    line = bytearray(written(row, random).encode())
    if random.random() < 0.03:
        line.insert(random.randrange(len(line)), random.choice(b'\xff\x80\xc3\xed\0\1"\\ ,'))
    if random.random() < 0.03:
        del line[random.randrange(len(line)) :]
    return bytes(line)


def marked(line: bytes, mark: str) -> bytes:
    """Put a mark into the response, or as much of nothing in front where there is none."""
    found = RESPONSE.search(line)
    at = found.end() if found else 0
    return line[:at] + (mark if found else NOTHING).encode() + line[at:]


def collected(
    place: Path, lines: Sequence[bytes], mark: str, **changes: Any
) -> tuple[CollectSummary, list[bytes]]:
    """What is made of these lines: the summary, and the files."""
    place.mkdir()
    echoes = EchoWriter(place / "echo")
    for each in ECHO:
        echoes.add(*each)
    echoes.close()
    (place / "raw").write_bytes(b"".join(marked(line, mark) + b"\n" for line in lines))
    echo, raw = str(place / "echo"), str(place / "raw")
    base = CollectTask(echo, str(place), "b", CHAT, 1, 100, "gemini-2.5-flash", raw=raw)
    (place / "trail").write_bytes(bytes(8))
    if culprits := changes.pop("culprits", ()):
        changes["trail"] = Trail(str(place / "trail"), 0, culprits)
    made = collect(replace(base, **changes))
    names = (made.run, made.index, made.wanted, made.held)
    files = [Path(name).read_bytes() if name else b"" for name in names]
    files[-1] = files[-1].replace(MARK.encode(), NOTHING.encode())
    return replace(made, run="", index="", wanted=None, held=None), files


@given(random=SEEDED, count=st.integers(1, 12), again=st.booleans(), told=st.booleans())
def test_both_ways_have_the_same_outcome(
    tmp_path_factory: pytest.TempPathFactory, random: Random, count: int, again: bool, told: bool
) -> None:
    """Lines, notes, tokens, costs, and all that is counted, whatever results come."""
    place = tmp_path_factory.mktemp("both")
    lines = [result(random) for _ in range(count)]
    policy = {"schema_check": "error", "answer_model": "asked"} if told else {}
    starts = [sum(len(line) + 1 + len(MARK) for line in lines[:n]) for n in range(count)]
    culprits = [reading(random.choice(starts))] if random.random() < 0.1 else []
    changes = {"again": again, "retry_empty": told, "policy": policy, "culprits": culprits}

    usual = collected(place / "usual", lines, NOTHING, **changes)
    ordinary = collected(place / "ordinary", lines, MARK, **changes)

    assert asdict(usual[0]) == asdict(ordinary[0])
    assert usual[1] == ordinary[1]


@given(random=SEEDED)
def test_what_is_usual_is_what_a_parser_reads(random: Random) -> None:
    """The same values; and a mark is told."""
    line = result(random)
    key, answer = parse_result(line)

    found = usual_result(line)

    assert RESPONSE.search(line) is None or usual_result(marked(line, MARK)) is None
    if found is not None:
        [candidate] = answer["response"]["candidates"]
        parts = candidate["content"]["parts"]
        assert found.key == key
        assert found.response.response_id == answer["response"]["responseId"]
        assert found.response.model_version == answer["response"]["modelVersion"]
        texts = [part.text for part in found.response.candidates[0].content.parts]
        assert texts == [part.get("text", "") for part in parts]
        counts = answer["response"]["usageMetadata"]
        assert found.response.usage_metadata.prompt_token_count == counts["promptTokenCount"]


def usual(key: str, said: str = "Hi") -> bytes:
    """A result of the usual kind."""
    random = Random(1)
    response = response_of(random)
    while not usual_result(orjson.dumps({"key": "1", "response": response})):
        response = response_of(random)
    response["candidates"][0]["content"]["parts"] = [{"text": said}]
    return orjson.dumps({"key": key, "response": response})


CALLED = usual("4").replace(b'{"text":"Hi"}', b'{"functionCall":{"name":"find","args":{"a":"x"}}}')


@pytest.mark.parametrize(
    "results",
    [
        [usual("6")],  # of a line of two
        [usual("6"), usual("6.1")],
        [usual("1.0")],
        [usual("1"), usual("1", "other")],
        [usual("1").replace(b'"STOP"', b'"MAX_TOKENS"')],
        [usual("1").replace(b'"candidatesTokenCount":3', b'"candidatesTokenCount":0')],
        [CALLED],
        [CALLED.replace(b'"x"', b'"\\ud83d"')],  # half of an emoji
        [CALLED.replace(b'"x"', b'"\xff"')],
        [CALLED.replace(b'"x"', b"1e999")],
        [CALLED.replace(b'"x"', b"9" * 5000)],
        [CALLED.replace(b'"x"', b"[" * 1100 + b"]" * 1100)],
        [usual("7").replace(b'"Hi"', b'"\xed\xa0\x80"')],
        [usual("7").replace(b'"Hi"', b'"\\u0000\\/\\ud83d\\ude00"')],
        [b"", b" ", usual("1"), b"{", b"null"],
    ],
)
@pytest.mark.parametrize("again", [False, True])
def test_odd_results(tmp_path: Path, results: Sequence[bytes], again: bool) -> None:
    """Each by itself."""
    made = collected(tmp_path / "usual", results, NOTHING, again=again)
    assert made == collected(tmp_path / "ordinary", results, MARK, again=again)
    assert made[0].internal == {}


def test_more_than_are_written_together(tmp_path: Path) -> None:
    """And one that waits for no others; each comes twice."""
    said = ["x" * 200_000, "Hi", "Ho"] * 40
    lines = [usual(str(key), each) for key in (1, 2, 4, 5, 7) for each in said]

    made = collected(tmp_path / "usual", lines, NOTHING)

    assert made == collected(tmp_path / "ordinary", lines, MARK)
    assert made[0].doubled == len(lines) - 5
    [first, *_] = unpack(made[1][1])
    assert first.length > 200_000


class Rendering:
    """What renders no answer, or each; and counts them."""

    def __init__(self) -> None:
        self.asked = 0
        self.renders = False

    def __call__(self, _hints: AnswerHints, _line: int, _response: Any) -> Rendered | None:
        """Count, and say whether it is usual."""
        self.asked += 1
        return (200, b"{}", NO_USAGE, ()) if self.renders else None


def test_a_job_of_other_results_is_not_tried_at_each(tmp_path: Path) -> None:
    """To try takes time; once it comes to something, all are tried again."""
    collected(tmp_path / "job", [b"{}"], "")
    rendering, text = Rendering(), usual("1")
    with Echoes(tmp_path / "job" / "echo") as echoes:
        lines = UsualLines(echoes, "b", rendering)
        for _ in range(100 * usual_lines.ONE_OF):
            assert lines.made_of(text) is None
        assert usual_lines.UNUSUAL < rendering.asked <= usual_lines.UNUSUAL + 100
        rendering.renders = True
        made = [lines.made_of(text) for _ in range(100 + usual_lines.ONE_OF)]
    assert all(made[usual_lines.ONE_OF :])
