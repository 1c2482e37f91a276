"""``/v1/completions`` <-> GenerateContentRequest: one user turn per prompt.

Gemini follows instructions, it does not go on with raw text: a prompt is a request here. The
endpoint is there for programs that still use it, with its own defaults kept: 16 tokens unless
``max_tokens`` says otherwise. As thoughts count among them, thinking is turned down as far as the
model lets it unless the line asks for it.

Several prompts, and several choices of each on models with one candidate, are as many items; the
choices come back in OpenAI's order: all of the first prompt, then all of the second.
"""

import re
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Final

import orjson

from gateway.translate.answer.failure import Failure, failure_of
from gateway.translate.answer.usage import uncounted, usage_of
from gateway.translate.chat.answer import add_choices, completion, summed
from gateway.translate.chat.messages import read_messages
from gateway.translate.contract import (
    Answer,
    AnswerHints,
    Context,
    Json,
    LineError,
    Note,
    Policy,
    Rendered,
    Translation,
    Usage,
)
from gateway.translate.google import read_extra_body, read_google, refuse_google
from gateway.translate.reading.refusal import (
    Refused,
    invalid_type,
    invalid_value,
    missing,
    unsupported_value,
)
from gateway.translate.reading.table import FieldTable, dropped, mapped, refused
from gateway.translate.reading.unknown_fields import refused_line
from gateway.translate.request.draft import Draft
from gateway.translate.request.frame import frame_of, refuse_amplified
from gateway.translate.request.options import (
    MAX_CHOICES,
    SAMPLING,
    boolean,
    integer,
    read_max_tokens,
    read_stream,
)
from gateway.translate.request.thinking import (
    close_thinking,
    least_thinking,
    read_reasoning_effort,
    refuse_thoughts,
)

# OpenAI's default, which old programs rely on.
DEFAULT_MAX_TOKENS: Final = 16
MAX_PROMPTS: Final = 2048
# Of one line: prompts times their choices.
MAX_ITEMS: Final = 4096
MAX_LOGPROBS: Final = 5


def _read_echo(value: object, draft: Draft) -> None:
    if boolean(value, "echo"):
        draft.echo["echo_prompts"] = []


def _read_logprobs(value: object, draft: Draft) -> None:
    """How many alternatives; 0 still gives the chosen token's."""
    count = integer(value, 0, MAX_LOGPROBS, "logprobs")
    if not draft.can.logprobs:
        unsupported_value("this model gives no log probabilities.", "logprobs")
    draft.config["responseLogprobs"] = True
    if count:
        draft.config["logprobs"] = count
    draft.echo["logprobs"] = True


def _read_best_of(value: object, draft: Draft) -> None:
    draft.best_of = integer(value, 1, MAX_CHOICES, "best_of")


COMPLETIONS: Final = FieldTable(
    mapped("model", "the model of the job"),
    mapped("prompt", "`contents`: one user turn; an array of strings is as many items"),
    *SAMPLING,
    mapped("max_tokens", "`generationConfig.maxOutputTokens`, 16 when absent", read_max_tokens),
    mapped("best_of", "nothing when it is `n`; otherwise refused", _read_best_of),
    mapped("echo", "the prompt is put in front of the answer's text", _read_echo),
    mapped("logprobs", "`generationConfig.responseLogprobs`, `logprobs`", _read_logprobs),
    mapped(
        "reasoning_effort",
        "`generationConfig.thinkingConfig` (extension); as little as possible when absent",
        read_reasoning_effort,
    ),
    mapped("google", "Google's documented extensions", read_google),
    mapped("extra_body", "the same one level further down", read_extra_body),
    mapped("stream", "false only", read_stream),
    dropped("stream_options", "without streaming it says nothing"),
    dropped("user", "names the caller's user to OpenAI"),
    refused("suffix", "Gemini cannot write towards a text that follows."),
)


# Members of Google's whose answers are more than text.
_WITHOUT_PLACE: Final = (
    "tools",
    "retrieval_config",
    "response_modalities",
    "speech_config",
    "image_config",
)


def to_gemini(body: Json, policy: Policy, model: str) -> Translation | LineError:
    """Translate one line.

    ``{"model": "gemini-2.5-flash", "prompt": "Say hi", "max_tokens": 5}`` ->
    ``{"contents": [{"role": "user", "parts": [{"text": "Say hi"}]}], "generationConfig": {…}}``
    """
    rest = body.copy()
    prompt = rest.pop("prompt", None)
    try:
        frame = frame_of(_read_rest, rest, model, policy)
        prompts = _prompts(prompt)
        if len(prompts) * frame.items > MAX_ITEMS:
            invalid_value(f"at most {MAX_ITEMS} choices are possible in all.", "prompt")
        first = frame.text(prompts[0], read_messages)
        count = len(prompts) * frame.items
        if count > 1:
            # Both as they are written: a line end in a prompt is two bytes there.
            refuse_amplified(len(first) - len(orjson.dumps(prompts[0])), count, "prompt")
        written = (first, *(frame.text(prompt, read_messages) for prompt in prompts[1:]))
        items = [item for one in written for item in frame.spread(one)]
    except Refused as refusal:
        return refused_line(refusal, to_gemini, body, policy, model)
    echo = frame.echo
    if "echo_prompts" in frame.asked:
        echo = (*echo, orjson.dumps({"echo_prompts": prompts}))
    return items, echo, frame.notes, ()


