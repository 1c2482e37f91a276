"""Parsers of settings: each reads a text, or complains of it.

Errors: ValueError whose message follows the name of a setting.
"""

import base64
import ipaddress
import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import orjson

from gateway.units import GIB, KIB, MIB
from gateway.wire.json_faults import json_fault

API_VERSIONS: Final = ("v1beta", "v1", "v1alpha")

_SIZE: Final = re.compile(r"(\d+)\s*(B|KiB|MiB|GiB)?", re.IGNORECASE)
_BUCKET: Final = re.compile(
    r"(s3|gs|az)://[A-Za-z0-9][A-Za-z0-9._-]+(/[A-Za-z0-9_-][A-Za-z0-9._-]*)*"
)
_UNITS: Final = {"b": 1, "kib": KIB, "mib": MIB, "gib": GIB}


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


@dataclass(frozen=True, slots=True)
class ModelAliases:
    """Aliases of models: one's own, and whether those of OpenAI's names are known besides."""

    own: Mapping[str, str | dict[str, Any]]
    openai: bool = False

    def __str__(self) -> str:
        own = orjson.dumps(self.own).decode() if self.own or not self.openai else ""
        return f"openai {own}".rstrip() if self.openai else own


def string(value: str) -> str:
    """Accept any text but an empty one."""
    if not value.strip():
        raise ValueError("is empty")
    return value.strip()


def port(value: str) -> int:
    """Read a port; 0 takes a free one."""
    port = integer(value)
    if port > 65535:
        raise ValueError("is not a port (0 to 65535; 0 takes a free one)")
    return port


def optional_port(value: str) -> int | None:
    """Read a port, or nothing."""
    return port(value) if value.strip() else None


def integer(value: str) -> int:
    """Read a whole number, zero or more."""
    if not re.fullmatch(r"\d{1,15}", value.strip()):
        raise ValueError("is not a whole number")
    return int(value)


def positive_integer(value: str) -> int:
    """Read a whole number, one or more."""
    number = integer(value)
    if number < 1:
        raise ValueError("must be at least 1")
    return number


def seconds(value: str) -> float:
    """Read a number of seconds, zero or more."""
    return _amount(value, "seconds")


def dollars(value: str) -> float:
    """Read an amount of US dollars, zero or more."""
    return _amount(value, "dollars")


def _amount(value: str, unit: str) -> float:
    try:
        number = float(value)
    except ValueError:
        raise ValueError(f"is not a number of {unit}") from None
    if not math.isfinite(number) or number < 0:
        raise ValueError(f"must be a finite number of {unit}, zero or more")
    return number


def size(value: str) -> int:
    """Bytes: a number, alone or with KiB, MiB or GiB."""
    match = _SIZE.fullmatch(value.strip())
    if match is None:
        raise ValueError("is not a size: give bytes, or a number with KiB, MiB or GiB")
    return int(match[1]) * _UNITS[(match[2] or "B").lower()]


def row_size(value: str) -> int:
    """Bytes that a row of the records may hold: such a row is read in the event loop."""
    found = size(value)
    if found > MIB:
        raise ValueError("is more than 1 MiB")
    return found


def optional_size(value: str) -> int | None:
    """Read bytes, or nothing."""
    return size(value) if value.strip() else None


def path(value: str) -> Path:
    """Read a path; ``~`` is the home directory."""
    return Path(string(value)).expanduser()


def url(value: str) -> str:
    """Read an http(s) URL without path, query and credentials; http for this machine alone."""
    whole = base_url(value)
    if urlsplit(whole).path:
        raise ValueError("must be a host without a path")
    return whole


def base_url(value: str) -> str:
    """Read the same with a path."""
    try:
        parts = urlsplit(value.strip())
    except ValueError:  # its text has the whole host, with a password if there is one
        raise ValueError("is not an http(s) URL") from None
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise ValueError("is not an http(s) URL")
    if parts.username or parts.password or parts.query or parts.fragment:
        raise ValueError("must not carry credentials, a query or a fragment")
    if parts.scheme == "http" and not is_loopback(parts.hostname):
        raise ValueError("must begin with https:// (the key travels with every call)")
    return value.strip().rstrip("/")


def optional_base_url(value: str) -> str | None:
    """Read the same; empty: None."""
    return base_url(value) if value.strip() else None


def bucket(value: str) -> str | None:
    """Read the URL of a bucket (or container) and a prefix in it, or nothing."""
    text = value.strip().rstrip("/")
    if not text:
        return None
    if not _BUCKET.fullmatch(text):
        raise ValueError(
            "is no bucket: write s3://bucket/prefix, gs://bucket/prefix or az://container/prefix"
            " (letters, digits and ._-/; keys and endpoints are settings of the cloud's own)"
        )
    return text


def version(value: str) -> str:
    """Read a version of Google's API."""
    if value.strip() not in API_VERSIONS:
        raise ValueError(f"is none of {', '.join(API_VERSIONS)}")
    return value.strip()


def aliases(value: str) -> ModelAliases:
    """Read ``openai``, a JSON map of names or objects, or the one followed by the other."""
    text = value.strip()
    rest = text.removeprefix("openai")
    openai = rest != text
    # Blanks in place of the word: an error names the place of its fault in the whole value.
    own = _object(rest.rjust(len(text))) if rest.strip() or not openai else {}
    if not all(isinstance(alias, str | dict) and alias for alias in own.values()):
        raise ValueError(
            'is neither "openai" nor a JSON map of names, e.g. {"gpt-4o-mini":"gemini-3.8-flash"}'
        )
    return ModelAliases(own, openai=openai)


