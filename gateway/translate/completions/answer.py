"""GenerateContentResponses -> ``/v1/completions``: chat's choices as texts, grouped by prompt."""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Final

import orjson

from gateway.translate.answer.failure import Failure, failure_of
from gateway.translate.answer.usage import total_usage, uncounted, usage_of
from gateway.translate.chat.answer import add_choices
from gateway.translate.chat.completion import completion
from gateway.translate.contract import Answer, AnswerHints, Context, Json, Note, Rendered, Usage


def from_gemini(hints: AnswerHints, answers: Sequence[Answer], context: Context) -> Rendered:
    """Render one line: any item that failed fails it, because a choice would be missing.

    ``{"response": {"candidates": [{"content": {"parts": [{"text": "Hi"}]}, …}]}}`` ->
    ``{"object": "text_completion", "choices": [{"index": 0, "text": "Hi", …}], …}``
    """
    choices: list[Json] = []
    notes: list[Note] = []
    usages: list[Usage] = []
    failure: Failure | None = None
    # An index belongs to a prompt: candidates beyond those asked for have none and are dropped.
    most = hints.get("candidates", 1)
    for ordinal, answer in enumerate(answers):
        found: list[Json] = []
        made: list[Note] = []
        wrong = failure_of(answer)
        # A failed item keeps its place: usages are grouped by prompt.
        usages.append(usage_of(answer["response"].get("usageMetadata") if wrong is None else None))
        if wrong is None:
            wrong = add_choices(answer["response"], found, made, hints, context)
        wrong = wrong or _drop_other_output(found, made)
        notes += [_placed(note, ordinal * most) for note in made]
        if wrong is not None and failure is None:
            prompt = ordinal // hints.get("items", 1)
            several = len(answers) > hints.get("items", 1)
            failure = replace(wrong, param=f"prompt[{prompt}]") if several else wrong
        choices += [
            _text_choice(choice, ordinal * most + index, hints)
            for index, choice in enumerate(found[:most])
        ]
    usage = _usage_by_prompt(usages, hints.get("items", 1))
    if failure is not None:
        return failure.rendered(usage)
    responses = [answer["response"] for answer in answers]
    body = {**completion(hints, responses, choices, usage, context), "object": "text_completion"}
    body["id"] = "cmpl-" + body["id"].removeprefix("chatcmpl-")
    del body["service_tier"]
    return 200, orjson.dumps(body), usage, (*notes, *uncounted(responses))


_OF_CHAT: Final = re.compile(r"choices\[(\d+)\](?:\.message)?(\.content)?")


def _placed(note: Note, first: int) -> Note:
    """Rename the field of a note on a chat choice to that of the text choice."""
    match = _OF_CHAT.match(note.field)
    if match is None:
        return note
    text = ".text" if match[2] else ""
    field = f"choices[{first + int(match[1])}]{text}{note.field[match.end() :]}"
    return Note(note.code, field, note.message)


def _drop_other_output(choices: list[Json], notes: list[Note]) -> Failure | None:
    """Note calls, images and sound that come with a text; without a text they fail the line."""
    for choice in choices:
        message = choice["message"]
        for name in [name for name in _NAMES if name in message]:
            if not message["content"]:
                why = f"Gemini answered with {_NAMES[name]}, which a text completion cannot hold."
                return Failure(502, "unsupported_output", why)
            notes.append(Note("dropped", f"choices[{choice['index']}].message.{name}"))
        if choice["finish_reason"] == "tool_calls":
            choice["finish_reason"] = "stop"
    return None


_NAMES: Final = {"tool_calls": "a call of a function", "images": "an image", "audio": "sound"}


def _text_choice(choice: Json, index: int, hints: AnswerHints) -> Json:
    """Turn a chat choice into one of a text completion."""
    prompts = hints.get("echo_prompts")
    text = choice["message"]["content"] or ""
    if prompts:
        each = hints.get("candidates", 1) * hints.get("items", 1)
        text = prompts[index // each] + text
    return {
        "text": text,
        "index": index,
        "logprobs": _legacy_logprobs(choice["logprobs"]),
        "finish_reason": choice["finish_reason"],
        **{name: choice[name] for name in ("native_finish_reason",) if name in choice},
    }


def _legacy_logprobs(logprobs: Json | None) -> Json | None:
    """Write log probabilities in the older form: parallel lists, alternatives as a map."""
    if logprobs is None:
        return None
    tokens = logprobs["content"]
    texts = [token["token"] for token in tokens]
    return {
        "tokens": texts,
        "token_logprobs": [token["logprob"] for token in tokens],
        "top_logprobs": [
            {top["token"]: top["logprob"] for top in [*token["top_logprobs"], token]}
            for token in tokens
        ],
        "text_offset": list(accumulate(map(len, texts[:-1]), initial=0)) if texts else [],
    }


def _usage_by_prompt(usages: list[Usage], copies: int) -> Usage:
    """Add up usage: each prompt counts once, however often it was sent for its choices."""
    starts = range(0, len(usages), copies)
    prompts = [total_usage(usages[start : start + copies]) for start in starts]
    inputs, cached, outputs, reasoning = zip(*prompts, strict=True)
    return sum(inputs), sum(cached), sum(outputs), sum(reasoning)
