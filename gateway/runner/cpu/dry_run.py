"""The dry run of a file: what its lines become and may cost, before a batch is made of it."""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import orjson

from gateway.runner.cpu.envelope import Envelope
from gateway.runner.cpu.explain import Explained
from gateway.translate import ENDPOINTS, Policy, Price
from gateway.units import MIB
from gateway.wire.jsonl import LongLine, drop_blank_end, read_lines
from gateway.wire.openai import canonical_endpoint

MOST_COMPLAINTS: Final = 50


@dataclass(frozen=True, slots=True)
class DryRunTask:
    """``input`` holds the beginning of the file, or all of it when it is ``whole``.

    ``models`` are those that the upstream offers, None when it has never listed any; ``day`` and
    ``prices`` as for a validation.
    """

    input: str
    whole: bool
    policy: Mapping[str, Any]
    max_line_bytes: int
    max_lines: int
    day: str
    endpoint: str | None = None
    models: Mapping[str, Sequence[str]] | None = None
    prices: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)


def dry_run(task: DryRunTask) -> dict[str, Any]:
    """Explain the lines. Errors: OSError."""
    path = Path(task.input)
    endpoint = task.endpoint or endpoint_of(path, task.max_line_bytes) or next(iter(ENDPOINTS))
    explained = _explained(task, endpoint)
    complaints: list[dict[str, Any]] = []
    read = 0
    with path.open("rb", buffering=MIB) as file:
        lines = drop_blank_end(read_lines(file, task.max_line_bytes))
        for number, raw in enumerate(_complete(lines, task.whole), 1):
            if number > task.max_lines:
                break
            told, read = explained.line(raw, number), number
            if "fails" in told and len(complaints) < MOST_COMPLAINTS:
                complaints.append(told)
    whole = task.whole and read < task.max_lines
    unknown = sorted(explained.unknown_models)
    told = {"whole": whole, "complaints": complaints, "unknown_models": unknown}
    return {**explained.summary(), **told}


def _explained(task: DryRunTask, endpoint: str) -> Explained:
    models = None
    if task.models is not None:
        models = {name: frozenset(methods) for name, methods in task.models.items()}
    policy = Policy.from_json(task.policy)
    envelope = Envelope(ENDPOINTS[endpoint], policy, models, task.max_line_bytes)
    explained = Explained(envelope, task.day)
    explained.prices.update({name: Price(**given) for name, given in task.prices.items()})
    return explained


def _complete(lines: Iterable[bytes | LongLine], whole: bool) -> Iterator[bytes | LongLine]:
    """Leave out the last line of a beginning: it may be cut off."""
    before: bytes | LongLine | None = None
    for line in lines:
        if before is not None:
            yield before
        before = line
    if whole and before is not None:
        yield before


def endpoint_of(path: Path, max_line_bytes: int) -> str | None:
    """Find the url of the first line that names an endpoint of the gateway's."""
    with path.open("rb") as file:
        for raw in read_lines(file, max_line_bytes):
            try:
                url = orjson.loads(raw)["url"] if isinstance(raw, bytes) else None
            except (orjson.JSONDecodeError, TypeError, KeyError):
                continue
            endpoint = canonical_endpoint(str(url))
            if endpoint in ENDPOINTS:
                return endpoint
    return None
