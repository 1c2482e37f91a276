"""``gateway demo``, end to end."""

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import orjson
import psutil
import pytest
from openai.types import Batch, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion
from openai.types.responses import Response

from gateway.cli.demo_lines import chat_lines, embedding_lines, response_lines
from tests.cli.processes import GATEWAY, environment, run, without_affinity

pytestmark = pytest.mark.slow


def lines_of(path: Path) -> dict[str, Any]:
    """Lines by custom_id; none comes twice."""
    lines = [orjson.loads(line) for line in path.read_bytes().splitlines()]
    assert len({line["custom_id"] for line in lines}) == len(lines)
    return {line["custom_id"]: line for line in lines}


def test_the_demo_shows_every_line_and_keeps_the_files(tmp_path: Path) -> None:
    """Real servers, the SDK's program, all batches; then nothing is left running.

    No process finds ``sched_getaffinity``, as on macOS (unproven beyond that: no test runs there).
    """
    done = run("demo", "--keep", str(tmp_path), env=without_affinity(tmp_path))

    assert (done.returncode, done.stderr) == (0, "")
    for custom_id in (*chat_lines(), *response_lines(), *embedding_lines()):
        assert f" {custom_id} " in done.stdout
    assert f"Inputs, outputs and logs are in {tmp_path}:" in done.stdout
    check_chat(tmp_path)
    check_responses(tmp_path)
    check_embeddings(tmp_path)
    assert not [p for p in psutil.process_iter() if str(tmp_path) in str(_environment(p))]


def _environment(process: psutil.Process) -> object:
    """How the demo's gateway is known from others: its data directory."""
    try:
        return process.environ().get("GATEWAY_DATA_DIR")
    except psutil.Error:
        return None


def check_chat(directory: Path) -> None:
    """Answers are the SDK's types, errors stand beside them, nothing is lost."""
    answers = lines_of(directory / "chat.output.jsonl")
    errors = lines_of(directory / "chat.error.jsonl")
    batch = Batch.model_validate_json((directory / "chat.batch.json").read_bytes())
    completions = {
        name: ChatCompletion.model_validate(line["response"]["body"])
        for name, line in answers.items()
    }

    assert batch.status == "completed"
    assert sorted([*answers, *errors]) == sorted(chat_lines())
    assert sorted(errors) == [
        "refused-bad-image",
        "refused-range",
        "refused-unknown-field",
        "upstream-error",
    ]
    assert completions["two-choices-newer"].choices[1].index == 1
    assert completions["tool-forced"].choices[0].finish_reason == "tool_calls"
    assert completions["cut-off"].choices[0].finish_reason == "length"
    assert completions["upstream-blocked"].choices[0].finish_reason == "content_filter"
    assert "Zürich" in str(completions["city-1"].choices[0].message.content)


def check_responses(directory: Path) -> None:
    """Each is a Response by the SDK's type; what has no place here is refused."""
    answers = {
        name: Response.model_validate(line["response"]["body"])
        for name, line in lines_of(directory / "responses.output.jsonl").items()
    }
    errors = lines_of(directory / "responses.error.jsonl")

    assert sorted([*answers, *errors]) == sorted(response_lines())
    assert list(errors) == ["refused-previous"]
    assert answers["instructions"].instructions == "You answer in rhymes."
    assert [item.type for item in answers["function-calls"].output] == ["function_call"] * 2
    assert answers["code-interpreter"].output[0].type == "code_interpreter_call"
    assert answers["incomplete"].status == "incomplete"
    assert answers["text"].output_text == "Echo: Say hello."


def check_embeddings(directory: Path) -> None:
    """Vectors as floats and as base64."""
    answers = lines_of(directory / "embeddings.output.jsonl")
    body = {name: line["response"]["body"] for name, line in answers.items()}

    assert len(CreateEmbeddingResponse.model_validate(body["array-of-three"]).data) == 3
    assert len(body["dimensions-256"]["data"][0]["embedding"]) == 256
    assert isinstance(body["base64"]["data"][0]["embedding"], str)
    assert sorted(lines_of(directory / "embeddings.error.jsonl")) == [
        "refused-encoding",
        "refused-token-ids",
    ]


@contextmanager
def interrupted(
    directory: Path, number: signal.Signals
) -> Iterator[tuple[subprocess.Popen[str], list[psutil.Process]]]:
    """A demo that gets a signal in the middle of its batches, and what it had started."""
    with subprocess.Popen(
        [GATEWAY, "demo", "--keep", str(directory)],
        env=environment(),
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    ) as demo:
        assert demo.stdout is not None
        assert any("created batch_" in line for line in demo.stdout)
        children = psutil.Process(demo.pid).children(recursive=True)
        assert len(children) >= 3
        demo.send_signal(number)
        yield demo, children


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM], ids=lambda n: n.name)
def test_ctrl_c_ends_everything(tmp_path: Path, number: signal.Signals) -> None:
    """A message, and when it is there no process is left."""
    with interrupted(tmp_path, number) as (demo, children):
        _, said = demo.communicate(timeout=60)

        assert said == "Error: interrupted; emulator and gateway have ended\n"
        assert demo.returncode == 1
        assert [child for child in children if child.is_running()] == []


def test_what_it_started_does_not_outlive_a_killed_demo(tmp_path: Path) -> None:
    """Whose cleaning up never ran."""
    with interrupted(tmp_path, signal.SIGKILL) as (_, children):
        _, alive = psutil.wait_procs(children, timeout=60)

        assert alive == []


def test_without_its_extra_it_says_what_to_install() -> None:
    """A None in sys.modules is how Python marks a module that cannot be imported."""
    code = (
        "import sys; sys.modules['openai'] = sys.modules['rich'] = None;"
        " from gateway.cli import main; main(['demo'])"
    )

    done = subprocess.run(
        [sys.executable, "-c", code], env=environment(), capture_output=True, text=True, check=False
    )

    assert done.returncode == 1
    assert done.stderr == (
        "Error: the demo needs openai: in the checkout, type pip install '.[demo]'\n"
    )
