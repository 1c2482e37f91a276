"""The settings in force, from the environment: the only file that reads settings there."""

import difflib
import math
import os
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from gateway.addresses import without_userinfo
from gateway.errors import SettingsError
from gateway.settings.table import PREFIX, SETTINGS, Setting, Settings
from gateway.settings.values import is_loopback
from gateway.units import MIB

# Variables that Kubernetes injects into every pod for each Service of the namespace whose name
# begins with "gateway", such as gateway-metrics: GATEWAY_METRICS_PORT=tcp://10.0.0.1:80,
# GATEWAY_METRICS_SERVICE_HOST, GATEWAY_METRICS_PORT_80_TCP_ADDR, ...
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_KUBERNETES_NAME: Final = re.compile(
    r"GATEWAY_(\w+_)?SERVICE_(HOST|PORT(_\w+)?)|GATEWAY_(\w+_)?PORT_\d+_(TCP|UDP|SCTP)(_\w+)?"
)
_KUBERNETES_VALUE: Final = re.compile(r"(tcp|udp|sctp)://.*", re.IGNORECASE)

# Below this a worker cannot read the largest line that is accepted.
LEAST_WORKER_MEMORY: Final = 256 * MIB

# Names under which other programs, or people in a hurry, keep the key for Google.
_OTHER_KEY_NAMES: Final = ("GOOGLE_API_KEY", "GATEWAY_GEMINI_API_KEY")


class UnfitSettingsError(SettingsError):
    """Settings that are good one by one, and together start nothing: ``settings`` has them."""

    def __init__(self, message: str, settings: Settings) -> None:
        super().__init__(message)
        self.settings = settings


def load(
    environ: Mapping[str, str] | None = None, overrides: Mapping[str, str] | None = None
) -> tuple[Settings, list[str]]:
    """Read the environment, ``overrides`` over it; settings in force, and warnings to log once.

    Errors: SettingsError that names every bad setting; UnfitSettingsError when each is good alone.
    """
    given = {**(os.environ if environ is None else environ), **(overrides or {})}
    injected = _take_injected(given)
    problems = _unknown_names(given)
    values: dict[str, Any] = {}
    for setting in SETTINGS:
        try:
            values[setting.field] = _value_of(setting, given)
        except ValueError as error:
            problems.append(f"{setting.name} {error}")
    if problems:
        raise SettingsError("; ".join(problems))
    if values["translate_workers"] is None:
        values["translate_workers"] = min(max(usable_cpus() - 1, 1), 4)
    if values["worker_memory_bytes"] is None:
        share = usable_memory() * 3 // 5 // values["translate_workers"]
        values["worker_memory_bytes"] = max(share, LEAST_WORKER_MEMORY)
    settings = Settings(**values)
    warnings = list(_misspelt_names(given))
    try:
        _check_together(settings, given, warnings)
    except SettingsError as error:
        raise UnfitSettingsError(str(error), settings) from error
    if injected:
        warnings.append(
            "ignored variables that Kubernetes injects for a Service whose name begins with "
            f"gateway: {', '.join(injected)} (enableServiceLinks: false keeps them out of the pod)"
        )
    return settings, warnings


def _take_injected(given: dict[str, str]) -> list[str]:
    """Remove what Kubernetes injects, and give its names."""
    injected = [
        name
        for name, value in given.items()
        if name.startswith(PREFIX)
        and (_KUBERNETES_NAME.fullmatch(name) or _KUBERNETES_VALUE.fullmatch(value))
    ]
    for name in injected:
        del given[name]
    return sorted(injected)


def _unknown_names(given: Mapping[str, str]) -> list[str]:
    known = known_names()
    problems = []
    for name in sorted(given):
        if name.startswith(PREFIX) and name not in known and name not in _OTHER_KEY_NAMES:
            close = difflib.get_close_matches(name, known, n=1)
            hint = f" (did you mean {close[0]}?)" if close else ""
            problems.append(f"{name} is no setting of the gateway{hint}")
    if "GATEWAY_GEMINI_API_KEY" in given:
        problems.append(
            "GATEWAY_GEMINI_API_KEY is no setting: the key for Google is GEMINI_API_KEY"
        )
    return problems


