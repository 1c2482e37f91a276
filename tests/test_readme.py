"""The README files are true: tables are the product's, commands and programs run, links lead on."""

import ast
import re
import shlex
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from importlib import import_module
from pathlib import Path

import click
import orjson
import pytest
import yaml

from gateway import __version__
from gateway.api.objects import encode_batch
from gateway.batches.batch import Batch
from gateway.cli.main import COMMANDS, main
from gateway.emulator.faults.table import parse_fault
from gateway.settings.load import load
from gateway.settings.table import SETTINGS, Settings
from gateway.translate import check_aliases
from tests.cli.processes import Server, loopback, run, serving
from tests.readme_blocks import BLOCKS, README, ROOT, read, with_blocks
from tests.sdk.nodejs import NODE, installed

TEXTS = {name: read(name) for name in BLOCKS}
KNOWN = {row.name for row in SETTINGS} | {f"{row.name}_FILE" for row in SETTINGS if row.secret}
MOST_LINES = 350


def fenced(language: str, text: str) -> list[str]:
    """Fenced blocks of a language in a text."""
    return re.findall(rf"^```{language}\n(.*?)^```$", text, re.DOTALL | re.MULTILINE)


def blocks(language: str) -> list[str]:
    """Fenced blocks of a language in all files."""
    return [block for text in TEXTS.values() for block in fenced(language, text)]


def commands() -> Iterator[list[str]]:
    """What the files say to type, each command split as a shell would."""
    for block in blocks("sh"):
        for line in block.splitlines():
            for command in line.split("&&"):
                yield shlex.split(command)


def test_the_front_page_is_short() -> None:
    """Tables and measurements belong to the README of their room."""
    assert len(TEXTS[README].splitlines()) <= MOST_LINES


def test_pictures_are_small_and_shown() -> None:
    """Each is taken by tests/ui/pictures.py or board.py, and README files show it."""
    pictures = {path.name: path.stat().st_size for path in (ROOT / "deploy/pictures").iterdir()}
    shown = {name for text in TEXTS.values() for name in re.findall(r"pictures/([\w.-]+)\)", text)}
    assert set(pictures) == shown
    assert max(pictures.values()) < 200_000


def test_every_readme_is_known() -> None:
    """A file that is not in the table of blocks is not checked."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )

    pages = {name for name in listed.stdout.splitlines() if "/reference/" not in name}
    assert pages - {"CHANGELOG.md"} == set(BLOCKS)


@pytest.mark.parametrize("name", BLOCKS)
def test_generated_blocks_are_up_to_date(name: str) -> None:
    """``python -m tests.readme_blocks`` writes them."""
    assert with_blocks(name, TEXTS[name]) == TEXTS[name], "run python -m tests.readme_blocks"


def test_every_name_of_a_setting_is_a_real_one() -> None:
    """In prose, tables and commands alike."""
    text = "\n".join(TEXTS.values())
    names = set(re.findall(r"\b(?:GATEWAY|GEMINI)_[A-Z_]+[A-Z]\b", text))

    assert names <= KNOWN
    assert {row.name for row in SETTINGS} <= names


def test_the_first_commands_are_one_line_each() -> None:
    """Everything from a bare checkout: an environment, an install, and the thing itself."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    front = "\n".join(fenced("sh", TEXTS[README])).splitlines()
    lines = [line for line in front if "-m venv" in line]
    installs = [command for command in commands() if command[0] == ".venv/bin/pip"]

    assert lines[0].endswith("&& .venv/bin/gateway demo")
    assert lines[-1].endswith("&& .venv/bin/pytest -q -n 4 --dist worksteal")
    assert f"{lines[-1]} || exit 1\n" in (ROOT / ".ci" / "run").read_text(encoding="utf-8")
    assert {install[-1] for install in installs} == {".[demo]", ".[test]"}
    assert {"demo", "test"} <= extras["optional-dependencies"].keys()


