"""Faults, all in one table: what goes wrong, when, how often.

A fault is armed at start (``--fault``), while running (``POST /emulator/faults``), and by
``[[fault:SPECIFICATION]]`` in a prompt. Specification::

    name[:parameter=value[,parameter=value]...]
    create-500-after:times=2        results-fail:code=13,probability=0.5,times=1
    error:on=get|list,status=429,times=3        download-cut:bytes=1000,times=2

Parameters every fault knows: ``times`` (how many occasions; default, and ``all``: every one),
``skip`` (occasions let through first), ``probability`` (of each occasion; the dice have a seed),
``on`` (operations, joined with ``|``; ``any``), ``model`` (only calls and jobs of this model).
A fault of calls that has ``seconds`` strikes for so long, counted on the emulator's clock from its
first strike: ``error:on=get,status=404,seconds=20`` denies jobs for twenty seconds.

In a prompt a fault strikes what comes of that prompt, by its scope (:class:`Scope`), and ``times``
(default 1) says how often the prompt is struck when it is sent again.
"""

from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields, replace
from enum import Enum
from functools import partial
from random import Random  # noqa: TID251 - the dice of a book
from typing import Final

from gateway.emulator.faults.refusals import REASONS

# What ``on`` may name: one word per call of the API.
OPERATIONS: Final = (
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
    "model",
    "generate",
    "stream",
    "embed",
    "count",
    "caches",
    "webhooks",
)


@dataclass(frozen=True)
class Fault:
    """One armed fault; which parameters it reads is said in :data:`FAULTS`."""

    name: str
    on: str = "any"
    times: int | None = None
    skip: int = 0
    probability: float = 1.0
    # HTTP status.
    status: int = 500
    # Which of Google's refusals (:data:`gateway.emulator.faults.refusals.REASONS`); empty: the
    # usual one of the status.
    reason: str = ""
    # google.rpc.Code of a job or an item.
    code: int = 13
    # Message of an error, of a job's or an item's too; empty: leave it out.
    message: str = "default"
    seconds: float = 0.0
    # Bytes after which something is cut.
    bytes: int = 0
    # Bytes per second.
    rate: int = 65536
    # A state: of a job as it is, or as the wire has it.
    state: str = "BATCH_STATE_PAUSED"
    # Where output stays (``response`` or ``metadata``), or the host a redirect leads to.
    place: str = "response"
    # What an answer is instead: ``html``, ``empty``, or these very characters.
    body: str = "html"
    # Model of the calls and jobs that are hit; empty: any.
    model: str = ""
    # Which item of a create, counted from 0.
    index: int = 0
    # Item keys, joined with ``|``; empty: any item.
    keys: str = ""
    # How often one and the same prompt is hit; 0: whenever it comes.
    attempts: int = 0
    # The part of a job's items that is hit (0..1).
    share: float = 1.0

    def hits(self, operation: str, model: str = "") -> bool:
        """Whether ``operation`` is one of those this fault is for, and ``model`` its model."""
        named = self.on == "any" or operation in self.on.split("|")
        return named and self.model in {"", model}

    @property
    def lasts(self) -> bool:
        """Whether it strikes for ``seconds`` after its first strike, and no longer."""
        return self.seconds > 0 and self.name in LASTING

    def picks(self, key: str, random: Random) -> bool:
        """Whether one item of a job that has this fault is hit."""
        if self.keys and key not in self.keys.split("|"):
            return False
        return self.share >= 1 or random.random() < self.share


# Faults whose ``seconds`` are how long they strike.
LASTING: Final = frozenset(
    {
        "error",
        "hang",
        "drop",
        "garbage",
        "error-after",
        "hang-after",
        "drop-after",
        "garbage-after",
        "cut-after",
        "drip-after",
        "fields-refused",
        "fields-needed",
        "cancel-lost",
        "flex-full",
        "flex-refused",
        "flex-standard",
    }
)


class Scope(Enum):
    """When a fault is decided, and so whom it strikes."""

    CALL = "each call; in a prompt: its own call, or by ``on`` the later calls about its job"
    JOB = "when a job is created; in a prompt (of a file: in its first line): its job"
    ITEMS = "in a job's results, by ``keys`` and ``share``; in a prompt: its item"
    VIEW = "whenever a job is shown or downloaded; in a prompt: its job, every time"
    LIST = "whenever jobs are listed; in a prompt: the next listing"
    UPLOAD = "when a file is uploaded; in a file's first line: that file"


