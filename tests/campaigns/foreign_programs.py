"""Programs of others, unmodified, against the gateway before the emulator.

``python -m tests.campaigns.foreign_programs [PROGRAM …]`` makes an environment for each from the
package index, the newest version unless ``--folder`` has an environment already, runs what is in
``programs/`` in it with ``OPENAI_BASE_URL`` and ``OPENAI_API_KEY`` alone, and prints the table of
``gateway/live/README.md``. It takes some ten minutes, most of them pip's.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from tests.cli.processes import environment, serving
from tests.sdk.nodejs import NODE, NPM

HERE: Final = Path(__file__).parent / "programs"
SCENARIOS: Final = ("single", "stream", "tools", "batch")
SECONDS: Final = 600


@dataclass(frozen=True)
class Program:
    """A program: its name in the index, what is installed, and the file that uses it."""

    name: str
    packages: Sequence[str]
    file: str

    @property
    def is_node(self) -> bool:
        """Whether npm has it."""
        return self.file.endswith(".mjs")

    def scenarios(self) -> list[str]:
        """What it can do at all."""
        source = (HERE / self.file).read_text()
        return [each for each in SCENARIOS if re.search(rf"(def|async) {each}\(", source)]


PROGRAMS: Final = (
    Program("litellm", ["litellm"], "use_litellm.py"),
    Program("instructor", ["instructor"], "use_instructor.py"),
    Program("pydantic-ai", ["pydantic-ai-slim[openai]"], "use_pydantic_ai.py"),
    Program("openai-agents", ["openai-agents"], "use_openai_agents.py"),
    Program("inspect-ai", ["inspect-ai", "openai"], "use_inspect_ai.py"),
    Program("langchain-openai", ["langchain-openai", "langgraph"], "use_langchain.py"),
    Program("ai", ["ai", "@ai-sdk/openai", "zod"], "use_ai_sdk.mjs"),
)


def installed(program: Program, folder: Path) -> tuple[Path, str]:
    """An environment of a program, made unless it is there; the interpreter, and its version."""
    place = folder / program.name
    if program.is_node:
        if not place.exists():
            place.mkdir(parents=True)
            quiet = ["--no-audit", "--no-fund", "--loglevel=error"]
            _run(
                [str(NODE), str(NPM), "install", "--prefix", str(place), *quiet, *program.packages]
            )
        about = place / "node_modules" / program.name / "package.json"
        return NODE, orjson.loads(about.read_bytes())["version"]
    python = place / "bin" / "python"
    if not python.exists():
        _run([sys.executable, "-m", "venv", str(place)])
        _run([str(python), "-m", "pip", "install", "-q", *program.packages])
    distribution = re.split(r"[\[=<>]", program.packages[0])[0]
    asked = f"import importlib.metadata as m; print(m.version({distribution!r}))"
    return python, _run([str(python), "-c", asked]).strip()


def _run(command: Sequence[str]) -> str:
    return subprocess.run(
        command, check=True, capture_output=True, text=True, timeout=SECONDS
    ).stdout


def outcome(
    program: Program, interpreter: Path, scenario: str, settings: Mapping[str, str], folder: Path
) -> str:
    """``works``, or the last line of what it complained of."""
    source = HERE / program.file
    if program.is_node:  # a module is looked up from where the file is
        source = Path(shutil.copy(source, folder / program.name))
    with tempfile.TemporaryDirectory() as directory:
        done = subprocess.run(
            [interpreter, source, scenario],
            env={**environment(), "PYTHONWARNINGS": "default", "HOME": directory, **settings},
            cwd=directory,
            capture_output=True,
            text=True,
            timeout=SECONDS,
            check=False,
        )
    if done.returncode == 0:
        return "works"
    complaints = [line for line in done.stderr.splitlines() if line.strip()]
    return f"fails: {complaints[-1][:200] if complaints else done.returncode}"


@contextmanager
def gateway() -> Iterator[str]:
    """A gateway before an emulator; its base URL."""
    with tempfile.TemporaryDirectory() as directory:
        root = Path(directory)
        with serving(root, "emulator", "--port", "0") as emulator:
            settings = {
                "GATEWAY_GEMINI_BASE_URL": emulator.url,
                "GATEWAY_DATA_DIR": str(root / "data"),
                "GATEWAY_PORT": "0",
                "GATEWAY_POLL_MIN_SECONDS": "0.2",
            }
            with serving(root, "serve", env=settings) as served:
                yield served.url


def main() -> int:
    """Run them and print the table; 1 if one fails."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("programs", nargs="*", metavar="PROGRAM")
    parser.add_argument("--folder", type=Path, help="where environments are kept")
    options = parser.parse_args()
    folder = options.folder or Path(tempfile.mkdtemp(prefix="programs-"))
    chosen = [one for one in PROGRAMS if not options.programs or one.name in options.programs]
    failed = False
    print(
        f"| program | version | {' | '.join(SCENARIOS)} |\n| --- | --- |{' --- |' * len(SCENARIOS)}"
    )
    with gateway() as url:
        settings = {
            "OPENAI_BASE_URL": url,
            "OPENAI_API_KEY": "sk-benchmark",
            "LITELLM_LOCAL_MODEL_COST_MAP": "True",  # else it asks for one
        }
        for program in chosen:
            interpreter, version = installed(program, folder)
            has = program.scenarios()
            cells = [
                outcome(program, interpreter, each, settings, folder) if each in has else "-"
                for each in SCENARIOS
            ]
            failed |= any(cell.startswith("fails") for cell in cells)
            print(f"| {program.name} | {version} | {' | '.join(cells)} |", flush=True)
    return int(failed)


if __name__ == "__main__":
    sys.exit(main())
