"""The recorded answers of Gemini, and mutations of a JSON value."""

import copy
from collections.abc import Iterator
from typing import Any

import orjson

from tests.translate.gemini_schema import DATA

# Values that a field may hold on a day when Google, a proxy or a bug changes something.
ODD: tuple[Any, ...] = (None, "", "ODD", 0, -1, 2**70, 1.5, True, [], [None], {}, {"odd": 1}, "7")


def samples() -> list[dict[str, Any]]:
    """Every recorded exchange."""
    lines = (DATA / "gemini-samples.jsonl").read_bytes().splitlines()
    return [orjson.loads(line) for line in lines]


def chat_answers() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every recorded answer or error that one item of a chat line may get, with its id."""
    for sample in samples():
        kind = sample["kind"]
        body = sample.get("response", {}).get("body")
        if kind in ("jsonl.output.generate", "jsonl.output.generate.error", "inline.item.error"):
            yield sample["id"], sample["line"]
        elif isinstance(body, dict) and "error" in body and set(body) == {"error"}:
            yield sample["id"], body
        elif "generateContent" not in kind and kind != "cookbook.rest":
            continue
        elif isinstance(body, dict) and body.keys() & {"candidates", "promptFeedback"}:
            yield sample["id"], {"response": body}


def embedding_answers() -> Iterator[tuple[str, dict[str, Any]]]:
    """Every recorded vector of a batch, with its id."""
    for sample in samples():
        if sample["kind"] == "jsonl.output.embed":
            yield sample["id"], sample["line"]


def mutations(value: Any) -> Iterator[Any]:
    """Every copy of a JSON value with one member removed or replaced by something odd."""
    for path in _paths(value):
        for odd in ODD:
            yield _changed(value, path, odd, remove=False)
        yield _changed(value, path, None, remove=True)


def with_odd_words(value: Any) -> Iterator[Any]:
    """Every copy of a JSON value with one member that is a word nobody knows."""
    for path in _paths(value):
        yield _changed(value, path, "ODD", remove=False)


def _paths(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    members: list[Any] = []
    if isinstance(value, dict):
        members = list(value.items())
    elif isinstance(value, list):
        # The first of a list stands for the others.
        members = list(enumerate(value[:1]))
    for key, member in members:
        yield (*path, key)
        yield from _paths(member, (*path, key))


def _changed(value: Any, path: tuple[Any, ...], odd: Any, *, remove: bool) -> Any:
    changed = copy.deepcopy(value)
    owner = changed
    for key in path[:-1]:
        owner = owner[key]
    if remove:
        del owner[path[-1]]
    else:
        owner[path[-1]] = odd
    return changed
