"""The envelope of an input line: what fails the whole batch, in OpenAI's words.

Codes, params and texts as api.openai.com returned them where they were recorded (llama-stack's
``test_batches_errors.py``, public transcripts of 2026); the others are ours, in their manner.
"""

import re
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any, Final, NamedTuple

import orjson

from gateway.batches.batch import BatchError
from gateway.runner.cpu.complaints import INVALID_JSON
from gateway.translate import (
    OPENAI_ALIASES,
    Endpoint,
    Policy,
    defaults_of,
    plain_names,
    resolve_model,
)
from gateway.wire.gemini import MODEL_ID
from gateway.wire.json_depth import MAX_DEPTH, depth_exceeds
from gateway.wire.json_faults import is_no_utf8, json_fault
from gateway.wire.jsonl import MAX_STRUCTURE, LongLine, structure_of
from gateway.wire.openai import AZURE_ENDPOINTS
from gateway.wire.openai_errors import (
    did_you_mean,
    invalid_type,
    json_type,
    missing_parameter,
    unusable_model,
)

MAX_UNKNOWN: Final = 20  # models that the list lacks, named to whoever may look them up
MAX_REMEMBERED: Final = 1000  # model names are the client's: never an endless table
MEMBERS: Final = frozenset({"custom_id", "method", "url", "body"})

# It is part of a URL path: nothing that a client writes may leave it.
_NAME: Final = re.compile(r"[A-Za-z0-9@:/._-]{1,200}")

# Part of a name of OpenAI's -> a Gemini model of that kind, for the example of an alias.
_REPLACEMENTS: Final = {
    "embedding": "gemini-embedding-2",
    "image": "gemini-3.1-flash-image",
    "mini": "gemini-3.5-flash-lite",
    "nano": "gemini-3.5-flash-lite",
    "": "gemini-3.8-flash",
}

_CR: Final = 0x0D  # as a number: bytes are looked for more slowly (see wire/jsonl.py)

_OPENAI: Final = Policy(aliases=OPENAI_ALIASES)
# The upstream's model id, and what adds the defaults of the name to a body, if it has any.
_Resolved = tuple[str, Callable[[dict[str, Any]], dict[str, Any]] | None]


class Line(NamedTuple):
    """An input line whose envelope is good; ``extra`` names what else it has.

    ``model`` is resolved, ``body`` has the defaults of the name that it was called by.
    """

    custom_id: str
    model: str
    body: dict[str, Any]
    extra: tuple[str, ...]


# What ``Line(...)`` calls, without a function of Python's in between: that takes twice as long.
_line: Final[Callable[[tuple[str, str, dict[str, Any], tuple[str, ...]]], Line]] = partial(
    tuple.__new__, Line
)


