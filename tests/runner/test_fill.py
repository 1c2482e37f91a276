"""The CPU step that writes URIs into a spool."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.runner.cpu.fill import FillSummary, FillTask, Usable, fill, lines_naming

ONE = "file-" + "1" * 24
TWO = "file-" + "2" * 24
FILES = {
    ONE: Usable("https://host/v1beta/files/one", "application/pdf"),
    TWO: Usable("https://host/v1beta/files/two", "image/png"),
}


def item(key: str, *parts: dict[str, Any]) -> bytes:
    """A spool line."""
    request = {"contents": [{"role": "user", "parts": list(parts)}]}
    return orjson.dumps({"key": key, "request": request}) + b"\n"


def naming(file_id: str) -> dict[str, Any]:
    """A placeholder."""
    return {"fileData": {"fileUri": f"gateway-file:{file_id}"}}


def filled(file_id: str) -> dict[str, Any]:
    """The same with its URI."""
    return {"fileData": {"fileUri": FILES[file_id].uri, "mimeType": FILES[file_id].media_type}}


def run(tmp_path: Path, spool: bytes, *failed: str) -> tuple[FillSummary, bytes]:
    """Fill; the summary and the filled bytes."""
    (tmp_path / "spool").write_bytes(spool)
    files = {name: file for name, file in FILES.items() if name not in failed}
    made = fill(FillTask(str(tmp_path / "spool"), str(tmp_path), files, failed))
    content = Path(made.path).read_bytes()
    assert made.bytes == len(content)
    assert made.items == content.count(b"\n")
    return made, content


def test_placeholders_become_uris(tmp_path: Path) -> None:
    """Several in one item, one in several; whatever else the part says stays."""
    seen = {"mediaResolution": {"level": "MEDIA_RESOLUTION_HIGH"}}
    spool = item("1", {"text": "é"}, naming(ONE), {**naming(TWO), **seen}) + item("2", naming(ONE))
    _, content = run(tmp_path, spool)
    assert content == (
        item("1", {"text": "é"}, filled(ONE), {**filled(TWO), **seen}) + item("2", filled(ONE))
    )


def test_other_items_stay_as_they_are(tmp_path: Path) -> None:
    """Byte for byte, in whatever form they were written."""
    plain = b'{"key": "1",  "request":{"contents":[{"parts":[{"text":"\\u00e9 1.0e5"}]}]} }\n'
    _, content = run(tmp_path, plain + item("2", naming(ONE)) + plain)
    assert content == plain + item("2", filled(ONE)) + plain


def test_nothing_but_placeholders_is_written(tmp_path: Path) -> None:
    """Neither a text nor the arguments of a call that look like one."""
    call = {"functionCall": {"name": "f", "args": naming(ONE)}}
    answer = {"functionResponse": {"name": "f", "response": {"parts": [naming(ONE)]}}}
    text = {"text": orjson.dumps(naming(ONE)).decode()}
    spool = item("1", call, answer, text, naming(TWO))
    _, content = run(tmp_path, spool)
    assert content == item("1", call, answer, text, filled(TWO))


def test_items_of_failed_files_are_left_out(tmp_path: Path) -> None:
    """All of them, and nothing else."""
    spool = item("1", naming(ONE)) + item("2", naming(TWO)) + item("3.0", naming(ONE), naming(TWO))
    spool += item("3.1", naming(ONE), naming(TWO)) + item("4", {"text": "x"})
    made, content = run(tmp_path, spool, TWO)
    assert content == item("1", filled(ONE)) + item("4", {"text": "x"})
    assert made.items == 2
    assert lines_naming(tmp_path / "spool", {TWO: None}) == {2: TWO, 3: TWO}
    assert lines_naming(tmp_path / "spool", {ONE: None, TWO: None}) == {1: ONE, 2: TWO, 3: ONE}
    assert lines_naming(tmp_path / "spool", {}) == {}


def test_a_file_nobody_told_of_is_a_defect(tmp_path: Path) -> None:
    """Never sent with a placeholder in it."""
    with pytest.raises(LookupError):
        run(tmp_path, item("1", naming("file-" + "3" * 24)))
