"""Every case of the translation's tables, alone and as a line of a batch: the answers are the same.

The batch is validated and collected by the functions that its workers run. Both have the same
identity and time here, so the answers are equal byte for byte; what is noted, which a batch tells
in its warnings file, is in the answer itself of a single request.
"""

import asyncio
import copy
import shutil
from collections.abc import AsyncGenerator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.batches.planning import JobLimits
from gateway.batches.runs import Kind, unpack
from gateway.errors import GatewayError
from gateway.live import service as service_module
from gateway.live.failures import envelope_of
from gateway.live.memory import ResponseMemory
from gateway.live.options import LiveOptions
from gateway.live.service import SingleRequestService
from gateway.ports.single import Answered, Reply, SingleCall, SingleRequest
from gateway.runner.cpu.collect import CollectTask, collect
from gateway.runner.cpu.validate import InputLimits, ValidateTask, validate
from gateway.translate import Policy
from gateway.wire.gemini import EMBED_SEVERAL_METHOD, RPC_CODES
from gateway.wire.jsonl import escape_separators
from tests.every import every
from tests.translate.cases import concept_of, load
from tests.upstream.bench import SkipClock

BATCH = "batch_" + "0" * 32
LIMITS = InputLimits(10, 1000, 10**7, 5, 10, 10**6, max_warnings=1000)
JOBS = JobLimits(1000, 10**9, 2**20, 100, 1000)
# What is about the call and not about its answer (clarification 62).
OF_THE_CALL = ("stream", "stream_options", "service_tier")
OF_A_RESPONSE = ("background", "previous_response_id", "store")
# A batch passes vectors on as Google wrote them: the same numbers, unread.
UNREAD = {
    "embeddings: integers become decimals",
    "embeddings: whole numbers stay numbers with a point",
    "embeddings: a number no float32 holds",
    "embeddings: numbers whose sum is beyond any number are no vector",
}
MOST_ITEMS = 1000
SAMPLE = 37  # every so many cases are in the fast subset
NOTHING_ELSE: dict[str, dict[str, Any]] = {
    "/v1/chat/completions": {"messages": [{"role": "user", "content": "Hi"}]},
    "/v1/completions": {"prompt": "Hi"},
    "/v1/embeddings": {"input": "Hi"},
    "/v1/images/edits": {"prompt": "Hi", "images": [{"image_url": "data:image/png;base64,AAAA"}]},
    "/v1/images/generations": {"prompt": "Hi"},
    "/v1/responses": {"input": "Hi"},
}
# The member that makes several items of one request.
SEVERAL = {"/v1/embeddings": "input", "/v1/completions": "prompt"}
ANSWER = {
    "responseId": "r",
    "modelVersion": "gemini-served",
    "candidates": [
        {
            "content": {
                "role": "model",
                "parts": [
                    {"text": "Well…", "thought": True},
                    {"text": '{"a": "\u2028é"}', "thoughtSignature": "c2ln"},
                    {"functionCall": {"name": "f", "args": {"x": 1}}},
                ],
            },
            "finishReason": "STOP",
        }
    ],
    "usageMetadata": {"promptTokenCount": 3, "candidatesTokenCount": 2, "totalTokenCount": 5},
}
VECTOR = {"embedding": {"values": [0.5, -0.25]}, "usageMetadata": {"promptTokenCount": 3}}


@dataclass
class Scripted:
    """Answers the items of a request in order, and keeps what it was asked."""

    answers: Sequence[Any]
    asked: list[bytes] = field(default_factory=list)

    async def ask(self, call: SingleCall) -> Reply:
        """Give the next answer; several embeddings at once, as Google does."""
        if call.method == EMBED_SEVERAL_METHOD:
            return self._several(call)
        answer: Reply = self.answers[len(self.asked)]
        self.asked.append(call.body)
        found: Reply = answer if "error" in answer else answer["response"]
        return found

    def _several(self, call: SingleCall) -> Reply:
        named = b'{"model":"models/%b",' % call.model.encode()
        asked = call.body.removeprefix(b'{"requests":[').removesuffix(b"]}").split(named)[1:]
        self.asked += [b"{" + item.removesuffix(b",") for item in asked]
        found = [answer["response"] for answer in self.answers[: len(self.asked)]]
        tokens = sum(_tokens(each) for each in found)
        usage = {"promptTokenCount": tokens} if all(map(_is_counted, found)) else None
        vectors = [each.get("embedding") for each in found]
        return {"embeddings": vectors, **({"usageMetadata": usage} if usage else {})}

    def stream(self, call: SingleCall) -> AsyncGenerator[Reply, None]:
        """Fail: nothing is streamed here."""
        raise AssertionError(call.method)