class Envelope:
    """Checks the envelope of one batch's lines."""

    def __init__(
        self,
        endpoint: Endpoint,
        policy: Policy,
        models: Mapping[str, frozenset[str]] | None,
        max_line_bytes: int,
    ) -> None:
        self.endpoint = endpoint
        self._urls = frozenset((endpoint.path, AZURE_ENDPOINTS.get(endpoint.path, endpoint.path)))
        self.policy = policy
        self._models = models
        self._max_line_bytes = max_line_bytes
        self._resolved: dict[str, _Resolved | None] = {}
        self.unknown: set[str] = set()  # some of the models that are not offered

    def read(self, raw: bytes | LongLine, number: int) -> Line | BatchError:
        """Return the line, or the first complaint about it."""
        parsed = self.parse(raw, number)
        return parsed if isinstance(parsed, BatchError) else self.check(raw, parsed, number)

    def parse(self, raw: bytes | LongLine, number: int) -> dict[str, Any] | BatchError:
        """Return what a line says, or why it cannot be read."""
        if isinstance(raw, LongLine):
            return BatchError(
                "line_too_long",
                f"This line has {raw.size} bytes; at most {self._max_line_bytes} are allowed.",
                None,
                number,
            )
        if len(raw) > MAX_STRUCTURE:
            structure = structure_of(raw, MAX_STRUCTURE)
            if structure > MAX_STRUCTURE:
                return _too_complex(structure, number)
        try:
            line = orjson.loads(raw)
        except orjson.JSONDecodeError as error:
            return _unreadable(_why_unreadable(raw, error), number)
        if type(line) is not dict:
            return _unreadable("This line is not a JSON object.", number)
        return line

    def check(
        self, raw: bytes | LongLine, parsed: dict[str, Any], number: int
    ) -> Line | BatchError:
        """Return the line that :meth:`parse` has parsed, or the first complaint about it."""
        if type(raw) is bytes and depth_exceeds(raw, parsed, MAX_DEPTH):
            return _unreadable(f"This line nests deeper than {MAX_DEPTH} levels.", number)
        return self.usual(parsed) or self._check(parsed, number)

    def usual(self, line: dict[str, Any]) -> Line | None:
        """Return a line of which nothing can be said against, None for any other.

        In one step: the questions below take three times as long, and most lines are good. How
        deep its body is nested is not asked; there are no other values that could be.
        """
        try:
            body = line["body"]
            custom_id = line["custom_id"]
            if (
                len(line) == len(MEMBERS)
                and line["method"] == "POST"
                and line["url"] in self._urls
                and type(custom_id) is str
                and custom_id
                and "stream" not in body
            ):
                for name in self.endpoint.required:
                    if body[name] is None:
                        return None
                resolved = self._resolved[body["model"]]
                if resolved is not None:
                    model, add = resolved
                    return _line((custom_id, model, body if add is None else add(body), ()))
        except (KeyError, TypeError):
            pass
        return None

    def _check(self, line: dict[str, Any], number: int) -> Line | BatchError:
        complaint = self._check_members(line, number)
        if complaint is not None:
            return complaint
        body = line["body"]
        resolved = self._resolve(body["model"])
        if resolved is None:
            return self._no_such_model(body["model"], number)
        complaint = self._check_body(body, number)
        if complaint is not None:
            return complaint
        model, add = resolved
        extra = tuple([name for name in line if name not in MEMBERS])
        return Line(line["custom_id"], model, body if add is None else add(body), extra)

    def _check_members(self, line: dict[str, Any], number: int) -> BatchError | None:
        custom_id = line.get("custom_id")
        if not isinstance(custom_id, str) or not custom_id:
            return _wrong(line, "custom_id", "a non-empty string", number)
        if line.get("method") != "POST":
            return _wrong_method(line, number)
        url = line.get("url")
        if not isinstance(url, str) or url not in self._urls:
            return _wrong_url(line, number)
        body = line.get("body")
        if not isinstance(body, dict):
            return _wrong(line, "body", "an object", number)
        fault = unusable_model(body, "body.model")
        return None if fault is None else BatchError(*fault, "body.model", number)

    def _check_body(self, body: dict[str, Any], number: int) -> BatchError | None:
        for name in self.endpoint.required:
            if body.get(name) is None:
                return BatchError(*missing_parameter(name), f"body.{name}", number)
        if body.get("stream") is True:
            return BatchError(
                "streaming_unsupported",
                "Streaming is not supported in the Batch API ('body.stream').",
                "body.stream",
                number,
            )
        return None

    def _resolve(self, name: str) -> "_Resolved | None":
        """Return the upstream's model id, None when it has no such model for this endpoint."""
        if name not in self._resolved:
            if len(self._resolved) >= MAX_REMEMBERED:
                self._resolved.clear()
            model, defaults = resolve_model(name, self.policy)
            good = self._offers(model)
            self._resolved[name] = (
                (model, defaults_of(defaults, self.endpoint.path)) if good else None
            )
            # What is no model's name may hold a prompt: it is neither asked for nor logged.
            if not good and MODEL_ID.fullmatch(model) and len(self.unknown) < MAX_UNKNOWN:
                self.unknown.add(model)
        return self._resolved[name]

    def _offers(self, model: str) -> bool:
        if not MODEL_ID.fullmatch(model):
            return False
        if self._models is None:
            return True
        return self.endpoint.method in self._models.get(model, frozenset())

    def _no_such_model(self, name: str, number: int) -> BatchError:
        model = resolve_model(name, self.policy).model
        if self._models and model in self._models:
            why = (
                "The upstream has this model, but runs no batches of it for this endpoint."
                f"{self._nearest(model)}"
            )
        else:
            why = (
                "It must be a Gemini model that the upstream offers for this endpoint, or an alias "
                f"of one.{self._remedy(name, model)}"
            )
        message = f"The provided model {_quoted(name)} is not supported by the Batch API. {why}"
        return BatchError("model_not_found", message, "body.model", number)

    def _nearest(self, model: str) -> str:
        """Name a model that can: the one whose name is nearest, else the usual of its kind."""
        offered = [one for one in self._models or () if self._offers(one)]
        if hint := did_you_mean(model, offered):
            return hint
        kind = next((kind for kind in _REPLACEMENTS if kind in self.endpoint.path), "")
        usual = next((one for one in (_REPLACEMENTS[kind], *offered) if self._offers(one)), None)
        return f" One that can is '{usual}'." if usual else ""

    def _remedy(self, name: str, model: str) -> str:
        """Name the model that was meant, or the setting that keeps the client's name for one."""
        if not _NAME.fullmatch(name):
            return ""
        offered = [one for one in self._models or () if self._offers(one)]
        hint = did_you_mean(model, (*plain_names(self.policy.aliases), *offered))
        if hint or not MODEL_ID.fullmatch(name):
            return hint
        if resolve_model(name, _OPENAI).model != name:
            return " To keep this name, the gateway needs the setting GATEWAY_MODEL_ALIASES=openai."
        kind = next((kind for kind in _REPLACEMENTS if kind in name), "")
        return (
            " To keep this name, the gateway needs the setting "
            f'GATEWAY_MODEL_ALIASES=\'{{"{name}":"{_REPLACEMENTS[kind]}"}}\'.'
        )


