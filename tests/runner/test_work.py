"""The CPU steps by themselves: limits, duplicates, cuts, and the odd results."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.batches.job import Failure
from gateway.batches.planning import JobLimits
from gateway.batches.runs import Kind, unpack
from gateway.runner.cpu.collect import CollectSummary, CollectTask, collect
from gateway.runner.cpu.duplicates import SeenIds, repeated
from gateway.runner.cpu.echoes import Echoes, EchoWriter
from gateway.runner.cpu.guard import Guard
from gateway.runner.cpu.trail import Trail, reading, working_on
from gateway.runner.cpu.validate import (
    InputLimits,
    ValidateSummary,
    ValidateTask,
    _OpenJob,
    validate,
)
from gateway.translate.contract import LineError, Policy
from gateway.translate.endpoints import ENDPOINTS
from tests.runner.world import chat

LIMITS = InputLimits(
    max_lines=100,
    max_items=100,
    max_line_bytes=4000,
    max_warnings=100,
    max_reported_errors=5,
    max_named_files=3,
    max_staged_bytes=1000,
)
JOBS = JobLimits(1000, 10**9, 2**20, 100, 20)
CHAT = "/v1/chat/completions"
FLASH = "gemini-2.5-flash"  # it has log probabilities


def check(
    tmp_path: Path,
    lines: Iterable[bytes],
    limits: InputLimits = LIMITS,
    jobs: JobLimits = JOBS,
    **changes: Any,
) -> ValidateSummary:
    """Validate these lines."""
    (tmp_path / "input").write_bytes(b"".join(lines))
    scratch = str(tmp_path)
    task = ValidateTask(f"{scratch}/input", scratch, "b", CHAT, {}, None, limits, jobs)
    return validate(replace(task, **changes))


def noted(summary: ValidateSummary | CollectSummary) -> list[dict[str, Any]]:
    """What a step wrote for the warnings file."""
    content = Path(summary.run or "").read_bytes()
    entries = list(unpack(Path(summary.index or "").read_bytes()))
    return [
        orjson.loads(text)
        for e in entries
        if e.kind == Kind.NOTES
        for text in content[e.offset : e.offset + e.length].splitlines()
    ]


def complaints(summary: ValidateSummary) -> list[tuple[str, int | None]]:
    """Codes and lines."""
    return [(error.code, error.line) for error in summary.errors]


def test_an_empty_file_fails(tmp_path: Path) -> None:
    """Also one that is a byte order mark alone."""
    assert complaints(check(tmp_path, [])) == [("empty_file", None)]
    assert complaints(check(tmp_path, [b"\xef\xbb\xbf"])) == [("empty_file", None)]


def test_limits_are_named(tmp_path: Path) -> None:
    """Lines, items, and the length of a line."""
    many = [chat(f"c{n}") for n in range(101)]
    assert complaints(check(tmp_path, many)) == [("too_many_tasks", None)]
    few = replace(LIMITS, max_items=99)
    assert complaints(check(tmp_path, many[:100], few)) == [("too_many_tasks", None)]
    long = [chat("a"), chat("b", "x" * 5000), chat("c")]
    assert complaints(check(tmp_path, long)) == [("line_too_long", 2)]


def test_a_line_is_bounded_by_its_structure_before_it_is_parsed(tmp_path: Path) -> None:
    """31 MB of empty objects took more than 1 GB, and the whole container with it."""
    limits = replace(LIMITS, max_line_bytes=2**25)
    many = chat("b").replace(b'"messages":[', b'"messages":[' + b"{}," * 600_000)
    texts = chat("c", '{"a":[1,"\\"],}' * 200_000)
    summary = check(tmp_path, [chat("a"), many, texts], limits)
    assert complaints(summary) == [("line_too_complex", 2)]
    assert "1200017 brackets" in summary.errors[0].message


def _nested(depth: int) -> object:
    value: object = "a"
    for turn in range(depth):
        value = [value] if turn % 2 else {"k": value}
    return value


@pytest.mark.parametrize("own", [True, False], ids=["own seeds", "the same options"])
@pytest.mark.parametrize(
    "member", ["prediction", "store", "user", "stop", "seed", "tools", "metadata", "messages"]
)
def test_no_line_nests_deeper_however_much_it_is_like_others(
    tmp_path: Path, member: str, own: bool
) -> None:
    """Of those that are like others the depth is not counted; one more member is enough."""

    def line(number: int, **members: object) -> bytes:
        options: dict[str, Any] = {"seed": number} if own else {}
        body = {"user": f"u{number}", "prediction": {"content": "a"}, "store": {"a": []}}
        return chat(f"c{number}", **{**options, **body, **members})

    deep = [_nested(126), _nested(127)]  # with line and body 128 and 129
    if member == "messages":
        deep = [[{"role": "user", "content": value}] for value in (_nested(124), _nested(125))]
    lines = [line(number) for number in range(30)]
    good = check(tmp_path, [*lines, line(30, **{member: deep[0]}), line(31)])
    assert (good.lines, good.errors) == (32, ())
    summary = check(tmp_path, [*lines, line(30, **{member: deep[1]}), line(31)])
    assert complaints(summary) == [("invalid_json_line", 31)]
    assert "128 levels" in summary.errors[0].message


def test_lines_that_processes_die_of_are_refused_alone(tmp_path: Path) -> None:
    """Before, the whole file was: three deaths, and a batch that failed for no line of its own.

    Of one whose envelope nothing can read there is no custom_id: then its file is refused, and the
    entry names it.
    """
    place = tmp_path / "place"
    place.write_bytes(bytes(8))
    lines = [chat(f"c{n}") for n in range(4)]

    summary = check(tmp_path, lines, trail=Trail(str(place), 60, [working_on(2)]))
    assert (summary.refused, [job.lines for job in summary.jobs], summary.errors) == (1, [3], ())
    told = orjson.loads(Path(summary.run or "").read_bytes())
    assert told["custom_id"] == "c1"
    assert told["response"]["body"]["error"]["code"] == "internal_error"

    summary = check(tmp_path, lines, trail=Trail(str(place), 60, [reading(3)]))
    assert complaints(summary) == [("unprocessable_line", 3)]
    alone = check(tmp_path, lines, trail=Trail(str(place), 60, [], working_on(2)))
    assert (alone.errors, [job.lines for job in alone.jobs]) == ((), [1])
    assert place.read_bytes() == bytes(8)


def test_jobs_with_many_log_probabilities_go_by_file(tmp_path: Path) -> None:
    """Their answers are out of proportion; few of them still go inline."""
    few = [
        chat(f"c{n}", model=FLASH, logprobs=True, top_logprobs=5, max_tokens=10) for n in range(100)
    ]
    many = [
        chat(f"c{n}", model=FLASH, logprobs=True, top_logprobs=20, max_tokens=800)
        for n in range(100)
    ]
    assert [job.inline for job in check(tmp_path, few).jobs] == [True]
    assert [job.inline for job in check(tmp_path, many).jobs] == [False]


@pytest.mark.parametrize(
    ("end", "words"),
    [
        (b"\x1a\n", "ends with NUL or Ctrl-Z"),
        (b"\x00\x00\n", "ends with NUL or Ctrl-Z"),
        (b"\r" + chat("b").strip() + b"\n", "carriage return in it"),
        (b'"\xe9"\n', "not valid UTF-8"),
    ],
)
def test_what_spoils_a_line_is_named(tmp_path: Path, end: bytes, words: str) -> None:
    """Files of other systems, by what they are told from."""
    (error,) = check(tmp_path, [chat("a").strip() + end]).errors
    assert words in error.message


def test_lines_of_spaces_at_the_end_are_nothing(tmp_path: Path) -> None:
    """Blank includes spaces and tabs."""
    summary = check(tmp_path, [chat("a"), b"\n", b"   \t\n", b" \r\n", b"\t"])
    assert (summary.lines, summary.errors) == (1, ())


def test_each_line_of_one_model_too_many_has_an_entry(tmp_path: Path) -> None:
    """51 to 54, also behind another error."""
    lines = [chat(f"c{number}", model=f"m{number}") for number in range(54)]
    assert complaints(check(tmp_path, [*lines, chat("d", model="m0")])) == [
        ("mismatched_model", number) for number in range(51, 55)
    ]


def test_errors_quote_names_and_no_contents(tmp_path: Path) -> None:
    """A prompt that is in the wrong member must not outlive its file in the records."""
    prompt = "Tell me about my illness, please"
    for line in (chat("a", model=prompt), chat("a", model=[prompt]), chat("a", messages=prompt)):
        assert prompt not in str(check(tmp_path, [line]).errors)


def test_errors_are_capped_and_counted(tmp_path: Path) -> None:
    """In order of lines; the last entry says how many more there are."""
    lines = [chat("same")] * 4 + [b"{}\n"] * 4

    summary = check(tmp_path, lines)

    assert complaints(summary) == [
        ("duplicate_custom_id", 2),
        ("duplicate_custom_id", 3),
        ("duplicate_custom_id", 4),
        ("missing_required_parameter", 5),
        ("missing_required_parameter", 6),
        ("too_many_errors", None),
    ]
    assert summary.errors[-1].message == "Not listed: 2 more errors."


def test_equal_errors_are_listed_ten_times_and_counted(tmp_path: Path) -> None:
    """5,000 lines of one wrong model made 265 KB in every answer to a GET of the batch."""
    line = orjson.loads(chat("a"))
    line["body"]["model"] = "gpt-4o"
    lines = [orjson.dumps({**line, "custom_id": str(n)}) + b"\n" for n in range(200)]
    other = orjson.dumps({**line, "body": {**line["body"], "model": "gpt-5"}}) + b"\n"

    summary = check(
        tmp_path,
        [*lines, other],
        models={},
        limits=replace(LIMITS, max_lines=1000, max_reported_errors=1000),
    )

    *listed, counted = summary.errors
    assert [error.line for error in listed] == [*range(1, 11), 201]
    assert (counted.code, counted.param, counted.line) == ("model_not_found", "body.model", None)
    assert counted.message.startswith(
        "190 more lines have this error: 11, 12, 13, 14, 15, 16, 17, 18, 19, 20 and others. The "
    )
    assert "'gpt-4o'" in counted.message


def test_a_misspelt_model_is_named(tmp_path: Path) -> None:
    """As the model that was meant, or the alias."""
    models = {"gemini-3.8-flash": ["batchGenerateContent"], "veo-3.1": ["predictLongRunning"]}
    line = orjson.loads(chat("a"))
    line["body"]["model"] = "gemini-3.8-flsh"

    [error] = check(tmp_path, [orjson.dumps(line) + b"\n"], models=models).errors

    assert error.message.endswith(" Did you mean 'gemini-3.8-flash'?")


@pytest.mark.parametrize(
    "raw",
    [
        b'{"custom_id":"\\ud800"}\n',
        b'{"custom_id":NaN}\n',
        b"[" * 200 + b"]" * 200 + b"\n",
        b"[" * 2000 + b"\n",
        b"\xff\xfe\n",
        b"null\n",
        b'"text"\n',
        b'{"custom_id":"a","method":"POST","url":"%s","body":%s}\n'
        % (CHAT.encode(), b'{"a":' * 200 + b"1" + b"}" * 200),
    ],
)
def test_what_is_no_json_object(tmp_path: Path, raw: bytes) -> None:
    """Lone surrogates, NaN, depth: never an exception."""
    assert complaints(check(tmp_path, [raw])) == [("invalid_json_line", 1)]


@pytest.mark.parametrize(
    ("raw", "words"),
    [
        (b"{]\n", "The parser says at character 2: unexpected character, expected a string key."),
        (
            b'{"a": "b \\ud83d"}\n',
            "Half of a surrogate pair (as '\\ud83d' alone) at character 10 is no character.",
        ),
        (b'{"a": 1, "b": NaN}\n', "NaN at character 15 is no JSON: write null, or a string."),
        (
            '{"a": "é", "b": 1e999}\n'.encode(),
            "The number at character 17 is too large for JSON readers: at most 1.8e308 is allowed.",
        ),
        (
            '{"a": "é", "b": "'.encode() + b'\xff"}\n',
            "The text is not valid UTF-8 at byte 19: all of it must be.",
        ),
        (
            b"[" * 2000 + b"\n",
            "The brackets at character 1,026 nest too deep: at most 128 levels are allowed.",
        ),
    ],
)
def test_why_a_line_is_no_json(tmp_path: Path, raw: bytes, words: str) -> None:
    """OpenAI's sentence, and a second one with the place."""
    (error,) = check(tmp_path, [raw]).errors
    assert error.message == f"This line is not parseable as valid JSON. {words}"