def _is_counted(response: dict[str, Any]) -> bool:
    return "tokenCount" in response or "promptTokenCount" in response.get("usageMetadata", {})


def _tokens(response: dict[str, Any]) -> int:
    usage = response.get("usageMetadata", {})
    return int(usage.get("promptTokenCount", response.get("tokenCount", 0)))


@dataclass(frozen=True)
class Came:
    """What became of a request: status, written body, notes, what was sent to Google."""

    status: int
    body: bytes
    notes: list[Any]
    asked: list[bytes]


def in_a_batch(
    path: str, body: dict[str, Any], policy: Policy, answers: Sequence[Any], scratch: Path
) -> Came:
    """Run a batch of this line; an error of its file is the answer to the line."""
    shutil.rmtree(scratch, ignore_errors=True)
    scratch.mkdir()
    line = {"custom_id": "c", "method": "POST", "url": path, "body": body}
    (scratch / "input").write_bytes(orjson.dumps(line) + b"\n")
    stored = policy.to_json()
    source = str(scratch / "input")
    checked = validate(ValidateTask(source, str(scratch), BATCH, path, stored, None, LIMITS, JOBS))
    assert checked.internal == {}
    if checked.errors:
        error = checked.errors[0]
        param = error.param and error.param.removeprefix("body.")
        return Came(400, orjson.dumps([error.code, error.message, param]), [], [])
    runs = [(checked.run, checked.index)]
    asked: list[bytes] = []
    for job in checked.jobs:
        rows = list(map(orjson.loads, Path(job.spool).read_bytes().splitlines()))
        asked += [line.partition(b'"request":')[2][:-1] for line in _lines(Path(job.spool))]
        results = [
            {"key": row["key"], **answer} for row, answer in zip(rows, answers, strict=False)
        ]
        (scratch / "raw").write_bytes(b"".join(orjson.dumps(row) + b"\n" for row in results))
        task = CollectTask(
            job.echo,
            str(scratch),
            BATCH,
            path,
            1_790_000_000,
            1000,
            model=job.model,
            policy=stored,
            raw=str(scratch / "raw"),
        )
        made = collect(task)
        assert made.internal == {}
        runs.append((made.run, made.index))
    return _only_line(runs, asked)


def _lines(path: Path) -> list[bytes]:
    return path.read_bytes().splitlines()


def _only_line(runs: Sequence[tuple[Any, Any]], asked: list[bytes]) -> Came:
    entries = [
        (entry.kind, Path(run).read_bytes()[entry.offset : entry.offset + entry.length])
        for run, index in runs
        if index is not None
        for entry in unpack(Path(index).read_bytes())
    ]
    (written,) = [text for kind, text in entries if kind in (Kind.OUTPUT, Kind.ERROR)]
    notes = [
        {name: note[name] for name in ("code", "field", "message") if note.get(name)}
        for kind, text in entries
        if kind == Kind.NOTES
        for note in map(orjson.loads, text.splitlines())
    ]
    response = orjson.loads(written)["response"]
    body = written.partition(b'"body":')[2].removesuffix(b'},"error":null}\n')
    return Came(response["status_code"], body, notes, asked)


def alone(path: str, body: dict[str, Any], policy: Policy, answers: Sequence[Any]) -> Came:
    """Send the same as a single request."""
    upstream = Scripted(copy.deepcopy(answers))
    clock = SkipClock()
    memory = ResponseMemory(None, None, clock, 0)  # type: ignore[arg-type] # it keeps nothing
    service = SingleRequestService(
        upstream, clock, policy, {"default": "key"}, memory, options=LiveOptions()
    )
    request = SingleRequest(path, orjson.dumps(body), "owner")
    try:
        answered = asyncio.run(service.respond(request))
    except GatewayError as error:
        return Came(error.status, envelope_of(error), [], upstream.asked)
    assert isinstance(answered, Answered)
    notes = orjson.loads(answered.headers.get("x-gateway-notes", "[]"))
    return Came(answered.status, _without(answered.body, notes), notes, upstream.asked)


