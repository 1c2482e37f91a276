"""Mutation testing of ``translate/``, module by module: what the tests would not notice.

``pip install -e '.[test]' --group mutation && python -m tests.mutation`` mutates every module in
turn and prints a table; ``python -m tests.mutation answer.usage request.media`` only these;
``--survivors answer.usage`` shows what survived there. It works in ``mutants/`` beside the
checkout's files (ignored by git) and resumes where it was ended: a function that has changed is
done again, and so is every mutant that nobody has noticed. ``[tool.mutmut]`` in pyproject.toml says
what is run on a mutant: the tables of cases and the small tests, not the property tests, which take
a hundred times as long. Functions with a decorator are left alone by mutmut.

``--tests tests/translate/test_streams.py`` runs only these on each mutant, in a fraction of the
time: others might notice more, so that the rate is a lower bound. A mutant that was noticed before
counts as noticed.
"""

import argparse
import subprocess
import sys
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

ROOT: Final = Path(__file__).parent.parent.parent
ROOM: Final = "gateway.translate"
MUTMUT: Final = (sys.executable, "-m", "mutmut")
# What counts as noticed; everything else is a survivor, mutants that no test reaches included.
NOTICED: Final = ("killed", "timeout", "segfault", "caught by type check")


def modules() -> list[str]:
    """Every module of the room, as ``chat.request``."""
    room = ROOT / "gateway/translate"
    paths = [path for path in room.rglob("*.py") if path.name != "__init__.py"]
    return sorted(".".join(path.relative_to(room).with_suffix("").parts) for path in paths)


def make() -> None:
    """Make the mutants, and note which test reaches which function; mutmut then tries just one."""
    # Kept from before, it would not say which of the older tests reach a new function.
    (ROOT / "mutants/mutmut-stats.json").unlink(missing_ok=True)
    command = (*MUTMUT, "run", f"{ROOM}.answer.usage.x_count__mutmut_1")
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        said = (done.stdout + done.stderr).replace("\r", "\n").splitlines()
        print("\n".join(said[-30:]))
        raise SystemExit("mutmut failed")


def make_only() -> None:
    """Make the mutants, where all tests that are run are tried on each."""
    command = (sys.executable, "-m", "tests.mutation.generate")
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.DEVNULL, check=False)
    if done.returncode != 0:
        raise SystemExit("no mutants could be made")


def mutate(wanted: Sequence[str], children: int, tests: Sequence[str]) -> None:
    """Try what nobody has noticed yet of some modules."""
    command = [sys.executable, "-m", "tests.mutation.forks", "--children", str(children)]
    command += [*wanted, *(f"--tests={path}" for path in tests)]
    done = subprocess.run(command, cwd=ROOT / "mutants", check=False)
    if done.returncode != 0:
        raise SystemExit("the mutants could not be tried")


def results() -> Iterator[tuple[str, str, str]]:
    """Module, mutant and verdict of everything that has one."""
    command = [*MUTMUT, "results", "--all", "true"]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    for line in done.stdout.splitlines():
        name, _, verdict = line.strip().partition(": ")
        if name.startswith(f"{ROOM}.") and verdict != "not checked":
            yield name.removeprefix(f"{ROOM}.").rpartition(".")[0], name, verdict


def report(wanted: Sequence[str]) -> None:
    """Print the table of what has been run."""
    counts: dict[str, Counter[str]] = defaultdict(Counter)
    for module, _, verdict in results():
        if module in wanted:
            counts[module][verdict] += 1
    print(f"{'module':24}{'mutants':>8}{'noticed':>8}{'rate':>8}")
    total: Counter[str] = Counter()
    for module in sorted(counts):
        total += counts[module]
        print(_row(module, counts[module]))
    print(_row("all", total))


def _row(name: str, counts: Counter[str]) -> str:
    mutants = counts.total()
    noticed = sum(counts[verdict] for verdict in NOTICED)
    return f"{name:24}{mutants:>8}{noticed:>8}{noticed / max(mutants, 1):>8.1%}"


def survivors(module: str) -> None:
    """Print the change of every mutant that nobody noticed."""
    for found, name, verdict in results():
        if found == module and verdict not in NOTICED:
            command = [*MUTMUT, "show", name]
            shown = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
            print(f"{name}: {verdict}")
            print("\n".join(_changes(shown.stdout)))


def _changes(diff: str) -> Iterator[str]:
    for line in diff.splitlines():
        if line[:1] in "+-" and line[:3] not in ("+++", "---"):
            yield f"  {line}"


def main() -> None:
    """Mutate, then report."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="*", metavar="MODULE", help="default: all")
    parser.add_argument("--tests", nargs="+", default=[], metavar="PATH", help="only these")
    parser.add_argument("--children", type=int, default=2, help="mutants at a time")
    parser.add_argument("--survivors", metavar="MODULE", help="show what survived there")
    parser.add_argument("--report", action="store_true", help="only print what is known")
    arguments = parser.parse_args()
    if arguments.survivors:
        survivors(arguments.survivors)
        return
    wanted = arguments.modules or modules()
    if not arguments.report:
        if arguments.tests:
            make_only()
        else:
            make()
        mutate(wanted, arguments.children, arguments.tests)
    report(wanted)


if __name__ == "__main__":
    main()
