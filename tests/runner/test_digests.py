"""Digests of answered requests: found again, in turn, and their answers copied under other keys."""

from collections.abc import Iterable, Mapping, Sequence
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.runner.cpu.archive import pack
from gateway.runner.cpu.digests import (
    Answered,
    DigestWriter,
    MergeTask,
    Place,
    digester,
    is_steady,
    is_whole,
    merge,
    requests_of,
)
from gateway.runner.cpu.gather import Earlier, GatherTask, WantedWriter, gather
from gateway.translate import Policy
from gateway.wire.gemini import EMBED_CONTENT, GENERATE_CONTENT
from tests.runner.test_ranges import in_ranges, task_of
from tests.runner.world import MODEL, chat

POLICY = Policy().to_json()


def whole(text: str) -> dict[str, Any]:
    """An answer."""
    return {"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}]}


def written(path: Path, requests: Iterable[tuple[bytes, int, int]]) -> str:
    """A file of digests."""
    digest = digester(POLICY, GENERATE_CONTENT, MODEL)
    writer = DigestWriter()
    for request, line, item in requests:
        writer.add(digest(request), line, item)
    assert writer.write(path)
    return str(path)


def results(path: Path, rows: Sequence[Mapping[str, Any]]) -> Path:
    """Raw results."""
    path.write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in rows))
    return path


def gathered(tmp_path: Path, raw: Path, wanted: Mapping[int, Sequence[Place]], **more: Any) -> Any:
    """What is copied for the lines of a batch, by key; how many are missing."""
    writer = WantedWriter(tmp_path / "wanted")
    for line, places in wanted.items():
        writer.add(line, places)
    writer.close()
    target = tmp_path / "target"
    values = {"source": 0, "inline": False, "alone": False, **more}
    summary = gather(
        GatherTask(
            wanted=str(writer.path),
            raw=str(raw),
            target=str(target),
            scratch=str(tmp_path),
            **values,
        )
    )
    rows = [orjson.loads(line) for line in target.read_bytes().splitlines()]
    return {row["key"]: row["response"] for row in rows}, summary.missing


@pytest.mark.slow
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(jobs=st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=30), min_size=1, max_size=5))
def test_every_request_is_found_in_the_newest_job_first(
    tmp_path: Path, jobs: list[list[int]]
) -> None:
    """As often as it was answered, then from the beginning."""
    paths = [
        written(
            tmp_path / f"digests-{n}", ((b"{%d}" % r, line, 0) for line, r in enumerate(job, 1))
        )
        for n, job in enumerate(jobs)
    ]
    assert merge(MergeTask(paths, str(tmp_path / "all"))).items == sum(map(len, jobs))
    digest = digester(POLICY, GENERATE_CONTENT, MODEL)
    with ExitStack() as files:
        answered = Answered(tmp_path / "all", files)
        for request in range(10):
            places = [
                Place(n, line, 0)
                for n, job in enumerate(jobs)
                for line, each in enumerate(job, 1)
                if each == request
            ]
            found = [answered.find([digest(b"{%d}" % request)]) for _ in range(len(places) + 1)]
            assert found == [[place] for place in [*places, *places[:1]]] if places else [None]
        assert answered.find([digest(b"{x}")]) is None
        assert answered.find([digest(b"{%d}" % jobs[0][0]), digest(b"{x}")]) is None


@pytest.mark.parametrize(
    ("wanted", "answers", "request_", "method", "found"),
    [
        (3, 1, b"{}", GENERATE_CONTENT, False),
        (3, 3, b"{}", GENERATE_CONTENT, True),
        (3, 1, b'{"generationConfig":{"temperature":0}}', GENERATE_CONTENT, True),
        (3, 1, b"{}", EMBED_CONTENT, True),
    ],
)
def test_choices_of_a_line_are_several_answers(
    tmp_path: Path, wanted: int, answers: int, request_: bytes, method: str, *, found: bool
) -> None:
    """Three choices are no answer three times, but where each attempt says the same."""
    digest = digester(POLICY, method, MODEL)
    writer = DigestWriter()
    for line in range(1, answers + 1):
        writer.add(digest(request_), line, 0)
    writer.write(tmp_path / "digests")
    merge(MergeTask([str(tmp_path / "digests")], str(tmp_path / "all")))
    with ExitStack() as files:
        earlier = Earlier(Answered(tmp_path / "all", files), POLICY, method, every_line=True)
        for _ in range(2):  # the second line is given those of the first
            places = earlier.find(MODEL, [request_] * wanted)
            assert (places is not None) is found
            assert places is None or len(set(places)) == answers