def _misspelt_names(given: Mapping[str, str]) -> Iterator[str]:
    """Warn of a GEMINI_* name that is nearly one of ours; others belong to other programs."""
    known = {name for name in known_names() if name.startswith("GEMINI_")}
    for name in sorted(given):
        if name.startswith("GEMINI_") and name not in known:
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.75)
            if close:
                yield f"{name} is not read (did you mean {close[0]}?)"


def known_names() -> set[str]:
    """Every name that the environment may have, of files with secrets too."""
    names = {setting.name for setting in SETTINGS}
    return names | {f"{setting.name}_FILE" for setting in SETTINGS if setting.secret}


def secret_paths(environ: Mapping[str, str] | None = None) -> dict[Setting, str]:
    """Give the paths of the files that the environment names for secrets, by setting."""
    given = os.environ if environ is None else environ
    paths = {setting: given.get(f"{setting.name}_FILE") for setting in SETTINGS if setting.secret}
    return {setting: path for setting, path in paths.items() if path is not None}


def _value_of(setting: Setting, given: Mapping[str, str]) -> Any:  # noqa: ANN401 - its own type
    text = given.get(setting.name)
    path = given.get(f"{setting.name}_FILE") if setting.secret else None
    if path is not None:
        if text is not None:
            raise ValueError(f"and {setting.name}_FILE are both set: keep one")
        text = read_secret(path)
    if text is None:
        text = setting.default
    return None if text is None else setting.parse(text)


def read_secret(path: str) -> str:
    """Read a file with a secret. Errors: ValueError, to follow the name of the setting."""
    try:
        return Path(path).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "not UTF-8 text"
        raise ValueError(f"cannot be read from its file {path}: {reason}") from None


def _check_together(settings: Settings, given: Mapping[str, str], misspelt: Sequence[str]) -> None:
    if settings.gemini_api_key is not None and settings.gemini_api_keys:
        raise SettingsError(
            "GEMINI_API_KEY and GEMINI_API_KEYS are both set: keep one (the key of the former is"
            " called default: GEMINI_API_KEYS=default=KEY,NAME=KEY)"
        )
    _check_webhooks_and_pauses(settings)
    _check_others(settings)
    if settings.auth == "pass-through":
        _check_pass_through(settings)
        return
    has_key = settings.gemini_api_key is not None or settings.gemini_api_keys
    if not has_key and not is_loopback(urlsplit(settings.gemini_base_url).hostname or ""):
        raise SettingsError(_missing_key(given, misspelt))
    if settings.auth == "keys" and not settings.api_keys:
        raise SettingsError("GATEWAY_AUTH is keys, but GATEWAY_API_KEYS names none")
    if settings.auth == "open" and settings.api_keys:
        raise SettingsError(
            "GATEWAY_AUTH is open, but GATEWAY_API_KEYS is set: they would not be looked at"
        )
    if not settings.api_keys and not is_loopback(settings.host):
        raise SettingsError(
            f"GATEWAY_HOST is {settings.host}, which other machines can reach, so clients need "
            "keys: set GATEWAY_API_KEYS=NAME=SECRET,... or GATEWAY_API_KEYS_FILE to a file with "
            "them. Or set GATEWAY_HOST=127.0.0.1 to serve this machine alone"
        )


def _check_pass_through(settings: Settings) -> None:
    if settings.encryption_key is None:
        raise SettingsError(
            "GATEWAY_AUTH is pass-through, which needs GATEWAY_ENCRYPTION_KEY (openssl rand"
            " -base64 32): it seals clients' keys while jobs need them"
        )
    others = {"GATEWAY_API_KEYS": settings.api_keys, "GEMINI_API_KEYS": settings.gemini_api_keys}
    for name, value in {**others, "GEMINI_API_KEY": settings.gemini_api_key}.items():
        if value:
            raise SettingsError(
                f"GATEWAY_AUTH is pass-through, and {name} is set: clients present their own keys"
                " for Gemini, and no other is used. Remove one of the two"
            )


