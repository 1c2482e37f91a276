"""The settings: one field of :class:`Settings` for each, with name, default, parser and help.

The dataclass is the whole table. :data:`SETTINGS` gives its rows to whatever reads, prints or
explains them.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Final

from gateway.settings.values import (
    ApiKey,
    ModelAliases,
    Secret,
    aliases,
    api_keys,
    boolean,
    bucket,
    counts,
    database,
    dollars,
    encryption_key,
    google_keys,
    google_webhook_secret,
    hosts,
    integer,
    names,
    objects,
    one_of,
    optional_base_url,
    optional_integer,
    optional_port,
    optional_size,
    origins,
    path,
    port,
    positive_integer,
    row_size,
    seconds,
    secret,
    size,
    string,
    url,
    version,
    webhook_secret,
    words,
)
from gateway.wire.gemini import GOOGLE_BASE_URL

PREFIX: Final = "GATEWAY_"
_ROW: Final = "setting"


@dataclass(frozen=True, slots=True)
class Setting:
    """A row of the table.

    ``default`` is written as it would be in the environment; None or "": not set. ``policy`` marks
    what is stored with each batch: a member of :class:`gateway.translate.contract.Policy`.
    """

    name: str
    field: str
    default: str | None
    parse: Callable[[str], Any]
    type: str
    help: str
    secret: bool
    policy: bool


def _setting(
    default: str | None,
    parse: Callable[[str], Any],
    type: str,  # noqa: A002 - the column's name
    help: str,  # noqa: A002 - the column's name
    *,
    name: str | None = None,
    secret: bool = False,
    policy: bool = False,
) -> Any:  # noqa: ANN401 - the field's own type is written on its line
    """Declare a setting; ``name`` is that of the environment where it is not GATEWAY_<FIELD>."""
    row = {
        "name": name,
        "default": default,
        "parse": parse,
        "type": type,
        "help": help,
        "secret": secret,
        "policy": policy,
    }
    return field(metadata={_ROW: row})


def _word(default: str, *others: str, help: str) -> Any:  # noqa: A002, ANN401 - as _setting
    """Declare a choice between words that is stored with each batch."""
    allowed = (default, *others)
    return _setting(default, one_of(*allowed), ", ".join(allowed), help, policy=True)


@dataclass(frozen=True, slots=True)
class Settings:
    """The settings in force."""

    host: str = _setting("127.0.0.1", string, "text", "Address the API listens on.")
    port: int = _setting("8080", port, "port", "Port the API listens on; 0 takes a free one.")
    data_dir: Path = _setting(
        "./gateway-data", path, "path", "Directory of the records and the bytes of files."
    )
    store: Secret | None = _setting(
        "",
        database,
        "postgresql URL",
        "Database of the records, shared by replicas, in place of a file in the data directory: "
        "`postgresql://user@host/name`, parameters as libpq takes them. It needs `GATEWAY_BLOBS` "
        "([store/](../store/README.md#replicas)).",
        secret=True,
    )
    blobs: str | None = _setting(
        "",
        bucket,
        "s3, gs, az URL",
        "Bucket of the bytes of files, in place of a folder in the data directory: "
        "`s3://bucket/prefix`, `gs://bucket/prefix` or `az://container/prefix` "
        "([store/](../store/README.md)).",
    )
    redirect_bytes: int = _setting(
        "0",
        size,
        "size",
        "A download of so many bytes or more is answered by a redirect to the bucket, by a URL "
        "that is signed for 15 minutes; 0: never. Whoever has the URL has the file.",
    )
    gemini_api_key: Secret | None = _setting(
        None,
        secret,
        "secret",
        "Key for Google. Needed to start, unless there are several (`GEMINI_API_KEYS`), clients "
        "bring their own (`GATEWAY_AUTH=pass-through`), or the base URL is loopback.",
        name="GEMINI_API_KEY",
        secret=True,
    )
    gemini_api_keys: tuple[tuple[str, Secret], ...] = _setting(
        "",
        google_keys,
        "secret",
        "In its place several keys for Google, each of a project of its own: `name=key`, separated "
        "by commas or newlines. A job goes where there is room when it is first sent, and stays "
        "with that name; the key of `GEMINI_API_KEY` has the name `default`.",
        name="GEMINI_API_KEYS",
        secret=True,
    )
    gemini_base_url: str = _setting(
        GOOGLE_BASE_URL, url, "url", "Where Google's API is: scheme and host, no path."
    )
    gemini_api_version: str = _setting(
        "v1beta", version, "v1beta, v1, v1alpha", "Version of Google's API."
    )
    api_keys: tuple[ApiKey, ...] = _setting(
        "",
        api_keys,
        "secret",
        "Credentials that clients may present: `name=secret` or `secret`, separated by commas or "
        "newlines. The name (else a digest) is the owner of what is made with it. Without any, the "
        "gateway listens on loopback alone and accepts every Bearer token, but there must be one; "
        "the owner is `local`.",
        secret=True,
    )
    google_webhook_secret: Secret | None = _setting(
        None,
        google_webhook_secret,
        "secret",
        "Signing secret of a webhook of Google's (`whsec_…`): turns on `POST /webhooks/google`, "
        "where Google tells that a job has ended, which is then looked at at once. Needs a URL "
        "that Google reaches; polls go on all the same.",
        secret=True,
    )
    key_limits: dict[str, dict[str, Any]] = _setting(
        "{}",
        objects,
        "JSON",
        "What each client may have, by the name of its key, `*` for all that are not named: "
        '`{"alice":{"stored_bytes":…,"live_batches":…,"enqueued_tokens":…,"usd_per_batch":…,'
        '"usd_per_day":…}}`. A batch that may cost more fails before anything is paid, a single '
        "request is refused; days are those of UTC.",
    )
    prices: dict[str, dict[str, Any]] = _setting(
        "{}",
        objects,
        "JSON",
        "Batch prices that come before the table's, in US dollars for a million tokens: "
        '`{"gemini-4-argon":{"input":1.0,"output":5.0}}`; `long_input` and `long_output` are for '
        "prompts of more than 200,000 tokens.",
    )
    auth: str = _setting(
        "",
        one_of("", "open", "keys", "pass-through"),
        "open, keys, pass-through",
        "Who may call. open: any Bearer token, on the loopback interface alone; keys: those of "
        "`GATEWAY_API_KEYS`; pass-through: each client presents its own key for Gemini, which pays "
        "for its work, and no key of the gateway's is used. Not set: keys if there are any, else "
        "open.",
    )
    encryption_key: Secret | None = _setting(
        None,
        encryption_key,
        "secret",
        "32 bytes in base64 (`openssl rand -base64 32`). With pass-through it names owners and "
        "seals clients' keys; with another one no owner finds what it had.",
        secret=True,
    )
    model_aliases: ModelAliases = _setting(
        "{}",
        aliases,
        "openai, JSON",
        "Model names clients may write: `openai` knows OpenAI's, an object gives others "
        '(`openai {"my-model":"gemini-3.8-flash"}`), an alias with defaults of the body '
        '`{"model":"…","reasoning_effort":"low"}`; `*` at the end takes every name that begins so, '
        "the longest wins.",
        policy=True,
    )
    capabilities: dict[str, dict[str, Any]] = _setting(
        "{}",
        objects,
        "JSON",
        "Changes what is known of models, by name, or by the beginning of a name with `*`, e.g. "
        '`{"gemini-4*":{"sampling":true}}`; the members are those of `capabilities.py`.',
        policy=True,
    )
    strict: bool = _setting(
        "false",
        boolean,
        "true, false",
        "Refuse a line, naming the field, where something would be dropped with an effect, clamped "
        "or approximated; otherwise it is noted.",
        policy=True,
    )
    strict_fields: tuple[str, ...] = _setting(
        "",
        names,
        "list",
        "The same for these fields of a body alone, e.g. `frequency_penalty,presence_penalty`.",
        policy=True,
    )
    unknown_fields: str = _word(
        "refuse",
        "drop",
        help="A field that is in no table, anywhere in a body: refuse the line, or drop the field "
        "with a note.",
    )
    schema_mode: str = _word(
        "auto",
        "openapi",
        "json",
        help="How JSON Schemas are sent: as Google's `Schema` (openapi; what it cannot express is "
        "refused), as JSON Schema (json; reports from batches conflict), or as `Schema` wherever "
        "that loses nothing (auto).",
    )
    schema_check: str = _word(
        "note",
        "error",
        "off",
        help="An answer that does not fit its line's JSON Schema: noted, or an error line with 502 "
        "`schema_violation`; off: answers are not compared.",
    )
    late_system: str = _word(
        "hoist",
        "inline",
        help="A system message after the first turn: move it to the instructions in front, or keep "
        "its place as a text of the user. Noted.",
    )
    message_names: str = _word(
        "drop",
        "prefix",
        help="A message's `name`: drop it with a note, or write it in front of the text "
        "(`name: text`).",
    )
    missing_results: str = _word(
        "refuse",
        "fill",
        help="A tool call without a result: refuse the line as OpenAI does, or answer the call "
        "with an error, with a note.",
    )
    prefill: str = _word(
        "refuse",
        "trim",
        help="An assistant's message at the end, for models that accept none (3.5-flash-lite, 3.6 "
        "and later): refuse the line, or drop the message with a note.",
    )
    remote_media: str = _word(
        "pass",
        "refuse",
        help="An https URL of an image: Google fetches it, or the line is refused. The gateway "
        "fetches nothing.",
    )
    gs_uris: str = _word(
        "refuse",
        "pass",
        help="A `gs://` URI: refuse the line, or pass it on (it must be registered with Google's "
        "Files API).",
    )
    parallel_tool_calls: str = _word(
        "note",
        "first",
        help="`parallel_tool_calls: false`, for which Gemini has no equivalent: note it, or keep "
        "only the first call of an answer.",
    )
    safety_settings: dict[str, str] = _setting(
        "{}",
        words,
        "JSON",
        "Thresholds for lines that name none for a category, e.g. "
        '`{"HARM_CATEGORY_HARASSMENT":"BLOCK_ONLY_HIGH"}`.',
        policy=True,
    )
    voices: dict[str, str] = _setting(
        "{}",
        words,
        "JSON",
        "Gemini's voices for OpenAI's, in place of the nearest ones of the default, e.g. "
        '`{"alloy":"Charon"}`; without a note.',
        policy=True,
    )
    blocked_prompt: str = _word(
        "refusal",
        "error",
        help="A prompt that Gemini blocks: an answer with `finish_reason` content_filter and a "
        "refusal, or an error line with 400 `content_policy_violation`.",
    )
    executed_code: str = _word(
        "show",
        "omit",
        help="Code that the model ran, and its output, in a chat answer: fenced blocks, or left "
        "out.",
    )
    answer_model: str = _word(
        "served",
        "asked",
        help="`model` of an answer, on every endpoint: Gemini's name of the model that answered, "
        "or the name that the line asked for.",
    )
    poll_min_seconds: float = _setting(
        "5",
        seconds,
        "seconds",
        "Shortest pause between two polls; jobs of more than 100 items start at 30 s.",
    )
    poll_max_seconds: float = _setting("60", seconds, "seconds", "Longest pause between two polls.")
    polls_per_minute: int = _setting(
        "400",
        positive_integer,
        "number",
        "Most polls of all jobs together in a minute; with more jobs each is asked for less often.",
    )
    retry_min_seconds: float = _setting("1", seconds, "seconds", "First pause after a failed step.")
    retry_max_seconds: float = _setting("300", seconds, "seconds", "Longest pause after failures.")
    lease_seconds: float = _setting(
        "30",
        seconds,
        "seconds",
        "For how long a replica keeps what it works on without a sign of life; then another takes "
        "it over.",
    )
    settle_seconds: float = _setting(
        "180",
        seconds,
        "seconds",
        "A create whose outcome is unknown: time that must pass before listings decide whether the "
        "job exists.",
    )
    create_timeout_seconds: float = _setting(
        "180", seconds, "seconds", "Total time of one create call; then its outcome is unknown."
    )
    line_attempts: int = _setting(
        "3",
        positive_integer,
        "number",
        "How often a line is sent while its batch has time: again after faults that pass (Google's "
        "codes 4, 8, 13, 14, HTTP's 429, 500, 503, 504), or without a result. 1: never again.",
    )
    retry_empty: bool = _setting(
        "false",
        boolean,
        "true, false",
        "Whether an answer without content, though Gemini stopped normally, is such a fault.",
    )
    give_up_seconds: float = _setting(
        "21600",
        seconds,
        "seconds",
        "How long Gemini must deny a job that is paid for, or its results, before they count as "
        "lost; a listing must lack the job too.",
    )
    cancel_seconds: float = _setting(
        "600",
        seconds,
        "seconds",
        "How long a batch that was cancelled, or whose window ended, waits for its jobs to end.",
    )
    stuck: str = _setting(
        "wait",
        one_of("wait", "resend"),
        "wait, resend",
        "A job that runs longer than is usual for its model (twice the longest of the last 50): "
        "wait and say so, or end it at Google and send what it did not serve again, in smaller "
        "jobs.",
    )
    stuck_min_seconds: float = _setting(
        "21600", seconds, "seconds", "No job counts as stuck before it is so old."
    )
    rescue: str = _setting(
        "off",
        one_of("off", "flex", "standard"),
        "off, flex, standard",
        "What happens near the deadline to lines that jobs have not served: nothing, or their jobs "
        "are ended and they are asked by synchronous calls, in Google's flex tier (the price of a "
        "batch) or in the standard tier (twice that). Not embeddings, nor lines that name files.",
    )
    rescue_budget_usd: float = _setting(
        "10",
        dollars,
        "dollars",
        "What such calls of a batch may cost, those included that may be paid for without an "
        "answer. Lines whose price is not known are not asked.",
    )
    rescue_before_seconds: float = _setting(
        "7200", seconds, "seconds", "How long before the deadline that begins."
    )
    translate_workers: int = _setting(
        "",
        optional_integer,
        "number",
        "Worker processes. Empty: usable CPUs - 1, at least 1, at most 4 (affinity and cgroup "
        "quota count, not the host).",
    )
    worker_memory_bytes: int = _setting(
        "",
        optional_size,
        "size",
        "Memory that one worker process may allocate; 0: no limit. Empty: its share of three "
        "fifths of the memory (of the container, where there is one), at least 256 MiB.",
    )
    inline_max_bytes: int = _setting(
        "1 MiB",
        size,
        "size",
        "A job within this and the item limits is sent inside the create call, any other as an "
        "uploaded file.",
    )
    inline_max_items: int = _setting(
        "100", integer, "number", "Most items of a job that is sent inside the create call."
    )
    inline_max_embeddings: int = _setting("20", integer, "number", "The same, for embedding jobs.")
    items_per_job: int = _setting(
        "50000", positive_integer, "number", "Most items of a job; a batch is cut into jobs there."
    )
    bytes_per_job: int = _setting(
        "512 MiB", size, "size", "Most bytes of a job; a batch is cut into jobs there."
    )
    output_bytes_per_job: int = _setting(
        "1 GiB",
        size,
        "size",
        "Most bytes that a job may answer with, as expected of media and of many alternatives; a "
        "batch is cut into jobs there.",
    )
    tier: str = _setting(
        "auto",
        one_of("auto", "1", "2", "3"),
        "auto, 1, 2, 3",
        "Usage tier of the Google project: how many tokens of a model may wait there at a time. "
        "auto: begin with tier 1, more after successes, less after a 429.",
    )
    enqueued_tokens: dict[str, int] = _setting(
        "{}",
        counts,
        "JSON",
        "The same by model, before the tier's, e.g. "
        '`{"gemini-3.8-flash":3000000,"*":1000000}`; `*` is any other.',
    )
    max_live_jobs: int = _setting(
        "100",
        positive_integer,
        "number",
        "Most jobs at Google at a time; Google admits 100 a project.",
    )
    max_file_bytes: int = _setting("2 GiB", size, "size", "Largest file; OpenAI: 200 MB.")
    max_uploads: int = _setting(
        "64", positive_integer, "number", "Most uploads under way at a time; others wait, then 503."
    )
    max_downloads: int = _setting(
        "128",
        positive_integer,
        "number",
        "Most downloads under way at a time; others wait, then 503. One key has three quarters of "
        "either.",
    )
    max_watchers: int = _setting(
        "200",
        positive_integer,
        "number",
        "Most requests that wait for a batch to change at a time (`?wait=`, `/events`), three "
        "quarters of them of one key; others get 429 at once.",
    )
    requests_per_minute: int = _setting(
        "60000",
        integer,
        "number",
        "Most requests of one key in a minute, then 429; 0: any number.",
    )
    allowed_hosts: tuple[str, ...] = _setting(
        "",
        hosts,
        "list",
        "Names by which the gateway may be asked for. Without keys these are the loopback "
        "interface's (`localhost`, `127.0.0.1`, `[::1]`) and the ones listed here; with keys any "
        "name, unless some are listed.",
    )
    cors_origins: tuple[str, ...] = _setting(
        "",
        origins,
        "list",
        "Web pages that may ask, as `https://example.com`, or `*`; none by default.",
    )
    max_lines: int = _setting(
        "1000000", positive_integer, "number", "Most lines of one input; OpenAI: 50000."
    )
    max_items: int = _setting(
        "1000000",
        positive_integer,
        "number",
        "Most upstream requests of one input (a line has one or several); OpenAI: 50000.",
    )
    max_line_bytes: int = _setting("32 MiB", size, "size", "Longest line of an input.")
    max_reported_errors: int = _setting(
        "1000",
        positive_integer,
        "number",
        "Entries of a failed batch's `errors`; a last entry says how many more there are.",
    )
    max_warnings: int = _setting(
        "10000",
        positive_integer,
        "number",
        "Notes that a batch's warnings file lists; a last entry says how many more there are.",
    )
    max_named_files: int = _setting(
        "10000",
        integer,
        "number",
        "Most different uploaded files that the lines of one input may name.",
    )
    max_staged_bytes: int = _setting(
        "16 GiB",
        size,
        "size",
        "Most bytes of uploaded files at Google at a time, so also of those that the lines of one "
        "input name. Google stores 20 GB for a project.",
    )
    webhook_url: str | None = _setting(
        None,
        string,
        "url",
        "Where events about ended batches of every owner go (`batch.completed`, `batch.failed`, "
        "`batch.expired`, `batch.cancelled`). Clients add their own with `/v1/webhook_endpoints`.",
    )
    webhook_secret: Secret | None = _setting(
        None,
        webhook_secret,
        "secret",
        "Secret that signs those events: `whsec_` and base64, or any text; the receiver's "
        "`OPENAI_WEBHOOK_SECRET`.",
        secret=True,
    )
    webhook_retry_min_seconds: float = _setting(
        "5", seconds, "seconds", "First pause before a failed webhook is sent again; it doubles."
    )
    webhook_retry_max_seconds: float = _setting(
        "3600",
        seconds,
        "seconds",
        "Longest such pause. After 72 hours a webhook is given up.",
    )
    webhook_allow_private: bool = _setting(
        "false",
        boolean,
        "true, false",
        "Webhooks may go to http, loopback and private addresses too. To link-local ones, where "
        "clouds keep credentials, they never go.",
    )
    output_expiry_seconds: int = _setting(
        "2592000",
        integer,
        "seconds",
        "Life of output, error and warnings files whose batch sets no other "
        "(`output_expires_after`); 0: until they are deleted. OpenAI: 30 days.",
    )
    raw_results_seconds: int = _setting(
        "604800",
        integer,
        "seconds",
        "For how long after its end a batch's raw results and answer hints are kept, compressed, "
        "to render its files again; 0: gone at its end. Deleting its output and error file "
        "deletes them too.",
    )
    reuse_seconds: int = _setting(
        "0",
        integer,
        "seconds",
        "Lines that ask the same again within that time are given the earlier answer, and nothing "
        "is sent or paid for them: embeddings, and requests with temperature 0. 0: only in batches "
        "that ask for it, for any of their lines (`metadata.reuse`, such as `7d`). An answer is "
        "found for as long as raw results are kept.",
    )
    records_seconds: int = _setting(
        "7776000",
        integer,
        "seconds",
        "Age at which records of ended batches and of deleted files are removed; 0: never.",
    )
    recorded_blob_bytes: int = _setting(
        "16 KiB",
        row_size,
        "size",
        "Inputs, requests, results and outputs of at most this size are kept in the records, not "
        "as files or objects of their own; 0: none is. At most 1 MiB.",
    )
    sweep_seconds: float = _setting(
        "3600", seconds, "seconds", "Age at which unreferenced bytes are removed."
    )
    ui: str = _setting(
        "on",
        one_of("on", "off"),
        "on, off",
        "The page at `/ui`: with keys it asks for one, without keys it is for this machine alone.",
    )
    single_calls: int = _setting(
        "100",
        positive_integer,
        "number",
        "Single requests (outside of batches) that are at Google at a time; more wait.",
    )
    single_calls_per_key: int = _setting(
        "100", positive_integer, "number", "The same for each client's key."
    )
    single_queue_seconds: float = _setting(
        "30", seconds, "seconds", "How long a single request waits for a place before it gets 429."
    )
    single_seconds: float = _setting(
        "600",
        seconds,
        "seconds",
        "Time for the answer to a single request, until its stream begins, and between what has "
        "content in it: comments and empty pieces hold no stream for longer.",
    )
    single_idle_seconds: float = _setting(
        "120", seconds, "seconds", "Longest pause between the bytes of a stream from Google."
    )
    responses_seconds: int = _setting(
        "86400",
        integer,
        "seconds",
        "How long answers of `/v1/responses` are kept for `previous_response_id` and retrieval,"
        " unless a request says `store: false`; 0: never.",
    )
    background_window_seconds: float = _setting(
        "5",
        seconds,
        "seconds",
        "How long a response with `background: true` waits for others that go into the same batch.",
    )
    single_max_bytes: int = _setting(
        "20 MiB", size, "size", "Largest body of a single request, media included."
    )
    flex_seconds: float = _setting(
        "900",
        seconds,
        "seconds",
        "How long a request with `service_tier: flex` is tried while that tier is full.",
    )
    flex_fallback: str = _setting(
        "off",
        one_of("off", "standard"),
        "off, standard",
        "What answers such a request when the flex tier does not: an error, or the standard tier"
        " at twice the price.",
    )
    pass_others_to: str | None = _setting(
        "",
        optional_base_url,
        "url",
        "Base URL of a second OpenAI-compatible upstream (`https://api.openai.com/v1`) for routes "
        "that this gateway does not serve: moderations, audio, assistants. Clients' keys do not "
        "travel, and neither do those for Google. Empty: such routes are refused.",
    )
    pass_others_key: Secret | None = _setting(
        None, secret, "secret", "Key for that upstream.", secret=True
    )
    drain_seconds: float = _setting(
        "20", seconds, "seconds", "Time for requests in flight after SIGTERM."
    )
    log_level: str = _setting(
        "info",
        one_of("debug", "info", "warning", "error"),
        "debug, info, warning, error",
        "Least level that is logged. Prompts and completions are never logged.",
    )
    log_format: str = _setting(
        "json",
        one_of("json", "text"),
        "json, text",
        "Form of the log's lines: JSON for programs, text for people.",
    )
    access_log: str = _setting(
        "off",
        one_of("on", "off"),
        "on, off",
        "Whether each request is logged: method, path, status, bytes, time and whose it is.",
    )
    traces: str = _setting(
        "off",
        one_of("off", "otlp", "console"),
        "off, otlp, console",
        "Where OpenTelemetry's spans go: by OTLP over HTTP, as the variables `OTEL_*` say, or to"
        " the standard output. Needs the extra `[otel]`.",
    )
    metrics_port: int | None = _setting(
        "",
        optional_port,
        "port",
        "Port for `/metrics` alone, which asks for no key; 0 takes a free one. On the gateway's"
        " own port `/metrics` asks for a client's key, unless that is on the loopback interface.",
    )
    metrics_host: str = _setting(
        "127.0.0.1", string, "text", "Address of that port; 0.0.0.0 for a scraper elsewhere."
    )


def _rows() -> tuple[Setting, ...]:
    rows = []
    for one in fields(Settings):
        row = dict(one.metadata[_ROW])
        name = row.pop("name") or f"{PREFIX}{one.name.upper()}"
        rows.append(Setting(name=name, field=one.name, **row))
    return tuple(rows)


SETTINGS: Final = _rows()