def test_the_row_that_contributing_shows_is_in_its_file() -> None:
    """A worked example that has gone stale teaches what is no longer so."""
    text = (ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8")
    (row,) = fenced("python", text)

    assert row.strip() in (ROOT / "gateway/translate/request/fields.py").read_text(encoding="utf-8")


def test_tools_of_mutation_are_a_dependency_group() -> None:
    """Extras are what README's commands install: Python 3.11's own pip knows no groups."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))

    assert set(project["dependency-groups"]) == {"mutation"}
    assert set(project["project"]["optional-dependencies"]) >= {"cloud", "demo", "postgres", "test"}


@pytest.mark.parametrize(("version", "code"), [((3, 10, 14), 1), ((3, 11, 0), 0), ((4, 0), 0)])
def test_the_first_command_says_which_python_it_needs(version: tuple[int, ...], code: int) -> None:
    """In a moment: pip 23.0.1 of Python 3.10 searches for minutes before it says anything."""
    first = next(commands())
    assert first[:2] == ["python3", "-c"]
    program = f"import sys; sys.version_info = {version}; {first[2]}"

    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=False, timeout=60
    )

    assert done.returncode == code
    assert done.stderr == ("Python 3.11 or later is needed\n" if code else "")


def test_gateway_commands_have_the_options_that_are_shown() -> None:
    """Of every command that README types or names."""
    typed = [
        command[command.index("gateway") + 1 :] for command in commands() if "gateway" in command
    ]
    text = "\n".join(TEXTS.values())
    named = [span.split()[1:] for span in re.findall(r"`(gateway [^`\n]+)`", text)]

    assert {words[0] for words in [*typed, *named]} == set(COMMANDS)
    for name, *words in [*typed, *named]:
        command = main.get_command(click.Context(main), name)
        assert command is not None
        known = {option for parameter in command.params for option in parameter.opts}
        assert {word for word in words if word.startswith("--")} <= known | {"--help"}


def test_every_command_is_in_the_table() -> None:
    """In the order of ``gateway --help``."""
    listed = re.findall(r"^\| `gateway ([\w-]+)", (ROOT / "README.md").read_text(), re.MULTILINE)

    assert listed == list(COMMANDS)


def test_every_member_of_batch_gateway_is_explained() -> None:
    """In the order in which clients see them."""
    section = TEXTS["gateway/README.md"].partition("## What `batch.gateway` says")[2]
    table = section.partition("\n## ")[0]
    rows = re.findall(r"^\| (`.+?`) \|", table.partition("| --- |")[2], re.MULTILINE)
    batch = encode_batch(Batch("b", "o", "/v1/responses", "f", 0, 1))

    assert re.findall(r"`(\w+)`", " ".join(rows)) == list(batch["gateway"])


def test_hints_of_pip_name_no_package_of_ours() -> None:
    """It is not published: whoever registers the name would be installed in its place."""
    named = re.compile(r"pip install [^`\n]*gemini-batch-gateway")
    texts = [path for kind in ("py", "md") for path in (ROOT / "gateway").rglob(f"*.{kind}")]
    texts += [*ROOT.glob("*.md"), *(ROOT / "deploy").rglob("*.md")]

    assert [str(path) for path in texts if named.search(path.read_text())] == []


def test_the_faults_that_are_shown_can_be_armed() -> None:
    """As they are written."""
    shown = re.findall(r"`--fault ([^`]+)`", TEXTS["gateway/emulator/README.md"])

    assert [parse_fault(text).name for text in shown] == ["error-after"]


@pytest.mark.parametrize("block", blocks("python"), ids=lambda block: block.splitlines()[0][:40])
def test_python_is_python_and_its_imports_exist(block: str) -> None:
    """Of every block, also those that are not run."""
    for node in ast.walk(ast.parse(block)):
        if isinstance(node, ast.ImportFrom):
            module = import_module(str(node.module))
            assert [name for name in node.names if not hasattr(module, name.name)] == []


def exported(name: str) -> Settings:
    """The settings in force after the line that exports one by name."""
    lines = (words[1:] for words in commands() if words[0] == "export")
    (line,) = (words for words in lines if any(word.startswith(f"{name}=") for word in words))
    settings, _ = load(dict(word.split("=", 1) for word in line) | {"GEMINI_API_KEY": "k"})
    return settings


def test_openais_limits_can_be_restored() -> None:
    """The line that the settings' README gives for it."""
    settings = exported("GATEWAY_MAX_LINES")

    assert (settings.max_file_bytes, settings.max_lines, settings.max_items) == (
        200_000_000,
        50_000,
        50_000,
    )


def test_the_alias_setting_is_one() -> None:
    """What the front page exports: an entry of one's own wins over one of its table."""
    aliases = exported("GATEWAY_MODEL_ALIASES").model_aliases
    (name,) = aliases.own

    check_aliases(aliases.own)
    assert aliases.openai
    assert f"`{name}`" in TEXTS[README].partition("<!-- begin openai-aliases -->")[2]


def test_the_capabilities_setting_is_one() -> None:
    """The JSON that the settings' README exports."""
    assert exported("GATEWAY_CAPABILITIES").capabilities == {"gemini-4*": {"sampling": True}}


def _codes_of(path: Path) -> Iterator[str]:
    """First arguments of BatchError(...) and Failure(...) that are plain strings."""
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.args):
            continue
        first = node.args[0]
        if node.func.id in {"BatchError", "Failure"} and isinstance(first, ast.Constant):
            yield str(first.value)


