"""One table of settings: name, default, type, help. The only file that reads the environment.

Nothing below ``app.py`` imports this: consumers get small frozen dataclasses declared where they
are used.
"""

import difflib
import ipaddress
import math
import os
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from gateway.errors import SettingsError

KIB = 1024
MIB = 1024 * KIB
GIB = 1024 * MIB

API_VERSIONS = ("v1beta", "v1", "v1alpha")
GOOGLE_BASE_URL = "https://generativelanguage.googleapis.com"

# What Kubernetes injects into every pod of a namespace with a Service called "gateway"
# (GATEWAY_PORT=tcp://10.0.0.1:80, GATEWAY_SERVICE_HOST, GATEWAY_PORT_80_TCP_ADDR, ...):
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_KUBERNETES_NAME = re.compile(r"GATEWAY_SERVICE_.+|GATEWAY_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?")
_KUBERNETES_PORT = re.compile(r"(tcp|udp|sctp)://.*", re.IGNORECASE)

_SIZE = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB)?", re.IGNORECASE)
_UNITS = {"b": 1, "kib": KIB, "mib": MIB, "gib": GIB}


@dataclass(frozen=True, slots=True)
class Secret:
    """A value that never shows itself."""

    value: str

    def __repr__(self) -> str:
        return "Secret(***)"

    __str__ = __repr__


@dataclass(frozen=True, slots=True)
class ApiKey:
    """One credential that clients may present; ``owner`` is None when it was given no name."""

    owner: str | None
    secret: Secret


def _text(value: str) -> str:
    if not value.strip():
        raise ValueError("is empty")
    return value.strip()


def _port(value: str) -> int:
    port = _whole(value)
    if port > 65535:
        raise ValueError("is not a port (0 to 65535; 0 takes a free one)")
    return port


def _whole(value: str) -> int:
    if not re.fullmatch(r"\d{1,15}", value.strip()):
        raise ValueError("is not a whole number")
    return int(value)


def _positive(value: str) -> int:
    number = _whole(value)
    if number < 1:
        raise ValueError("must be at least 1")
    return number


def _seconds(value: str) -> float:
    try:
        number = float(value)
    except ValueError:
        raise ValueError("is not a number of seconds") from None
    if not math.isfinite(number) or number < 0:
        raise ValueError("must be a finite number of seconds, zero or more")
    return number


def _size(value: str) -> int:
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise ValueError("is not a size: give bytes, or a number with KiB, MiB or GiB")
    return int(match[1]) * _UNITS[(match[2] or "B").lower()]


def _path(value: str) -> Path:
    return Path(_text(value)).expanduser()


def _url(value: str) -> str:
    parts = urlsplit(value.strip())
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is not an http(s) URL")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must not carry credentials, a query or a fragment")
    if parts.path.strip("/"):
        raise ValueError("must be a host without a path")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("must begin with https:// (the key travels with every call)")
    return value.strip().rstrip("/")


def _version(value: str) -> str:
    if value.strip() not in API_VERSIONS:
        raise ValueError(f"is none of {', '.join(API_VERSIONS)}")
    return value.strip()


def _aliases(value: str) -> dict[str, str]:
    try:
        parsed = orjson.loads(value)
    except orjson.JSONDecodeError:
        raise ValueError("is not JSON") from None
    if not isinstance(parsed, dict) or not all(isinstance(v, str) and v for v in parsed.values()):
        raise ValueError('is not a JSON map of names, e.g. {"gpt-4o-mini":"gemini-2.5-flash"}')
    return parsed


def _switch(value: str) -> bool:
    return _choice(value, ("true", "false")) == "true"


def _names(value: str) -> tuple[str, ...]:
    names = tuple(name.strip() for name in value.split(",") if name.strip())
    if not all(re.fullmatch(r"[A-Za-z_]\w*", name) for name in names):
        raise ValueError("is not a list of field names, separated by commas")
    return names


def _one_of(*allowed: str) -> Callable[[str], str]:
    return lambda value: _choice(value, allowed)


def _words(value: str) -> dict[str, str]:
    parsed = _object(value)
    if not all(isinstance(word, str) and word for word in parsed.values()):
        raise ValueError("is not a JSON map of texts")
    return parsed


def _objects(value: str) -> dict[str, dict[str, Any]]:
    parsed = _object(value)
    if not all(isinstance(member, dict) for member in parsed.values()):
        raise ValueError("is not a JSON map of objects")
    return parsed


