"""Dry runs: the beginning of a file, read as a validation would, and nothing made of it."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.runner.cpu.dry_run import DryRunTask, dry_run
from tests.runner.world import MODEL, chat

CHAT = "/v1/chat/completions"


def tried(tmp_path: Path, content: bytes, **changes: Any) -> dict[str, Any]:
    """Try a file."""
    path = tmp_path / "input"
    path.write_bytes(content)
    given: dict[str, Any] = {"whole": True, "max_line_bytes": 4000, "max_lines": 100}
    given |= {"policy": {}, "day": "2026-11-29", "models": {MODEL: ["batchGenerateContent"]}}
    return dry_run(DryRunTask(input=str(path), **{**given, **changes}))


def refused(line: bytes) -> bytes:
    """The same line with a field that is refused."""
    value = orjson.loads(line)
    value["body"]["temperature"] = 9
    value["custom_id"] = "hot"
    return orjson.dumps(value) + b"\n"


def test_lines_are_counted_noted_and_priced(tmp_path: Path) -> None:
    """What is refused is shown with its line; what fails the batch is told apart."""
    line = chat("a")
    told = tried(tmp_path, line + refused(line) + line + b"no json\n")
    assert (told["lines"], told["refused"], told["fail_the_batch"]) == (4, 1, 2)
    assert (told["endpoint"], told["whole"]) == (CHAT, True)
    shown = [(each["line"], each["fails"]) for each in told["complaints"]]
    assert shown == [(2, "line"), (3, "batch"), (4, "batch")]
    assert told["total"]["known_input_usd"] > 0


def test_a_beginning_leaves_its_last_line_out(tmp_path: Path) -> None:
    """It may be cut off."""
    line = chat("a")
    told = tried(tmp_path, line + chat("b")[:20], whole=False)
    assert (told["lines"], told["whole"], told["complaints"]) == (1, False, [])


def test_lines_have_a_bound(tmp_path: Path) -> None:
    """A person waits for it."""
    content = b"".join(chat(str(number)) for number in range(5))
    told = tried(tmp_path, content, max_lines=3)
    assert (told["lines"], told["whole"]) == (3, False)
    assert tried(tmp_path, content, max_lines=6)["whole"] is True


@pytest.mark.parametrize("models", [None, {}])
def test_a_model_that_is_not_listed(tmp_path: Path, models: dict[str, Any] | None) -> None:
    """It fails the batch where there is a list, and is named for whoever looks it up."""
    told = tried(tmp_path, chat("a"), models=models)
    assert told["fail_the_batch"] == (0 if models is None else 1)
    assert told["unknown_models"] == ([] if models is None else [MODEL])


def test_prices_of_the_settings_come_first(tmp_path: Path) -> None:
    """As in a batch's estimate."""
    dear = tried(tmp_path, chat("a"), prices={MODEL: {"input": 1e6, "output": 1e6}})
    assert dear["total"]["known_input_usd"] >= 1
