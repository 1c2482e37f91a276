"""Translation both ways against ``orjson.loads`` + ``dumps`` of the same lines, on one core.

``python tests/benchmarks/translation.py`` prints one row per kind of line: the floor, ours, and
their ratio. Floor and ours take turns on pieces of the sample, and of each piece the best of
several rounds counts, so that a busy machine disturbs little.
"""

import argparse
import gc
import itertools
import sys
import time
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

# Run as a program, a file finds its own folder only.
sys.path.insert(0, str(Path(__file__).parents[2]))

from gateway.runner.cpu.lines import ANSWER_LINE, spool_lines
from gateway.runner.worker import GARBAGE_THRESHOLD
from gateway.translate import ENDPOINTS, AnswerHints, Context, LineError, Policy
from tests.benchmarks import lines
from tests.benchmarks.allocation import as_in_a_worker

_POLICY: Final = Policy()
# CPU time of this process: what a busy neighbour takes is not counted.
_clock: Final = time.process_time
_PIECES: Final = 40


@dataclass(frozen=True)
class Case:
    """Lines, what is measured on each, and the ratio to stay below (0: none is promised)."""

    name: str
    lines: list[bytes]
    translate: Callable[[bytes], object]
    goal: float


def floor(line: bytes) -> bytes:
    """Parse and write, nothing else."""
    return orjson.dumps(orjson.loads(line))


def forward(path: str) -> Callable[[bytes], object]:
    """One input line -> the spool bytes of its items."""
    to_gemini = ENDPOINTS[path].to_gemini

    def translate(line: bytes) -> object:
        envelope = orjson.loads(line)
        custom_id, body = envelope["custom_id"], envelope["body"]
        if type(custom_id) is not str or envelope["url"] != path or type(body) is not dict:
            raise ValueError(custom_id)
        translation = to_gemini(body, _POLICY, body["model"])
        if isinstance(translation, LineError):
            raise TypeError(translation.message)
        return spool_lines(translation[0], 1)

    return translate


def backward(path: str, hints: AnswerHints) -> Callable[[bytes], object]:
    """One result line -> its output line."""
    endpoint = ENDPOINTS[path]
    render = endpoint.from_gemini
    quick = endpoint.quick and endpoint.quick(hints)
    context = Context(batch_id="batch_" + "0" * 32, line=1, created=1_790_000_000)

    def translate(line: bytes) -> object:
        answer = quick and quick(line)
        status, body, _, _ = render(hints, [answer or orjson.loads(line)], context)
        if status != 200:
            raise ValueError(body)
        return ANSWER_LINE % (b"batch_req_" + b"0" * 32, b'"request-0000001"', 200, b"0" * 32, body)

    return translate


def asked() -> AnswerHints:
    """What the answer of a small responses line is told of its request."""
    line = orjson.loads(next(lines.small_responses()))
    made = ENDPOINTS["/v1/responses"].to_gemini(line["body"], _POLICY, line["body"]["model"])
    if isinstance(made, LineError):
        raise TypeError(made.message)
    hints: AnswerHints = {}
    for part in made[1]:
        hints.update(orjson.loads(part))
    return hints


def seconds(work: Callable[[bytes], object], sample: Iterable[bytes]) -> float:
    """Run over the sample once."""
    start = _clock()
    for line in sample:
        work(line)
    return _clock() - start


def measure(case: Case, rounds: int) -> tuple[float, float]:
    """CPU seconds of floor and translation: per piece the best round, summed over the pieces."""
    size = -(-len(case.lines) // _PIECES)
    base = ours = 0.0
    for start in range(0, len(case.lines), size):
        piece = case.lines[start : start + size]
        times = [(seconds(floor, piece), seconds(case.translate, piece)) for _ in range(rounds)]
        base += min(time for time, _ in times)
        ours += min(time for _, time in times)
    return base, ours


def cases(scale: float) -> list[Case]:
    """Every row of the table."""

    def take(source: Iterable[bytes], count: int) -> list[bytes]:
        return list(itertools.islice(source, max(1, int(count * scale))))

    chat, responses = "/v1/chat/completions", "/v1/responses"
    embeddings = "/v1/embeddings"
    hints: AnswerHints = {"model": "gemini-2.5-flash"}
    packed: AnswerHints = {"model": "gemini-embedding-001", "base64": True}
    return [
        Case("forward, mixed", take(lines.mixed(), 4_000), forward(chat), 1.6),
        Case("forward, 300 bytes", take(lines.small(), 40_000), forward(chat), 2.5),
        Case("forward, media 1 MB", take(lines.media(), 60), forward(chat), 1.2),
        Case(
            "forward, responses 300",
            take(lines.small_responses(), 40_000),
            forward(responses),
            2.5,
        ),
        Case("forward, embeddings", take(lines.embeddings(), 10_000), forward(embeddings), 0),
        Case("back, mixed", take(lines.results(small=False), 8_000), backward(chat, hints), 1.6),
        Case("back, small", take(lines.results(small=True), 40_000), backward(chat, hints), 2.5),
        Case(
            "back, responses mixed",
            take(lines.results(small=False), 8_000),
            backward(responses, asked()),
            0,
        ),
        Case(
            "back, responses small",
            take(lines.results(small=True), 40_000),
            backward(responses, asked()),
            2.5,
        ),
        Case("back, vectors", take(lines.vectors(), 200), backward(embeddings, hints), 0),
        Case("back, vectors base64", take(lines.vectors(), 200), backward(embeddings, packed), 0),
    ]


# A line and its answer, once each way.
BOTH_WAYS = (
    ("both ways, mixed", ("forward, mixed", "back, mixed"), 1.6),
    ("both ways, 300 bytes", ("forward, 300 bytes", "back, small"), 2.5),
    (
        "both ways, responses",
        ("forward, responses 300", "back, responses small"),
        2.5,
    ),
)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--scale", type=float, default=1.0, help="share of the usual lines")
    arguments = parser.parse_args()
    as_in_a_worker()
    gc.set_threshold(GARBAGE_THRESHOLD)  # as there
    print(f"{'':22}{'lines':>8}{'MB':>8}{'floor us':>10}{'ours us':>10}{'ratio':>8}{'goal':>7}")
    measured = {}
    for case in cases(arguments.scale):
        base, ours = measure(case, arguments.rounds)
        count = len(case.lines)
        measured[case.name] = (base / count, ours / count)
        size = sum(map(len, case.lines)) / 1e6
        goal = f"{case.goal:>7}" if case.goal else ""
        print(
            f"{case.name:22}{count:>8}{size:>8.1f}{base / count * 1e6:>10.2f}"
            f"{ours / count * 1e6:>10.2f}{ours / base:>8.2f}{goal}"
        )
    for name, ways, most in BOTH_WAYS:
        base, ours = (sum(measured[way][column] for way in ways) for column in (0, 1))
        print(f"{name:38}{base * 1e6:>10.2f}{ours * 1e6:>10.2f}{ours / base:>8.2f}{most:>7}")


if __name__ == "__main__":
    main()
