"""Which custom_ids come twice, in 12 MB for a million lines.

256 arrays of 64-bit hashes sorted bucket by bucket (a set of strings takes 114 MB); equal hashes
are only suspects, a second look at the lines decides.
"""

from array import array
from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Final

BUCKETS: Final = 256

# A file made of pairs would make half a million suspects; beyond this many the batch fails
# anyway, and the rest is counted by hash alone.
MAX_SUSPECTS: Final = 50_000


class Seen:
    """The custom_ids of one file, as hashes."""

    def __init__(self) -> None:
        self._buckets = [array("q") for _ in range(BUCKETS)]

    def add(self, custom_id: str) -> None:
        """Note one more."""
        number = hash(custom_id)
        self._buckets[number & (BUCKETS - 1)].append(number)

    def suspects(self) -> tuple[set[int], int]:
        """Hashes that came twice, and by how many ids there are too many behind the rest."""
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


def repeated(ids: Iterable[tuple[int, str]], suspects: set[int]) -> Iterator[tuple[int, str]]:
    """Look a second time: yield line and custom_id of every id that an earlier line has."""
    seen: set[str] = set()
    for line, custom_id in ids:
        if hash(custom_id) in suspects:
            if custom_id in seen:
                yield line, custom_id
            seen.add(custom_id)