@dataclass(frozen=True)
class FaultKind:
    """A row of the table: what happens, when, and what its parameters are unless given."""

    what: str
    scope: Scope
    # The fault with its own defaults; its name is the one that code asks for.
    base: Fault


def _kind(scope: Scope, what: str, name: str, **defaults: object) -> FaultKind:
    return FaultKind(what, scope, replace(Fault(name), **defaults))  # type: ignore[arg-type]


_call = partial(_kind, Scope.CALL)
_job = partial(_kind, Scope.JOB)
_items = partial(_kind, Scope.ITEMS)
_view = partial(_kind, Scope.VIEW)
_list = partial(_kind, Scope.LIST)
_upload = partial(_kind, Scope.UPLOAD)

FAULTS: dict[str, FaultKind] = {
    "error": _call("refuse before doing anything: status", "error", on="create"),
    "hang": _call("never answer, do nothing", "hang", on="create"),
    "drop": _call("close the connection, do nothing", "drop", on="create"),
    "garbage": _call("answer 200 with body, do nothing", "garbage", on="create"),
    "slow": _call("answer after seconds", "slow", seconds=1.0),
    "error-after": _call("do it, then answer status", "error-after", on="create"),
    "hang-after": _call("do it, then never answer", "hang-after", on="create"),
    "drop-after": _call("do it, then close the connection", "drop-after", on="create"),
    "garbage-after": _call("do it, then answer 200 with body", "garbage-after", on="create"),
    "cut-after": _call(
        "do it, then close after bytes of the answer, as a proxy with a limit does",
        "cut-after",
        on="get",
        bytes=1000,
    ),
    "drip-after": _call(
        "do it, then send the answer at rate bytes per second", "drip-after", on="get", rate=1
    ),
    "fields-refused": _call("400 for a call that asks for fields", "fields-refused"),
    "fields-needed": _call(
        "status for a get without fields (python-genai#2519)", "fields-needed", on="get", status=503
    ),
    # the same by their usual names
    "create-500": _call("create refused with 500", "error", on="create"),
    "create-500-after": _call("create accepted, then 500", "error-after", on="create"),
    "create-hang": _call("create never answers, no job", "hang", on="create"),
    "create-hang-after": _call("create accepted, no answer", "hang-after", on="create"),
    "create-drop": _call("create's connection closed, no job", "drop", on="create"),
    "create-drop-after": _call("create accepted, connection closed", "drop-after", on="create"),
    "quota": _call(
        "429, Help only, no RetryInfo (python-genai#1901)", "error", on="create", status=429
    ),
    "overloaded": _call("503", "error", on="any", status=503),
    "key-invalid": _call("400, the key is refused, for seconds", "error", on="any", reason="key"),
    "create-denied": _call(
        "create refused for a reason of the account: file, permission, credits, billing ... "
        "(python-genai#1218)",
        "error",
        on="create",
        reason="file",
    ),
    "create-names-item": _call(
        "400 for an inline create, naming its item at index or with one of keys; in a prompt: "
        "the prompt's item; reason=unnamed names none (python-genai#1103, js-genai#846)",
        "create-names-item",
        on="create",
    ),
    "model-unserved": _call(
        "a listed model is 404 at create, with advice", "error", on="create", reason="retired"
    ),
    "models-empty": _call("a list of models without a model", "garbage", on="models", body="{}"),
    "get-denied": _call(
        "a job is 404 (or status) for seconds (anthropic-sdk-python#1432)",
        "error",
        on="get",
        status=404,
        seconds=20.0,
    ),
    "download-denied": _call(
        "results are 403 (or status) for seconds (python-genai#1218)",
        "error",
        on="redirect|download",
        status=403,
        seconds=20.0,
    ),
    "file-denied": _call(
        "files.get is 403 (or status) for seconds (python-genai#1218)",
        "error",
        on="file-get",
        status=403,
        seconds=20.0,
    ),
    "delete-refused": _call(
        "deletes of jobs and files are 503 (or status) for seconds",
        "error",
        on="delete|file-delete",
        status=503,
        seconds=20.0,
    ),
    "flex-full": _call(
        "a flex call is 503 (or status): no capacity", "flex-full", on="generate|stream", status=503
    ),
    "flex-refused": _call(
        "a flex call is 400: the model has no such tier", "flex-refused", on="generate|stream"
    ),
    "flex-standard": _call(
        "a flex call is served, and charged, as standard", "flex-standard", on="generate|stream"
    ),
    "cancel-lost": _call("cancel answers 200 and is not heard", "cancel-lost", on="cancel"),
    # jobs
    "job-stuck": _job(
        "PENDING (or RUNNING: state) for ever, then EXPIRED (python-genai#1482)",
        "job-stuck",
        state="PENDING",
    ),
    "job-slow": _job("takes seconds", "job-slow", seconds=60.0),
    "job-fails": _job("FAILED with code and message", "job-fails", code=8),
    "job-expires": _job("EXPIRED at its end", "job-expires"),
    "output-kept": _job("FAILED, EXPIRED, CANCELLED show what was served", "output-kept"),
    "cancel-ignored": _job("cancel answers 200 and the job goes on", "cancel-ignored"),
    "quota-lingers": _job(
        "counts as live for seconds after its end (python-genai#2495)",
        "quota-lingers",
        seconds=1.0,
    ),
    "delete-lingers": _job(
        "a deleted job can still be got and listed (python-genai#2495)", "delete-lingers"
    ),
    "list-hides": _job("a job is not listed until seconds old", "list-hides", seconds=5.0),
    "cache-ignored": _job("cachedContent has no effect (python-genai#1313)", "cache-ignored"),
    "lines-unchecked": _job(
        "unknown fields of a line are lost, not refused (python-genai#1137)", "lines-unchecked"
    ),
    "results-shuffled": _job("another order (python-genai#1909)", "results-shuffled"),
    # results
    "results-doubled": _items("items come twice", "results-doubled"),
    "results-dropped": _items("items do not come", "results-dropped"),
    "results-fail": _items("items are errors: code, message", "results-fail"),
    "results-keyless": _items(
        "items come without key/metadata (python-genai#1886)", "results-keyless"
    ),
    "results-empty": _items("items are responses without candidates", "results-empty"),
    "results-citation-only": _items(
        "only citationMetadata (python-genai#1341)", "results-citation-only"
    ),
    "results-cut": _items(
        "texts end in the middle, with STOP (discuss.ai.google.dev/t/140889)", "results-cut"
    ),
    "results-refused": _items(
        "no content, finishReason SAFETY (langextract#528)", "results-refused"
    ),
    "results-blank": _items("items have neither response nor error", "results-blank"),
    "results-garbled": _items("lines of a result file end in the middle", "results-garbled"),
    # what get and list show
    "state-unknown": _view("an unfinished job's state reads state", "state-unknown"),
    "state-spelling": _view("JOB_STATE_ instead of BATCH_STATE_", "state-spelling"),
    "output-only": _view("output in place only (bifrost#3951)", "output-only"),
    "output-nowhere": _view("SUCCEEDED without output", "output-nowhere"),
    "output-late": _view(
        "SUCCEEDED without output in the first gets (litellm#37715)", "output-nowhere", times=3
    ),
    "embed-spelling": _view("inlinedEmbedContentResponses and the usual name", "embed-spelling"),
    "list-fresh": _view("a listed job's counts are true, not those of its create", "list-fresh"),
    "list-stale": _view("a listed job is PENDING, as at its create", "list-stale"),
    "list-empty": _list("no operations, no token", "list-empty"),
    "list-needs-size": _list(
        "no operations for a call without pageSize (python-genai#1250)", "list-needs-size"
    ),
    "list-empty-page": _list("an empty page whose token goes on", "list-empty-page"),
    "list-short": _list("a page that is full ends the list, without a token", "list-short"),
    "list-unreachable": _list("unreachable names a place", "list-unreachable"),
    "list-cycles": _list("nextPageToken is the one just used", "list-cycles"),
    # files
    "upload-no-file": _upload("the final answer has no file (python-genai#1248)", "upload-no-file"),
    "upload-cut": _upload("the connection closes after bytes of a chunk", "upload-cut"),
    "upload-short": _upload("the file lacks its last byte", "upload-short"),
    "upload-corrupt": _upload("a byte of the file is wrong; its hash tells", "upload-corrupt"),
    "upload-no-status": _upload("a chunk's answer has no X-Goog-Upload-Status", "upload-no-status"),
    "file-expired": _upload("a file expires seconds after its upload: at once", "file-expired"),
    "file-processing": _upload("a file is PROCESSING for seconds", "file-processing", seconds=5.0),
    "file-fails": _upload("a file ends FAILED", "file-fails"),
    "result-file-known": _view(
        "files.get and delete know a result file (go-genai#436 says they do not)",
        "result-file-known",
    ),
    "redirect-elsewhere": _view(
        "a download's redirect leads to place, a host",
        "redirect-elsewhere",
        place="nowhere.invalid",
    ),
    "download-direct": _view(
        "the bytes come without a redirect (js-genai#1184)", "download-direct"
    ),
    "download-gone": _view("a result file is gone: 403", "download-gone"),
    "download-cut": _view("closed after bytes, Content-Length honest", "download-cut"),
    "download-slow": _view("at most rate bytes per second", "download-slow"),
}

