"""The floors of the building: imports point down only, rooms on one floor do not meet."""

import ast
import functools
import itertools
import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.every import every

PACKAGE = Path(__file__).parent.parent / "gateway"

FLOORS: dict[str, int] = {
    "__init__": 0,
    "errors": 0,
    "ids": 0,
    "units": 0,
    "shares": 0,
    "clock": 0,
    "children": 0,
    "log_fields": 0,
    "wire": 1,
    "addresses": 1,
    "extras": 1,
    "directories": 1,
    "settings": 2,
    "translate": 2,
    "batches": 2,
    "ports": 3,
    "store": 4,
    "blobs": 4,
    "upstream": 4,
    "runner": 4,
    "live": 4,
    "ui": 4,
    "api": 4,
    "client": 4,
    "notify": 4,
    "metrics": 4,
    "tracing": 4,
    "keyring": 4,
    "emulator": 4,
    "app": 5,
    "moving": 5,
    "cli": 6,
    "__main__": 7,  # the door to the command line, nothing else
}

# settings/ is for app.py and what stands above it; the emulator shares nothing but the clock,
# or it would mirror our own mistakes.
ONLY_FROM = {"settings": {"app", "cli", "__main__"}}
ONLY_THESE = {"emulator": {"clock"}}

# The rooms in which a library is known: exactly these.
LIBRARIES: dict[str, set[str]] = {
    "httpx": {"client", "notify", "ui", "upstream"},
    "httpx2": set(),
    "httpx_aiohttp": set(),  # a benchmark compares with it
    "aiohttp": {"upstream"},  # connections of single calls and polls: upstream/pooled.py
    "obstore": {"blobs"},
    "psycopg": {"store"},
    "psycopg_pool": {"store"},
    "opentelemetry": {"tracing"},
    "prometheus_client": {"cli", "metrics"},
    "cryptography": {"keyring"},
    "jinja2": {"ui"},
    "python_multipart": {"wire"},
    "standardwebhooks": {"api", "notify"},
    "jsonschema_rs": {"translate"},
    "starlette": {"api", "emulator", "metrics", "ui"},
    "uvicorn": {"api", "app", "cli", "emulator"},
    "click": {"cli"},
    "rich": {"cli"},
}

# A CPU step runs in a worker process: pure rooms and the words, nothing that acts.
WORKER_FILES = sorted([*PACKAGE.glob("runner/cpu/*.py"), PACKAGE / "runner/worker.py"])
assert len(WORKER_FILES) > 8, "no CPU steps found: the room has another name"
WORKER_ROOMS = {"translate", "batches", "wire", "runner", "errors", "ids", "units"}

# Sans-IO: what the pure rooms may import of the standard library and beside it.
PURE_ROOMS = {"translate", "batches"}
PURE_MODULES = {
    "abc",
    "__future__",
    "array",
    "base64",
    "binascii",
    "bisect",
    "collections",
    "dataclasses",
    "enum",
    "functools",
    "graphlib",
    "hashlib",
    "heapq",
    "itertools",
    "jsonschema_rs",
    "math",
    "msgspec",
    "operator",
    "orjson",
    "re",
    "string",
    "struct",
    "types",
    "typing",
    "urllib",
}

TIME_FILE = "clock.py"

# The floors inside translate/: request/ and answer/ never meet, nor do endpoints; completions/ is
# chat's answer rendered in the older form, images_edits/ images' answer to images.
TRANSLATE: dict[str, int] = {
    "contract": 1,
    "remembered": 1,
    "template": 1,
    "reading": 2,
    "models": 2,
    "schemas": 3,
    "request": 4,
    "answer": 4,
    "tools": 5,
    "google": 6,
    "frames": 6,
    "chat": 7,
    "responses": 7,
    "embeddings": 7,
    "images": 7,
    "completions": 8,
    "images_edits": 8,
    "endpoints": 9,
    "defaults": 10,
    "streams": 10,
}
# The floors inside emulator/, one above the other.
EMULATOR: dict[str, int] = {
    "protocol": 1,
    "faults": 2,
    "options": 3,
    "resources": 4,
    "checks": 5,
    "answers": 6,
    "jobs": 7,
    "state": 8,
    "api": 9,
    "app": 10,
    "serve": 11,
    "running": 12,
    "testing": 13,
}
FACE = "gateway.translate"  # other rooms import this and nothing below it
MOST_FILES = 12  # a room with more wants another room


def _files() -> list[Path]:
    return sorted(PACKAGE.rglob("*.py"))


def _room(path: Path) -> str:
    return path.relative_to(PACKAGE).parts[0].removesuffix(".py")


@functools.cache
def _imports(path: Path) -> tuple[str, ...]:
    """Every module a file imports, anywhere in it, functions included."""
    return tuple(_named(path))


def _named(path: Path) -> Iterator[str]:
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: relative import"
            assert node.module is not None
            yield node.module
            if node.module in {"gateway", FACE}:
                yield from (f"{node.module}.{alias.name}" for alias in node.names)


def _rooms_imported(path: Path) -> set[str]:
    parts = [name.split(".") for name in _imports(path)]
    return {names[1] for names in parts if names[0] == "gateway" and len(names) > 1} - {
        "__version__"
    }


def _rows(paths: Iterable[Path]) -> list[Any]:
    """Files as rows of a test, named by their path below the package."""
    return [pytest.param(path, id=str(path.relative_to(PACKAGE))) for path in sorted(paths)]


