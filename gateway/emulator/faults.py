"""Faults: what goes wrong, when, how often. One table says all.

A fault is armed at start (``--fault``), while running (``POST /emulator/faults``), and some per
request by a marker in the prompt (see ``markers.py``). Specification::

    name[:parameter=value[,parameter=value]...]
    create-500-after:times=2        results-fail:code=13,probability=0.5,times=1
    error:on=get|list,status=429,times=3        download-cut:bytes=1000,times=2

Parameters every fault knows: ``times`` (how many occasions, default all), ``skip`` (occasions let
through first), ``probability`` (of each occasion), ``on`` (operations, joined with ``|``; ``any``).
"""

import threading
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass, fields, replace
from random import Random  # noqa: TID251 - seeded, so that a run of faults can be repeated

OPERATIONS = (
    "create",
    "get",
    "list",
    "cancel",
    "delete",
    "update",
    "upload-start",
    "upload",
    "upload-query",
    "file-get",
    "file-list",
    "file-delete",
    "redirect",
    "download",
    "models",
    "generate",
    "stream",
    "embed",
    "count",
    "caches",
    "webhooks",
)
"""What ``on`` may name: one word per call of the API."""


@dataclass(frozen=True)
class Fault:
    """One armed fault; which parameters it reads is said in :data:`FAULTS`."""

    name: str
    on: str = "any"
    times: int | None = None
    skip: int = 0
    probability: float = 1.0
    status: int = 500
    """HTTP status."""
    code: int = 13
    """google.rpc.Code of a job or an item."""
    message: str = "default"
    """Message of a job's or item's error; empty: leave it out."""
    seconds: float = 1.0
    bytes: int = 0
    """Bytes after which something is cut."""
    rate: int = 65536
    """Bytes per second."""
    state: str = "BATCH_STATE_PAUSED"
    place: str = "response"
    """Where output stays: ``response`` or ``metadata``."""
    keys: str = ""
    """Item keys, joined with ``|``; empty: any item."""
    share: float = 1.0
    """The part of a job's items that is hit (0..1)."""

    def hits(self, operation: str) -> bool:
        """Whether ``operation`` is one of those this fault is for."""
        return self.on == "any" or operation in self.on.split("|")

    def picks(self, key: str, random: Random) -> bool:
        """Whether one item of a job that has this fault is hit."""
        if self.keys and key not in self.keys.split("|"):
            return False
        return self.share >= 1 or random.random() < self.share


@dataclass(frozen=True)
class FaultKind:
    """A row of the table: what happens, and what its parameters are unless given."""

    what: str
    base: Fault
    """The fault with its own defaults; its name is the one that code asks for."""


def _kind(what: str, name: str, **defaults: object) -> FaultKind:
    return FaultKind(what, replace(Fault(name), **defaults))  # type: ignore[arg-type]


FAULTS: dict[str, FaultKind] = {
    # any call
    "error": _kind("refuse before doing anything: status", "error", on="create"),
    "hang": _kind("never answer, do nothing", "hang", on="create"),
    "drop": _kind("close the connection, do nothing", "drop", on="create"),
    "slow": _kind("answer after seconds", "slow"),
    "error-after": _kind("do it, then answer status", "error-after", on="create"),
    "hang-after": _kind("do it, then never answer", "hang-after", on="create"),
    "drop-after": _kind("do it, then close the connection", "drop-after", on="create"),
    "garbage-after": _kind("do it, then answer 200 without JSON", "garbage-after", on="create"),
    # the same by their usual names
    "create-500": _kind("create refused with 500", "error", on="create"),
    "create-500-after": _kind("create accepted, then 500", "error-after", on="create"),
    "create-hang": _kind("create never answers, no job", "hang", on="create"),
    "create-hang-after": _kind("create accepted, no answer", "hang-after", on="create"),
    "create-drop": _kind("create's connection closed, no job", "drop", on="create"),
    "create-drop-after": _kind("create accepted, connection closed", "drop-after", on="create"),
    "quota": _kind("429, Help only, no RetryInfo", "error", on="create", status=429),
    "overloaded": _kind("503", "error", on="any", status=503),
    # jobs; taken when a job is created, so times counts jobs
    "job-stuck": _kind("PENDING for ever, then EXPIRED", "job-stuck"),
    "job-slow": _kind("takes seconds", "job-slow", seconds=60.0),
    "job-fails": _kind("FAILED with code and message", "job-fails", code=8),
    "job-expires": _kind("EXPIRED at its end; nothing kept", "job-expires"),
    "cancel-ignored": _kind("cancel answers 200 and the job goes on", "cancel-ignored"),
    "quota-lingers": _kind("counts as live for seconds after its end (#2495)", "quota-lingers"),
    "delete-lingers": _kind("a deleted job can still be got and listed", "delete-lingers"),
    # what get and list show; times counts answers
    "state-unknown": _kind("an unfinished job's state reads state", "state-unknown"),
    "state-spelling": _kind("JOB_STATE_ instead of BATCH_STATE_", "state-spelling"),
    "output-only": _kind("output in place only", "output-only"),
    "output-nowhere": _kind("SUCCEEDED without output", "output-nowhere"),
    "embed-spelling": _kind("inlinedEmbedContentResponses beside the usual", "embed-spelling"),
    "list-empty": _kind("no operations, no token", "list-empty"),
    "list-empty-page": _kind("an empty page whose token goes on", "list-empty-page"),
    "list-hides": _kind("a job is not listed until seconds old", "list-hides", seconds=5.0),
    "list-unreachable": _kind("unreachable names a place", "list-unreachable"),
    "list-cycles": _kind("nextPageToken is the one just used", "list-cycles"),
    # results; taken when a job is created, share/keys choose items
    "results-shuffled": _kind("another order", "results-shuffled"),
    "results-doubled": _kind("items come twice", "results-doubled"),
    "results-dropped": _kind("items do not come", "results-dropped"),
    "results-fail": _kind("items are errors: code, message", "results-fail"),
    "results-keyless": _kind("items come without key/metadata", "results-keyless"),
    "results-empty": _kind("items are responses without candidates", "results-empty"),
    "results-citation-only": _kind("only citationMetadata (#1341)", "results-citation-only"),
    "results-cut": _kind("texts end in the middle, with STOP", "results-cut"),
    "results-refused": _kind("no content, finishReason SAFETY", "results-refused"),
    "results-blank": _kind("items have neither response nor error", "results-blank"),
    # files
    "upload-no-file": _kind("the final answer has no file (#1248)", "upload-no-file"),
    "upload-cut": _kind("the connection closes after bytes of a chunk", "upload-cut"),
    "upload-short": _kind("the file lacks its last byte", "upload-short"),
    "upload-no-status": _kind("a chunk's answer has no X-Goog-Upload-Status", "upload-no-status"),
    "file-processing": _kind("a file is PROCESSING for seconds", "file-processing", seconds=5.0),
    "file-fails": _kind("a file ends FAILED", "file-fails"),
    "download-cut": _kind("closed after bytes, Content-Length honest", "download-cut"),
    "download-slow": _kind("at most rate bytes per second", "download-slow"),
}