@pytest.mark.parametrize(
    "other",
    [
        digester(POLICY, GENERATE_CONTENT, "another-model"),
        digester(POLICY, EMBED_CONTENT, MODEL),
        digester({**POLICY, "strict": True}, GENERATE_CONTENT, MODEL),
    ],
    ids=["model", "method", "policy"],
)
def test_everything_that_is_asked_is_in_the_digest(other: Any) -> None:
    """Not the aliases: the model that they lead to is."""
    digest = digester(POLICY, GENERATE_CONTENT, MODEL)
    aliased = digester({**POLICY, "aliases": {"a": "b"}}, GENERATE_CONTENT, MODEL)
    assert digest(b"{}") == aliased(b"{}") != other(b"{}")
    assert digest(b"{}") != digest(b"{ }")


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ({"response": whole("x")}, True),
        ({"response": {"embedding": {"values": [1]}}}, True),
        ({"error": {"code": 13}}, False),
        ({"response": {}}, False),
        ({"response": {"candidates": []}}, False),
        ({"response": {"candidates": [1]}}, False),
        ({"response": {"candidates": [{"finishReason": "MAX_TOKENS"}]}}, False),
        ({"response": {"candidates": [{"finishReason": "STOP"}, {}]}}, False),
        ({"response": {"promptFeedback": {"blockReason": "SAFETY"}}}, False),
    ],
)
def test_only_whole_answers_are_given_again(answer: dict[str, Any], *, expected: bool) -> None:
    """Every choice of them."""
    assert is_whole(answer) is expected


@pytest.mark.parametrize(
    ("request_", "expected"),
    [
        (b'{"generationConfig":{"temperature":0}}', True),
        (b'{"generationConfig":{"temperature":0.0,"seed":1}}', True),
        (b'{"generationConfig":{"temperature":0.5}}', False),
        (b'{"contents":[{"parts":[{"text":"\\"temperature\\":0"}]}]}', False),
        (b'{"contents":[{"x":{"temperature":0}}]}', False),
        (b"{}", False),
    ],
)
def test_steady_is_temperature_zero(request_: bytes, *, expected: bool) -> None:
    """Wherever else the words stand."""
    assert is_steady(request_) is expected


def test_answers_are_copied_as_they_came(tmp_path: Path) -> None:
    """Under the new keys, one for several lines too; errors and what is not wanted are not."""
    odd = b'{"key":"2","response":{"candidates":[{"finishReason":"STOP"}],"n":1.50e+0}}\n'
    rows = [{"key": "1", "error": {"code": 13}}, {"key": "1", "response": whole("one")}]
    raw = results(tmp_path / "raw", [*rows, {"key": "9", "response": whole("nine")}])
    raw.write_bytes(raw.read_bytes() + odd)
    wanted = {7: [Place(0, 1, 0)], 8: [Place(0, 1, 0)], 9: [Place(0, 2, 0)], 10: [Place(5, 1, 0)]}

    found, missing = gathered(tmp_path, raw, wanted)

    assert missing == 0
    assert found == {
        "7.0": whole("one"),
        "8.0": whole("one"),
        "9.0": {"candidates": [{"finishReason": "STOP"}], "n": 1.5},
    }
    assert odd.replace(b'"2"', b'"9.0"') in (tmp_path / "target").read_bytes()


def test_items_keep_their_order_in_the_line(tmp_path: Path) -> None:
    """Whatever their places were."""
    rows = [{"response": whole(key), "key": key} for key in ("3.0", "3.1", "4")]
    places = [Place(0, 4, 0), Place(0, 3, 1), Place(0, 3, 0)]
    found, missing = gathered(tmp_path, results(tmp_path / "raw", rows), {2: places})
    assert (found, missing) == ({"2.0": whole("4"), "2.1": whole("3.1"), "2.2": whole("3.0")}, 0)