_TYPES: dict[str, type] = {
    "on": str,
    "times": int,
    "skip": int,
    "probability": float,
    "status": int,
    "reason": str,
    "code": int,
    "message": str,
    "seconds": float,
    "bytes": int,
    "rate": int,
    "state": str,
    "place": str,
    "body": str,
    "model": str,
    "index": int,
    "keys": str,
    "attempts": int,
    "share": float,
}


# Fault -> a parameter of it, and the values that mean something.
_CHOICES: Final = {
    "error": ("reason", ("", *REASONS)),
    "error-after": ("reason", ("", *REASONS)),
    "create-names-item": ("reason", ("", "unnamed")),
    "job-stuck": ("state", ("PENDING", "RUNNING")),
    "output-only": ("place", ("response", "metadata")),
}
# Another word for a parameter -> the parameter.
_ALIASES: Final = {"gets": "times"}
# Parameter -> least and greatest value.
_RANGES: Final = {
    "times": (0, 2**31),
    "skip": (0, 2**31),
    "probability": (0, 1),
    "share": (0, 1),
    "status": (400, 599),
    "code": (0, 16),
    "seconds": (0, 2**31),
    "bytes": (0, 2**63),
    "rate": (1, 2**31),
    "index": (0, 2**31),
    "attempts": (0, 2**31),
}