_TYPES: dict[str, type] = {
    "on": str,
    "times": int,
    "skip": int,
    "probability": float,
    "status": int,
    "code": int,
    "message": str,
    "seconds": float,
    "bytes": int,
    "rate": int,
    "state": str,
    "place": str,
    "keys": str,
    "share": float,
}


def make_fault(name: str, parameters: Mapping[str, object]) -> Fault:
    """A fault by its name in :data:`FAULTS`.

    Raises ValueError naming an unknown fault, parameter or operation, or a value of wrong type.
    """
    if name not in FAULTS:
        raise ValueError(f"no fault is called {name!r}; there are {', '.join(FAULTS)}")
    converted = {key: _convert(key, value) for key, value in parameters.items()}
    fault = replace(FAULTS[name].base, **converted)  # type: ignore[arg-type]
    unknown = set(fault.on.split("|")) - set(OPERATIONS) - {"any"}
    if unknown:
        raise ValueError(f"no operation is called {min(unknown)!r}")
    return fault


def _convert(key: str, value: object) -> object:
    if key not in _TYPES:
        raise ValueError(f"a fault has no parameter {key!r}; there are {', '.join(_TYPES)}")
    if key == "times" and value is None:
        return None
    try:
        return _TYPES[key](value)
    except (TypeError, ValueError) as exc:
        raise ValueError(f"{key}={value!r} is not of type {_TYPES[key].__name__}") from exc


def parse_fault(text: str) -> Fault:
    """``name:parameter=value,...`` -> Fault; raises ValueError as :func:`make_fault` does."""
    name, _, rest = text.partition(":")
    pairs = [pair.partition("=") for pair in rest.split(",") if pair]
    return make_fault(name.strip(), {key.strip(): value.strip() for key, _, value in pairs})


def describe(fault: Fault) -> dict[str, object]:
    """A fault's parameters that differ from the plain ones, for the control route."""
    plain = asdict(Fault(fault.name))
    return {
        key: value for key, value in asdict(fault).items() if key == "name" or value != plain[key]
    }


class _Armed:
    def __init__(self, fault: Fault) -> None:
        self.fault = fault
        self.seen = 0
        self.applied = 0

    def strikes(self, random: Random) -> bool:
        """Count an occasion; whether the fault happens on it."""
        if self.fault.times is not None and self.applied >= self.fault.times:
            return False
        self.seen += 1
        if self.seen <= self.fault.skip or random.random() >= self.fault.probability:
            return False
        self.applied += 1
        return True


class FaultBook:
    """The armed faults, their counts and their dice; safe from any thread."""

    def __init__(self, specifications: Iterable[str], seed: int) -> None:
        self._lock = threading.Lock()
        self._random = Random(seed)  # noqa: S311 - dice, not secrets
        self._armed = [_Armed(parse_fault(text)) for text in specifications]

    def arm(self, fault: Fault) -> None:
        """Add a fault; those armed earlier are asked first."""
        with self._lock:
            self._armed.append(_Armed(fault))

    def clear(self) -> None:
        """Disarm everything."""
        with self._lock:
            self._armed.clear()

    def take(self, name: str, operation: str = "any") -> Fault | None:
        """Count one occasion for ``name``; the fault that happens on it, if any."""
        with self._lock:
            for armed in self._armed:
                if armed.fault.name != name:
                    continue
                if operation != "any" and not armed.fault.hits(operation):
                    continue
                if armed.strikes(self._random):
                    return armed.fault
        return None

    def report(self) -> list[dict[str, object]]:
        """Every armed fault with how often it was asked and applied."""
        with self._lock:
            return [
                {**describe(armed.fault), "seen": armed.seen, "applied": armed.applied}
                for armed in self._armed
            ]


assert set(_TYPES) == {item.name for item in fields(Fault)} - {"name"}  # noqa: S101 - one table
