"""``gateway run`` and the commands around it, as a person types them, on a terminal and without."""

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import openai
import orjson
import pexpect
import pytest

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.cli.processes import GATEWAY, run
from tests.e2e.harness import GatewayProcess, serving, until

SECONDS = 60


def write(directory: Path, *temperatures: float) -> Path:
    """A file of chat lines; a temperature beyond 2 is refused."""
    path = directory / "requests.jsonl"
    lines = [
        {
            "custom_id": f"line-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {
                "model": "gemini-3.5-flash",
                "messages": [{"role": "user", "content": "hi"}],
                "temperature": temperature,
                "parallel_tool_calls": False,
            },
        }
        for number, temperature in enumerate(temperatures)
    ]
    path.write_bytes(b"".join(orjson.dumps(line) + b"\n" for line in lines))
    return path


def environment(gateway: GatewayProcess) -> dict[str, str]:
    """What says to every OpenAI program where to go."""
    return {"OPENAI_BASE_URL": gateway.url, "OPENAI_API_KEY": "any"}


def test_every_line_answered(gateway: GatewayProcess, tmp_path: Path) -> None:
    """Exit 0, the id on stdout alone, the answers next to the input, and they can be verified."""
    path = write(tmp_path, 1, 1, 1)
    ran = run("run", str(path), env=environment(gateway))
    assert ran.returncode == 0, ran.stderr
    assert ran.stdout.startswith("batch_")
    output = tmp_path / "requests.output.jsonl"
    assert len(output.read_bytes().splitlines()) == 3
    assert not (tmp_path / "requests.error.jsonl").exists()
    checked = run("verify", ran.stdout.strip(), env=environment(gateway))
    assert checked.returncode == 0
    assert "each of 3 lines came back once" in checked.stdout


def test_some_lines_failed(gateway: GatewayProcess, tmp_path: Path) -> None:
    """Exit 1, and a table of what went wrong, grouped by code, with the first as an example."""
    path = write(tmp_path, 1, 9, 9)
    ran = run("run", str(path), env=environment(gateway))
    assert ran.returncode == 1
    assert "completed, 1 of 3 done, 2 failed" in ran.stderr
    [row] = [line for line in ran.stderr.splitlines() if "invalid_value" in line]
    assert row.split()[:3] == ["2", "invalid_value", "line-1"]
    names = {each.name.removeprefix("requests.") for each in tmp_path.iterdir()}
    assert names == {"jsonl", "output.jsonl", "error.jsonl", "warnings.jsonl"}


def test_a_batch_that_fails(gateway: GatewayProcess, tmp_path: Path) -> None:
    """Exit 2, with the line and its message."""
    path = tmp_path / "requests.jsonl"
    path.write_bytes(b'{"url":"/v1/chat/completions","custom_id":"a"}\n')
    ran = run("run", str(path), env=environment(gateway))
    assert ran.returncode == 2
    assert "line 1: " in ran.stderr
    assert "method" in ran.stderr


@pytest.mark.parametrize(
    ("text", "arguments", "said"),
    [
        ("no json\n", (), "say --endpoint"),
        ("{}\n", ("--metadata", "=x"), "KEY=VALUE"),
        ("{}\n", ("--metadata", "x"), "KEY=VALUE"),
        ("{}\n", ("--metadata", b"a=\xff"), "UTF-8"),
        ("{}\n", ("--endpoint", "/v1/chat/completions", "--api-key", "\u00fc"), "ASCII"),
        ("{}\n", ("--resume", "../files"), "/batches/../files"),
        ("{}\n", ("--resume", b"\xff"), "No batch found"),
        ("{}\n", ("--endpoint", "/v1/none"), "/v1/none"),
    ],
)
def test_what_cannot_run_says_why(
    gateway: GatewayProcess,
    tmp_path: Path,
    text: str,
    arguments: tuple[str | bytes, ...],
    said: str,
) -> None:
    """One sentence, no traceback, nothing created; the exit code is not that of failed lines."""
    path = tmp_path / "requests.jsonl"
    path.write_text(text)
    ran = run("run", str(path), *arguments, env=environment(gateway))
    assert ran.returncode == 2
    assert said in " ".join(ran.stderr.split())
    assert "Traceback" not in ran.stderr


def test_no_gateway_is_not_failed_lines(tmp_path: Path) -> None:
    """Exit 2, as of every batch that did not complete."""
    ran = run("run", str(write(tmp_path, 1)), env={"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"})
    assert ran.returncode == 2
    assert "No gateway answers" in ran.stderr