def _without(body: bytes, notes: list[Any]) -> bytes:
    """Take the notes out of an answer."""
    told = orjson.loads(body)
    if not notes or "extra_content" not in told:
        return body
    assert told["extra_content"].pop("gateway")["notes"][: len(notes)] == notes
    if not told["extra_content"]:
        del told["extra_content"]
    return orjson.dumps(told)


def compare(
    path: str, body: dict[str, Any], policy: Policy, answers: Sequence[Any], scratch: Path
) -> None:
    """Both ways, compared."""
    taken = (*OF_THE_CALL, *(OF_A_RESPONSE if path == "/v1/responses" else ()))
    body = {name: value for name, value in body.items() if name not in taken}
    batch = in_a_batch(path, body, policy, answers, scratch)
    single = alone(path, body, policy, answers)
    assert single.asked == batch.asked
    assert single.status == batch.status
    if batch.body.startswith(b"["):  # of the file
        error = orjson.loads(single.body)["error"]
        assert [error["code"], error["message"], error["param"]] == orjson.loads(batch.body)
        return
    assert escape_separators(single.body) == batch.body
    assert single.notes == batch.notes[: len(single.notes)]


@pytest.fixture(autouse=True)
def _same_identity(monkeypatch: pytest.MonkeyPatch) -> None:
    """A batch's line is named by its batch, a single request's answer at random."""
    monkeypatch.setattr(service_module, "new_answer_id", lambda: BATCH)


def compare_request(case: dict[str, Any], scratch: Path) -> None:
    """A body of the tables, with an answer of every kind of part."""
    if case["expected"].get("files"):
        return  # which a batch copies, and a single request sends along: test_files.py
    path = case["endpoint"]
    answers = [{"response": VECTOR if path == "/v1/embeddings" else ANSWER}] * MOST_ITEMS
    body = {"model": case["model"], **case["openai"]}
    compare(path, body, Policy.from_json(case.get("policy", {})), answers, scratch)


def compare_answer(case: dict[str, Any], scratch: Path) -> None:
    """An answer of the tables, to a body that asks for it."""
    path, answers = case["endpoint"], case["gemini"]
    if path == "/v1/embeddings" and len(answers) > 1 and any("error" in each for each in answers):
        return  # a call for several is answered or refused whole
    more = dict(case.get("request", {}))
    if len(answers) > 1:
        name = SEVERAL.get(path, "n")
        more[name] = len(answers) if name == "n" else ["Hi"] * len(answers)
    body = {"model": "gemini-2.5-flash", **NOTHING_ELSE[path], **more}
    compare(path, body, Policy.from_json(case.get("policy", {})), answers, scratch)


def _comes_alone(row: Any) -> bool:
    """Whether single calls are answered so: with a response, or a Status; never with both."""
    case = row.values[1]
    return row.id not in UNREAD and all(map(_is_plain, case["gemini"]))


def _is_plain(answer: dict[str, Any]) -> bool:
    if answer.keys() == {"response"}:
        return isinstance(answer["response"], dict)
    error = answer["error"] if answer.keys() == {"error"} else None
    return isinstance(error, dict) and error.get("code") in RPC_CODES


REQUESTS = load("requests")
ANSWERS = list(filter(_comes_alone, load("answers")))


@pytest.mark.slow
@every("concept, case", REQUESTS, group=concept_of)
def test_every_request(concept: str, case: dict[str, Any], tmp_path: Path) -> None:
    """The same is asked, refused and noted."""
    del concept
    compare_request(case, tmp_path / "batch")


@pytest.mark.slow
@every("concept, case", ANSWERS, group=concept_of)
def test_every_answer(concept: str, case: dict[str, Any], tmp_path: Path) -> None:
    """The same is rendered of whatever Google answers."""
    del concept
    compare_answer(case, tmp_path / "batch")


@every("concept, case", REQUESTS[::SAMPLE])
def test_some_requests(concept: str, case: dict[str, Any], tmp_path: Path) -> None:
    """A sample of them, for the fast subset."""
    del concept
    compare_request(case, tmp_path / "batch")


@every("concept, case", ANSWERS[::SAMPLE])
def test_some_answers(concept: str, case: dict[str, Any], tmp_path: Path) -> None:
    """The same of answers."""
    del concept
    compare_answer(case, tmp_path / "batch")