def make_fault(name: str, parameters: Mapping[str, object]) -> Fault:
    """Return a fault by its name in :data:`FAULTS`.

    Raises ValueError naming an unknown fault, parameter or operation, or a value of wrong type.
    """
    if name not in FAULTS:
        raise ValueError(f"no fault is called {name!r}; there are {', '.join(FAULTS)}")
    named = {_ALIASES.get(key, key): value for key, value in parameters.items()}
    converted = {key: _convert(key, value) for key, value in named.items()}
    fault = replace(FAULTS[name].base, **converted)  # type: ignore[arg-type]
    unknown = set(fault.on.split("|")) - set(OPERATIONS) - {"any"}
    if unknown:
        raise ValueError(f"no operation is called {min(unknown)!r}")
    parameter, choices = _CHOICES.get(fault.name, ("name", (fault.name,)))
    if getattr(fault, parameter) not in choices:
        raise ValueError(f"{parameter} of {name} is one of {', '.join(choices)}")
    return fault


def _convert(key: str, value: object) -> object:
    if key not in _TYPES:
        raise ValueError(f"a fault has no parameter {key!r}; there are {', '.join(_TYPES)}")
    if key == "times" and value in {None, "all"}:
        return None
    try:
        converted = _TYPES[key](value)
    except (TypeError, ValueError) as error:
        raise ValueError(f"{key}={value!r} is not of type {_TYPES[key].__name__}") from error
    least, most = _RANGES.get(key, (converted, converted))
    if not least <= converted <= most:
        raise ValueError(f"{key}={value!r} is not between {least} and {most}")
    return converted


def parse_fault(text: str) -> Fault:
    """``name:parameter=value,...`` -> Fault; raises ValueError as :func:`make_fault` does."""
    name, _, rest = text.partition(":")
    pairs = [pair.partition("=") for pair in rest.split(",") if pair]
    return make_fault(name.strip(), {key.strip(): value.strip() for key, _, value in pairs})


def describe(fault: Fault) -> dict[str, object]:
    """Return a fault's parameters that differ from the plain ones, for the control route."""
    plain = asdict(Fault(fault.name))
    return {
        key: value for key, value in asdict(fault).items() if key == "name" or value != plain[key]
    }


assert set(_TYPES) == {item.name for item in fields(Fault)} - {"name"}  # noqa: S101 - one table
