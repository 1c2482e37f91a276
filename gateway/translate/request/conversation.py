"""Conversation: the turns of one line while they are read, which every reader writes into.

Turns of one role that follow each other become one; results of tools never share a turn with
words of the user, because Gemini 3 counts functionResponse parts against the calls before them.
"""

from collections.abc import Callable, Sequence
from typing import Final

from gateway.translate.contract import Json, NoteCode, Policy
from gateway.translate.models.capabilities import capabilities_of
from gateway.translate.reading.notes import Noting, paths_by_id
from gateway.translate.reading.refusal import Refused, at, invalid_value, quoted, unsupported_value

# Roles whose messages become systemInstruction, wherever they are in the line.
_HOISTED: Final = ("system", "developer")
# Ids that a message lists.
_MOST_TOLD: Final = 10
# What Gemini 3 takes inside a functionResponse (page "Function calling", as pydantic-ai's profile
# has it); a film there is a 400 (gemini-cli#16995).
_MEDIA: Final = ("inlineData", "fileData")
_INSIDE_RESULTS: Final = frozenset(
    ("image/png", "image/jpeg", "image/webp", "application/pdf", "text/plain")
)


class Calls:
    """The calls of one turn, waiting for their results."""

    def __init__(self, id_field: str) -> None:
        # The field of a call that its result repeats.
        self.id_field = id_field
        # The message that has the calls, once it is read.
        self.message: Json = {}
        # By id, and by order among those whose id is empty: Google's own layer for OpenAI's clients
        # gives all parallel calls the id "" (vercel/ai#19091).
        self.names: dict[tuple[str, int], Json] = {}
        self.responses: dict[tuple[str, int], Json] = {}
        self._ids: set[str] = set()
        # Media of results that go into the turn after the functionResponse parts.
        self.outside: list[Json] = []

    def id_of(self, key: str, bare: str) -> str:
        """Return the id of a call at Gemini: ``bare``, unless another call of the turn has that id.

        ``bare`` is ``key`` without a signature that hides in it, so it may not be the only one.
        """
        call_id = key if bare in self._ids else bare
        if call_id in self._ids and call_id:
            invalid_value(f"{quoted(key)} is used by two calls of one turn.", self.id_field)
        self._ids.add(call_id)
        return call_id

    def expect(self, key: str, function_response: Json) -> None:
        """Wait for the result that names ``key``."""
        place = (key, 0 if key else len(self.names))
        if place in self.names:
            invalid_value(f"{quoted(key)} is used by two calls of one turn.", self.id_field)
        self.names[place] = function_response

    def answer(self, key: str, param: str, result: Json) -> None:
        """Keep one result: ``response``, and ``parts`` of media."""
        place = (key, 0) if key else self._next_nameless()
        known = self.names.get(place)
        if known is None:
            invalid_value(f"{quoted(key)} names no call of the preceding message.", param)
        if place in self.responses:
            invalid_value(f"{quoted(key)} already has a result.", param)
        self.responses[place] = {"functionResponse": {**known, **result}}

    def _next_nameless(self) -> tuple[str, int]:
        """Return the first call with an empty id that has no result yet, or one that has."""
        nameless = [place for place in self.names if not place[0]]
        waiting = [place for place in nameless if place not in self.responses]
        return (waiting or nameless or [("", 0)])[0]

    def complete(self) -> bool:
        """Whether every call has its result."""
        return len(self.responses) == len(self.names)

    def results(self) -> list[Json]:
        """Return the results in the order of the calls."""
        return [self.responses[key] for key in self.names]

    def fill(self) -> None:
        """Say of every call without a result that it has none."""
        for key, known in self.names.items():
            if key not in self.responses:
                response = {"error": "no result"}
                self.responses[key] = {"functionResponse": {**known, "response": response}}

    def refuse_unanswered(self) -> None:
        """Refuse what OpenAI refuses: calls whose results are missing."""
        keys = [quoted(place[0]) for place in self.names if place not in self.responses]
        absent = ", ".join(keys[:_MOST_TOLD])
        if len(keys) > _MOST_TOLD:
            absent += f" and {len(keys) - _MOST_TOLD} more"
        why = (
            "an assistant message with calls must be followed by the result of each; there is "
            f"none for {absent} (or GATEWAY_MISSING_RESULTS=fill)."
        )
        raise Refused("invalid_value", "", f"Invalid value for '{{param}}': {why}")


