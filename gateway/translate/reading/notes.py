"""Notes: what a line says that Gemini does not get as it is, and what is odd about an answer.

In strict mode what would be noted as lost or changed is refused instead, under the same path.
"""

from collections.abc import Mapping
from typing import Final

from gateway.translate.contract import Note, Policy
from gateway.translate.reading.refusal import Unfaithful, shortened

# Every code a note may have, and what it means: README shows this table.
CODES: Final[Mapping[str, str]] = {
    "dropped": "Gemini cannot be told: the request goes without it",
    "clamped": "the model's nearest value is sent instead",
    "approximated": "sent in a form that only comes near to what was asked for",
    "guessed": "it does not say what it is, so the usual is sent",
    "unverified": "sent in a form about which reports from Gemini's batches conflict",
    "schema_violation": "the answer does not fit the schema that the line asked for",
    "truncated": "the answer was cut off before it was complete, so its schema says nothing",
    "unchecked": "the answer could not be compared with its schema",
    "unknown_member": "nobody reads it: a line has custom_id, method, url and body",
    "risky": "sent as it is, but thoughts may take all the tokens of the answer",
    "unknown": "Gemini did not say it, so what stands there is no measurement",
    "exhausted": "thoughts took all the tokens, so the answer has no words: allow it more of them",
    "fewer": "Gemini answered with fewer choices than the line asked for",
    "not_listed": "the last entry: how many more notes there are",
}
# What strict mode refuses, in words that follow "Unsupported value for 'x':".
_LOSSES: Final[Mapping[str, str]] = {
    "dropped": "Gemini cannot be told",
    "clamped": "this model has only a value that comes near",
    "approximated": "Gemini can only be told something that comes near",
}
# A path leads through a client's own names: where it is cut.
LONGEST_PATH: Final = 500


class Noting:
    """What readers of fields write their notes into."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.notes: list[Note] = []

    def note(self, code: str, field: str, message: str = "") -> None:
        """Remember what is lost or changed; ``field`` is its path in the body.

        ``message`` says what is sent instead, where that is short and no content.

        Errors: Unfaithful in strict mode.
        """
        if len(field) > LONGEST_PATH:
            field = field[:LONGEST_PATH] + "…"
        policy = self.policy
        if code in _LOSSES and (policy.strict or _first(field) in policy.strict_fields):
            raise Unfaithful(field, f"{_LOSSES[code]} ({message})" if message else _LOSSES[code])
        self.notes.append(Note(code, field, message))


def _first(path: str) -> str:
    """``messages`` of ``messages[0].name``."""
    return path.split(".", 1)[0].split("[", 1)[0]


def places_in(root: object, path: str) -> dict[int, str]:
    """Where every object below ``root`` stands, by its ``id``: ``messages[0].content[1]``.

    ``path`` is the root's own. Made once something is noted, so no reader has to carry a path.
    """
    places: dict[int, str] = {}
    waiting = [(root, path)]
    while waiting:
        value, place = waiting.pop()
        if len(place) > LONGEST_PATH:
            place = place[:LONGEST_PATH]
        if isinstance(value, dict):
            places[id(value)] = place
            waiting += [(member, f"{place}.{shortened(name)}") for name, member in value.items()]
        elif isinstance(value, list):
            waiting += [(member, f"{place}[{index}]") for index, member in enumerate(value)]
    return places
