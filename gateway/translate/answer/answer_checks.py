"""What the policy says about a structured answer: counted and noted, or an error line."""

from typing import Final

from gateway.translate.answer.failure import Failure
from gateway.translate.answer.schema_check import UNCHECKED, VIOLATION, checker_of
from gateway.translate.contract import AnswerHints, Context, Note

TRUNCATED: Final = "truncated"


def check_answer(
    text: str, hints: AnswerHints, field: str, context: Context, *, cut: bool
) -> Note | Failure | None:
    """Hold an answer against its caller's schema, if there is one.

    ``field`` is the answer's path in the body; ``cut`` says that it ended before it was complete,
    which is no fault of its form.
    """
    schema = hints.get("schema")
    if schema is None or context.policy.schema_check == "off":
        return None
    if cut:
        return Note(TRUNCATED, field)
    checker = checker_of(schema)
    if isinstance(checker, str):
        return Note(UNCHECKED, field, f"{checker}.")
    complaint = checker.complaint(text)
    if complaint is None:
        return None
    code, why = complaint
    if code == VIOLATION and context.policy.schema_check == "error":
        message = f"Gemini's answer does not fit the schema that was asked for: {why}."
        return Failure(502, VIOLATION, message)
    return Note(code, field, f"{why}.")