class Conversation(Noting):
    """The turns so far, and which calls still wait for their results."""

    # Of every object of the source, once there is something to note; see ``note_of``.
    _paths: dict[int, str] | None = None

    def __init__(self, model: str, policy: Policy, field: str = "messages") -> None:
        super().__init__(policy)
        self.can = capabilities_of(model, policy)
        # The field of the body that has the turns, and its value: the path of an object is looked
        # up when there is something to note.
        self.field = field
        self.source: object = None
        self.contents: list[Json] = []
        # The parts of systemInstruction.
        self.system: list[Json] = []
        # Ids of uploaded files that the turns name (gateway.translate.request.uploads).
        self.files: list[str] = []
        # What images ask for on models whose resolution is the whole request's, and the objects
        # that ask.
        self.resolutions: list[tuple[Json, str]] = []
        self.calls: Calls | None = None
        # Role of the last turn while parts may be appended; "" after tool results, which start a
        # new turn.
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
        self._results(calls)

    def begin(self, instructions: list[Json]) -> None:
        """Put instructions in front of the user's first words: this model takes no others."""
        self.note("approximated", self.field)
        first = self.contents[0]
        if first["role"] == "user":
            first["parts"] = instructions + first["parts"]
        else:
            self.contents.insert(0, {"role": "user", "parts": instructions})

    def turns(self) -> list[Json]:
        """Return the turns, the user's first: a history that begins with a call is a 400.

        An empty turn in front of it is a 200 (recorded, pydantic-ai#4148), and adds no words.
        """
        if self.contents[0]["role"] == "model":
            self.contents.insert(0, {"role": "user", "parts": [{"text": ""}]})
        return self.contents

    def instruct(self, owner: Json, parts: list[Json]) -> None:
        """Add words of the system; ``owner`` is the message that has them."""
        if self.contents:
            # Gemini knows instructions for the whole conversation only.
            self.note_of(owner, "approximated")
            if self.policy.late_system == "inline":
                self.say("user", parts)
                return
        self.system += parts

    def answer(self, owner: Json, param: str, response: Json, media: Sequence[Json] = ()) -> None:
        """Keep a result; the last one that was waited for closes the turn of results.

        ``owner`` is the message that has it, ``param`` its field that names the call. Media go
        inside the result where the model takes them there (inline or by URI, both recorded), else
        after it.
        """
        calls = self.calls
        if calls is None:
            invalid_value("there is no preceding call that this is the result of.", param)
        result: Json = {"response": response}
        inside = [part for part in media if self.can.result_parts and _fits_results(part)]
        if inside:
            result["parts"] = [
                {name: part[name] for name in _MEDIA if name in part} for part in inside
            ]
        calls.answer(owner[param], param, result)
        if any(len(part) > 1 for part in inside):
            # A resolution or a part of a film: inside a result there is no place for it.
            self.note_of(owner, "dropped", "output")
        outside = [part for part in media if part not in inside]
        if outside:
            self.note_of(owner, "approximated", "output")
            calls.outside += outside
        if calls.complete():
            self._results(calls)

    def _results(self, calls: Calls) -> None:
        """Add the turn of results; Gemini 3 wants nothing else in it."""
        parts = calls.results()
        outside = calls.outside
        if outside and not self.can.result_parts:
            parts, outside = parts + outside, []
        self.contents.append({"role": "user", "parts": parts})
        self.open = ""
        self.calls = None
        if outside:
            self.say("user", outside)

    def close(self, items: list[Json], is_models: Callable[[Json], bool]) -> None:
        """Check what only the whole conversation shows; ``is_models`` tells whose item one is."""
        if self.calls is not None:
            at(f"{self.field}[{len(items) - 1}]", Conversation.close_calls, self)
        contents = self.contents
        if contents and contents[-1]["role"] == "model" and not self.can.prefill:
            self._prefill(items, is_models)
        if not contents:
            # OpenAI answers a conversation of instructions alone; Gemini wants a turn.
            if not self.system:
                invalid_value("there is no message with content.", self.field)
            contents.append({"role": "user", "parts": self.system})
            self.system = []

    def _prefill(self, items: list[Json], is_models: Callable[[Json], bool]) -> None:
        """Words put into the model's mouth, for a model that takes none."""
        words = []
        for index in range(len(items) - 1, -1, -1):
            if is_models(items[index]):
                words.append(index)
            elif items[index].get("role") not in _HOISTED:
                break
        if self.policy.prefill == "refuse":
            why = (
                "this model refuses a conversation that ends with the assistant's words; end it "
                "with the user's (or GATEWAY_PREFILL=trim)."
            )
            unsupported_value(why, f"{self.field}[{words[0]}]")
        for index in reversed(words):
            self.note("dropped", f"{self.field}[{index}]")
        self.contents.pop()

    def note_of(self, owner: Json, code: NoteCode, field: str = "", message: str = "") -> None:
        """Note something of an object that is being read, e.g. the ``name`` of a message."""
        if self._paths is None:
            self._paths = paths_by_id(self.source, self.field)
        place = self._paths.get(id(owner), self.field)
        self.note(code, f"{place}.{field}" if field else place, message)


def _fits_results(part: Json) -> bool:
    """Whether a medium may be inside a result; an uploaded file has no type before it is staged."""
    data = part.get("inlineData") or part.get("fileData", {})
    return data.get("mimeType", "").partition(";")[0] in _INSIDE_RESULTS
