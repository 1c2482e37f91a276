"""Translation of lines whose options differ from line to line, against parsing and writing them.

``python tests/benchmarks/translation_varied.py`` prints one row per kind, as translation.py does:
there, lines repeat their options byte for byte, which the translation remembers. Here each line has
its own seed, user, schema and so on, as those of many programs do. ``hostile`` is a file that
misses every cache: no two lines share a shape, an option or a name of a member. The last row are
lines of one owner behind as many of such a file of another's, in the same process.
"""

import argparse
import base64
import copy
import gc
import itertools
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from random import Random  # noqa: TID251 - seeded: the same lines every time
from typing import Any, Final

import orjson

# Run as a program, a file finds its own folder only.
sys.path.insert(0, str(Path(__file__).parents[2]))

from gateway.runner.worker import GARBAGE_THRESHOLD
from tests.benchmarks import lines
from tests.benchmarks.allocation import as_in_a_worker
from tests.benchmarks.translation import Case, floor, forward, seconds

Json = dict[str, Any]

CHAT: Final = "/v1/chat/completions"
RESPONSES: Final = "/v1/responses"
EMBEDDINGS: Final = "/v1/embeddings"
MODEL: Final = "gemini-3.6-flash"
COUNT: Final = 2_000
_PIECES: Final = 40
# Small ones: of a large picture nothing but its bytes would be measured.
_PICTURE_BYTES: Final = 15_000

_SCHEMA: Final[Json] = {
    "type": "object",
    "properties": {
        "number": {"type": "string", "description": "As printed on the invoice"},
        "total": {"type": ["number", "null"]},
        "status": {"type": "string", "enum": ["open", "paid"]},
        "items": {"type": "array", "items": {"type": "string"}},
    },
    "required": ["number", "total", "status", "items"],
    "additionalProperties": False,
}
_PARAMETERS: Final[Json] = {
    "type": "object",
    "properties": {
        "query": {"type": "string", "description": "Words to look for"},
        "limit": {"type": "integer", "minimum": 1},
    },
    "required": ["query"],
}


def _schema(number: int) -> Json:
    schema = copy.deepcopy(_SCHEMA)
    schema["properties"]["status"]["enum"].append(f"state-{number}")
    answer = {"name": "order", "strict": True, "schema": schema}
    return {"response_format": {"type": "json_schema", "json_schema": answer}}


def _tools(number: int) -> Json:
    return {"tools": [_tool(name, number) for name in ("find", "list_all", "store")]}


def _tool(name: str, number: int) -> Json:
    description = f"Use it for the customer {number}"
    return {
        "type": "function",
        "function": {"name": name, "description": description, "parameters": _PARAMETERS},
    }


def _hostile(number: int) -> Json:
    names = [f"member_{number}_{each}" for each in range(8)]
    schema = {"type": "object", "properties": {name: {"type": "string"} for name in names}}
    function = {"name": f"tool_{number}", "parameters": schema}
    answer = {"name": f"answer_{number}", "schema": schema}
    return {
        "seed": number,
        "stop": [f"END {number}"],
        "tools": [{"type": "function", "function": function}],
        "response_format": {"type": "json_schema", "json_schema": answer},
    }


# What a line of each kind has, and the line before has not.
_OWN: Final[dict[str, Callable[[int], Json]]] = {
    "same": lambda _: {"temperature": 0.2, "max_tokens": 800},
    "seed": lambda number: {"seed": number},
    "user": lambda number: {"user": f"user-{number}"},
    "metadata": lambda number: {"user": f"user-{number}", "metadata": {"row": str(number)}},
    "temperature": lambda number: {"temperature": number % 20_000 / 10_000},
    "limits": lambda number: {"max_tokens": 100 + number},
    "schema": _schema,
    "tools": _tools,
    "hostile": _hostile,
}


def _line(number: int, url: str, body: Json) -> bytes:
    value = {"custom_id": f"request-{number}", "method": "POST", "url": url, "body": body}
    return orjson.dumps(value) + b"\n"


def chat(kind: str, characters: int) -> Iterator[bytes]:
    """Chat lines of one kind, with a system message and a text of so many characters."""
    random = Random(kind)
    for number in itertools.count():
        turns = [
            {"role": "system", "content": "Answer in one word."},
            {"role": "user", "content": lines.text(random, characters)},
        ]
        if kind == "hostile":  # no two dialogues of the same turns
            turns += [{"role": ("assistant", "user")[n % 2], "content": "x"} for n in range(number)]
            turns = [*turns[: 2 + number % 64], {"role": "user", "content": "go"}]
        body = {"model": MODEL, "messages": turns, **_OWN[kind](number)}
        yield _line(number, CHAT, body)