def test_answers_that_cannot_be_written_are_not_paid_for(
    gateway: GatewayProcess, tmp_path: Path
) -> None:
    """The place of the files is tried before the upload: a folder is there, a name is too long."""
    path = write(tmp_path, 1)
    (tmp_path / "requests.output.jsonl").mkdir()
    long = path.with_name(f"{'x' * 240}.jsonl")
    long.write_bytes(path.read_bytes())
    for file, said in ((path, "Is a directory"), (long, "File name too long")):
        ran = run("run", str(file), env=environment(gateway))
        assert ran.returncode == 2
        assert said in ran.stderr
        assert "Traceback" not in ran.stderr
        assert not ran.stdout
    assert run("run", str(path), "--no-wait", env=environment(gateway)).returncode == 0
    left = {each.name for each in tmp_path.iterdir()}
    assert left == {"requests.jsonl", "requests.output.jsonl", long.name}


def test_answers_that_could_not_be_written_in_the_end(
    gateway: GatewayProcess, tmp_path: Path
) -> None:
    """What was paid for is kept at the gateway, and the command that fetches it is said."""
    path = write(tmp_path, 1)
    (tmp_path / "requests.output.jsonl.part").symlink_to("/dev/full")
    ran = run("run", str(path), env=environment(gateway))
    assert ran.returncode == 2
    assert "No space left on device" in ran.stderr
    resume = f"gateway run {path} --resume {ran.stdout.strip()}"
    assert resume in ran.stderr
    (tmp_path / "requests.output.jsonl.part").unlink()
    assert run(*resume.split()[1:], env=environment(gateway)).returncode == 0


def test_an_output_that_is_full_hides_no_batch(gateway: GatewayProcess, tmp_path: Path) -> None:
    """It was created: its id is told with the error, though it could not be printed."""
    path = write(tmp_path, 1)
    with Path("/dev/full").open("wb") as full:
        ran = subprocess.run(
            [GATEWAY, "run", str(path), "--no-wait"],
            env={"PATH": os.defpath, **environment(gateway)},
            stdout=full,
            stderr=subprocess.PIPE,
            timeout=SECONDS,
            check=False,
        )
    assert b"Error: standard output cannot be written: No space left on device" in ran.stderr
    assert f"gateway run {path} --resume batch_".encode() in ran.stderr


@pytest.mark.parametrize("command", [("run",), ("run", "--dry-run"), ("translate",)])
def test_a_pipe_is_no_input(
    gateway: GatewayProcess, tmp_path: Path, command: tuple[str, ...]
) -> None:
    """It can be read once only: lines that were read for their url would be lost."""
    pipe = tmp_path / "requests.jsonl"
    os.mkfifo(pipe)
    ran = run(*command, str(pipe), env=environment(gateway))
    assert ran.returncode == 2
    assert "no regular file" in " ".join(ran.stderr.split())


def test_output_that_cannot_be_written(gateway: GatewayProcess, tmp_path: Path) -> None:
    """One sentence instead of a traceback, whatever the command."""
    path = write(tmp_path, 1)
    for arguments in (("translate", str(path)), ("status", "--json"), ("batches",)):
        with Path("/dev/full").open("wb") as full:
            ran = subprocess.run(
                [GATEWAY, *arguments],
                env={"PATH": os.defpath, **environment(gateway)},
                stdout=full,
                stderr=subprocess.PIPE,
                timeout=SECONDS,
                check=False,
            )
        assert ran.returncode == 1  # Python's own is 120, of what is still in a buffer at the end
        sentence = b"Error: standard output cannot be written: No space left on device\n"
        assert ran.stderr == sentence


def test_an_input_alone_is_not_verified(tmp_path: Path) -> None:
    """It is a file, so no batch is asked for."""
    checked = run("verify", str(write(tmp_path, 1)))
    assert checked.returncode == 2
    assert "its output and error files" in " ".join(checked.stderr.split())


def test_files_that_do_not_fit(tmp_path: Path) -> None:
    """Missing, doubled and unknown ids are told apart, without a gateway."""
    path = write(tmp_path, 1, 1, 1)
    answers = tmp_path / "output.jsonl"
    rows: list[Any] = [{"custom_id": name, "error": {}} for name in ("line-0", "line-0", "line-7")]
    answers.write_bytes(b"\n".join(map(orjson.dumps, rows)))
    checked = run("verify", str(path), str(answers), "--json")
    assert checked.returncode == 1
    told = orjson.loads(checked.stdout)
    assert told["missing"] == ["line-1", "line-2"]
    assert (told["doubled"], told["unknown"]) == (["line-0"], ["line-7"])


def test_the_dry_run_sends_nothing(tmp_path: Path) -> None:
    """It says what translate says, without a gateway."""
    path = write(tmp_path, 1, 9)
    nowhere = {"OPENAI_BASE_URL": "http://127.0.0.1:9/v1"}
    ran = run("run", str(path), "--dry-run", env=nowhere)
    assert ran.returncode == 0, ran.stderr
    assert "2 lines" in ran.stdout