def test_what_is_not_there_is_counted(tmp_path: Path) -> None:
    """So that its lines are asked like any other."""
    raw = results(tmp_path / "raw", [{"key": "1", "response": whole("x")}])
    _, missing = gathered(tmp_path, raw, {1: [Place(0, 1, 0)], 2: [Place(0, 2, 0)]})
    assert missing == 1


def test_a_single_answer_without_a_key_is_found(tmp_path: Path) -> None:
    """As collecting finds it: inline answers have lacked their keys for weeks."""
    operation = {"response": {"inlinedResponses": {"inlinedResponses": [{"response": whole("x")}]}}}
    raw = results(tmp_path / "raw", [operation])
    found, missing = gathered(tmp_path, raw, {5: [Place(0, 3, 0)]}, inline=True, alone=True)
    assert (found, missing) == ({"5.0": whole("x")}, 0)
    (tmp_path / "target").unlink()
    found, missing = gathered(tmp_path, raw, {5: [Place(0, 3, 0)]}, inline=True)
    assert (found, missing) == ({}, 1)


def test_archives_and_deep_answers_are_read(tmp_path: Path) -> None:
    """A structure that orjson reads, and does not write."""
    deep: Any = 1
    for _ in range(300):
        deep = [deep]
    answer = {**whole("x" * 70_000), "deep": deep}
    text = b'{"response":%b,"key":"1"}\n' % (
        orjson.dumps(whole("x" * 70_000))[:-1] + b',"deep":' + b"[" * 300 + b"1" + b"]" * 300 + b"}"
    )
    raw = tmp_path / "raw"
    raw.write_bytes(text)
    packed = pack(raw)
    assert packed is not None
    found, missing = gathered(tmp_path, packed, {1: [Place(0, 1, 0)]})
    assert (found, missing) == ({"1.0": answer}, 0)


@pytest.mark.parametrize("count", [1, 3])
def test_ranges_find_what_one_process_finds(tmp_path: Path, count: int) -> None:
    """Lines that were answered are in jobs of their own, which are never sent and never joined."""
    earlier = task_of(tmp_path / "earlier", _lines(0, 40), policy=POLICY)
    before = in_ranges(earlier, 1)
    assert before is not None
    spool = Path(before.jobs[0].spool)
    digests = written(
        tmp_path / "digests", ((r, line, item) for line, item, r in requests_of(spool))
    )
    merge(MergeTask([digests], str(tmp_path / "answered")))
    more = {"policy": POLICY, "answered": str(tmp_path / "answered"), "every_line": True}

    summary = in_ranges(task_of(tmp_path / "later", _lines(20, 80), **more), count)

    assert summary is not None
    reused = [job for job in summary.jobs if job.answers is not None]
    sent = [job for job in summary.jobs if job.answers is None]
    assert [sum(job.lines for job in jobs) for jobs in (reused, sent)] == [20, 40]
    assert [job.number for job in summary.jobs] == list(range(len(summary.jobs)))
    assert {source for job in reused for source in job.sources} == {0}
    rows = [{"key": str(n + 1), "response": whole(f"re {n}")} for n in range(40)]
    raw = results(tmp_path / "raw", rows)
    found: dict[str, Any] = {}
    for job in reused:
        target = Path(job.answers or "").with_suffix(".raw")
        task = GatherTask(
            job.answers or "",
            0,
            str(raw),
            inline=False,
            alone=False,
            target=str(target),
            scratch="",
        )
        assert gather(task).missing == 0
        for line in target.read_bytes().splitlines():
            row = orjson.loads(line)
            found[row["key"]] = row["response"]
    assert found == {f"{line}.0": whole(f"re {line + 19}") for line in range(1, 21)}


def _lines(first: int, end: int) -> bytes:
    return b"".join(chat(f"{n}", f"say {n}") for n in range(first, end))