def _read_rest(rest: Json, model: str, policy: Policy) -> Draft:
    draft = Draft(model, policy)
    draft.echo["model"] = rest.get("model", model)
    COMPLETIONS.read(rest, draft)
    refuse_google(draft, _WITHOUT_PLACE)
    refuse_thoughts(draft)
    close_thinking(draft)
    if draft.best_of not in (None, draft.choices):
        unsupported_value("Gemini does not choose among its answers.", "best_of")
    if "echo_prompts" in draft.echo and "logprobs" in draft.echo:
        unsupported_value("Gemini gives no log probabilities of a prompt.", "echo")
    draft.config.setdefault("maxOutputTokens", DEFAULT_MAX_TOKENS)
    if not draft.config.get("thinkingConfig", {}).keys() - {"includeThoughts"}:
        draft.config.update(least_thinking(draft.can))
    if 1 < draft.choices <= draft.can.max_candidates:
        draft.config["candidateCount"] = draft.choices
        draft.echo["candidates"] = draft.choices
    elif draft.choices > 1:
        draft.echo["items"] = draft.choices
    return draft


def _prompts(value: object) -> list[str]:
    if value is None:
        missing("prompt")
    prompts = [value] if type(value) is str else value
    if type(prompts) is not list:
        invalid_type(value, "one of a string or array of strings", "prompt")
    if not prompts:
        invalid_value("the array is empty.", "prompt")
    if len(prompts) > MAX_PROMPTS:
        invalid_value(f"at most {MAX_PROMPTS} prompts are possible.", "prompt")
    for index, text in enumerate(prompts):
        if type(text) is int or type(text) is list:
            unsupported_value("token ids belong to another tokenizer; send text.", "prompt")
        if type(text) is not str:
            invalid_type(text, "a string", f"prompt[{index}]")
        if not text:
            # OpenAI's default, the end-of-text token, has no counterpart.
            param = "prompt" if type(value) is str else f"prompt[{index}]"
            invalid_value("a prompt cannot be an empty string.", param)
    return prompts


def from_gemini(hints: AnswerHints, answers: Sequence[Answer], context: Context) -> Rendered:
    """Render one line: any item that failed fails it, because a choice would be missing.

    ``{"response": {"candidates": [{"content": {"parts": [{"text": "Hi"}]}, …}]}}`` ->
    ``{"object": "text_completion", "choices": [{"index": 0, "text": "Hi", …}], …}``
    """
    choices: list[Json] = []
    notes: list[Note] = []
    usages: list[Usage] = []
    failure: Failure | None = None
    # A place belongs to a prompt, so more candidates than were asked for have none.
    most = hints.get("candidates", 1)
    for ordinal, answer in enumerate(answers):
        found: list[Json] = []
        made: list[Note] = []
        wrong = failure_of(answer)
        # A failed item keeps its place: usages are grouped by prompt.
        usages.append(usage_of(answer["response"].get("usageMetadata") if wrong is None else None))
        if wrong is None:
            wrong = add_choices(answer["response"], found, made, hints, context)
        wrong = wrong or _without_place(found, made)
        notes += [_placed(note, ordinal * most) for note in made]
        if wrong is not None and failure is None:
            prompt = ordinal // hints.get("items", 1)
            several = len(answers) > hints.get("items", 1)
            failure = replace(wrong, param=f"prompt[{prompt}]") if several else wrong
        choices += [
            _text_choice(choice, ordinal * most + index, hints)
            for index, choice in enumerate(found[:most])
        ]
    usage = _summed(usages, hints.get("items", 1))
    if failure is not None:
        return failure.rendered(usage)
    responses = [answer["response"] for answer in answers]
    body = {
        **completion(hints, responses, choices, usage, context),
        "object": "text_completion",
    }
    body["id"] = "cmpl-" + body["id"].removeprefix("chatcmpl-")
    del body["service_tier"]
    return 200, orjson.dumps(body), usage, (*notes, *uncounted(responses))


_OF_CHAT: Final = re.compile(r"choices\[(\d+)\](?:\.message)?(\.content)?")


def _placed(note: Note, first: int) -> Note:
    """A note on a choice of chat's, in the words of the completion that it became."""
    match = _OF_CHAT.match(note.field)
    if match is None:
        return note
    text = ".text" if match[2] else ""
    field = f"choices[{first + int(match[1])}]{text}{note.field[match.end() :]}"
    return Note(note.code, field, note.message)


def _without_place(choices: list[Json], notes: list[Note]) -> Failure | None:
    """A completion is a text: calls, images and sound beside one are noted, alone they fail it."""
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
    """A chat choice -> one of a text completion: the words, and how they ended."""
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
    """Chat's log probabilities in the older form: parallel lists, alternatives as a map."""
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


def _summed(usages: list[Usage], copies: int) -> Usage:
    """Each prompt counts once, however often it was sent for its choices."""
    groups = [summed(usages[start : start + copies]) for start in range(0, len(usages), copies)]
    return (
        sum(group[0] for group in groups),
        sum(group[1] for group in groups),
        sum(group[2] for group in groups),
        sum(group[3] for group in groups),
    )