def _check_others(settings: Settings) -> None:
    if (settings.pass_others_to is None) != (settings.pass_others_key is None):
        raise SettingsError(
            "GATEWAY_PASS_OTHERS_TO and GATEWAY_PASS_OTHERS_KEY go together: the second upstream"
            " gets a key of its own, never a client's"
        )
    if settings.pass_others_to is not None and settings.auth == "pass-through":
        raise SettingsError(
            "GATEWAY_PASS_OTHERS_TO is set, and GATEWAY_AUTH is pass-through: with any key for"
            " Gemini a client could spend GATEWAY_PASS_OTHERS_KEY. Remove one of the two"
        )


def _check_webhooks_and_pauses(settings: Settings) -> None:
    if settings.webhook_url is not None and settings.webhook_secret is None:
        raise SettingsError(
            "GATEWAY_WEBHOOK_URL is set without GATEWAY_WEBHOOK_SECRET: make one with"
            " echo whsec_$(openssl rand -base64 32), and give it to the receiver"
        )
    for low, high in (
        ("POLL_MIN", "POLL_MAX"),
        ("RETRY_MIN", "RETRY_MAX"),
        ("WEBHOOK_RETRY_MIN", "WEBHOOK_RETRY_MAX"),
    ):
        if getattr(settings, f"{low.lower()}_seconds") > getattr(
            settings, f"{high.lower()}_seconds"
        ):
            raise SettingsError(f"GATEWAY_{low}_SECONDS is above GATEWAY_{high}_SECONDS")


def _missing_key(given: Mapping[str, str], misspelt: Sequence[str]) -> str:
    text = (
        "GEMINI_API_KEY is not set: the gateway needs a key for Google (several: GEMINI_API_KEYS; "
        "only a loopback GATEWAY_GEMINI_BASE_URL, such as the emulator's, works without)"
    )
    if "GOOGLE_API_KEY" in given:
        text += ". GOOGLE_API_KEY is set, but not read: type GEMINI_API_KEY=$GOOGLE_API_KEY"
    return "; ".join((text, *misspelt))


def load_address(environ: Mapping[str, str] | None = None) -> tuple[str, int]:
    """Read host and port alone, for probes: no other setting is checked, no secret is read.

    Errors: SettingsError that names the bad one.
    """
    given = dict(os.environ if environ is None else environ)
    _take_injected(given)
    values = []
    for setting in (row for row in SETTINGS if row.field in {"host", "port"}):
        try:
            values.append(_value_of(setting, given))
        except ValueError as error:
            raise SettingsError(f"{setting.name} {error}") from error
    host, port = values
    return host, port


def usable_cpus(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Count the CPUs this process may use: affinity and cgroup quota (v2, then v1), rounded up.

    macOS has neither: there it is the number of CPUs.
    """
    affinity = getattr(os, "sched_getaffinity", None)
    cpus = len(affinity(0)) if affinity is not None else os.cpu_count() or 1
    quota = _cgroup_quota(cgroup)
    return cpus if quota is None else max(1, min(cpus, math.ceil(quota)))


def usable_memory(cgroup: Path = Path("/sys/fs/cgroup")) -> int:
    """Count the bytes of memory this process may use: the machine's, or its cgroup's (v2, v1)."""
    machine = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    for name in ("memory.max", "memory/memory.limit_in_bytes"):
        try:
            return min(machine, int((cgroup / name).read_text(encoding="ascii")))
        except (OSError, ValueError):  # not there, or "max"
            continue
    return machine


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
        value = getattr(settings, setting.field)
        yield setting.name, _masked(setting, value)


def _masked(setting: Setting, value: Any) -> str:  # noqa: ANN401 - any setting's type
    if value is None or value == ():
        return "(not set)"
    if setting.secret:
        return _masked_secret(setting, value)
    if isinstance(value, tuple):
        return ",".join(value)
    if isinstance(value, dict | bool):
        return orjson.dumps(value).decode()
    if setting.type == "url":
        return without_userinfo(str(value))
    return f"{value:g}" if isinstance(value, float) else str(value)


def _masked_secret(setting: Setting, value: Any) -> str:  # noqa: ANN401 - any setting's type
    if setting.name == "GEMINI_API_KEYS":
        return ", ".join(f"{name}=***" for name, _ in value)
    if setting.name == "GATEWAY_API_KEYS":
        return ", ".join(f"{key.owner}=***" if key.owner else "***" for key in value)
    return "***"
