"""Requests drawn from OpenAI's own description of the API: no 5xx, and no answer of another shape.

``python -m tests.campaigns.schema_fuzz --examples 2000`` asks each operation so often for what the
description allows, and as often for what it does not; ``--seed`` repeats a run. Ids are mostly
those of objects that are there. It prints how the answers were distributed.
"""

import argparse
import sys
import tempfile
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

import httpx
import requests
import schemathesis
from hypothesis import HealthCheck, Phase, given, seed, settings
from hypothesis import strategies as st
from schemathesis import GenerationMode

from gateway.emulator.testing import EmulatorOptions, running
from tests.conformance.openapi import SPEC
from tests.contract.wire import Wire, complaint
from tests.e2e.harness import chat_line, serving

MODES: Final = (GenerationMode.POSITIVE, GenerationMode.NEGATIVE)
# So often an id is one that is there.
KNOWN_IDS: Final = 4
ENOUGH: Final = 20  # complaints


@dataclass
class Report:
    """What was seen."""

    wrong: list[str] = field(default_factory=list)
    statuses: dict[str, Counter[int]] = field(default_factory=dict)

    def told(self) -> str:
        """A line for each operation."""
        lines = [f"{name}: {dict(sorted(seen.items()))}" for name, seen in self.statuses.items()]
        return "\n".join([*lines, f"wrong: {self.wrong or 'nothing'}"])


class Fuzzing:
    """One server, asked for everything that the description knows."""

    def __init__(self, wire: Wire, model: str) -> None:
        self._base_url = wire.base_url
        self._key = wire.key
        self._session = requests.Session()
        self.report = Report()
        self._wire = wire
        self._model = model
        self._known = self._objects()

    def _objects(self) -> Mapping[str, Sequence[str]]:
        """Make an object of each kind; their ids by the path parameters of the description."""
        file = self._wire.upload(chat_line("a", "x", model=self._model))
        values = {"filename": "in.jsonl", "purpose": "batch", "bytes": 9, "mime_type": "text/plain"}
        upload = self._wire.post("/uploads", json=values).json()
        return {
            "file_id": [file["id"]],
            "batch_id": [self._wire.create(file["id"])["id"]],
            "upload_id": [upload["id"]],
            "model": [self._model, f"models/{self._model}"],
        }

    def ask(self, examples: int, seeded: int) -> None:
        """Ask every operation, in both ways."""
        schema = schemathesis.openapi.from_dict(deepcopy(SPEC))
        for result in schema.get_all_operations():
            operation: Any = result.ok()  # type: ignore[union-attr]  # the description is read whole
            for mode in MODES:
                cases = operation.as_strategy(generation_mode=mode)
                self._ask_for(operation.label, cases, examples, seeded)

    def _ask_for(
        self, name: str, cases: st.SearchStrategy[Any], examples: int, seeded: int
    ) -> None:
        seen = self.report.statuses.setdefault(name, Counter())

        @seed(seeded)
        @settings(
            max_examples=examples,
            database=None,
            deadline=None,
            phases=[Phase.generate],
            suppress_health_check=list(HealthCheck),
        )
        @given(cases, st.integers(0, KNOWN_IDS), st.integers(0, 1))
        def once(case: Any, luck: int, which: int) -> None:
            self._use_known_ids(case, luck, which)
            status, wrong = self._send(case)
            seen[status] += 1
            if case.method != "GET" and case.path_parameters and status == httpx.codes.OK:
                self._known = self._objects()  # what was there is deleted, or has ended
            if wrong and len(self.report.wrong) < ENOUGH:
                self.report.wrong.append(f"{name}: {wrong}; {case.as_curl_command()[:500]}")

        once()

    def _use_known_ids(self, case: Any, luck: int, which: int) -> None:
        if not luck:
            return
        for parameter in case.path_parameters:
            known = self._known.get(parameter, ())
            if known:
                case.path_parameters[parameter] = known[which % len(known)]
        if isinstance(case.body, dict) and "input_file_id" in case.body:
            case.body["input_file_id"] = self._known["file_id"][0]

    def _send(self, case: Any) -> tuple[int, str | None]:
        headers = {"Authorization": f"Bearer {self._key}"}
        try:
            answer = case.call(
                base_url=self._base_url, session=self._session, headers=headers, timeout=60
            )
        except requests.exceptions.InvalidHeader:  # no client could send it
            return 0, None
        request = httpx.Request(case.method, answer.request.url or "")
        told = httpx.Response(
            answer.status_code, headers=_plain(answer.headers), content=answer.content
        )
        told.request = request
        return answer.status_code, complaint(told)


def _plain(headers: Mapping[str, Sequence[str]]) -> dict[str, str]:
    """Headers of an answer whose body was unpacked already."""
    skipped = {"content-encoding", "content-length", "transfer-encoding"}
    return {name: values[0] for name, values in headers.items() if name.lower() not in skipped}


@contextmanager
def _server() -> Iterator[Wire]:
    with (
        tempfile.TemporaryDirectory() as place,
        running(EmulatorOptions(job_seconds=0.05)) as google,
        serving(Path(place), google.base_url) as gateway,
    ):
        wire = Wire(gateway.url, "any-key")
        yield wire
        wire.client.close()


def fuzz(examples: int, seeded: int) -> Report:
    """Ask a server of ours."""
    with _server() as wire:
        fuzzing = Fuzzing(wire, "gemini-3.8-flash")
        fuzzing.ask(examples, seeded)
        return fuzzing.report


def main(arguments: Sequence[str]) -> int:
    """Print the figures; 1 where anything was wrong."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--examples", type=int, default=2000)
    parser.add_argument("--seed", type=int, default=1)
    chosen = parser.parse_args(arguments)
    report = fuzz(chosen.examples, chosen.seed)
    print(report.told())
    return bool(report.wrong)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