def test_one_fault_at_many_places_is_one_error(tmp_path: Path) -> None:
    """The first have their places; the others are counted, as equal errors are."""
    lines = [b'{"a": "%b", "b": NaN}\n' % (b"x" * number) for number in range(50)]
    limits = replace(LIMITS, max_lines=1000, max_reported_errors=1000)
    *listed, counted = check(tmp_path, lines, limits=limits).errors
    assert [error.line for error in listed] == [*range(1, 11)]
    assert [error.message.split(" at character ")[1][:2] for error in listed] == [
        str(16 + number) for number in range(10)
    ]
    assert counted.message.startswith("40 more lines have this error: 11, 12, ")
    assert counted.message.endswith(" NaN is no JSON: write null, or a string.")


@pytest.mark.parametrize(
    ("day", "ends"),
    [
        ("", False),
        ("2026-11-29", False),
        ("2026-11-30", True),
        ("2026-12-01", True),
        ("2026-12-02", False),
    ],
)
def test_a_model_that_ends_within_the_window(tmp_path: Path, day: str, *, ends: bool) -> None:
    """Each of its lines has a note that names the day and what comes in its place."""
    lines = [chat("a", model="gemini-2.5-pro"), chat("b", model="gemini-3.8-flash")]

    made = check(tmp_path, lines, day=day)

    message = (
        "gemini-2.5-pro is shut down on 2026-12-01; Google names gemini-3.8-flash in its place"
    )
    note = {"line": 1, "custom_id": "a", "code": "ending", "field": "model", "message": message}
    assert noted(made) == ([note] if ends else [])