def test_every_code_of_a_failure_is_explained() -> None:
    """Those that fail a batch, and those of jobs that fail all their lines."""
    files = [*(ROOT / "gateway/runner").rglob("*.py"), *(ROOT / "gateway/batches").rglob("*.py")]
    codes = {code for path in files for code in _codes_of(path)}

    assert len(codes) > 15
    assert {code for code in codes if f"`{code}`" not in TEXTS["gateway/README.md"]} == set()


def test_every_room_is_in_the_picture() -> None:
    """A folder of the package that the front page does not name is hard to find."""
    picture = fenced("text", TEXTS[README])[0]
    rooms = {path.parent.name for path in ROOT.glob("gateway/*/__init__.py")}

    assert {room for room in rooms if f"{room}/" not in picture} == set()


def headings(text: str) -> set[str]:
    """Anchors of a page, as GitHub makes them."""
    return {
        re.sub(r"[^\w -]", "", heading.lower()).replace(" ", "-")
        for heading in re.findall(r"^#+ (.*)$", text, re.MULTILINE)
    }


@pytest.mark.parametrize("name", BLOCKS)
def test_links_lead_somewhere(name: str) -> None:
    """To files of this repository, and to headings of these pages."""
    here = (ROOT / name).parent
    for target in re.findall(
        r"\]\(([^)]+)\)", re.sub(r"```.*?```", "", TEXTS[name], flags=re.DOTALL)
    ):
        path, _, anchor = target.partition("#")
        if target.startswith("https://"):
            continue
        page = (here / path).resolve() if path else ROOT / name
        assert page.exists(), target
        if anchor:
            assert anchor in headings(page.read_text(encoding="utf-8")), target


@pytest.fixture(name="requests")
def _requests(tmp_path: Path) -> Path:
    """README's input line, and one with a typing error."""
    line = orjson.loads(fenced("json", TEXTS[README])[0])
    wrong = {**line, "custom_id": "2", "body": {**line["body"], "temprature": 1}}
    path = tmp_path / "requests.jsonl"
    path.write_bytes(orjson.dumps(line) + b"\n" + orjson.dumps(wrong) + b"\n")
    return path


@pytest.mark.slow
def test_translate_prints_what_is_shown(requests: Path) -> None:
    """Word for word."""
    for block in blocks("console"):
        command, *shown = block.splitlines()
        dollar, gateway, *words = command.split()

        done = run(*words, cwd=requests.parent)

        assert (dollar, gateway, words[-1]) == ("$", "gateway", requests.name)
        assert (done.stdout + done.stderr).splitlines() == shown


@pytest.fixture(name="server")
def _server(tmp_path: Path) -> Iterator[Server]:
    """A gateway in front of the emulator."""
    with serving(tmp_path, "emulator", "--port", "0") as emulator:
        env = loopback(tmp_path, GATEWAY_GEMINI_BASE_URL=emulator.url)
        with serving(tmp_path, "serve", env=env) as server:
            yield server