def pictures() -> Iterator[bytes]:
    """Chat lines with a small picture each."""
    random = Random(0)
    for number in itertools.count():
        data = base64.b64encode(random.randbytes(_PICTURE_BYTES)).decode()
        parts = [
            {"type": "text", "text": lines.text(random, 200)},
            {"type": "image_url", "image_url": {"url": f"data:image/png;base64,{data}"}},
        ]
        yield _line(
            number, CHAT, {"model": MODEL, "messages": [{"role": "user", "content": parts}]}
        )


def responses() -> Iterator[bytes]:
    """Lines of /v1/responses with limits and metadata of their own."""
    random = Random(1)
    for number in itertools.count():
        own = {"max_output_tokens": 100 + number, "metadata": {"row": str(number)}}
        yield _line(number, RESPONSES, {"model": MODEL, "input": lines.text(random, 200), **own})


def vectors() -> Iterator[bytes]:
    """Lines of embeddings with a user of their own."""
    random = Random(2)
    for number in itertools.count():
        body = {"model": "gemini-embedding-001", "input": lines.text(random, 400)}
        yield _line(number, EMBEDDINGS, {**body, "user": f"user-{number}"})


def cases(count: int) -> list[Case]:
    """Every row of the table, with the goals of kinds that vary."""

    def case(name: str, source: Iterator[bytes], goal: float, path: str = CHAT) -> Case:
        return Case(name, list(itertools.islice(source, count)), forward(path), goal)

    return [
        case("same options", chat("same", 200), 0),
        case("own seed", chat("seed", 200), 3.0),
        case("own user", chat("user", 200), 3.0),
        case("own user, metadata", chat("metadata", 200), 3.0),
        case("own temperature", chat("temperature", 200), 3.0),
        case("own limits, 2 KB", chat("limits", 1_800), 3.0),
        case("own schema", chat("schema", 200), 6.0),
        case("own tool texts", chat("tools", 200), 6.0),
        case("pictures, 20 KB", pictures(), 1.5),
        case("responses", responses(), 3.0, RESPONSES),
        case("embeddings", vectors(), 3.0, EMBEDDINGS),
        case("hostile", chat("hostile", 200), 0),
    ]


def disturbed(case: Case, other: Case, rounds: int) -> tuple[float, float]:
    """Measure the pieces of one file, each behind as many lines of another that is not measured."""
    size = -(-len(case.lines) // _PIECES)
    pieces = [slice(start, start + size) for start in range(0, len(case.lines), size)]
    base = ours = 0.0
    for piece in pieces:
        times = []
        for _ in range(rounds):
            seconds(other.translate, other.lines[piece])
            times.append(
                (seconds(floor, case.lines[piece]), seconds(case.translate, case.lines[piece]))
            )
        base += min(first for first, _ in times)
        ours += min(second for _, second in times)
    return base, ours


def measure(case: Case, rounds: int) -> tuple[float, float]:
    """CPU seconds of floor and translation: per piece the best round, summed over the pieces.

    A round goes through the whole file: pieces that were measured several times in a row would
    find their options remembered.
    """
    size = -(-len(case.lines) // _PIECES)
    pieces = [case.lines[start : start + size] for start in range(0, len(case.lines), size)]
    measured = [
        [(seconds(floor, piece), seconds(case.translate, piece)) for piece in pieces]
        for _ in range(rounds)
    ]
    base, ours = (
        sum(min(times[way] for times in piece) for piece in zip(*measured, strict=True))
        for way in (0, 1)
    )
    return base, ours


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--count", type=int, default=COUNT, help="lines of each kind")
    arguments = parser.parse_args()
    as_in_a_worker()
    gc.set_threshold(GARBAGE_THRESHOLD)  # as there
    print(f"{'':22}{'lines':>8}{'KB':>8}{'floor us':>10}{'ours us':>10}{'ratio':>8}{'goal':>7}")
    table = {case.name: case for case in cases(arguments.count)}
    for case in table.values():
        _show(case.name, case, measure(case, arguments.rounds))
    same, hostile = table["same options"], table["hostile"]
    _show("same, after hostile", same, disturbed(same, hostile, arguments.rounds))


def _show(name: str, case: Case, measured: tuple[float, float]) -> None:
    base, ours = measured
    count = len(case.lines)
    size = sum(map(len, case.lines)) / 1e3
    goal = f"{case.goal:>7}" if case.goal else ""
    print(
        f"{name:22}{count:>8}{size:>8.0f}{base / count * 1e6:>10.2f}"
        f"{ours / count * 1e6:>10.2f}{ours / base:>8.2f}{goal}"
    )


if __name__ == "__main__":
    main()