@pytest.mark.parametrize(
    ("model", "words"),
    [
        (
            "veo-3.1",
            "but runs no batches of it for this endpoint. Did you mean 'veo-3.1a'?",
        ),
        (
            "models/gemini-embedding-001",
            "but runs no batches of it for this endpoint. One that can is 'gemini-3.8-flash'.",
        ),
        ("gpt-9", 'GATEWAY_MODEL_ALIASES=\'{"gpt-9":"gemini-3.8-flash"}\''),
    ],
)
def test_models_that_cannot_be_used(tmp_path: Path, model: str, words: str) -> None:
    """One that is there but has no batches is told from one that is not."""
    models = {
        "veo-3.1": ["predictLongRunning"],
        "gemini-embedding-001": ["asyncBatchEmbedContent"],
        "gemini-3.8-flash": ["batchGenerateContent"],
        "veo-3.1a": ["batchGenerateContent"],
    }
    line = orjson.loads(chat("a"))
    line["body"]["model"] = model

    [error] = check(tmp_path, [orjson.dumps(line) + b"\n"], models=models).errors

    assert (error.code, error.param, error.line) == ("model_not_found", "body.model", 1)
    assert f"'{model}' is not supported" in error.message
    assert words in error.message


@pytest.mark.parametrize(
    ("member", "value", "code"),
    [
        ("custom_id", 5, "invalid_type"),
        ("custom_id", "", "invalid_type"),
        ("custom_id", None, "invalid_type"),
        ("method", 1, "invalid_type"),
        ("url", ["x"], "invalid_type"),
        ("url", "/v1/chat/completions/", "invalid_url"),
        ("body", "x", "invalid_type"),
        ("body", {"model": 1, "messages": []}, "invalid_type"),
        ("body", {"model": "", "messages": []}, "invalid_type"),
        ("body", {"model": "../../x", "messages": []}, "model_not_found"),
        ("body", {"model": "gemini\n", "messages": []}, "model_not_found"),
        ("body", {"model": "gémini", "messages": []}, "model_not_found"),
    ],
)
def test_wrong_members(tmp_path: Path, member: str, value: object, code: str) -> None:
    """The message names the member, since it is all an SDK shows."""
    line = orjson.loads(chat("a"))
    line[member] = value

    summary = check(tmp_path, [orjson.dumps(line) + b"\n"])

    assert complaints(summary) == [(code, 1)]
    if code == "invalid_type":
        assert member in summary.errors[0].message or "model" in summary.errors[0].message


