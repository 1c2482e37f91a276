"""The types of a translation: policy, notes, hints, results, and an endpoint's two functions.

``to_gemini(body, policy, model) -> Translation | LineError`` and
``from_gemini(hints, answers, context) -> Rendered``. Both are pure: no clock, no files, no
logging, no randomness, and neither changes its input.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any, Final, Literal, NamedTuple, TypedDict

from gateway.wire.usual_results import UsualResponse

Json = dict[str, Any]


@dataclass(frozen=True, slots=True, eq=False)
class Policy:
    """Every setting that changes a line. Stored with the batch, so rendering again is the same.

    Equal by identity: what was read of a line is remembered by the policy it was read under.
    Each member has a setting of the same name (``GATEWAY_STRICT`` ...), which explains it.

    ``aliases`` maps a model name that clients write, or with ``*`` the beginning of one, to a
    Gemini model id, or to an object of ``model`` and defaults of the body; ``capabilities`` changes
    rows of :mod:`gateway.translate.models.capabilities` by model, ``safety_settings`` maps a
    category to a threshold, ``voices`` a voice of OpenAI's to one of Gemini's.
    """

    aliases: Mapping[str, str | Mapping[str, Any]] = field(default_factory=dict)
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
    answer_model: Literal["served", "asked"] = "served"

    def to_json(self) -> Json:
        """Write the policy as the JSON object that is stored on a batch."""
        values = {name: getattr(self, name) for name in _members()}
        return {**values, "strict_fields": list(self.strict_fields)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Policy":
        """Read back what :meth:`to_json` wrote; members a later version added are ignored."""
        return cls(**{name: value[name] for name in _members() if name in value})


def _members() -> list[str]:
    return [member.name for member in fields(Policy)]


DEFAULT_POLICY: Final = Policy()


# What a note is about; :data:`gateway.translate.reading.notes.CODES` says what each means.
NoteCode = Literal[
    "dropped",
    "clamped",
    "approximated",
    "guessed",
    "unverified",
    "schema_violation",
    "truncated",
    "unchecked",
    "unknown_member",
    "ending",
    "risky",
    "unknown",
    "exhausted",
    "empty",
    "undeclared",
    "fewer",
    "reused",
    "not_listed",
]


@dataclass(frozen=True, slots=True)
class Note:
    """Something of a line that was lost or changed, or something odd about its answer.

    ``field`` is a path in the line's body or in the answer's. ``message`` adds what code and field
    do not say; it never holds content.
    """

    code: NoteCode
    field: str
    message: str = ""


class AnswerHints(TypedDict, total=False):
    """Values of a request that rendering its answer needs; an absent key means its usual case.

    Written as JSON when a line is translated and read when its answer has come, perhaps by a later
    version of the gateway: a key keeps its meaning for ever. The file that holds the hints of a
    job, and its column, are called ``echo``.
    """

    # The model as the client wrote it; always there. Shown where the policy says so.
    model: str
    # Chat: the line's metadata, repeated in the answer.
    metadata: dict[str, str]
    # Chat, completions: candidateCount, when one item answers with several candidates.
    candidates: int
    # Completions: items made of each prompt, when every choice is an item of its own.
    items: int
    # Completions: the prompts, when each choice begins with its own.
    echo_prompts: list[str]
    # Log probabilities were asked for.
    logprobs: bool
    # The caller's schema of the answer, as JSON text, to check the answer against.
    schema: str
    # Chat: the answer is JSON, so code that the model ran is not shown in front of it.
    json: bool
    # Chat: functions were declared in the old form: `function_call` instead of `tool_calls`.
    legacy: bool
    # Chat, responses: calls after the first are left out.
    one_call: bool
    # Chat, responses: the declared functions and custom tools, by the client's names.
    functions: list[str]
    # Chat, responses: cached content may declare functions that the line does not.
    cached: bool
    # Chat, responses: names of custom tools, whose calls are answered with their text.
    custom: list[str]
    # Chat: the format of sound, `wav` or `pcm16`.
    audio: str
    # Responses: members that repeat the request, as JSON text without the outer braces; always
    # there.
    repeats: str
    # Responses: `include` asks for encrypted_content of reasoning items.
    signatures: bool
    # Responses: `include` asks for outputs of code_interpreter_call items.
    outputs: bool
    # Responses: `include` asks for sources of web_search_call items.
    sources: bool
    # Embeddings: the model does not scale shortened vectors to unit length, so the gateway does.
    normalise: bool
    # Embeddings: vectors are base64 of little-endian float32.
    base64: bool


# What is made for every line is a plain tuple: a record of its own class, however it is declared,
# takes 0.2 microseconds more, and a 300-byte line has 2.5 in all each way (measured on 3.11).

# Members that decide what a request takes and costs, by name
# (:mod:`gateway.translate.models.estimates`): each that it has, once.
Marks = tuple[bytes, ...]

# What one line becomes: items, hints, notes, files, marks, most. The items are the upstream
# requests in raw REST shape, written (a line has one, or several when it is fanned out); the hints
# are written JSON objects that together are the line's :class:`AnswerHints`: a job keeps each
# object once, however many lines have it; the files are gateway file ids left as placeholders in
# the items. All items of a line have the same marks, which a template knows: to look for them in
# the bytes takes longer than to fill it. So does to look for the most tokens that the answer of an
# item may have, all of its candidates together, which is the last.
Translation = tuple[Sequence[bytes], Sequence[bytes], Sequence[Note], Sequence[str], Marks, int]

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


class Context(NamedTuple):
    """Where an answer belongs: its batch, its line, the batch's policy.

    ``created`` is the job's stored end time in whole seconds, UTC; ``line`` is physical, 1-based;
    ``model`` is the job's.
    """

    batch_id: str
    line: int
    created: int
    policy: Policy = DEFAULT_POLICY
    model: str = ""


# An item's answer: ``{"response": {...}}`` or ``{"error": {"code": int, "message": str, ...}}``
# (google.rpc.Status), as the result line carried it.
Answer = Json

# A parser of result lines; None for a line that is not what it takes.
Loads = Callable[[bytes], Json | None]

ToGemini = Callable[[Json, Policy, str], Translation | LineError]
Fitting = Callable[[Json, Policy, str], Translation | None]
FromGemini = Callable[[AnswerHints, Sequence[Answer], Context], Rendered]
# The same of an answer of the usual kind, whose tokens are all of text, to the line of this number;
# None where the hints, or something in it, ask for more.
WriteUsual = Callable[[AnswerHints, int, UsualResponse], Rendered | None]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One OpenAI path a line may name.

    ``method`` is the Gemini method that answers it, one of :mod:`gateway.wire.gemini`'s.
    ``required`` are body members without which the whole batch fails (in addition to ``model``), as
    OpenAI does. ``quick`` gives a parser for result lines that is faster than a JSON parser, or
    None when the hints need the parsed values. ``fitting`` translates, as ``to_gemini`` does, a
    line that is like others before it, and no other: it is nested no deeper than one of these.
    ``usual`` gives what renders the answers that most lines of a job get, in less time; its context
    is any line's.
    """

    path: str
    method: str
    required: tuple[str, ...]
    to_gemini: ToGemini
    from_gemini: FromGemini
    quick: Callable[[AnswerHints], Loads | None] | None = None
    fitting: Fitting | None = None
    usual: Callable[[Context], WriteUsual] | None = None
