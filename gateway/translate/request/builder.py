"""RequestBuilder: the Gemini request under construction, without ``contents``."""

from typing import Any, Literal

from gateway.translate.contract import AnswerHints, Json, Policy
from gateway.translate.models.capabilities import capabilities_of
from gateway.translate.reading.notes import Noting
from gateway.translate.reading.table import FieldTable, Reader

# Attributes of a builder that hold the checked value of one field.
Kept = Literal["best_of", "choices", "function_call", "logprobs", "tool_choice", "top_logprobs"]


class RequestBuilder(Noting):
    """A request that readers of fields write into.

    One is made for every body with new options, not for every line: see
    :mod:`gateway.translate.request.compiled_options`.
    """

    def __init__(self, model: str, policy: Policy) -> None:
        super().__init__(policy)
        self.model = model
        self.can = capabilities_of(model, policy)
        # generationConfig.
        self.config: Json = {}
        # Other members of the request: all but contents, systemInstruction and generationConfig.
        self.members: Json = {}
        # What systemInstruction begins with, in front of what the conversation adds.
        self.system: list[Json] = []
        # The caller's own schema of the answer, as JSON text.
        self.schema = ""
        # What the answer needs from the request.
        self.hints: AnswerHints = {}
        # Members of the answer that repeat the request.
        self.repeats: Json = {}
        self.choices = 1
        self.best_of: int | None = None
        self.image_config: Json | None = None
        # What fields say only together with others, kept until all of them have been read.
        self.tools: Any = None
        self.tool_choice: Any = None
        self.functions: Any = None
        self.function_call: Any = None
        # Google's own tools: Gemini's name, what is asked of the tool, the field that asked.
        self.google_tools: list[tuple[str, Json, str]] = []
        self.thinking: Json | None = None
        self.effort: str | None = None
        # The field that asks to see thoughts.
        self.summary_field = ""
        self.logprobs = False
        self.top_logprobs: int | None = None
        # Answers in images or sound, and the voice and format of sound.
        self.modalities: list[str] | None = None
        self.voice = ""
        self.audio_format = ""
        # Google's own members and their path in the body; "" when there are none.
        self.google: Json = {}
        self.google_path = ""
        # Where the line says top_k, which has two places.
        self.top_k_path = ""


def read_options(
    table: FieldTable[RequestBuilder], rest: Json, model: str, policy: Policy
) -> RequestBuilder:
    """Read every member of ``rest``, a body without its conversation, by its row."""
    builder = RequestBuilder(model, policy)
    # The job's model is settled; the answer may need the name that the client wrote.
    builder.hints["model"] = rest.get("model", model)
    table.read(rest, builder)
    return builder


def keep(name: Kept) -> Reader[RequestBuilder]:
    """Read a field by keeping its value in the builder until all fields have been read."""

    def read(value: object, builder: RequestBuilder) -> None:
        setattr(builder, name, value)

    return read
