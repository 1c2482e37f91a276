"""Which custom_ids come twice, in 12 MB for a million lines.

256 arrays of 64-bit hashes sorted bucket by bucket (a set of strings takes 114 MB); equal hashes
are only suspects, a second look at the lines decides.
"""

from array import array
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack
from itertools import pairwise
from pathlib import Path
from typing import BinaryIO, Final

BUCKETS: Final = 256

# A file made of pairs would make half a million suspects; beyond this many the batch fails
# anyway, and the rest is counted by hash alone.
MAX_SUSPECTS: Final = 50_000


class SeenIds:
    """The custom_ids of one file, as hashes."""

    def __init__(self) -> None:
        self._buckets = [array("q") for _ in range(BUCKETS)]

    def add(self, custom_id: str) -> None:
        """Note one more."""
        number = hash(custom_id)
        self._buckets[number & (BUCKETS - 1)].append(number)

    def save(self, path: Path) -> None:
        """Write the hashes for :func:`any_twice`; only processes of one pool hash alike."""
        with path.open("wb") as file:
            array("q", map(len, self._buckets)).tofile(file)
            for bucket in self._buckets:
                bucket.tofile(file)

    def suspects(self) -> tuple[set[int], int]:
        """Return hashes that came twice, and by how many ids there are too many behind the rest."""
        suspects: set[int] = set()
        rest = 0
        for bucket in self._buckets:
            for one, other in pairwise(sorted(bucket)):
                if one != other:
                    continue
                if one in suspects or len(suspects) < MAX_SUSPECTS:
                    suspects.add(one)
                else:
                    rest += 1
        return suspects, rest


def any_twice(paths: Sequence[Path]) -> bool:
    """Whether any hash is there twice in files that :meth:`SeenIds.save` wrote."""
    with ExitStack() as stack:
        files = [stack.enter_context(path.open("rb")) for path in paths]
        counts = [_numbers(file, BUCKETS) for file in files]
        for bucket in range(BUCKETS):
            hashes = array("q")
            for file, count in zip(files, counts, strict=True):
                hashes.extend(_numbers(file, count[bucket]))
            if any(one == other for one, other in pairwise(sorted(hashes))):
                return True
    return False


def _numbers(file: BinaryIO, count: int) -> "array[int]":
    numbers = array("q")
    numbers.fromfile(file, count)
    return numbers


def repeated(ids: Iterable[tuple[int, str]], suspects: set[int]) -> Iterator[tuple[int, str]]:
    """Look a second time: yield line and custom_id of every id that an earlier line has."""
    seen: set[str] = set()
    for line, custom_id in ids:
        if hash(custom_id) in suspects:
            if custom_id in seen:
                yield line, custom_id
            seen.add(custom_id)