def _object(value: str) -> dict[str, Any]:
    try:
        parsed = orjson.loads(value)
    except orjson.JSONDecodeError:
        raise ValueError("is not JSON") from None
    if isinstance(parsed, dict):
        return parsed
    raise ValueError("is not a JSON object")


def _secret(value: str) -> Secret:
    return Secret(_text(value))


def _api_keys(value: str) -> tuple[ApiKey, ...]:
    keys = []
    for entry in re.split(r"[,\n]", value):
        if not entry.strip():
            continue
        if re.search(r"\s", entry.strip()) or entry.strip().startswith("#"):
            raise ValueError("holds an entry with a space or a comment")
        name, equals, secret = entry.strip().partition("=")
        if equals and not secret:
            raise ValueError("holds a name without a secret")
        # "c2VjcmV0==" is base64, not a name: a name is a plain word.
        named = bool(equals and secret.strip("=") and re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name))
        keys.append(ApiKey(name, Secret(secret)) if named else ApiKey(None, Secret(entry.strip())))
    if len({key.secret.value for key in keys}) != len(keys):
        raise ValueError("lists a secret twice")
    return tuple(keys)


def _optional_positive(value: str) -> int | None:
    return _positive(value) if value.strip() else None


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
    Setting("GATEWAY_HOST", "127.0.0.1", _text, "text", "Address the API listens on."),
    Setting("GATEWAY_PORT", "8080", _port, "port", "Port the API listens on; 0 takes a free one."),
    Setting("GATEWAY_DATA_DIR", "./gateway-data", _path, "path", "Records and file bytes."),
    Setting(
        "GEMINI_API_KEY",
        None,
        _secret,
        "secret",
        "Key for Google. No start without it unless the base URL is loopback.",
        secret=True,
    ),
    Setting(
        "GATEWAY_GEMINI_BASE_URL", GOOGLE_BASE_URL, _url, "url", "The upstream's host, no path."
    ),
    Setting("GATEWAY_GEMINI_API_VERSION", "v1beta", _version, "text", "API version: v1beta or v1."),
    Setting(
        "GATEWAY_API_KEYS",
        "",
        _api_keys,
        "secret",
        "Credentials that clients may present: `name=secret` or `secret`, separated by commas or "
        "newlines. The name (else a digest) is the owner of what is made with it. Without any: "
        "loopback only, any Bearer token is accepted but one must be there, owner `local`.",
        secret=True,
    ),
    Setting(
        "GATEWAY_MODEL_ALIASES",
        "{}",
        _aliases,
        "JSON",
        'Model names clients may write, e.g. `{"gpt-4o-mini":"gemini-2.5-flash"}`.',
    ),
    Setting(
        "GATEWAY_CAPABILITIES",
        "{}",
        _objects,
        "JSON",
        "What is known of models, changed by name, or by the beginning of one with `*`, e.g. "
        '`{"gemini-4*":{"sampling":true}}`; the members are those of `capabilities.py`.',
    ),
    Setting(
        "GATEWAY_STRICT",
        "false",
        _switch,
        "true, false",
        "Refuse a line, naming the field, where something would be dropped with an effect, clamped "
        "or approximated; otherwise it is noted.",
    ),
    Setting(
        "GATEWAY_STRICT_FIELDS",
        "",
        _names,
        "list",
        "The same for these fields of a body alone, e.g. `frequency_penalty,presence_penalty`.",
    ),
    Setting(
        "GATEWAY_UNKNOWN_FIELDS",
        "refuse",
        _one_of("refuse", "drop"),
        "refuse, drop",
        "A field that nobody knows, anywhere in a body: refuse the line, or drop the field with a "
        "note.",
    ),
    Setting(
        "GATEWAY_SCHEMA_MODE",
        "auto",
        _one_of("auto", "openapi", "json"),
        "auto, openapi, json",
        "How JSON Schemas are sent: as Google's `Schema` (openapi; what it cannot say is refused), "
        "as JSON Schema (json; reports from batches conflict), or as `Schema` wherever that loses "
        "nothing (auto).",
    ),
    Setting(
        "GATEWAY_SCHEMA_CHECK",
        "note",
        _one_of("note", "error", "off"),
        "note, error, off",
        "An answer that does not fit its line's JSON Schema: noted, or an error line with 502 "
        "`schema_violation`; off: nobody looks.",
    ),
    Setting(
        "GATEWAY_LATE_SYSTEM",
        "hoist",
        _one_of("hoist", "inline"),
        "hoist, inline",
        "A system message after the first turn: join the instructions in front, or stay in its "
        "place as the user's words. Noted.",
    ),
    Setting(
        "GATEWAY_MESSAGE_NAMES",
        "drop",
        _one_of("drop", "prefix"),
        "drop, prefix",
        "A message's `name`: drop it with a note, or write it in front of the text (`name: text`).",
    ),
    Setting(
        "GATEWAY_MISSING_RESULTS",
        "refuse",
        _one_of("refuse", "fill"),
        "refuse, fill",
        "A tool call without a result: refuse the line as OpenAI does, or answer the call with an "
        "error, with a note.",
    ),
    Setting(
        "GATEWAY_PREFILL",
        "refuse",
        _one_of("refuse", "trim"),
        "refuse, trim",
        "Assistant's words at the end, for models that take none (3.5-flash-lite, 3.6 and later): "
        "refuse the line, or drop them with a note.",
    ),
    Setting(
        "GATEWAY_REMOTE_MEDIA",
        "pass",
        _one_of("pass", "refuse"),
        "pass, refuse",
        "An https URL of an image: Google fetches it, or the line is refused. The gateway fetches "
        "nothing.",
    ),
    Setting(
        "GATEWAY_GS_URIS",
        "refuse",
        _one_of("refuse", "pass"),
        "refuse, pass",
        "A `gs://` URI: refuse the line, or pass it on (it must be registered with Google's Files "
        "API).",
    ),
    Setting(
        "GATEWAY_PARALLEL_TOOL_CALLS",
        "note",
        _one_of("note", "first"),
        "note, first",
        "`parallel_tool_calls: false`, which Gemini cannot be told: note it, or keep only the "
        "first call of an answer.",
    ),
    Setting(
        "GATEWAY_SAFETY_SETTINGS",
        "{}",
        _words,
        "JSON",
        "Thresholds for lines that name none for a category, e.g. "
        '`{"HARM_CATEGORY_HARASSMENT":"BLOCK_ONLY_HIGH"}`.',
    ),
    Setting(
        "GATEWAY_VOICES",
        "{}",
        _words,
        "JSON",
        "Gemini's voices for OpenAI's, over those that come near by default, e.g. "
        '`{"alloy":"Charon"}`; without a note.',
    ),
    Setting(
        "GATEWAY_BLOCKED_PROMPT",
        "refusal",
        _one_of("refusal", "error"),
        "refusal, error",
        "A prompt that Gemini blocks: an answer with `finish_reason` content_filter and a refusal, "
        "or an error line with 400 `content_policy_violation`.",
    ),
    Setting(
        "GATEWAY_EXECUTED_CODE",
        "show",
        _one_of("show", "omit"),
        "show, omit",
        "Code that the model ran, and its output: fenced blocks in the answer's text, or left out.",
    ),
    Setting(
        "GATEWAY_POLL_MIN_SECONDS",
        "5",
        _seconds,
        "seconds",
        "Shortest pause between two polls; jobs of more than 100 items start at 30 s.",
    ),
    Setting(
        "GATEWAY_POLL_MAX_SECONDS", "60", _seconds, "seconds", "Longest pause between two polls."
    ),
    Setting(
        "GATEWAY_RETRY_MIN_SECONDS", "1", _seconds, "seconds", "First pause after a failed step."
    ),
    Setting(
        "GATEWAY_RETRY_MAX_SECONDS", "300", _seconds, "seconds", "Longest pause after failures."
    ),
    Setting(
        "GATEWAY_SETTLE_SECONDS",
        "180",
        _seconds,
        "seconds",
        "How long an ambiguous create must have settled before a listing decides.",
    ),
    Setting(
        "GATEWAY_CREATE_TIMEOUT_SECONDS",
        "180",
        _seconds,
        "seconds",
        "Total time of one create call; then its outcome is ambiguous.",
    ),
    Setting(
        "GATEWAY_TRANSLATE_WORKERS",
        "",
        _optional_positive,
        "number",
        "Worker processes. Empty: usable CPUs - 1, at least 1, at most 4 (affinity and cgroup "
        "quota count, not the host).",
    ),
    Setting(
        "GATEWAY_INLINE_MAX_BYTES",
        "1 MiB",
        _size,
        "size",
        "A job within this and the item limits goes inline, any other through an uploaded file.",
    ),
    Setting("GATEWAY_INLINE_MAX_ITEMS", "100", _whole, "number", "Items of an inline job."),
    Setting(
        "GATEWAY_INLINE_MAX_EMBEDDINGS", "20", _whole, "number", "The same, for embedding jobs."
    ),
    Setting("GATEWAY_ITEMS_PER_JOB", "50000", _positive, "number", "Where jobs are cut, in items."),
    Setting("GATEWAY_BYTES_PER_JOB", "512 MiB", _size, "size", "Where jobs are cut, in bytes."),
    Setting("GATEWAY_MAX_FILE_BYTES", "2 GiB", _size, "size", "Largest file; OpenAI: 200 MB."),
    Setting(
        "GATEWAY_MAX_LINES", "1000000", _positive, "number", "Lines of one input; OpenAI: 50000."
    ),
    Setting(
        "GATEWAY_MAX_ITEMS",
        "1000000",
        _positive,
        "number",
        "Upstream requests of one input (a line has one or several); OpenAI: 50000.",
    ),
    Setting("GATEWAY_MAX_LINE_BYTES", "32 MiB", _size, "size", "Longest line of an input."),
    Setting(
        "GATEWAY_MAX_REPORTED_ERRORS",
        "1000",
        _positive,
        "number",
        "Entries of a failed batch's `errors`; a last entry says how many more there are.",
    ),
    Setting(
        "GATEWAY_MAX_WARNINGS",
        "10000",
        _positive,
        "number",
        "Notes that a batch's warnings file lists; a last entry says how many more there are.",
    ),
    Setting(
        "GATEWAY_MAX_NAMED_FILES",
        "10000",
        _whole,
        "number",
        "Different uploaded files that the lines of one input may name.",
    ),
    Setting(
        "GATEWAY_MAX_STAGED_BYTES",
        "16 GiB",
        _size,
        "size",
        "What uploaded files may take at Google at a time, so also what the lines of one input may "
        "name. Google stores 20 GB for a project.",
    ),
    Setting(
        "GATEWAY_SWEEP_SECONDS",
        "3600",
        _seconds,
        "seconds",
        "Age at which bytes that nothing points at are removed.",
    ),
    Setting(
        "GATEWAY_DRAIN_SECONDS", "20", _seconds, "seconds", "For requests in flight at SIGTERM."
    ),
    Setting(
        "GATEWAY_LOG_LEVEL",
        "info",
        lambda value: _choice(value, ("debug", "info", "warning", "error")),
        "text",
        "debug, info, warning or error. Prompts and completions are never logged.",
    ),
)


