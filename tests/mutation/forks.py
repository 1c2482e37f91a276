"""Try mutants in forks of one process that has collected the tests: some hundred a second.

mutmut makes the mutants and finds out which test reaches which function, but its own runner starts
pytest anew for every mutant, which costs many times what the tests do. Run in ``mutants/``, where
``gateway`` and ``tests`` are mutmut's copies: ``python -m tests.mutation.forks answer.usage``.

A fork comes too late for a function that runs when its module is imported, e.g. to make a table:
its mutants get a process of their own.

Everything is judged by CPU time, measured in forks as the mutants are: how long a test takes, which
tests are too slow, and when a mutant never ends. By the clock on the wall a busy machine left tests
out, and found survivors that were none. The examples of hypothesis are the same for every mutant.
"""

import argparse
import gc
import importlib
import os
import resource
import signal
import subprocess
import sys
import time
import tomllib
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from types import FrameType
from typing import Final, NoReturn

import orjson
import pytest

PACKAGE: Final = Path("gateway/translate")
KILLED: Final = 1
# As mutmut writes them down.
SURVIVED: Final = 0
UNREACHED: Final = 33
# Some mutants never end, and some of those eat memory. A mutant has so many times the CPU seconds
# of its tests, and these in addition; one in a process of its own has to import everything, too.
TIMES: Final = 3
MORE_SECONDS: Final = 5
ALONE_SECONDS: Final = 60
MEMORY: Final = 4 * 2**30
# A mutant that waits for what never comes takes no CPU. Far beyond what a busy machine makes of the
# limits above; what is ended so is not counted as noticed.
WALL_SECONDS: Final = 3_600
WAITED: Final = -signal.SIGALRM
# Tests of more CPU seconds than this, twice, are left out.
SLOW_SECONDS: Final = 0.3

# What nobody has noticed yet; None is what has not been tried.
OPEN: Final = (None, SURVIVED, UNREACHED, WAITED)

# A mutant, and the tests that reach its function; and what tries one and ends its process.
Work = tuple[str, Sequence[pytest.Item]]
Run = Callable[[str, Sequence[pytest.Item]], NoReturn]


class Forks:
    """A pytest plugin that runs, in place of the tests, for every mutant those that reach it."""

    def __init__(
        self, modules: Sequence[str], children: int, early: set[str], only: Sequence[str]
    ) -> None:
        self._modules = modules
        self._children = children
        self._early = early
        # Paths of the tests that are run, where it is not all of them.
        self._only = only
        self._quick: list[pytest.Item] = []
        self._slow: list[str] = []
        self._took: dict[pytest.Item, float] = {}

    def pytest_runtestloop(self, session: pytest.Session) -> bool:
        """Go through the modules. Errors: UsageError when the tests fail without a mutant."""
        gc.freeze()  # or every fork copies everything
        self._order(session.items)
        reaching = self._all if self._only else self._reaching()
        for module in self._modules:
            path = PACKAGE / f"{module.replace('.', '/')}.py.meta"
            known = orjson.loads(path.read_bytes())
            codes = known["exit_code_by_key"]
            # What nobody has noticed yet is tried again: a test may have come since.
            left = [name for name, code in codes.items() if code in OPEN]
            codes.update(self._codes(((name, reaching(name)) for name in left), self._try))
            late = list(self._too_late(left, codes))
            if late and self._codes([("", self._quick)], self._alone) != {"": SURVIVED}:
                raise pytest.UsageError("The tests fail as it is.")
            codes.update(self._codes(late, self._alone))
            path.write_bytes(orjson.dumps(known))
            print(f"{module}: {len(left)} tried", flush=True)
        return True

    def _all(self, _: str) -> Sequence[pytest.Item]:
        return self._quick

    def _reaching(self) -> Callable[[str], Sequence[pytest.Item]]:
        """Say which tests reach the function of a mutant, as mutmut has seen."""
        seen = orjson.loads(Path("mutmut-stats.json").read_bytes())
        tests_of = seen["tests_by_mangled_function_name"]

        def reaching(name: str) -> Sequence[pytest.Item]:
            tests = set(tests_of.get(name.partition("__mutmut_")[0], ()))
            return [item for item in self._quick if item.nodeid in tests]

        return reaching

    def _order(self, items: Sequence[pytest.Item]) -> None:
        """Put the quick tests first: most mutants are noticed by any. Leave out slow ones.

        These few, which are about time, take ten times as long as all others together.
        """
        first = _seconds_of(items)
        # Once more what was slow: another process may have been in its way.
        slow = [item for item in items if first[item.nodeid] >= SLOW_SECONDS]
        seconds = {**first, **_seconds_of(slow)}
        took = self._took = {item: seconds[item.nodeid] for item in items}
        ordered = sorted(took, key=took.__getitem__)
        self._quick = [item for item in ordered if took[item] < SLOW_SECONDS]
        self._slow = [item.nodeid for item in ordered if took[item] >= SLOW_SECONDS]
        total = sum(took[item] for item in self._quick)
        print(f"{len(self._quick)} tests, {total:.1f} s of CPU; slow, left out: {self._slow}")

    def _too_late(self, names: Sequence[str], codes: Mapping[str, int]) -> Iterator[Work]:
        for name in names:
            if codes[name] in OPEN and name.partition("__mutmut_")[0] in self._early:
                yield name, self._quick

    def _codes(self, work: Iterable[Work], run: Run) -> dict[str, int]:
        """Fork for each; exit codes by name, negative for signals as mutmut has them."""
        running: dict[int, str] = {}
        codes: dict[str, int] = {}
        for name, items in work:
            if not items:
                codes[name] = UNREACHED
                continue
            if len(running) == self._children:
                _reap(running, codes)
            process = os.fork()
            if not process:
                run(name, items)
            running[process] = name
        while running:
            _reap(running, codes)
        return codes

    def _limit(self, items: Sequence[pytest.Item], more: int) -> None:
        """Have this process ended by SIGXCPU when it takes many times what its tests take."""
        seconds = int(TIMES * sum(self._took[item] for item in items)) + more
        resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds + 1))

    def _alone(self, name: str, items: Sequence[pytest.Item]) -> NoReturn:
        """Run the tests in a process that meets the mutant from its first import on."""
        self._limit(items, ALONE_SECONDS)
        os.environ["MUTANT_UNDER_TEST"] = name  # noqa: TID251 - what mutmut's functions read
        command = [sys.executable, "-m", "pytest", *_arguments(self._only)]
        command += [f"--deselect={test}" for test in self._slow]
        nowhere = subprocess.DEVNULL
        try:
            done = subprocess.run(
                command, stdout=nowhere, stderr=nowhere, check=False, timeout=WALL_SECONDS
            )
        except subprocess.TimeoutExpired:
            os.kill(os.getpid(), signal.SIGALRM)
        os._exit(KILLED if done.returncode else SURVIVED)

    def _try(self, name: str, items: Sequence[pytest.Item]) -> NoReturn:
        """Run tests until one fails. What never ends is ended by SIGXCPU: noticed as well."""
        self._limit(items, MORE_SECONDS)
        resource.setrlimit(resource.RLIMIT_AS, (MEMORY, MEMORY))
        signal.alarm(WALL_SECONDS)
        os.environ["MUTANT_UNDER_TEST"] = name  # noqa: TID251 - what mutmut's functions read
        _be_silent()
        code = KILLED
        try:
            following = [*items[1:], None]
            if not any(map(_fails, items, following)):
                code = SURVIVED
        finally:
            # Nothing of pytest's own is to be run twice.
            os._exit(code)


