"""The verification of files: what is missing, doubled and unknown, counted and named in part."""

from collections.abc import Iterable
from pathlib import Path

import orjson
import pytest

from gateway.runner.cpu.verify import MOST_NAMED, Verified, VerifyTask, verify


def write(path: Path, names: Iterable[str], member: str) -> str:
    """A file of lines with these ids, and a member that tells what they are."""
    lines = (orjson.dumps({"custom_id": name, member: {}}) + b"\n" for name in names)
    path.write_bytes(b"".join(lines))
    return str(path)


def verified(tmp_path: Path, wanted: Iterable[str], *answers: Iterable[str]) -> Verified:
    """Compare files of these ids."""
    files = {"input": write(tmp_path / "input", wanted, "body")}
    for number, names in enumerate(answers):
        name = f"answers-{number}"
        files[name] = write(tmp_path / name, names, "response")
    return verify(VerifyTask(str(tmp_path), files))


def test_each_line_once_over_two_files(tmp_path: Path) -> None:
    """An output and an error file together."""
    found = verified(tmp_path, "abc", "ca", "b")
    assert (found.good, found.lines) == (True, 3)
    assert found.sha256.keys() == {"input", "answers-0", "answers-1"}


def test_what_does_not_fit(tmp_path: Path) -> None:
    """Each kind by itself, in order; an id in both files is doubled."""
    found = verified(tmp_path, "abcd", "axb", "b")
    assert not found.good
    assert (found.missing, found.doubled, found.unknown) == (["c", "d"], ["b"], ["x"])
    assert found.counts == {"missing": 2, "doubled": 1, "unknown": 1, "repeated": 0}


def test_an_id_of_two_lines_is_no_good(tmp_path: Path) -> None:
    """One answer came back, and nobody can say to which of them."""
    found = verified(tmp_path, "aab", "ab")
    assert not found.good
    assert found.repeated == ["a"]
    assert found.counts == {"missing": 0, "doubled": 0, "unknown": 0, "repeated": 1}


def test_many_are_counted_and_some_named(tmp_path: Path) -> None:
    """Whatever is wrong with a large file is told in bounded memory."""
    found = verified(tmp_path, map(str, range(MOST_NAMED * 3)), ())
    assert found.counts["missing"] == MOST_NAMED * 3
    assert len(found.missing) == MOST_NAMED


@pytest.mark.parametrize("line", [b"no json\n", b"[]\n", b'{"custom_id":1}\n', b"{}\n"])
def test_a_line_without_an_id_is_named(tmp_path: Path, line: bytes) -> None:
    """Nothing is compared then."""
    path = tmp_path / "input"
    path.write_bytes(b'\xef\xbb\xbf{"custom_id":"a","body":{}}\n\n' + line)
    found = verify(VerifyTask(str(tmp_path), {"input": str(path)}))
    assert found.broken == "input, line 3: this is no JSON object with a custom_id"
    assert not found.good