def test_doctor(gemini: Emulator, tmp_path: Path) -> None:
    """A good machine, a wrong key, no key, a network that does not answer."""
    good = {
        "GATEWAY_GEMINI_BASE_URL": gemini.base_url,
        "GATEWAY_DATA_DIR": str(tmp_path / "data"),
        "GEMINI_API_KEY": "a-key-of-the-emulator",
    }
    ran = run("doctor", env=good)
    assert ran.returncode == 0, ran.stdout
    assert "models for batches, such as gemini-3.8-flash (chat)" in ran.stdout
    for model in ("gemini-embedding-001 (embeddings)", "gemini-3.1-flash-image (images)"):
        assert model in ran.stdout
    assert "\x1b[" not in ran.stdout
    deaf = run("doctor", "--json", env={**good, "GATEWAY_GEMINI_BASE_URL": "http://127.0.0.1:9"})
    assert deaf.returncode == 1
    [wrong] = [one for one in orjson.loads(deaf.stdout) if one["state"] == "error"]
    assert wrong["what"] == "Google"
    assert "connection refused" in wrong["told"]
    assert "GATEWAY_GEMINI_BASE_URL" in wrong["told"]
    assert "Errno" not in wrong["told"]
    blocked = tmp_path / "a file"
    blocked.touch()
    ran = run("doctor", env={**good, "GATEWAY_DATA_DIR": str(blocked)})
    assert ran.returncode == 1
    assert "data directory" in ran.stdout


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway whose batches do not end."""
    with (
        running(EmulatorOptions(job_seconds=36_000)) as emulator,
        serving(tmp_path_factory.mktemp("slow"), emulator.base_url) as process,
    ):
        yield process


def typed(gateway: GatewayProcess, path: Path, *arguments: str) -> Any:
    """The command on a terminal of 120 columns."""
    return pexpect.spawn(
        GATEWAY,
        ["run", str(path), *arguments],
        env={"PATH": os.defpath, "TERM": "xterm", **environment(gateway)},
        dimensions=(24, 120),
        timeout=SECONDS,
        encoding="utf-8",
    )


def status_of(gateway: GatewayProcess, batch_id: str) -> str:
    """The batch's status as the SDK sees it."""
    client = openai.OpenAI(base_url=gateway.url, api_key="any")
    return client.batches.retrieve(batch_id).status


@pytest.mark.slow
def test_ctrl_c_leaves_or_cancels(slow: GatewayProcess, tmp_path: Path) -> None:
    """A bar, then the question: twice Ctrl-C and "n" leave the batch, resume and "y" cancel it."""
    path = write(tmp_path, 1, 1)
    first = typed(slow, path)
    first.expect(r"(batch_[0-9a-f]{32})")
    batch_id = first.match.group(1)
    first.expect("0 of 2 done")
    first.sendintr()
    first.expect("Cancel the batch")
    first.sendintr()
    first.expect("--resume")
    first.expect(pexpect.EOF)
    first.close()
    assert first.exitstatus == 2
    assert status_of(slow, batch_id) == "in_progress"

    again = typed(slow, path, "--resume", batch_id)
    again.expect("0 of 2 done")
    again.sendintr()
    again.expect("Cancel the batch")
    again.sendline("y")
    again.expect(pexpect.EOF, timeout=SECONDS)
    again.close()
    assert again.exitstatus == 2
    until(lambda: status_of(slow, batch_id) == "cancelled", "the batch is cancelled")


@pytest.mark.slow
def test_without_waiting(slow: GatewayProcess, tmp_path: Path) -> None:
    """``--no-wait`` prints the id; batches, cancel and resume take it from there."""
    path = write(tmp_path, 1)
    batch_id = run("run", str(path), "--no-wait", env=environment(slow)).stdout.strip()
    listed = run("batches", "--json", env=environment(slow)).stdout.splitlines()
    assert batch_id in {orjson.loads(line)["id"] for line in listed}
    cancelled = run("cancel", batch_id, env=environment(slow))
    assert cancelled.stdout.strip() in {"cancelling", "cancelled"}
    ended = run("run", str(path), "--resume", batch_id, env=environment(slow))
    assert ended.returncode == 2
    unknown = run("run", str(path), "--resume", "batch_none", env=environment(slow))
    assert unknown.returncode == 2
    assert "batch_none" in unknown.stderr


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish"])
def test_completion(shell: str) -> None:
    """A script for each shell."""
    assert "_GATEWAY_COMPLETE" in run("completion", shell).stdout
