"""The shape of a translation: what goes in, what comes out, in both directions.

``to_gemini(body, policy, model) -> Translation | LineError`` and
``from_gemini(echo, answers, context) -> Rendered``. Both are pure: no clock, no files, no
logging, no randomness, and neither changes its input.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Policy:
    """Every setting that changes a line. Stored with the batch, so rendering again is the same.

    ``aliases`` maps a model name that clients write to a Gemini model id.
    """

    aliases: Mapping[str, str] = field(default_factory=dict)

    def to_json(self) -> Json:
        """The policy as a JSON object, as it is stored on a batch."""
        return {"aliases": dict(self.aliases)}

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> "Policy":
        """Read back what :meth:`to_json` wrote; members a later version added are ignored."""
        return cls(aliases=dict(value.get("aliases", {})))


@dataclass(frozen=True, slots=True)
class Note:
    """Something of a line that was dropped, clamped or approximated."""

    code: str
    field: str


# The three records made for every line have slots and constructors of their own: a class that
# dataclass() makes anew for its slots costs 0.1 microseconds more to call, freezing another 0.4,
# and a 300-byte line has 4 in all (measured on 3.11). Treat them as frozen all the same.
@dataclass(init=False)
class Translation:
    """What one line becomes.

    ``items`` are the upstream requests in raw REST shape (a line has one, or several when it is
    fanned out); ``echo`` is small JSON that :data:`FromGemini` needs to render the answer;
    ``files`` are gateway file ids left as placeholders in the items.
    """

    __slots__ = ("echo", "files", "items", "notes")

    items: Sequence[Json]
    echo: Any
    notes: Sequence[Note]
    files: Sequence[str]

    def __init__(
        self,
        items: Sequence[Json],
        echo: Any,  # noqa: ANN401 - any JSON
        notes: Sequence[Note] = (),
        files: Sequence[str] = (),
    ) -> None:
        self.items = items
        self.echo = echo
        self.notes = notes
        self.files = files


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


@dataclass(init=False)
class Usage:
    """Token counts of one line, as OpenAI's batch object sums them."""

    __slots__ = ("cached_tokens", "input_tokens", "output_tokens", "reasoning_tokens")

    input_tokens: int
    cached_tokens: int
    output_tokens: int
    reasoning_tokens: int

    def __init__(
        self,
        input_tokens: int = 0,
        cached_tokens: int = 0,
        output_tokens: int = 0,
        reasoning_tokens: int = 0,
    ) -> None:
        self.input_tokens = input_tokens
        self.cached_tokens = cached_tokens
        self.output_tokens = output_tokens
        self.reasoning_tokens = reasoning_tokens


NO_USAGE: Final = Usage()


@dataclass(init=False)
class Rendered:
    """One line's answer: an OpenAI body, or an OpenAI error envelope when ``status_code`` >= 400.

    ``body`` may contain :class:`orjson.Fragment` values (bytes passed through untouched).
    """

    __slots__ = ("body", "notes", "status_code", "usage")

    status_code: int
    body: Json
    usage: Usage
    notes: Sequence[Note]

    def __init__(
        self,
        status_code: int,
        body: Json,
        usage: Usage = NO_USAGE,
        notes: Sequence[Note] = (),
    ) -> None:
        self.status_code = status_code
        self.body = body
        self.usage = usage
        self.notes = notes


# An item's answer: ``{"response": {...}}`` or ``{"error": {"code": int, "message": str, ...}}``
# (google.rpc.Status), as the result line carried it.
Answer = Json

ToGemini = Callable[[Json, Policy, str], Translation | LineError]
FromGemini = Callable[[Any, Sequence[Answer], Context], Rendered]


@dataclass(frozen=True, slots=True)
class Endpoint:
    """One OpenAI path a line may name.

    ``method`` is the Gemini method that answers it: ``batchGenerateContent`` or
    ``asyncBatchEmbedContent``. ``required`` are body members without which the whole batch
    fails (beside ``model``), as OpenAI does.
    """

    path: str
    method: str
    required: tuple[str, ...]
    to_gemini: ToGemini
    from_gemini: FromGemini
