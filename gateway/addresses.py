"""URLs of settings: shown without the passwords in them, and those of proxies checked."""

import re
from importlib.util import find_spec
from typing import Final
from urllib.parse import urlsplit
from urllib.request import getproxies

from gateway.errors import SettingsError

# To the last "@" before a blank: in a password that is not encoded any other character may be.
_USERINFO: Final = re.compile(r"(?<=//)[^\s\"'<>]*(?=@)")
_HIDDEN: Final = "***"


def without_userinfo(url: str) -> str:
    """Give a URL to be shown: what comes before its last ``@`` is hidden, however it is written.

    A path with an ``@`` costs the host its name: rather that than the half of a password.
    """
    before, at, host = url.rpartition("@")
    if not at:
        return url
    scheme, mark, _ = before.partition("//")
    return f"{scheme}{mark}{_HIDDEN}@{host}" if mark else f"{_HIDDEN}@{host}"


def hide_userinfo(text: str) -> str:
    """Give a text of others, such as an error of a library, without user and password of URLs."""
    return _USERINFO.sub(_HIDDEN, text) if "@" in text else text


def check_proxies() -> None:
    """Refuse proxies of the environment that httpx cannot use; it fails with parts of the URL.

    Errors: SettingsError, which names the variable.
    """
    schemes = {"http", "https"} | ({"socks5", "socks5h"} if find_spec("socksio") else set())
    for name in ("http", "https", "all"):
        url = getproxies().get(name)
        if url and not (url.isprintable() and _is_proxy(url, schemes)):
            raise SettingsError(
                f"{name.upper()}_PROXY is no URL of a proxy that can be used: write"
                " http://host:port, or http://user:password@host:port with whatever is no letter"
                " or digit in the password percent-encoded (SOCKS proxies need the package socksio)"
            )


def _is_proxy(url: str, schemes: set[str]) -> bool:
    try:
        parts = urlsplit(url if "://" in url else f"http://{url}")
        return parts.scheme in schemes and bool(parts.hostname) and parts.port != 0
    except ValueError:  # also of a port that is no number
        return False
