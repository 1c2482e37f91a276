"""Notes: losses and changes on the way to Gemini, and oddities of answers, each with a code.

In strict mode what would be noted as lost or changed is refused instead, under the same path.
"""

from collections.abc import Mapping
from typing import Final

from gateway.translate.contract import Note, NoteCode, Policy
from gateway.translate.reading.refusal import Unfaithful, shortened

# What each code means; README shows this table.
CODES: Final[Mapping[NoteCode, str]] = {
    "dropped": "Gemini has no equivalent: the request is sent without it",
    "clamped": "the model's nearest value is sent instead",
    "approximated": "sent in a form that only comes near to what was asked for",
    "guessed": "media type missing; the most common one was assumed",
    "unverified": "sent in a form about which reports from Gemini's batches conflict",
    "schema_violation": "the answer does not fit the schema that the line asked for, or is no JSON",
    "truncated": "the answer was cut off before it was complete, so its schema was not checked",
    "unchecked": "the answer could not be compared with its schema",
    "unknown_member": "unknown member of the line; only custom_id, method, url and body are read",
    "ending": "Google shuts the model down before the batch's window ends",
    "risky": "sent as it is, but thoughts may take all tokens, or Gemini may refuse so large a sum",
    "unknown": "not reported by Gemini; the value is a placeholder",
    "exhausted": "thoughts took all the tokens, so the answer has no text: allow more tokens",
    "empty": "Gemini ended without any output and gave no reason",
    "undeclared": "Gemini called a function that the line does not declare, or by a longer name",
    "fewer": "Gemini answered with fewer choices than the line asked for",
    "reused": "an earlier batch's answer to the same request: nothing was sent or paid for it",
    "not_listed": "the last entry: how many more notes there are",
}
# The notes that are not the translation's: on the line around the body, on its model, and on the
# notes' own list, and on where the answer came from.
UNKNOWN_MEMBER: Final = "unknown_member"
ENDING: Final = "ending"
NOT_LISTED: Final = "not_listed"
REUSED: Final = "reused"
# What strict mode refuses, in words that follow "Unsupported value for 'x':".
_LOSSES: Final[Mapping[NoteCode, str]] = {
    "dropped": "Gemini has no equivalent",
    "clamped": "this model has only a value that comes near",
    "approximated": "Gemini has only an equivalent that comes near",
}
# A path leads through a client's own names: where it is cut.
LONGEST_PATH: Final = 500


class Noting:
    """Collects the notes of a line; in strict mode a loss is refused instead."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self.notes: list[Note] = []

    def note(self, code: NoteCode, field: str, message: str = "") -> None:
        """Remember what is lost or changed; ``field`` is its path in the body.

        ``message`` says what is sent instead; it is short and never content.

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


def paths_by_id(root: object, path: str) -> dict[int, str]:
    """Return the path of every object below ``root``, ``messages[0].content[1]``, by its ``id``.

    ``path`` is the root's own. Made when the first note is taken, so readers carry no paths.
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