def test_an_unknown_member_is_noted(tmp_path: Path) -> None:
    """It cannot change the answer, but it is not lost in silence."""
    line = orjson.loads(chat("a")) | {"priority": 5, "x" * 500: 1}

    summary = check(tmp_path, [orjson.dumps(line) + b"\n"])

    assert summary.notes == {"unknown_member": 2}
    assert [(row["line"], row["field"]) for row in noted(summary)] == [
        (1, "priority"),
        (1, "x" * 100),
    ]


def test_blank_lines_at_the_end_are_nothing(tmp_path: Path) -> None:
    """In between they are lines that are no JSON."""
    assert check(tmp_path, [chat("a"), b"\n", b"\r\n", b"\n"]).lines == 1
    between = check(tmp_path, [chat("a"), b"\n", b"\n", chat("b"), b"\n"])
    assert complaints(between) == [("invalid_json_line", 2), ("invalid_json_line", 3)]
    assert complaints(check(tmp_path, [b"\n", b"\n"])) == [("empty_file", None)]


def test_jobs_are_cut_and_numbered(tmp_path: Path) -> None:
    """By model and by size; every line in one job, in order."""
    models = ["m-1", "m-2", "m-1"]
    lines = [chat(f"c{n}", model=models[n % 3]) for n in range(12)]

    summary = check(tmp_path, lines, jobs=replace(JOBS, items_per_job=5))

    assert [(job.number, job.model, job.lines) for job in summary.jobs] == [
        (0, "m-1", 5),
        (1, "m-2", 4),
        (2, "m-1", 3),
    ]
    assert summary.model is None
    keys = [orjson.loads(text)["key"] for text in Path(summary.jobs[0].spool).read_bytes().split()]
    assert keys == ["1", "3", "4", "6", "7"]
    assert all(job.bytes == Path(job.spool).stat().st_size for job in summary.jobs)