@every("path", _rows(_files()))
def test_imports_point_down(path: Path) -> None:
    """Each file imports lower floors and its own room only; a new room must be placed first."""
    room = _room(path)
    assert room in FLOORS, f"place {room} on a floor"
    for other in _rooms_imported(path) - {room}:
        assert other in FLOORS, f"{path} imports {other}, which has no floor"
        assert FLOORS[other] < FLOORS[room], f"{path} imports {other}"
        assert room in ONLY_FROM.get(other, {room}), f"{path} imports {other}"
        assert other in ONLY_THESE.get(room, {other}), f"{path} imports {other}"


def test_readme_draws_these_floors() -> None:
    """The picture of the front page: every room, on its floor."""
    text = (PACKAGE.parent / "README.md").read_text(encoding="utf-8")
    (picture,) = re.findall(r"^```text\n(7 .*?)^```$", text, re.DOTALL | re.MULTILINE)
    drawn: dict[str, int] = {}
    floor = -1
    for line in picture.splitlines():
        floor = int(line[0]) if line[0].isdigit() else floor
        names, _, _ = line[1:].strip().partition("    ")
        drawn.update((name.removesuffix(".py").rstrip("/"), floor) for name in names.split())

    assert drawn == {room: floor for room, floor in FLOORS.items() if room != "__init__"}


@pytest.mark.parametrize("room", sorted(PURE_ROOMS))
def test_pure_rooms_do_nothing(room: str) -> None:
    """No clock, files, network, logging, environment, randomness; no async either."""
    for path in (PACKAGE / room).rglob("*.py"):
        for name in _imports(path):
            top = name.split(".")[0]
            assert top in PURE_MODULES | {"gateway"}, f"{path} imports {name}"
            assert name != "urllib.request", f"{path} imports {name}"
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            assert not isinstance(node, ast.AsyncFunctionDef | ast.Await), f"{path} is async"
            called = _called_name(node)
            assert called not in {"open", "print", "input", "eval", "exec"}, f"{path}: {called}()"


def _called_name(node: ast.AST) -> str:
    plain = isinstance(node, ast.Call) and isinstance(node.func, ast.Name)
    return node.func.id if plain else ""  # type: ignore[attr-defined]  # as just checked


def test_one_file_imports_time() -> None:
    """Time is passed in, so that tests can move it."""
    importers = {
        str(path.relative_to(PACKAGE)) for path in _files() if {"time"} & set(_imports(path))
    }

    assert importers == {TIME_FILE}


@every("path", _rows(WORKER_FILES))
def test_workers_import_pure_rooms_only(path: Path) -> None:
    """What runs in a worker process starts fast and cannot act."""
    assert _rooms_imported(path) <= WORKER_ROOMS
    for name in _imports(path):
        inside = not name.startswith("gateway.runner") or name.startswith("gateway.runner.cpu")
        assert inside, f"{path} imports {name}"


def test_libraries_stay_in_their_rooms() -> None:
    """A change of HTTP client, driver or tracing library is a change of its rooms alone."""
    found: dict[str, set[str]] = {name: set() for name in LIBRARIES}
    for path in _files():
        for name in {name.split(".")[0] for name in _imports(path)} & LIBRARIES.keys():
            found[name].add(_room(path))

    assert found == LIBRARIES


@every("path", _rows((PACKAGE / "translate").rglob("*.py")))
def test_translate_imports_point_down(path: Path) -> None:
    """The same inside translate/; its face is for the rooms outside."""
    inside = path.relative_to(PACKAGE / "translate")
    room = inside.parts[0].removesuffix(".py")
    if room == "__init__":
        return
    assert room in TRANSLATE, f"place {room} on a floor"
    for name in _imports(path):
        if name == FACE:  # `from gateway.translate import chat` names rooms
            continue
        other = name.removeprefix(f"{FACE}.").split(".")[0] if name.startswith(FACE) else room
        assert other in TRANSLATE, f"{path} imports {name}: only rooms outside use the face"
        assert other == room or TRANSLATE[other] < TRANSLATE[room], f"{path} imports {name}"


def test_translate_has_a_face() -> None:
    """Rooms outside know what translate/ hands on, not where it is made."""
    for path in _files():
        if _room(path) != "translate":
            below = [name for name in _imports(path) if name.startswith(f"{FACE}.")]
            deep = [name for name in below if name.split(".")[2] in TRANSLATE]
            assert not deep, f"{path} imports {deep}"


@every("path", _rows((PACKAGE / "emulator").rglob("*.py")))
def test_emulator_imports_point_down(path: Path) -> None:
    """The same inside emulator/; `__init__` hands on what programs use of it."""
    room = path.relative_to(PACKAGE / "emulator").parts[0].removesuffix(".py")
    if room == "__init__":
        return
    assert room in EMULATOR, f"place {room} on a floor"
    inside = [name.split(".") for name in _imports(path) if name.startswith("gateway.emulator")]
    others = {names[2] for names in inside if len(names) > 2} - {room}
    for other in others:
        assert EMULATOR[other] < EMULATOR[room], f"{path} imports {other}"


@every("path", _rows((PACKAGE / "emulator").rglob("*.py")))
def test_constants_are_explained_before(path: Path) -> None:
    """A constant's comment is in front of it, as everywhere: no string after it."""
    body = ast.parse(path.read_text(encoding="utf-8")).body
    for before, node in itertools.pairwise(body):
        string = isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant)
        constant = isinstance(before, ast.Assign | ast.AnnAssign)
        assert not (string and constant), f"{path}:{node.lineno}: a string explains a constant"


@pytest.mark.parametrize(
    "room",
    [
        path
        for name in ("translate", "emulator")
        for path in (PACKAGE / name).rglob("*")
        if (path / "__init__.py").exists()
    ],
    ids=lambda path: str(path.relative_to(PACKAGE)),
)
def test_rooms_are_small(room: Path) -> None:
    """A room is read at a glance."""
    assert len([*room.glob("*.py")]) - 1 <= MOST_FILES