def boolean(value: str) -> bool:
    """Read ``true`` or ``false``."""
    return one_of("true", "false")(value) == "true"


def names(value: str) -> tuple[str, ...]:
    """Names of fields, separated by commas."""
    found = tuple(name.strip() for name in value.split(",") if name.strip())
    if not all(re.fullmatch(r"[A-Za-z_]\w*", name) for name in found):
        raise ValueError("is not a list of field names, separated by commas")
    return found


def hosts(value: str) -> tuple[str, ...]:
    """Names or addresses of hosts, without a port, separated by commas."""
    found = tuple(name.strip() for name in value.split(",") if name.strip())
    if not all(re.fullmatch(r"[A-Za-z0-9.:_-]+", name) for name in found):
        raise ValueError("is not a list of host names without scheme, separated by commas")
    return found


def origins(value: str) -> tuple[str, ...]:
    """Origins of web pages, separated by commas; ``*`` is any."""
    found = tuple(name.strip() for name in value.split(",") if name.strip())
    if not all(re.fullmatch(r"\*|https?://[A-Za-z0-9.:_\[\]-]+", name) for name in found):
        raise ValueError("is not a list of origins such as https://example.com, or '*'")
    return found


def one_of(*allowed: str) -> Callable[[str], str]:
    """Accept one of these words, in any case."""

    def check(value: str) -> str:
        word = value.strip().lower()
        if word not in allowed:
            raise ValueError(f"is none of {', '.join(allowed)}")
        return word

    return check


def words(value: str) -> dict[str, str]:
    """Read a JSON map of texts."""
    parsed = _object(value)
    if not all(isinstance(word, str) and word for word in parsed.values()):
        raise ValueError("is not a JSON map of texts")
    return parsed


def objects(value: str) -> dict[str, dict[str, Any]]:
    """Read a JSON map of objects."""
    parsed = _object(value)
    if not all(isinstance(member, dict) for member in parsed.values()):
        raise ValueError("is not a JSON map of objects")
    return parsed


def counts(value: str) -> dict[str, int]:
    """Read a JSON map of whole numbers, one or more."""
    parsed = _object(value)
    if not all(type(number) is int and number > 0 for number in parsed.values()):
        raise ValueError("is not a JSON map of whole numbers above 0")
    return parsed


def _object(value: str) -> dict[str, Any]:
    try:
        parsed = orjson.loads(value)
    except orjson.JSONDecodeError as error:
        fault = json_fault(error, value.encode(errors="replace"))
        raise ValueError(f"is not JSON. {fault}") from None
    if isinstance(parsed, dict):
        return parsed
    raise ValueError("is not a JSON object")


def secret(value: str) -> Secret:
    """Take a value that is never shown."""
    return Secret(string(value))


def database(value: str) -> Secret | None:
    """Read the URL of a PostgreSQL database, or nothing; it may hold a password."""
    text = value.strip()
    if not text:
        return None
    if not text.startswith(("postgresql://", "postgres://")):
        raise ValueError("is no URL of a PostgreSQL database: write postgresql://user@host/name")
    # What libpq would take for a host, a port or a name, it writes into its errors.
    _, _, rest = text.partition("?")[0].partition("//")
    userinfo, _, _ = rest.rpartition("@")
    if "@" in userinfo or "/" in userinfo:
        raise ValueError("must have / as %2F and @ as %40 in user, password and name")
    return Secret(text)


def encryption_key(value: str) -> Secret:
    """Read 32 bytes in base64."""
    text = string(value)
    try:
        key = base64.b64decode(text, validate=True)
    except ValueError:
        raise ValueError("is not base64") from None
    if len(key) != 32:
        raise ValueError(f"has {len(key)} bytes in place of 32: openssl rand -base64 32")
    return Secret(text)


def webhook_secret(value: str) -> Secret:
    """Read a secret that signs webhooks; with the prefix ``whsec_`` it is base64."""
    text = string(value)
    prefix = "whsec_"
    if text.startswith(prefix):
        try:
            key = base64.b64decode(text.removeprefix(prefix), validate=True)
        except ValueError:
            raise ValueError(f"begins with {prefix}, but is not base64 after it") from None
        if not key:
            raise ValueError(f"has nothing after {prefix}")
    return Secret(text)


def google_webhook_secret(value: str) -> Secret:
    """Read the secret of a webhook of Google's, which has the prefix ``whsec_``."""
    found = webhook_secret(value)
    if not found.value.startswith("whsec_"):
        raise ValueError("must begin with whsec_, as Google shows it when the webhook is made")
    return found


def api_keys(value: str) -> tuple[ApiKey, ...]:
    """``name=secret`` or ``secret``, separated by commas or newlines."""
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


def google_keys(value: str) -> tuple[tuple[str, Secret], ...]:
    """Read ``name=key``, separated by commas or newlines."""
    keys = []
    for entry in filter(None, (part.strip() for part in re.split(r"[,\n]", value))):
        name, _, key = entry.partition("=")
        if not re.fullmatch(r"[A-Za-z0-9._-]{1,64}", name) or not key or re.search(r"\s", key):
            raise ValueError("holds an entry that is not name=key, e.g. default=KEY,second=KEY")
        keys.append((name, Secret(key)))
    for what, given in (("name", [name for name, _ in keys]), ("key", [key for _, key in keys])):
        if len(set(given)) != len(given):
            raise ValueError(f"lists a {what} twice")
    return tuple(keys)


def optional_integer(value: str) -> int | None:
    """Read a whole number, or nothing."""
    return positive_integer(value) if value.strip() else None


def is_loopback(host: str) -> bool:
    """Whether a host name or address is this machine's own."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
