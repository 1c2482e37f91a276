"""What answers may have in bytes, where that decides how jobs are cut and sent."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.batches.planning import JobLimits
from gateway.batches.quota import Quota, QuotaRules
from gateway.runner.cpu.answers import answer_bytes
from gateway.runner.cpu.validate import InputLimits, ValidateTask, validate
from tests.runner.world import chat

MIB = 1024 * 1024
LIMITS = InputLimits(10**6, 10**6, 2**20, 5, 20, 10**6, 100)


def item(**config: object) -> bytes:
    """One request."""
    return orjson.dumps({"contents": [], "generationConfig": config})


@pytest.mark.parametrize(
    ("config", "media", "size"),
    [
        ({}, False, 0),
        ({"responseLogprobs": True, "logprobs": 20, "maxOutputTokens": 800}, False, 4_032_000),
        ({"responseLogprobs": True}, False, 65_536 * 240),
        ({}, True, 2 * MIB),
        ({"imageConfig": {"imageSize": "2K"}, "candidateCount": 2}, True, 16 * MIB),
        ({"imageConfig": {"imageSize": "9K"}}, True, 32 * MIB),
    ],
)
def test_bytes_of_an_answer(config: dict[str, object], media: bool, size: int) -> None:
    """By what is published and what was measured; of text nothing is said."""
    assert answer_bytes([item(**config)], media=media) == size


def test_bytes_of_speech() -> None:
    """By the tokens that it may have."""
    assert answer_bytes([item(maxOutputTokens=250)], media=True, speaks=True) == 640_000


def planned(place: Path, line: Mapping[str, Any], lines: int, **changes: Any) -> list[int]:
    """Lines of each job of an input; none of them goes inline."""
    (place / "input").write_bytes(b"".join(chat(f"{n}", **line) for n in range(lines)))
    task = ValidateTask(
        input=str(place / "input"),
        scratch=str(place),
        batch_id="batch",
        endpoint="/v1/chat/completions",
        policy={},
        models=None,
        limits=LIMITS,
        jobs=JobLimits(1000, 10**9, 2**20, 1, 20, output_bytes_per_job=1024 * MIB),
        **changes,
    )
    jobs = validate(task).jobs
    assert not any(job.inline for job in jobs)
    return [job.lines for job in jobs]


def test_jobs_are_cut_by_what_comes_out(tmp_path: Path) -> None:
    """1 GiB of alternatives: 41 lines; 100 lines of them went inline, and were lost."""
    line = {"logprobs": True, "top_logprobs": 20, "max_tokens": 5000, "model": "gemini-2.5-flash"}
    assert planned(tmp_path, line, 100) == [42, 42, 16]


def test_pictures_are_cut_by_what_comes_out(tmp_path: Path) -> None:
    """512 of 1K."""
    line = {"model": "gemini-3-pro-image-preview"}
    assert planned(tmp_path, line, 600) == [512, 88]


def test_jobs_are_cut_by_what_their_model_admits(tmp_path: Path) -> None:
    """By what a setting says, and by what was learned of it."""
    rules = QuotaRules(enqueued_tokens={"*": 10_000})
    line = {"messages": [{"role": "user", "content": "x" * 8000}]}
    cut = planned(tmp_path, line, 150, rules=QuotaRules(enqueued_tokens={"*": 405_000}))
    assert cut == [100, 50]
    quota = Quota("default", "gemini-2.5-flash", room=500_000, ceiling=500_000)
    assert planned(tmp_path, line, 150, rules=rules, quotas=[quota])[:2] == [2, 2]
