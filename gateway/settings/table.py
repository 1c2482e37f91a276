"""One table of settings: name, default, type, help."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.settings.values import (
    aliases,
    api_keys,
    names,
    objects,
    one_of,
    optional_positive,
    path,
    port,
    positive,
    seconds,
    secret,
    size,
    switch,
    text,
    url,
    version,
    whole,
    words,
)

GOOGLE_BASE_URL = "https://generativelanguage.googleapis.com"


@dataclass(frozen=True, slots=True)
class Setting:
    """A row of the table. ``default`` is what would be written in the environment."""

    name: str
    default: str | None
    parse: Callable[[str], Any]
    type: str
    help: str
    secret: bool = False


SETTINGS: tuple[Setting, ...] = (
    Setting("GATEWAY_HOST", "127.0.0.1", text, "text", "Address the API listens on."),
    Setting("GATEWAY_PORT", "8080", port, "port", "Port the API listens on; 0 takes a free one."),
    Setting("GATEWAY_DATA_DIR", "./gateway-data", path, "path", "Records and file bytes."),
    Setting(
        "GEMINI_API_KEY",
        None,
        secret,
        "secret",
        "Key for Google. No start without it unless the base URL is loopback.",
        secret=True,
    ),
    Setting(
        "GATEWAY_GEMINI_BASE_URL", GOOGLE_BASE_URL, url, "url", "The upstream's host, no path."
    ),
    Setting("GATEWAY_GEMINI_API_VERSION", "v1beta", version, "text", "API version: v1beta or v1."),
    Setting(
        "GATEWAY_API_KEYS",
        "",
        api_keys,
        "secret",
        "Credentials that clients may present: `name=secret` or `secret`, separated by commas or "
        "newlines. The name (else a digest) is the owner of what is made with it. Without any: "
        "loopback only, any Bearer token is accepted but one must be there, owner `local`.",
        secret=True,
    ),
    Setting(
        "GATEWAY_MODEL_ALIASES",
        "{}",
        aliases,
        "JSON",
        'Model names clients may write, e.g. `{"gpt-4o-mini":"gemini-3.8-flash"}`.',
    ),
    Setting(
        "GATEWAY_CAPABILITIES",
        "{}",
        objects,
        "JSON",
        "What is known of models, changed by name, or by the beginning of one with `*`, e.g. "
        '`{"gemini-4*":{"sampling":true}}`; the members are those of `capabilities.py`.',
    ),
    Setting(
        "GATEWAY_STRICT",
        "false",
        switch,
        "true, false",
        "Refuse a line, naming the field, where something would be dropped with an effect, clamped "
        "or approximated; otherwise it is noted.",
    ),
    Setting(
        "GATEWAY_STRICT_FIELDS",
        "",
        names,
        "list",
        "The same for these fields of a body alone, e.g. `frequency_penalty,presence_penalty`.",
    ),
    Setting(
        "GATEWAY_UNKNOWN_FIELDS",
        "refuse",
        one_of("refuse", "drop"),
        "refuse, drop",
        "A field that nobody knows, anywhere in a body: refuse the line, or drop the field with a "
        "note.",
    ),
    Setting(
        "GATEWAY_SCHEMA_MODE",
        "auto",
        one_of("auto", "openapi", "json"),
        "auto, openapi, json",
        "How JSON Schemas are sent: as Google's `Schema` (openapi; what it cannot say is refused), "
        "as JSON Schema (json; reports from batches conflict), or as `Schema` wherever that loses "
        "nothing (auto).",
    ),
    Setting(
        "GATEWAY_SCHEMA_CHECK",
        "note",
        one_of("note", "error", "off"),
        "note, error, off",
        "An answer that does not fit its line's JSON Schema: noted, or an error line with 502 "
        "`schema_violation`; off: nobody looks.",
    ),
    Setting(
        "GATEWAY_LATE_SYSTEM",
        "hoist",
        one_of("hoist", "inline"),
        "hoist, inline",
        "A system message after the first turn: join the instructions in front, or stay in its "
        "place as the user's words. Noted.",
    ),
    Setting(
        "GATEWAY_MESSAGE_NAMES",
        "drop",
        one_of("drop", "prefix"),
        "drop, prefix",
        "A message's `name`: drop it with a note, or write it in front of the text (`name: text`).",
    ),
    Setting(
        "GATEWAY_MISSING_RESULTS",
        "refuse",
        one_of("refuse", "fill"),
        "refuse, fill",
        "A tool call without a result: refuse the line as OpenAI does, or answer the call with an "
        "error, with a note.",
    ),
    Setting(
        "GATEWAY_PREFILL",
        "refuse",
        one_of("refuse", "trim"),
        "refuse, trim",
        "Assistant's words at the end, for models that take none (3.5-flash-lite, 3.6 and later): "
        "refuse the line, or drop them with a note.",
    ),
    Setting(
        "GATEWAY_REMOTE_MEDIA",
        "pass",
        one_of("pass", "refuse"),
        "pass, refuse",
        "An https URL of an image: Google fetches it, or the line is refused. The gateway fetches "
        "nothing.",
    ),
    Setting(
        "GATEWAY_GS_URIS",
        "refuse",
        one_of("refuse", "pass"),
        "refuse, pass",
        "A `gs://` URI: refuse the line, or pass it on (it must be registered with Google's Files "
        "API).",
    ),
    Setting(
        "GATEWAY_PARALLEL_TOOL_CALLS",
        "note",
        one_of("note", "first"),
        "note, first",
        "`parallel_tool_calls: false`, which Gemini cannot be told: note it, or keep only the "
        "first call of an answer.",
    ),
    Setting(
        "GATEWAY_SAFETY_SETTINGS",
        "{}",
        words,
        "JSON",
        "Thresholds for lines that name none for a category, e.g. "
        '`{"HARM_CATEGORY_HARASSMENT":"BLOCK_ONLY_HIGH"}`.',
    ),
    Setting(
        "GATEWAY_VOICES",
        "{}",
        words,
        "JSON",
        "Gemini's voices for OpenAI's, over those that come near by default, e.g. "
        '`{"alloy":"Charon"}`; without a note.',
    ),
    Setting(
        "GATEWAY_BLOCKED_PROMPT",
        "refusal",
        one_of("refusal", "error"),
        "refusal, error",
        "A prompt that Gemini blocks: an answer with `finish_reason` content_filter and a refusal, "
        "or an error line with 400 `content_policy_violation`.",
    ),
    Setting(
        "GATEWAY_EXECUTED_CODE",
        "show",
        one_of("show", "omit"),
        "show, omit",
        "Code that the model ran, and its output, in a chat answer: fenced blocks, or left out.",
    ),
    Setting(
        "GATEWAY_POLL_MIN_SECONDS",
        "5",
        seconds,
        "seconds",
        "Shortest pause between two polls; jobs of more than 100 items start at 30 s.",
    ),
    Setting(
        "GATEWAY_POLL_MAX_SECONDS", "60", seconds, "seconds", "Longest pause between two polls."
    ),
    Setting(
        "GATEWAY_RETRY_MIN_SECONDS", "1", seconds, "seconds", "First pause after a failed step."
    ),
    Setting(
        "GATEWAY_RETRY_MAX_SECONDS", "300", seconds, "seconds", "Longest pause after failures."
    ),
    Setting(
        "GATEWAY_SETTLE_SECONDS",
        "180",
        seconds,
        "seconds",
        "How long an ambiguous create must have settled before a listing decides.",
    ),
    Setting(
        "GATEWAY_CREATE_TIMEOUT_SECONDS",
        "180",
        seconds,
        "seconds",
        "Total time of one create call; then its outcome is ambiguous.",
    ),
    Setting(
        "GATEWAY_TRANSLATE_WORKERS",
        "",
        optional_positive,
        "number",
        "Worker processes. Empty: usable CPUs - 1, at least 1, at most 4 (affinity and cgroup "
        "quota count, not the host).",
    ),
    Setting(
        "GATEWAY_INLINE_MAX_BYTES",
        "1 MiB",
        size,
        "size",
        "A job within this and the item limits goes inline, any other through an uploaded file.",
    ),
    Setting("GATEWAY_INLINE_MAX_ITEMS", "100", whole, "number", "Items of an inline job."),
    Setting(
        "GATEWAY_INLINE_MAX_EMBEDDINGS", "20", whole, "number", "The same, for embedding jobs."
    ),
    Setting("GATEWAY_ITEMS_PER_JOB", "50000", positive, "number", "Where jobs are cut, in items."),
    Setting("GATEWAY_BYTES_PER_JOB", "512 MiB", size, "size", "Where jobs are cut, in bytes."),
    Setting("GATEWAY_MAX_FILE_BYTES", "2 GiB", size, "size", "Largest file; OpenAI: 200 MB."),
    Setting(
        "GATEWAY_MAX_LINES", "1000000", positive, "number", "Lines of one input; OpenAI: 50000."
    ),
    Setting(
        "GATEWAY_MAX_ITEMS",
        "1000000",
        positive,
        "number",
        "Upstream requests of one input (a line has one or several); OpenAI: 50000.",
    ),
    Setting("GATEWAY_MAX_LINE_BYTES", "32 MiB", size, "size", "Longest line of an input."),
    Setting(
        "GATEWAY_MAX_REPORTED_ERRORS",
        "1000",
        positive,
        "number",
        "Entries of a failed batch's `errors`; a last entry says how many more there are.",
    ),
    Setting(
        "GATEWAY_MAX_WARNINGS",
        "10000",
        positive,
        "number",
        "Notes that a batch's warnings file lists; a last entry says how many more there are.",
    ),
    Setting(
        "GATEWAY_MAX_NAMED_FILES",
        "10000",
        whole,
        "number",
        "Different uploaded files that the lines of one input may name.",
    ),
    Setting(
        "GATEWAY_MAX_STAGED_BYTES",
        "16 GiB",
        size,
        "size",
        "What uploaded files may take at Google at a time, so also what the lines of one input may "
        "name. Google stores 20 GB for a project.",
    ),
    Setting(
        "GATEWAY_SWEEP_SECONDS",
        "3600",
        seconds,
        "seconds",
        "Age at which bytes that nothing points at are removed.",
    ),
    Setting(
        "GATEWAY_DRAIN_SECONDS", "20", seconds, "seconds", "For requests in flight at SIGTERM."
    ),
    Setting(
        "GATEWAY_LOG_LEVEL",
        "info",
        one_of("debug", "info", "warning", "error"),
        "text",
        "debug, info, warning or error. Prompts and completions are never logged.",
    ),
)


def field_of(name: str) -> str:
    """The name of a setting's field on :class:`Settings`."""
    return name.removeprefix("GATEWAY_").lower()
