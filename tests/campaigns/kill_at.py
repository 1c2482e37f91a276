"""What ``kill_at.c`` counts, at which calls it kills, and what a run of it came to."""

import ctypes
import subprocess
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import Struct
from typing import Final

# The order of ``enum kind`` in kill_at.c.
KINDS: Final = (
    "write",
    "pwrite",
    "send",
    "fsync",
    "fdatasync",
    "truncate",
    "rename",
    "link",
    "unlink",
    "mkdir",
    "rmdir",
    "copy",
)
# By the module that a process runs; anything else is the gateway itself.
ROLES: Final = {"gateway.runner.worker": "worker"}
_NAMES: Final = ("", "gateway", "worker")
DEATHS: Final = 2
_TALLY: Final = Struct(f"={DEATHS * len(KINDS)}Q{DEATHS}Q")


@dataclass(frozen=True)
class Tally:
    """Calls of each kind, and which processes were killed, in order."""

    calls: Mapping[str, int]
    struck: Sequence[str]


class Counted:
    """The calls of one run: over all its processes and starts."""

    def __init__(self, place: Path, *deaths: tuple[str, int]) -> None:
        """``deaths``: kinds and numbers of calls, each counted from the death before it."""
        self._place = place
        self._at = ",".join(f"{KINDS.index(kind)}:{call}" for kind, call in deaths)
        place.write_bytes(bytes(_TALLY.size))

    def environment(self) -> dict[str, str]:
        """Tell a process that is forked where to count, and when to die."""
        return {"KILL_AT": self._at, "KILL_AT_TALLY": str(self._place)}

    def read(self) -> Tally:
        """What it came to until now."""
        found = _TALLY.unpack(self._place.read_bytes())
        calls: Counter[str] = Counter()
        for row in range(0, DEATHS * len(KINDS), len(KINDS)):
            calls.update(dict(zip(KINDS, found[row : row + len(KINDS)], strict=True)))
        return Tally(calls, [_NAMES[one] for one in found[-DEATHS:] if one])


def arm(library: ctypes.CDLL, environment: Mapping[str, str], module: str) -> None:
    """Count in this process, if its environment says so."""
    if (at := environment.get("KILL_AT")) is None:
        return
    for death, place in enumerate(at.split(",")):
        kind, call = map(int, place.split(":"))
        library.kill_at_death(death, kind, ctypes.c_uint64(call))
    role = _NAMES.index(ROLES.get(module, "gateway"))
    path = environment["KILL_AT_TALLY"].encode()
    if library.kill_at_arm(path, ctypes.c_uint64(role)) != 0:
        raise OSError("kill_at.c could not map its tally")


def built(directory: Path) -> Path:
    """Compile it."""
    library = directory / "kill_at.so"
    source = Path(__file__).with_suffix(".c")
    subprocess.run(
        ["cc", "-shared", "-fPIC", "-O2", "-Wall", "-Werror", "-o", library, source, "-ldl"],
        check=True,
    )
    return library
