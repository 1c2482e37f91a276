"""The turns of one line while they are read: what every reader of messages and parts writes into.

Turns of one role that follow each other become one; results of tools never share a turn with
words of the user, because Gemini 3 counts functionResponse parts against the calls before them.
"""

from gateway.translate.capabilities import capabilities_of
from gateway.translate.notes import Noting, place_of
from gateway.translate.refusal import Refused, invalid_value, quoted
from gateway.translate.shapes import Json, Policy


class Calls:
    """The calls of one turn, waiting for their results."""

    def __init__(self, id_field: str) -> None:
        # The field of a call that its result repeats.
        self.id_field = id_field
        # The message that has the calls, once it is read.
        self.message: Json = {}
        self.names: dict[str, Json] = {}
        self.responses: dict[str, Json] = {}

    def expect(self, key: str, function_response: Json) -> None:
        """Wait for the result that names ``key``."""
        if key in self.names:
            invalid_value(f"{quoted(key)} is used by two calls of one turn.", self.id_field)
        self.names[key] = function_response

    def answer(self, key: str, param: str, response: Json) -> None:
        """Keep one result."""
        known = self.names.get(key)
        if known is None:
            invalid_value(f"{quoted(key)} names no call of the preceding message.", param)
        if key in self.responses:
            invalid_value(f"{quoted(key)} already has a result.", param)
        self.responses[key] = {"functionResponse": {**known, "response": response}}

    def complete(self) -> bool:
        """Whether every call has its result."""
        return len(self.responses) == len(self.names)

    def results(self) -> list[Json]:
        """The results in the order of the calls."""
        return [self.responses[key] for key in self.names]

    def fill(self) -> None:
        """Say of every call without a result that it has none."""
        for key, known in self.names.items():
            if key not in self.responses:
                response = {"error": "no result"}
                self.responses[key] = {"functionResponse": {**known, "response": response}}

    def refuse_unanswered(self) -> None:
        """Refuse what OpenAI refuses: calls whose results are missing."""
        absent = ", ".join(quoted(key) for key in self.names if key not in self.responses)
        raise Refused(
            "invalid_value",
            "",
            "Invalid value for '{param}': an assistant message with calls must be followed by "
            f"the result of each; there is none for {absent}.",
        )


class Conversation(Noting):
    """The turns so far, and which calls still wait for their results."""

    def __init__(self, model: str, policy: Policy, field: str = "messages") -> None:
        super().__init__(policy)
        self.can = capabilities_of(model, policy)
        # The field of the body that the turns stand in, and its value: where something stands is
        # looked up when there is something to note.
        self.field = field
        self.source: object = None
        self.contents: list[Json] = []
        # The parts of systemInstruction.
        self.system: list[Json] = []
        # Ids of uploaded files that the turns name (gateway.translate.uploads).
        self.files: list[str] = []
        # What images ask for on models whose resolution is the whole request's, and the objects
        # that ask.
        self.resolutions: list[tuple[Json, str]] = []
        self.calls: Calls | None = None
        # The role whose last turn may still grow; none after the results of tools.
        self.open = ""

    def say(self, role: str, parts: list[Json]) -> None:
        """Add parts to the role's open turn, or begin one."""
        if self.open == role:
            self.contents[-1]["parts"].extend(parts)
        else:
            self.contents.append({"role": role, "parts": parts})
            self.open = role

    def close_calls(self) -> None:
        """End the wait for results that do not come."""
        calls = self.calls
        if calls is None:
            return
        if self.policy.missing_results == "refuse":
            calls.refuse_unanswered()
        calls.fill()
        self.note_of(calls.message, "approximated")
        self.result(calls.results())

    def begin(self, instructions: list[Json]) -> None:
        """Put instructions in front of the user's first words: this model takes no others."""
        self.note("approximated", "messages")
        first = self.contents[0]
        if first["role"] == "user":
            first["parts"] = instructions + first["parts"]
        else:
            self.contents.insert(0, {"role": "user", "parts": instructions})

    def result(self, parts: list[Json]) -> None:
        """Add the turn of results that the calls before waited for."""
        self.contents.append({"role": "user", "parts": parts})
        self.open = ""
        self.calls = None

    def note_of(self, owner: Json, code: str, field: str = "") -> None:
        """Note something of an object that is being read, e.g. the ``name`` of a message."""
        place = place_of(owner, self.source, self.field)
        self.note(code, f"{place}.{field}" if field else place)