def program(language: str, pause: str, url: str) -> str:
    """The one that reads requests.jsonl, pointed at another gateway and asking more often."""
    (text,) = (block for block in fenced(language, TEXTS[README]) if "requests.jsonl" in block)
    assert pause in text
    assert "http://127.0.0.1:8080/v1" in text
    quick = {"(30)": "(0.2)", "30_000": "200"}[pause]
    return text.replace("http://127.0.0.1:8080/v1", url).replace(pause, quick)


def output_of(command: list[str], directory: Path) -> str:
    """What a program prints that succeeds and complains of nothing."""
    done = subprocess.run(
        command, cwd=directory, env={}, capture_output=True, text=True, check=False, timeout=60
    )
    assert (done.returncode, done.stderr) == (0, "")
    return done.stdout


def check_answers(said: str) -> None:
    """One line is answered, the other refused."""
    assert re.search("^completed ", said, re.MULTILINE)
    assert "Echo: Say hello." in said
    assert "Unknown parameter: 'temprature'." in said


@pytest.mark.slow
def test_the_program_runs(requests: Path, server: Server) -> None:
    """In Python."""
    (requests.parent / "program.py").write_text(program("python", "(30)", server.url))

    check_answers(output_of([sys.executable, "program.py"], requests.parent))


@pytest.mark.slow
def test_the_program_runs_in_node(requests: Path, server: Server) -> None:
    """With openai-node."""
    (requests.parent / "node_modules").symlink_to(installed() / "node_modules")
    (requests.parent / "program.mjs").write_text(program("js", "30_000", server.url))

    check_answers(output_of([str(NODE), "program.mjs"], requests.parent))


def test_the_image_is_built_as_the_manifest_names_it() -> None:
    """By name and version."""
    typed = [command for command in commands() if command[0] == "docker"]
    (build,) = (command for command in typed if command[1] == "build")
    (start,) = (command for command in typed if command[1] == "run")
    image = build[build.index("-t") + 1]

    assert image == start[-1] == f"gemini-batch-gateway:{__version__}"
    assert f"image: {image}\n" in (ROOT / "deploy/kubernetes.yaml").read_text()
    assert (ROOT / build[build.index("-f") + 1]).exists()


def test_the_sidecar_of_the_front_page_is_the_manifests() -> None:
    """A part of it, word for word."""
    (shown,) = fenced("yaml", TEXTS[README])
    *_, job = yaml.safe_load_all((ROOT / "deploy/kubernetes.yaml").read_text(encoding="utf-8"))
    pod = job["spec"]["template"]["spec"]

    for kind, (container,) in yaml.safe_load(shown).items():
        (whole,) = pod[kind]
        variables = container.pop("env")
        assert [one for one in variables if one not in whole["env"]] == []
        assert container.items() <= whole.items()


def test_the_changelog_begins_with_this_version() -> None:
    """Keep a Changelog's headings, and the package's own number."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    versions = re.findall(r"^## \[(.+?)\](?: - (.+))?$", text, re.MULTILINE)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

    assert versions[0] == ("Unreleased", "")
    assert versions[1][0] == __version__ == project["version"]
    assert set(re.findall(r"^### (.+)$", text, re.MULTILINE)) <= {
        "Added",
        "Changed",
        "Deprecated",
        "Removed",
        "Fixed",
        "Security",
    }
    for release in re.split(r"^## ", text, flags=re.MULTILINE):
        headings = re.findall(r"^### (.+)$", release, re.MULTILINE)
        assert len(headings) == len(set(headings)), f"a list stands twice: {headings}"


def test_the_changelog_says_each_thing_once() -> None:
    """An entry that two branches moved stands twice after their merge."""
    text = (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")
    begins = [
        " ".join(entry.split())[:60] for entry in re.split(r"^- ", text, flags=re.MULTILINE)[1:]
    ]
    assert len(begins) > 100
    assert [begin for begin in begins if begins.count(begin) > 1] == []
