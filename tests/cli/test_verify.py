"""``gateway verify`` of files on this machine: what fits, what does not, what is no comparison."""

import gzip
import os
from collections.abc import Iterable
from pathlib import Path

import orjson
import pytest
from click.testing import CliRunner, Result

from gateway.cli.main import main


@pytest.fixture
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A directory of an input of three lines, its output and its error file."""
    monkeypatch.chdir(tmp_path)
    write("in.jsonl", "abc", "body")
    write("out.jsonl", "ab", "response")
    write("err.jsonl", "c", "error")
    return tmp_path


def write(name: str, ids: Iterable[str], member: str) -> None:
    """A file of lines with these custom_ids."""
    lines = (orjson.dumps({"custom_id": each, member: {}}) + b"\n" for each in ids)
    Path(name).write_bytes(b"".join(lines))


def verify(*names: str) -> Result:
    """Run the command."""
    return CliRunner().invoke(main, ["verify", *names], terminal_width=200)


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize("answers", [("out.jsonl", "err.jsonl"), ("err.jsonl", "out.jsonl")])
def test_output_and_errors_in_any_order(answers: tuple[str, str]) -> None:
    """An error line is an answer wherever it is."""
    done = verify("in.jsonl", *answers)
    assert (done.exit_code, done.stderr) == (0, "")
    assert done.stdout.endswith("each of 3 lines came back once\n")


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("names", "said"),
    [
        (("in.jsonl", "in.jsonl"), "in.jsonl is the same file as in.jsonl"),
        (("in.jsonl", "./in.jsonl", "err.jsonl"), "./in.jsonl is the same file as in.jsonl"),
        (("in.jsonl", "link.jsonl"), "link.jsonl is the same file as in.jsonl"),
        (("in.jsonl", "out.jsonl", "out.jsonl"), "out.jsonl is the same file as out.jsonl"),
        (("in.jsonl", "copy.jsonl"), "copy.jsonl, line 1: this is no line of an output or error"),
        (("out.jsonl", "in.jsonl"), "out.jsonl, line 1: this is no line of an input"),
        (("empty.jsonl", "out.jsonl"), "empty.jsonl has no lines"),
        (("cut.jsonl", "out.jsonl"), "cut.jsonl, line 3: this is no JSON: the file ends within"),
        (("in.jsonl", "out.jsonl.gz"), "'out.jsonl.gz' is compressed: unpack it first (gunzip)"),
        (("in.jsonl", "folder"), "File 'folder' is a directory"),
        (("in.jsonl", "pipe"), "'pipe' is no regular file"),
        (("in.jsonl", "none.jsonl"), "File 'none.jsonl' does not exist"),
        (("in.jsonl",), "name its output and error files after it"),
    ],
)
def test_what_cannot_be_compared(place: Path, names: tuple[str, ...], said: str) -> None:
    """Exit 2, with the file and the reason: an input never passes for its own answers."""
    (place / "link.jsonl").hardlink_to("in.jsonl")
    (place / "copy.jsonl").write_bytes((place / "in.jsonl").read_bytes())
    (place / "empty.jsonl").touch()
    (place / "cut.jsonl").write_bytes((place / "in.jsonl").read_bytes()[:-5])
    (place / "out.jsonl.gz").write_bytes(gzip.compress((place / "out.jsonl").read_bytes()))
    (place / "folder").mkdir()
    os.mkfifo(place / "pipe")
    done = verify(*names)
    assert (done.exit_code, done.stdout) == (2, "")
    assert said in " ".join(done.stderr.split())


@pytest.mark.usefixtures("place")
@pytest.mark.parametrize(
    ("ids", "answered", "said"),
    [
        ("abc", "ab", "1 missing: c"),
        ("abc", "abcx", "1 unknown: x"),
        ("abc", "abcc", "1 doubled: c"),
        ("abcc", "abc", "1 more than once in the input"),
        ("abc", "", "3 missing: a, b, c"),
        (("a", "\x1b[31mb"), "a", "1 missing: \N{REPLACEMENT CHARACTER}[31mb"),
    ],
)
def test_what_does_not_fit(ids: Iterable[str], answered: str, said: str) -> None:
    """Exit 1, named by custom_id, and nothing that a terminal would obey."""
    write("in.jsonl", ids, "body")
    write("out.jsonl", answered, "response")
    done = verify("in.jsonl", "out.jsonl")
    assert done.exit_code == 1
    assert said in done.stdout


@pytest.mark.usefixtures("place")
def test_each_file_has_its_digest(place: Path) -> None:
    """Files of the same name in two folders, too."""
    (place / "other").mkdir()
    (place / "err.jsonl").rename("other/out.jsonl")
    done = verify("in.jsonl", "out.jsonl", "other/out.jsonl", "--json")
    assert done.exit_code == 0
    assert list(orjson.loads(done.stdout)["sha256"]) == ["in.jsonl", "out.jsonl", "other/out.jsonl"]
