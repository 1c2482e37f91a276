"""Recut: a spool and its echo, divided into smaller ones that hold every item once.

:func:`divide` is for every step that sends a part of a job's items anew: the caller says for each
key to which part it goes, or to none. :func:`recut` halves a job of which nothing was created.
"""

from array import array
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import orjson

from gateway.runner.cpu.archive import unpack
from gateway.runner.cpu.echoes import EchoParts, EchoWriter
from gateway.translate import PLACEHOLDER, item_tokens, placeholders

BUFFER: Final = 1 << 18
HALVES: Final = 2
_MARK: Final = PLACEHOLDER.encode()

# Number of a line and of one of its items -> the part that it goes to; None: to none.
Choice = Callable[[int, int], int | None]


@dataclass(frozen=True, slots=True)
class Part:
    """One part: paths of its spool and echo, and what a job of it must know.

    ``files`` are the ids of uploaded files for which the spool holds placeholders.
    """

    spool: str
    echo: str
    items: int
    lines: int
    bytes: int
    tokens: int
    files: Sequence[str]


@dataclass(frozen=True, slots=True)
class RecutTask:
    """A job's spool and echo, and where the parts are to be written."""

    spool: str
    echo: str
    scratch: str


@dataclass(frozen=True, slots=True)
class RecutSummary:
    """The parts, none of them empty; a single one when the job has one line."""

    parts: Sequence[Part]


@dataclass(frozen=True, slots=True)
class PickTask(RecutTask):
    """``wanted`` is a file with the keys of the items that are sent again, one in each line.

    They go into ``pieces`` parts of equally many lines.
    """

    wanted: str
    pieces: int = 1


@dataclass(frozen=True, slots=True)
class SeekTask(RecutTask):
    """``missing`` is a file with the numbers of lines that are sought, an unsigned integer each."""

    missing: str


@dataclass(frozen=True, slots=True)
class SeekSummary:
    """The part of the job that is sought, if any; ``missing`` is what is still sought then."""

    parts: Sequence[Part]
    missing: str


@dataclass(frozen=True, slots=True)
class SplitTask(RecutTask):
    """A job that was refused; ``item`` is the place in ``sent`` of the one to blame, if known."""

    sent: str
    item: int | None


class PartWriter:
    """A part that is being written."""

    def __init__(self, number: int, scratch: Path, files: ExitStack) -> None:
        self.spool = scratch / f"part-spool-{number}"
        self.echo = scratch / f"part-echo-{number}"
        self._spool = files.enter_context(self.spool.open("wb", buffering=BUFFER))
        self._echo = EchoWriter(self.echo)
        files.callback(self._echo.close)
        self.items = self.lines = self.bytes = self.tokens = 0
        self.named: set[str] = set()

    def add(self, text: bytes) -> None:
        """Add a line of the spool."""
        self._spool.write(text)
        self.items += 1
        self.bytes += len(text)
        self.tokens += item_tokens(text)
        if _MARK in text:
            self.named.update(file_id for file_id, _ in placeholders(orjson.loads(text)["request"]))

    def add_line(self, line: int, custom_id: str, items: int, hints: Sequence[bytes]) -> None:
        """Add the answer hints of one line."""
        self._echo.add(line, custom_id, items, hints)
        self.lines += 1

    def close(self) -> Part:
        """Flush, and say what it came to."""
        self._spool.close()
        self._echo.close()
        counts = (self.items, self.lines, self.bytes, self.tokens)
        return Part(str(self.spool), str(self.echo), *counts, sorted(self.named))