def _choice(value: str, allowed: tuple[str, ...]) -> str:
    if value.strip().lower() not in allowed:
        raise ValueError(f"is none of {', '.join(allowed)}")
    return value.strip().lower()


@dataclass(frozen=True, slots=True)
class Settings:
    """What is in force. Field names are the settings' names without their prefix, lower case."""

    host: str
    port: int
    data_dir: Path
    gemini_api_key: Secret | None
    gemini_base_url: str
    gemini_api_version: str
    api_keys: tuple[ApiKey, ...]
    model_aliases: dict[str, str]
    capabilities: dict[str, dict[str, Any]]
    strict: bool
    strict_fields: tuple[str, ...]
    unknown_fields: str
    schema_mode: str
    schema_check: str
    late_system: str
    message_names: str
    missing_results: str
    prefill: str
    remote_media: str
    gs_uris: str
    parallel_tool_calls: str
    safety_settings: dict[str, str]
    voices: dict[str, str]
    blocked_prompt: str
    executed_code: str
    poll_min_seconds: float
    poll_max_seconds: float
    retry_min_seconds: float
    retry_max_seconds: float
    settle_seconds: float
    create_timeout_seconds: float
    translate_workers: int
    inline_max_bytes: int
    inline_max_items: int
    inline_max_embeddings: int
    items_per_job: int
    bytes_per_job: int
    max_file_bytes: int
    max_lines: int
    max_items: int
    max_line_bytes: int
    max_reported_errors: int
    max_warnings: int
    max_named_files: int
    max_staged_bytes: int
    sweep_seconds: float
    drain_seconds: float
    log_level: str