@pytest.mark.parametrize("day", ["2026-06-01", "2026-11-30"])
@pytest.mark.parametrize(
    "room", [{}, {"items_per_job": 7}, {"bytes_per_job": 9_000}, {"items_per_job": 1}]
)
def test_lines_of_a_text_are_counted_as_any_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, room: dict[str, int], day: str
) -> None:
    """They are taken in one step: jobs, their sizes, costs, bytes and notes are as without it.

    On the second day two of the models are about to be shut down, which is noted of each line.
    """
    limits = replace(LIMITS, max_line_bytes=2**21)
    lines = [chat(f"c{n}", "é" * (n * n), temperature=n / 50) for n in range(40)]
    pro = "gemini-2.5-pro"  # whose long prompts have another price
    lines += [chat(f"p{n}", "x" * (900_000 * (n == 2)), model=pro) for n in range(4)]
    lines += [chat(f"v{n}", "x" * n, verbosity="low", temperature=n / 50) for n in range(1, 9)]
    lines += [chat(f"f{n}", model="gemini-2.5-flash", verbosity="low") for n in range(4)]
    taken: list[bool] = []
    add_text = _OpenJob.add_text

    def counted(job: _OpenJob, number: int, custom_id: str, made: Any) -> bool:
        taken.append(add_text(job, number, custom_id, made))
        return taken[-1]

    def found() -> list[object]:
        summary = check(tmp_path, lines, limits, replace(JOBS, **room), day=day)
        assert summary.errors == ()
        paths = [path for job in summary.jobs for path in (job.spool, job.echo)]
        paths += [str(summary.run), str(summary.index)]
        return [summary, *(Path(path).read_bytes() for path in paths)]

    monkeypatch.setattr(_OpenJob, "add_text", counted)
    at_once = found()
    monkeypatch.setattr(_OpenJob, "add_text", lambda *_: False)
    assert at_once == found()
    assert any(taken) == (room != {"items_per_job": 1})


