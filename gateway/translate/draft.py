"""The Gemini request while it grows: readers of fields write into it, ``assemble`` closes it."""

from collections.abc import Mapping
from typing import Any

from gateway.translate.capabilities import Capabilities, capabilities_of
from gateway.translate.shapes import Json, Note, Policy


class Draft:
    """What the fields of one line's body have said so far.

    Defaults live on the class, so a small line pays for the members it uses only (measured: a
    300-byte line is translated in some 4 microseconds, each assignment costs 1 % of that).
    """

    # Whether a field was read that only makes sense together with others: `assemble` then looks
    # at what these said. Most lines have none.
    combined: bool = False
    tools: Any = None
    tool_choice: Any = None
    functions: Any = None
    function_call: Any = None
    thinking: Json | None = None
    extended: bool = False
    logprobs: bool = False
    top_logprobs: int | None = None
    effort: str | None = None
    choices: int = 1
    # What was understood, for the parts of the request outside generationConfig.
    contents: list[Json]
    notes: tuple[Note, ...] = ()
    # Shared by all drafts: replaced, never changed.
    echo: Mapping[str, Any] = {}
    system: list[Json] | None = None
    resolutions: set[str] | None = None
    cached_content: str | None = None
    safety_settings: list[Json] | None = None

    # Set by whoever makes a draft: an __init__ would cost as much again as the rest of it.
    policy: Policy
    model: str
    config: Json

    @property
    def can(self) -> Capabilities:
        """What the model can do; most small lines never ask."""
        return capabilities_of(self.model)

    def note(self, code: str, field: str) -> None:
        """Remember what was dropped, clamped or approximated."""
        self.notes = (*self.notes, Note(code, field))

    def remember(self, name: str, value: object) -> None:
        """Keep what the answer will need from the request."""
        self.echo = {**self.echo, name: value}