def field_of(name: str) -> str:
    """The name of a setting's field on :class:`Settings`."""
    return name.removeprefix("GATEWAY_").lower()


def load(
    environ: Mapping[str, str] | None = None, overrides: Mapping[str, str] | None = None
) -> tuple[Settings, list[str]]:
    """Read the environment, ``overrides`` over it; settings in force, and warnings to log once.

    Errors: SettingsError that names every bad setting.
    """
    given = {**(os.environ if environ is None else environ), **(overrides or {})}
    injected = _take_injected(given)
    problems = _unknown_names(given)
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        try:
            values[field_of(setting.name)] = _value_of(setting, given)
        except ValueError as error:
            problems.append(f"{setting.name} {error}")
    if problems:
        raise SettingsError("; ".join(problems))
    if values["translate_workers"] is None:
        values["translate_workers"] = min(max(usable_cpus() - 1, 1), 4)
    settings = Settings(**values)
    _check_together(settings)
    warnings = []
    if injected:
        warnings.append(
            f"ignored what Kubernetes injects for a Service called gateway: {', '.join(injected)}"
        )
    return settings, warnings


def _take_injected(given: dict[str, str]) -> list[str]:
    """Remove what Kubernetes injects; a GATEWAY_PORT that is a URL is never ours."""
    injected = [
        name
        for name, value in given.items()
        if _KUBERNETES_NAME.fullmatch(name)
        or (name == "GATEWAY_PORT" and _KUBERNETES_PORT.fullmatch(value))
    ]
    for name in injected:
        del given[name]
    return sorted(injected)


