"""Code that a model ran and what it printed, as fenced blocks of a text."""


def fenced(label: str, text: object, before: str) -> str:
    """The block that goes behind ``before``, each fence on a line of its own; no text, no block."""
    if type(text) is not str or not text:
        return ""
    gap = "" if not before or before.endswith("\n") else "\n"
    end = "" if text.endswith("\n") else "\n"
    return f"{gap}```{label}\n{text}{end}```\n"
