"""The settings in force. The only file that reads the environment."""

import difflib
import math
import os
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import orjson

from gateway.errors import SettingsError
from gateway.settings.table import SETTINGS, Setting, Settings
from gateway.settings.values import is_loopback

# What Kubernetes injects into every pod of a namespace with a Service called "gateway"
# (GATEWAY_PORT=tcp://10.0.0.1:80, GATEWAY_SERVICE_HOST, GATEWAY_PORT_80_TCP_ADDR, ...):
# https://kubernetes.io/docs/concepts/services-networking/service/#environment-variables
_KUBERNETES_NAME = re.compile(r"GATEWAY_SERVICE_.+|GATEWAY_PORT_\d+_(TCP|UDP|SCTP)(_\w+)?")
_KUBERNETES_PORT = re.compile(r"(tcp|udp|sctp)://.*", re.IGNORECASE)


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
            values[setting.field] = _value_of(setting, given)
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
        value = getattr(settings, setting.field)
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