def test_at_most_fifty_models(tmp_path: Path) -> None:
    """One job each; the fifty-first fails its line, and so the batch."""
    lines = [chat(f"c{n}", model=f"m-{n}") for n in range(51)]

    assert len(check(tmp_path, lines[:50]).jobs) == 50
    assert complaints(check(tmp_path, lines)) == [("mismatched_model", 51)]


def test_equal_hashes_are_looked_at_twice() -> None:
    """A suspect is only what stands twice in the file itself."""
    seen = SeenIds()
    for custom_id in ("a", "b", "a"):
        seen.add(custom_id)

    suspects, rest = seen.suspects()

    assert (suspects, rest) == ({hash("a")}, 0)
    ids = [(1, "a"), (2, "b"), (3, "a"), (4, "a")]
    assert list(repeated(ids, suspects | {hash("b")})) == [(3, "a"), (4, "a")]


def test_the_guard_tells_place_and_type_only() -> None:
    """Never the message: it may quote a prompt."""
    guard = Guard()

    def broken() -> int:
        raise KeyError("the user's secret")

    assert guard.call(broken) is None
    assert guard.call(lambda: 7) == 7
    [(place, count)] = guard.caught.items()
    assert place.startswith("KeyError at test_work.py:")
    assert count == 1


def echo_of(line: int, custom_id: str, **body: Any) -> tuple[int, str, int, Sequence[bytes]]:
    """What validation would write."""
    asked = {"messages": [{"role": "user", "content": "x"}], **body}
    made = ENDPOINTS[CHAT].to_gemini(asked, Policy(), "gemini-3-flash-preview")
    assert not isinstance(made, LineError)
    return line, custom_id, len(made[0]), made[1]


ECHO = [*(echo_of(n, f"id-{n}") for n in (2, 3, 7)), echo_of(9, "many", n=2)]


def collected(
    tmp_path: Path, results: Sequence[dict[str, Any]], **changes: Any
) -> tuple[dict[int, dict[str, Any]], Any]:
    """Collect these results for lines 2, 3 and 7 (one item) and 9 (two items)."""
    echoes = EchoWriter(tmp_path / "echo")
    for echo in ECHO:
        echoes.add(*echo)
    echoes.close()
    (tmp_path / "raw").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in results))
    base = CollectTask(
        str(tmp_path / "echo"), str(tmp_path), "batch", CHAT, 1, 100, raw=str(tmp_path / "raw")
    )
    summary = collect(replace(base, **changes))
    content = Path(summary.run).read_bytes()
    entries = list(unpack(Path(summary.index).read_bytes()))
    entries = [entry for entry in entries if entry.kind != Kind.NOTES]
    assert [entry.line for entry in entries] == [2, 3, 7, 9]
    cut = {e.line: content[e.offset : e.offset + e.length] for e in entries}
    lines = {number: orjson.loads(text) for number, text in cut.items()}
    assert [line["custom_id"] for line in lines.values()] == ["id-2", "id-3", "id-7", "many"]
    kinds = {entry.line: entry.kind for entry in entries}
    for number, line in lines.items():
        served = line["response"] is not None and line["response"]["status_code"] == 200
        assert (kinds[number] == Kind.OUTPUT) is served
    return lines, summary


