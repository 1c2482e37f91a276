"""The programs of the emulator's README run as they are written."""

import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.emulator.testing import Emulator
from tests.emulator.test_node import NODE, installed

README = Path(__file__).parent.parent.parent / "gateway/emulator/README.md"
ADDRESS = "http://127.0.0.1:8081"


def programs(language: str, word: str) -> Iterator[str]:
    """The fenced blocks of a language that have a word."""
    text = README.read_text(encoding="utf-8")
    for block in re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE):
        if word in block:
            yield block


def output_of(command: list[str], directory: Path) -> str:
    """What a program prints that succeeds and complains of nothing."""
    done = subprocess.run(
        command, cwd=directory, env={}, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, ""), done.stdout
    return done.stdout


@pytest.mark.slow
def test_google_genai(gemini: Emulator, tmp_path: Path) -> None:
    """In Python."""
    [program] = programs("python", ADDRESS)
    (tmp_path / "program.py").write_text(program.replace(ADDRESS, gemini.base_url))
    assert output_of([sys.executable, "program.py"], tmp_path) == "Echo: Say hello.\n"


@pytest.mark.slow
def test_google_genai_in_node(gemini: Emulator, tmp_path: Path) -> None:
    """In JavaScript."""
    [program] = programs("js", ADDRESS)
    (tmp_path / "node_modules").symlink_to(installed() / "node_modules")
    (tmp_path / "program.mjs").write_text(program.replace(ADDRESS, gemini.base_url))
    assert output_of([str(NODE), "program.mjs"], tmp_path) == "Echo: Say hello.\n"


@pytest.mark.slow
def test_the_fixture(tmp_path: Path) -> None:
    """In a test of another project."""
    [program] = programs("python", "gateway.emulator.testing")
    (tmp_path / "test_reviews.py").write_text(program)
    quiet = ["-q", "-p", "no:cacheprovider", "-p", "no:asyncio"]
    command = [sys.executable, "-m", "pytest", *quiet, "test_reviews.py"]
    assert "2 passed" in output_of(command, tmp_path)


@pytest.mark.slow
def test_the_context_manager(tmp_path: Path) -> None:
    """In a program without pytest."""
    [program] = programs("python", "gateway.emulator.running")
    (tmp_path / "program.py").write_text(program)
    assert output_of([sys.executable, "program.py"], tmp_path) == "Echo: Say hello.\n"


@pytest.mark.parametrize("word", ["gateway emulator --port 8081", "emulator/clock"])
def test_commands_are_there(word: str) -> None:
    """Those that test_readme.py checks."""
    assert list(programs("sh", word))
