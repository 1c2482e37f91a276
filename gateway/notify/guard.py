"""The guard against requests forged through a URL: which addresses a webhook may reach.

A client names the URL, and the gateway may stand in a network that the client cannot reach. So a
name is resolved once, every address it has is checked, and the connection goes to the address that
was checked: a second look-up could answer otherwise (DNS rebinding).
"""

from collections.abc import Awaitable, Callable, Sequence
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address
from typing import Final
from urllib.parse import SplitResult, urlsplit

Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

MOST_URL_CHARACTERS: Final = 2048

# RFC 6052: networks of IPv6 alone reach IPv4 through it, so the address inside is judged.
_NAT64: Final = IPv6Network("64:ff9b::/96")


class ForbiddenTargetError(Exception):
    """A webhook must not go there; the message says why, without naming an address."""


def check_url(url: str, *, allow_private: bool) -> SplitResult:
    """Read the URL of an endpoint. Errors: ForbiddenTargetError, a clause about the URL."""
    if len(url) > MOST_URL_CHARACTERS or not url.isascii() or not url.isprintable() or " " in url:
        raise ForbiddenTargetError(
            f"must be at most {MOST_URL_CHARACTERS} printable ASCII characters"
        )
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError as error:
        raise ForbiddenTargetError("is not a URL") from error
    if parts.scheme not in {"https", "http"} or not parts.hostname or port == 0:
        raise ForbiddenTargetError("is not an https:// URL")
    if parts.scheme == "http" and not allow_private:
        raise ForbiddenTargetError("must begin with https://")
    if parts.username is not None or parts.password is not None or parts.fragment:
        raise ForbiddenTargetError("must not carry credentials or a fragment")
    try:
        literal = ip_address(parts.hostname)
    except ValueError:
        return parts
    if not is_allowed(literal, allow_private=allow_private):
        raise ForbiddenTargetError("names an address that webhooks must not reach")
    return parts


def is_allowed(address: IPv4Address | IPv6Address, *, allow_private: bool) -> bool:
    """Whether a webhook may go to an address; to a link-local one (cloud metadata) never."""
    if isinstance(address, IPv6Address):
        inner = _inner(address)
        if inner is not None:
            return is_allowed(inner, allow_private=allow_private)
        if address.is_site_local:
            return False
    if address.is_multicast or address.is_link_local or address.is_unspecified:
        return False
    if address.is_loopback:
        return allow_private
    if address.is_reserved:
        return False
    return address.is_global or (allow_private and address.is_private)


def _inner(address: IPv6Address) -> IPv4Address | None:
    """Give the IPv4 address that an IPv6 one carries (mapped, NAT64, 6to4, Teredo)."""
    if address.ipv4_mapped is not None:
        return address.ipv4_mapped
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    if address.sixtofour is not None:
        return address.sixtofour
    return None if address.teredo is None else address.teredo[1]


async def checked_address(url: SplitResult, resolve: Resolve, *, allow_private: bool) -> str:
    """Give the address to connect to: one of those of a name whose addresses are all allowed.

    Errors: ForbiddenTargetError; OSError of a name that is not found.
    """
    port = url.port or (443 if url.scheme == "https" else 80)
    found = await resolve(url.hostname or "", port)
    addresses = [ip_address(text.partition("%")[0]) for text in found]
    if not addresses:
        raise ForbiddenTargetError("the name has no address")
    if not all(is_allowed(address, allow_private=allow_private) for address in addresses):
        raise ForbiddenTargetError("the name leads to an address that webhooks must not reach")
    # IPv4 first: a pod may know IPv6 addresses that it has no route to.
    return str(min(addresses, key=lambda address: address.version))