def _unknown_names(given: Mapping[str, str]) -> list[str]:
    known = {setting.name for setting in SETTINGS}
    known |= {f"{setting.name}_FILE" for setting in SETTINGS if setting.secret}
    problems = []
    for name in sorted(given):
        if name.startswith("GATEWAY_") and name not in known:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            problems.append(f"{name} is no setting of the gateway{hint}")
    return problems


def _value_of(setting: Setting, given: Mapping[str, str]) -> Any:  # noqa: ANN401 - its own type
    text = given.get(setting.name)
    path = given.get(f"{setting.name}_FILE") if setting.secret else None
    if path is not None:
        if text is not None:
            raise ValueError(f"and {setting.name}_FILE are both set: keep one")
        text = _read_secret(path)
    if text is None:
        text = setting.default
    return None if text is None else setting.parse(text)


def _read_secret(path: str) -> str:
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ValueError(f"cannot be read from its file {path}: {reason}") from None


def _check_together(settings: Settings) -> None:
    if settings.gemini_api_key is None and not is_loopback(
        urlsplit(settings.gemini_base_url).hostname or ""
    ):
        raise SettingsError(
            "GEMINI_API_KEY is not set: the gateway needs a key for Google "
            "(only a loopback GATEWAY_GEMINI_BASE_URL, such as the emulator's, works without)"
        )
    if not settings.api_keys and not is_loopback(settings.host):
        raise SettingsError(
            f"GATEWAY_HOST {settings.host} is reachable from outside, so GATEWAY_API_KEYS must "
            "name the credentials that clients may present"
        )
    for low, high in (("POLL_MIN", "POLL_MAX"), ("RETRY_MIN", "RETRY_MAX")):
        if getattr(settings, f"{low.lower()}_seconds") > getattr(
            settings, f"{high.lower()}_seconds"
        ):
            raise SettingsError(f"GATEWAY_{low}_SECONDS is above GATEWAY_{high}_SECONDS")


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def usable_cpus(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """CPUs this process may use: affinity and cgroup quota (v2, then v1), rounded up."""
    cpus = len(os.sched_getaffinity(0))
    quota = _cgroup_quota(cgroup)
    return cpus if quota is None else max(1, min(cpus, math.ceil(quota)))


def _cgroup_quota(cgroup: Path) -> float | None:
    try:
        limit, _, period = (cgroup / "cpu.max").read_text(encoding="ascii").partition(" ")
        return None if limit == "max" else int(limit) / int(period)
    except (OSError, ValueError):
        pass
    try:
        limit = (cgroup / "cpu/cpu.cfs_quota_us").read_text(encoding="ascii")
        period = (cgroup / "cpu/cpu.cfs_period_us").read_text(encoding="ascii")
        return int(limit) / int(period) if int(limit) > 0 else None
    except (OSError, ValueError):
        return None


def describe(settings: Settings) -> Iterable[tuple[str, str]]:
    """Name and value of every setting in force, secrets masked."""
    for setting in SETTINGS:
        value = getattr(settings, field_of(setting.name))
        yield setting.name, _masked(setting, value)


def _masked(setting: Setting, value: Any) -> str:  # noqa: ANN401 - any setting's type
    if value is None or value == ():
        return "(not set)"
    if setting.name == "GATEWAY_API_KEYS":
        return ", ".join(f"{key.owner}=***" if key.owner else "***" for key in value)
    if setting.secret:
        return "***"
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, dict | bool):
        return orjson.dumps(value).decode()
    return f"{value:g}" if isinstance(value, float) else str(value)