def good(key: str, text: str) -> dict[str, Any]:
    """A result."""
    candidate = {"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}
    return {"key": key, "response": {"candidates": [candidate]}}


def bad(key: str, code: int = 13) -> dict[str, Any]:
    """An error."""
    return {"key": key, "error": {"code": code, "message": "no"}}


def text_of(line: dict[str, Any]) -> str:
    """The text of an output line."""
    return str(line["response"]["body"]["choices"][0]["message"]["content"])


def test_a_success_wins_then_the_first(tmp_path: Path) -> None:
    """Whatever the order in which results come."""
    lines, summary = collected(
        tmp_path,
        [
            bad("2"),
            good("7", "seven"),
            good("2", "first"),
            good("2", "second"),
            bad("7"),
            bad("3"),
            bad("3", 8),
            good("9.1", "b"),
            bad("9.0"),
            good("9.0", "a"),
        ],
    )

    assert text_of(lines[2]) == "first"
    assert text_of(lines[7]) == "seven"
    assert lines[3]["response"]["status_code"] == 500
    assert summary.doubled == 5
    assert summary.missing == 0


def test_results_that_processes_die_of_cost_their_lines_alone(tmp_path: Path) -> None:
    """Whether one is read or a line with several is put together; neither is paid for again."""
    place = tmp_path / "place"
    place.write_bytes(bytes(8))
    results = [good("3", "x"), good("2", "y"), good("9.0", "a"), good("9.1", "b"), good("7", "z")]
    second = len(orjson.dumps(results[0])) + 1
    trail = Trail(str(place), 60, [reading(second), working_on(9)])

    lines, summary = collected(tmp_path, results, trail=trail, again=True)

    assert [text_of(lines[number]) for number in (3, 7)] == ["x", "z"]
    codes = [lines[number]["response"]["body"]["error"]["code"] for number in (2, 9)]
    assert codes == ["internal_error", "internal_error"]
    assert (summary.wanted, summary.missing, summary.cost) == (None, 0, None)
    for only in (reading(second), working_on(9)):
        collected(tmp_path, results, trail=Trail(str(place), 60, [], only))
    assert place.read_bytes() == bytes(8)


@pytest.mark.parametrize("key", ["1", "4", "99999999999", "2.1", "9.2", "x", "", "2.", "-2", "²"])
def test_strangers_are_counted_and_nothing_else(tmp_path: Path, key: str) -> None:
    """A key nobody sent matches no line."""
    lines, summary = collected(tmp_path, [good(key, "who?"), {"response": {}}])

    assert summary.unknown_keys == 2
    assert summary.missing == 4
    codes = {line["response"]["body"]["error"]["code"] for line in lines.values()}
    assert codes == {"result_missing"}


def test_what_a_cancelled_job_did_not_serve_never_ran(tmp_path: Path) -> None:
    """Missing results and google.rpc CANCELLED alike; other errors stay errors."""
    told = Failure("batch_cancelled", "cancelled")

    lines, summary = collected(
        tmp_path, [good("2", "served"), bad("3", 1), bad("7", 13)], unserved=told
    )

    assert text_of(lines[2]) == "served"
    assert (
        lines[3]["error"]
        == lines[9]["error"]
        == {
            "code": "batch_cancelled",
            "message": "cancelled",
        }
    )
    assert lines[7]["response"]["status_code"] == 500
    counts = summary.counts
    assert (counts.completed, counts.failed) == (1, 1)


def test_unreadable_results_are_strangers(tmp_path: Path) -> None:
    """A torn line costs the line whose answer it was, no more."""
    (tmp_path / "torn").mkdir()
    lines, _ = collected(tmp_path / "torn", [good("2", "x")])
    raw = tmp_path / "torn" / "raw"
    raw.write_bytes(b'{"key":"3","resp\n' + raw.read_bytes())

    lines, summary = collected(tmp_path, [good("2", "x")], raw=str(raw))

    assert text_of(lines[2]) == "x"
    assert summary.unknown_keys == 1


def test_rendering_twice_gives_the_same_bytes(tmp_path: Path) -> None:
    """Ids and ``created`` are functions of the batch and the line."""
    results = [good("2", "x"), bad("3"), good("7", "y")]
    first = Path(collected(tmp_path, results)[1].run).read_bytes()

    assert Path(collected(tmp_path, results)[1].run).read_bytes() == first


def test_an_echo_file_of_another_format_is_refused(tmp_path: Path) -> None:
    """Rather than misread."""
    path = tmp_path / "echo"
    path.write_bytes(b'{"format":1}\n')

    with pytest.raises(ValueError, match="unknown format"):
        Echoes(path)