def divide(spool: Path, echo: Path, scratch: Path, choose: Choice) -> list[Part]:
    """Write the items that ``choose`` gives a part, and the echoes of their lines; by number.

    Of a line with several items some may go; its echo keeps their number, so that keys stay what
    they are. Errors: OSError; ValueError of an echo file of another format.
    """
    with ExitStack() as files:
        parts: dict[int, PartWriter] = {}
        of_line: dict[int, list[int]] = {}
        for line, item, text in spooled(spool):
            number = choose(line, item)
            if number is None:
                continue
            if number not in parts:
                parts[number] = PartWriter(number, scratch, files)
            parts[number].add(text)
            places = of_line.setdefault(line, [])
            if number not in places:
                places.append(number)
        for line, custom_id, items, hints in EchoParts(echo):
            for number in of_line.get(line, ()):
                parts[number].add_line(line, custom_id, items, hints)
        return [parts[number].close() for number in sorted(parts)]


def pick(task: PickTask) -> RecutSummary:
    """Pick the parts of a job to send again. Errors as :func:`divide`; LookupError of an item."""
    sought = set(map(_numbers, Path(task.wanted).read_bytes().split()))
    lines = sorted({line for line, _ in sought})
    place = {line: at * task.pieces // len(lines) for at, line in enumerate(lines)}
    parts = divide(
        Path(task.spool),
        Path(task.echo),
        Path(task.scratch),
        lambda line, item: place[line] if (line, item) in sought else None,
    )
    if sum(part.items for part in parts) != len(sought):
        raise LookupError("items that are to run again are not in the spool")
    return RecutSummary(parts)


def seek(task: SeekTask) -> SeekSummary:
    """Pick the lines of a job that are sought. Errors as :func:`divide`."""
    sought = array("I")
    sought.frombytes(Path(task.missing).read_bytes())
    left = set(sought)
    scratch = Path(task.scratch)
    echo = unpack(Path(task.echo), scratch)
    mine = {line for line, _, _, _ in EchoParts(echo) if line in left}
    choose = {line: 0 for line, _, _ in spooled(Path(task.spool)) if line in mine}
    parts = divide(Path(task.spool), echo, scratch, lambda line, _: choose.get(line))
    still = scratch / "missing-still"
    still.write_bytes(array("I", (line for line in sought if line not in choose)).tobytes())
    return SeekSummary(parts, str(still))


def split(task: SplitTask) -> RecutSummary:
    """Make two parts: all other lines and the one to blame; halves where it is not known."""
    line = None if task.item is None else _line_at_place(Path(task.sent), task.item)
    if line is None:
        return recut(task)
    spool, echo, scratch = Path(task.spool), Path(task.echo), Path(task.scratch)
    return RecutSummary(divide(spool, echo, scratch, lambda number, _: int(number == line)))


def _line_at_place(spool: Path, place: int) -> int | None:
    return next((line for at, (line, _, _) in enumerate(spooled(spool)) if at == place), None)


def recut(task: RecutTask) -> RecutSummary:
    """Halve a job by tokens; no line is split. Errors as :func:`divide`."""
    spool = Path(task.spool)
    total = sum(item_tokens(text) for _, _, text in spooled(spool))
    first = _first_half(spool, total)
    parts = divide(spool, Path(task.echo), Path(task.scratch), lambda line, _: int(line > first))
    return RecutSummary(parts)


def _first_half(spool: Path, total: int) -> int:
    """Return the last line of the first half: half of the tokens, and at least a line behind."""
    lines: list[int] = []
    tokens = 0
    for line, _, text in spooled(spool):
        if not lines or lines[-1] != line:
            if lines and HALVES * tokens >= total:
                return lines[-1]
            lines.append(line)
        tokens += item_tokens(text)
    return lines[-2] if len(lines) > 1 else lines[-1]


def spooled(spool: Path) -> Iterator[tuple[int, int, bytes]]:
    """Yield line, item and text of every line of a spool, whose keys were written first."""
    with spool.open("rb", buffering=BUFFER) as file:
        for text in file:
            key = text[len(b'{"key":"') : text.index(b'"', len(b'{"key":"'))]
            yield *_numbers(key), text


def _numbers(key: bytes) -> tuple[int, int]:
    """``17`` -> (17, 0), ``17.2`` -> (17, 2)."""
    line, _, item = key.partition(b".")
    return int(line), int(item or 0)