def _why_unreadable(raw: bytes, error: orjson.JSONDecodeError) -> str:
    """Return OpenAI's sentence and the fault, or what files of other systems have at each line."""
    readable = not is_no_utf8(error)
    if readable and raw.endswith((b"\0", b"\x1a")):
        return "This line ends with NUL or Ctrl-Z characters, which are no JSON: remove them."
    if readable and _CR in raw:
        return "This line has a carriage return in it: lines end with LF or CR LF, not CR alone."
    return f"This line is not parseable as valid JSON. {json_fault(error, raw)}"


def _unreadable(message: str, number: int) -> BatchError:
    return BatchError(INVALID_JSON, message, None, number)


def _quoted(name: str) -> str:
    """Return a model's name as a message may show it: what is none may hold a prompt."""
    return f"'{name}'" if _NAME.fullmatch(name) else "(which is no model's name)"


def _too_complex(structure: int, number: int) -> BatchError:
    return BatchError(
        "line_too_complex",
        f"This line has {structure} brackets, commas and colons outside of its texts; at most"
        f" {MAX_STRUCTURE} are allowed.",
        None,
        number,
    )


def _wrong(line: dict[str, Any], name: str, expected: str, number: int) -> BatchError:
    if name not in line:
        return BatchError(*missing_parameter(name), name, number)
    got = "an empty string" if line[name] == "" else json_type(line[name])
    return BatchError(*invalid_type(name, expected, got), name, number)


def _wrong_method(line: dict[str, Any], number: int) -> BatchError:
    if not isinstance(line.get("method"), str):
        return _wrong(line, "method", "a string", number)
    return BatchError(
        "invalid_method", "Invalid value for 'method': only POST is supported.", "method", number
    )


def _wrong_url(line: dict[str, Any], number: int) -> BatchError:
    if not isinstance(line.get("url"), str):
        return _wrong(line, "url", "a string", number)
    return BatchError(
        "invalid_url",
        "The URL provided for this request does not match the batch endpoint.",
        "url",
        number,
    )
