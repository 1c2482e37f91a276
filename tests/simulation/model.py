"""What OpenAI's API promises of files and batches, as a small model that judges what is seen.

It knows what clients did and what they were answered, nothing of how a gateway works.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Final

import orjson

from tests.simulation.google import ANSWER, PROMPT

ENDPOINT: Final = "/v1/chat/completions"
ENDS: Final = frozenset({"completed", "failed", "expired", "cancelled"})
# From each status to those that may be seen next, itself aside. Some may be passed unseen.
NEXT: Final[Mapping[str, frozenset[str]]] = {
    "validating": frozenset({"in_progress", "finalizing", "cancelling", *ENDS}),
    "in_progress": frozenset({"finalizing", "cancelling", *ENDS}),
    "finalizing": frozenset({"cancelling", *ENDS}),
    "cancelling": frozenset(ENDS),
    **dict.fromkeys(ENDS, frozenset[str]()),
}
WINDOW: Final = 24 * 3600


class Kind(StrEnum):
    """A line of an input file."""

    FLASH = "gemini-2.5-flash"
    PRO = "gemini-2.5-pro"
    REFUSED = "a parameter that Gemini has not"
    NAMED = "a file is named"


@dataclass(frozen=True)
class Line:
    """A line: its text is in no other."""

    custom_id: str
    text: str
    kind: Kind
    names: str | None = None  # the id of a file

    def to_json(self) -> bytes:
        """As it is uploaded."""
        body: dict[str, Any] = {
            "model": self.kind if self.kind in {Kind.FLASH, Kind.PRO} else Kind.FLASH,
            "messages": [{"role": "user", "content": self._content()}],
        }
        if self.kind is Kind.REFUSED:
            body["logit_bias"] = {"50256": -100}
        row = {"custom_id": self.custom_id, "method": "POST", "url": ENDPOINT, "body": body}
        return orjson.dumps(row) + b"\n"

    def _content(self) -> object:
        if self.names is None:
            return self.text
        named = {"type": "file", "file": {"file_id": self.names}}
        return [named, {"type": "text", "text": self.text}]


@dataclass(repr=False)
class KnownFile:
    """A file whose upload was answered."""

    id: str
    key: str
    lines: Sequence[Line]
    deleted: bool = False

    def __repr__(self) -> str:
        return f"{self.id} of {len(self.lines)} lines"

    @property
    def content(self) -> bytes:
        """Its bytes."""
        return b"".join(line.to_json() for line in self.lines)


@dataclass(repr=False)
class KnownBatch:
    """A batch whose create was answered, and what was last seen of it."""

    id: str
    key: str
    file: KnownFile
    expires: float  # the end of its window on the wall clock, in seconds since the epoch
    seen: dict[str, Any]
    cancelled: float | None = None
    ended: bool = False

    def __repr__(self) -> str:
        return f"{self.id}, {self.status}"

    @property
    def status(self) -> str:
        """The status that was last seen."""
        return str(self.seen["status"])


@dataclass
class Model:
    """Everything that clients know."""

    files: list[KnownFile] = field(default_factory=list)
    batches: list[KnownBatch] = field(default_factory=list)
    made: int = 0
    documents: dict[str, str] = field(default_factory=dict)  # of each key, a file to be named

    def lines(self, kinds: Sequence[Kind], document: str | None = None) -> list[Line]:
        """New lines, with texts of their own."""
        self.made += 1
        return [
            Line(f"id-{n}", f"{self.made}/{n}", kind, document if kind is Kind.NAMED else None)
            for n, kind in enumerate(kinds, 1)
        ]

    def find(self, file_id: str) -> KnownFile | None:
        """The file of that id, if it is known."""
        return next((file for file in self.files if file.id == file_id), None)

    def is_read(self, file: KnownFile) -> bool:
        """Whether a live batch has it as its input."""
        return any(batch.file is file and not batch.ended for batch in self.batches)


def see(batch: KnownBatch, seen: dict[str, Any]) -> list[str]:
    """Take note of a batch as it is shown now; what is wrong with that."""
    before, batch.seen = batch.seen, seen
    wrong = []
    status, was = seen["status"], before["status"]
    if status != was and status not in NEXT[was]:
        wrong.append(f"{was} became {status}")
    if batch.ended and before != seen:
        changed = [name for name in seen if seen[name] != before.get(name)]
        wrong.append(f"it has ended, and {changed} changed")
    if seen["expires_at"] != seen["created_at"] + WINDOW:
        wrong.append(f"its window is {seen['expires_at'] - seen['created_at']} s long")
    wrong += _counts_of(batch, before, seen)
    if status == "cancelling" and batch.cancelled is None:
        wrong.append("it is cancelling, and nobody asked for that")
    if status not in ENDS and (seen["output_file_id"] or seen["error_file_id"]):
        wrong.append("it shows a file before its end")
    return [f"batch {batch.id}: {each}" for each in wrong]


def _counts_of(batch: KnownBatch, before: Mapping[str, Any], seen: Mapping[str, Any]) -> list[str]:
    counts, were = seen["request_counts"], before["request_counts"]
    wrong = []
    if counts["total"] not in {0, len(batch.file.lines)}:
        wrong.append(f"{counts['total']} of {len(batch.file.lines)} lines are counted")
    if counts["completed"] + counts["failed"] > counts["total"]:
        wrong.append(f"more are counted than there are: {counts}")
    if any(counts[name] < were[name] for name in counts):
        wrong.append(f"counts went from {were} to {counts}")
    if seen["usage"]["total_tokens"] < before["usage"]["total_tokens"]:
        wrong.append("usage shrank")
    return wrong


def judge_end(
    batch: KnownBatch, output: bytes, errors: bytes, delivered: Mapping[str, bool]
) -> list[str]:
    """What is wrong with how a batch ended: lines, their answers, counts and usage."""
    wrong = []
    answered = [orjson.loads(line) for line in output.splitlines()]
    failed = [orjson.loads(line) for line in errors.splitlines()]
    if batch.status == "failed" and not _may_fail(batch, delivered):
        return [f"batch {batch.id} failed: {batch.seen['errors']}"]
    nothing_ran = batch.seen["request_counts"]["total"] == 0
    if batch.status == "failed" or (batch.status == "cancelled" and nothing_ran):
        return [f"batch {batch.id}: nothing ran, and it has files"] if answered or failed else []
    ids = [row["custom_id"] for row in [*answered, *failed]]
    expected = [line.custom_id for line in batch.file.lines]
    if sorted(ids) != sorted(expected):
        wrong.append(f"{len(expected)} lines came in, and these went out: {sorted(ids)}")
    texts = {line.custom_id: line.text for line in batch.file.lines}
    for row in answered:
        told = row["response"]["body"]["choices"][0]["message"]["content"]
        if told != f"re {texts.get(row['custom_id'])}":
            wrong.append(f"line {row['custom_id']} has another one's answer: {told}")
    unserved = [row for row in failed if row["response"] is None]
    counts = {
        "total": len(expected),
        "completed": len(answered),
        "failed": len(failed) - len(unserved),
    }
    if batch.seen["request_counts"] != counts:
        wrong.append(f"request_counts is {batch.seen['request_counts']}, the files say {counts}")
    if batch.status == "completed":
        wrong += _thrown_away(batch, {row["custom_id"] for row in answered}, delivered)
    usage = batch.seen["usage"]
    told = (usage["input_tokens"], usage["output_tokens"])
    if told != (PROMPT * len(answered), ANSWER * len(answered)):
        wrong.append(f"usage is {told}, and {len(answered)} lines were answered")
    return [f"batch {batch.id}, {batch.status}: {each}" for each in wrong]


def _thrown_away(batch: KnownBatch, answered: set[str], delivered: Mapping[str, bool]) -> list[str]:
    """Lines that Google has answered, and whose client got an error."""
    return [
        f"line {line.custom_id} was answered and paid, and came out as an error"
        for number, line in enumerate(batch.file.lines, 1)
        if delivered.get(str(number)) and line.custom_id not in answered
    ]


def _may_fail(batch: KnownBatch, delivered: Mapping[str, bool]) -> bool:
    """Only of an input that was never read: whenever it was, the process died, ten times."""
    codes = {error["code"] for error in batch.seen["errors"]["data"]}
    return codes == {"internal_error"} and not any(delivered.values())
