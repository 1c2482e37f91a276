"""The Gemini request while it grows: readers of fields write into it, ``assemble`` closes it."""

from typing import Any

from gateway.translate.capabilities import Capabilities, capabilities_of
from gateway.translate.shapes import Json, Note

# Never changed: whoever has contents sets a list of its own.
_NOTHING: list[Json] = []


class Draft:
    """What the fields of one line's body have said so far.

    A small line is translated in some 2 microseconds, so what most lines do not have is made by
    :meth:`combine` only. No slots: they make such an object slower by a third (measured on 3.11).
    """

    # There after `combine`: what few fields say, some of it only together with others.
    notes: tuple[Note, ...]
    # Ids of uploaded files that the items name (gateway.translate.uploads).
    files: list[str]
    # What the answer needs from the request, beside the model's name.
    echo: Json
    choices: int
    tools: Any
    tool_choice: Any
    functions: Any
    function_call: Any
    thinking: Json | None
    extended: bool
    logprobs: bool
    top_logprobs: int | None
    effort: str | None
    resolutions: set[str] | None
    cached_content: str | None
    safety_settings: list[Json] | None

    def __init__(self, model: str) -> None:
        self.model = model
        # generationConfig.
        self.config: Json = {}
        # Replaced by the reader of messages, which every line has.
        self.contents: list[Json] = _NOTHING
        self.system: list[Json] = _NOTHING
        self.combined = False

    @property
    def can(self) -> Capabilities:
        """What the model can do; most small lines never ask."""
        return capabilities_of(self.model)

    def combine(self) -> None:
        """Make room for what most lines do not have; they never pay for it."""
        if not self.combined:
            self.combined = True
            self.notes = ()
            self.files = []
            self.echo = {}
            self.choices = 1
            self.tools = self.tool_choice = self.functions = self.function_call = None
            self.thinking = self.resolutions = self.cached_content = self.safety_settings = None
            self.top_logprobs = self.effort = None
            self.extended = self.logprobs = False

    def note(self, code: str, field: str) -> None:
        """Remember what was dropped, clamped or approximated."""
        self.combine()
        self.notes = (*self.notes, Note(code, field))

    def name_file(self, file_id: str) -> None:
        """Remember that an item has a placeholder for this file."""
        self.combine()
        self.files.append(file_id)

    def remember(self, name: str, value: object) -> None:
        """Keep what the answer will need from the request."""
        self.combine()
        self.echo[name] = value