def _seconds_of(items: Sequence[pytest.Item]) -> dict[str, float]:
    """CPU seconds of each test, without a mutant. Errors: UsageError when one fails."""
    reading, writing = os.pipe()
    process = os.fork()
    if not process:
        _be_silent()
        try:
            with os.fdopen(writing, "wb") as told:
                told.write(orjson.dumps(_measured(items)))
        finally:
            os._exit(0)
    os.close(writing)
    with os.fdopen(reading, "rb") as told:
        took: dict[str, float] = orjson.loads(told.read() or b"{}")
    os.waitpid(process, 0)
    if len(took) < len(items):
        raise pytest.UsageError(f"A test fails as it is: {items[len(took)].nodeid}")
    return took


def _measured(items: Sequence[pytest.Item]) -> dict[str, float]:
    """CPU seconds of each test up to the first that fails; a slow one is ended when it is known."""
    took: dict[str, float] = {}
    signal.signal(signal.SIGPROF, _end_slow)
    for item, following in zip(items, [*items[1:], None], strict=True):
        began = time.process_time()
        signal.setitimer(signal.ITIMER_PROF, 2 * SLOW_SECONDS)
        failed = _fails(item, following)
        signal.setitimer(signal.ITIMER_PROF, 0)
        seconds = time.process_time() - began
        if failed and seconds < SLOW_SECONDS:
            break
        took[item.nodeid] = seconds
    return took


def _end_slow(*_: object) -> NoReturn:
    raise TimeoutError


def _be_silent() -> None:
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, 1)
    os.dup2(nowhere, 2)


def _reap(running: dict[int, str], codes: dict[str, int]) -> None:
    process, status = os.wait()
    codes[running.pop(process)] = os.waitstatus_to_exitcode(status)


def _fails(item: pytest.Item, following: pytest.Item | None) -> bool:
    """Run one test without pytest's report of it, which takes longer than the test."""

    def run() -> None:
        try:
            item.ihook.pytest_runtest_setup(item=item)
            item.ihook.pytest_runtest_call(item=item)
        finally:
            item.ihook.pytest_runtest_teardown(item=item, nextitem=following)

    wrong = pytest.CallInfo.from_call(run, "call").excinfo
    return wrong is not None and not wrong.errisinstance(pytest.skip.Exception)


def _early() -> set[str]:
    """The functions of the room that run when its modules are imported: ``…fields.x_mapped``."""
    found: set[str] = set()

    def seen(frame: FrameType, event: str, _: object) -> None:
        name, made, _ = frame.f_code.co_qualname.partition("__mutmut_orig")
        if event == "call" and made:
            found.add(f"{frame.f_globals['__name__']}.{name.rpartition('.')[2]}")

    sys.setprofile(seen)
    for path in PACKAGE.rglob("*.py"):
        importlib.import_module(".".join(path.with_suffix("").parts).removesuffix(".__init__"))
    sys.setprofile(None)
    return found


def _arguments(only: Sequence[str]) -> list[str]:
    mutmut = tomllib.loads(Path("pyproject.toml").read_text())["tool"]["mutmut"]
    tests = mutmut["pytest_add_cli_args_test_selection"]
    if only:
        tests = [*only, *(option for option in tests if option.startswith("--deselect"))]
    return ["-qq", "-s", "--assert=plain", *mutmut["pytest_add_cli_args"], *tests]


def main() -> int:
    """Try what is open of some modules."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("modules", nargs="+")
    parser.add_argument("--children", type=int, default=2)
    parser.add_argument("--tests", action="append", default=[], metavar="PATH")
    told = parser.parse_args()
    forks = Forks(told.modules, told.children, _early(), told.tests)
    return pytest.main(_arguments(told.tests), plugins=[forks])


if __name__ == "__main__":
    raise SystemExit(main())
