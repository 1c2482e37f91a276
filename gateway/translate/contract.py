"""The shape of a translation: what goes in, what comes out, in both directions.

``to_gemini(body, policy, model) -> Translation | LineError`` and
``from_gemini(echo, answers, context) -> Rendered``. Both are pure: no clock, no files, no
logging, no randomness, and neither changes its input.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """Every setting that changes a line. Stored with the batch, so rendering again is the same.

    Equal by identity: what was read of a line is remembered by the policy it was read under.
    Each member has a setting of the same name (``GATEWAY_STRICT`` ...), which explains it.

    ``aliases`` maps a model name that clients write to a Gemini model id; ``capabilities`` changes
    rows of :mod:`gateway.translate.models.capabilities` by model, ``safety_settings`` maps a
    category to a threshold, ``voices`` a voice of OpenAI's to one of Gemini's.
    """

    aliases: Mapping[str, str] = field(default_factory=dict)
    capabilities: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    strict: bool = False
    strict_fields: Sequence[str] = ()
    unknown_fields: Literal["refuse", "drop"] = "refuse"
    schema_mode: Literal["auto", "openapi", "json"] = "auto"
    schema_check: Literal["note", "error", "off"] = "note"
    late_system: Literal["hoist", "inline"] = "hoist"
    message_names: Literal["drop", "prefix"] = "drop"
    missing_results: Literal["refuse", "fill"] = "refuse"
    prefill: Literal["refuse", "trim"] = "refuse"
    remote_media: Literal["pass", "refuse"] = "pass"
    gs_uris: Literal["refuse", "pass"] = "refuse"
    parallel_tool_calls: Literal["note", "first"] = "note"
    safety_settings: Mapping[str, str] = field(default_factory=dict)
    voices: Mapping[str, str] = field(default_factory=dict)
    blocked_prompt: Literal["refusal", "error"] = "refusal"
    executed_code: Literal["show", "omit"] = "show"

    def to_json(self) -> Json:
        """The policy as a JSON object, as it is stored on a batch."""
        values = {name: getattr(self, name) for name in _members()}
        return {**values, "strict_fields": list(self.strict_fields)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Policy":
        """Read back what :meth:`to_json` wrote; members a later version added are ignored."""
        return cls(**{name: value[name] for name in _members() if name in value})


def _members() -> list[str]:
    return [member.name for member in fields(Policy)]


DEFAULT_POLICY: Final = Policy()


@dataclass(frozen=True, slots=True)
class Note:
    """Something of a line that was lost or changed, or something odd about its answer.

    ``code`` is one of :data:`gateway.translate.reading.notes.CODES`, ``field`` a path in the line's
    body or in the answer's, ``message`` what they do not say; never content.
    """

    code: str
    field: str
    message: str = ""


# What is made for every line is a plain tuple: a record of its own class, however it is declared,
# takes 0.2 microseconds more, and a 300-byte line has 2.5 in all each way (measured on 3.11).

# What one line becomes: items, echo, notes, files. The items are the upstream requests in raw REST
# shape, written (a line has one, or several when it is fanned out); the echo is written JSON
# objects that FromGemini needs, merged, to render the answer: a job keeps each once, however many
# lines have it; the files are gateway file ids left as placeholders in the items.
Translation = tuple[Sequence[bytes], Sequence[bytes], Sequence[Note], Sequence[str]]

# Token counts of one line: input, cached (of the input), output, reasoning (of the output).
Usage = tuple[int, int, int, int]
NO_USAGE: Final[Usage] = (0, 0, 0, 0)

# One line's answer: HTTP status, body, usage, notes. The body is written JSON without line breaks:
# an OpenAI object, or an OpenAI error envelope when the status is 400 or more.
Rendered = tuple[int, bytes, Usage, Sequence[Note]]


@dataclass(frozen=True, slots=True)
class LineError:
    """Why a line is refused. ``param`` names the field inside the line's body, e.g. ``tools[0]``.

    ``status`` is the HTTP status of the error line, ``code`` OpenAI's code or a word of ours.
    """

    status: int
    code: str | None
    param: str | None
    message: str


@dataclass(frozen=True, slots=True)
class Context:
    """What rendering needs beside the echo and the answers.

    ``created`` is the job's stored end time in whole seconds, UTC; ``line`` is physical, 1-based.
    """

    batch_id: str
    line: int
    created: int
    policy: Policy = DEFAULT_POLICY


# An item's answer: ``{"response": {...}}`` or ``{"error": {"code": int, "message": str, ...}}``
# (google.rpc.Status), as the result line carried it.
Answer = Json

# A parser of result lines; None for a line that is not what it takes.
Loads = Callable[[bytes], Json | None]

ToGemini = Callable[[Json, Policy, str], Translation | LineError]
FromGemini = Callable[[Any, Sequence[Answer], Context], Rendered]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One OpenAI path a line may name.

    ``method`` is the Gemini method that answers it: ``batchGenerateContent`` or
    ``asyncBatchEmbedContent``. ``required`` are body members without which the whole batch
    fails (beside ``model``), as OpenAI does. ``quick`` says how to parse results of lines
    with such an echo quicker than any JSON parser does, if there is a way.
    """

    path: str
    method: str
    required: tuple[str, ...]
    to_gemini: ToGemini
    from_gemini: FromGemini
    quick: Callable[[Any], Loads | None] | None = None
