"""Which URLs and addresses webhooks may go to."""

from collections.abc import Sequence
from ipaddress import ip_address
from urllib.parse import urlsplit

import pytest

from gateway.notify.guard import (
    ForbiddenTargetError,
    check_url,
    checked_address,
    is_allowed,
)
from tests.every import in_one_item

PUBLIC = ["8.8.8.8", "2606:4700:4700::1111", "64:ff9b::808:808", "::ffff:8.8.8.8"]
PRIVATE = [
    "127.0.0.1",
    "127.9.9.9",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "::1",
    "fd00::1",
    "::ffff:127.0.0.1",
    "::ffff:10.0.0.1",
    "64:ff9b::a00:1",
]
NEVER = [
    "169.254.169.254",  # metadata of AWS, Google and Azure
    "::ffff:169.254.169.254",
    "64:ff9b::a9fe:a9fe",
    "2002:a9fe:a9fe::1",
    "fe80::1",
    "fec0::1",
    "0.0.0.0",
    "::",
    "224.0.0.1",
    "ff02::1",
    "255.255.255.255",
    "240.0.0.1",
]


@pytest.mark.parametrize("text", PUBLIC)
def test_public_addresses(text: str) -> None:
    """Whatever they are written in."""
    assert is_allowed(ip_address(text), allow_private=False)


@pytest.mark.parametrize("text", [*PRIVATE, "100.64.0.1", "2002:a00:1::1"])
def test_private_addresses(text: str) -> None:
    """Loopback, private networks, the carrier's, and what is inside an IPv6 address."""
    assert not is_allowed(ip_address(text), allow_private=False)


@pytest.mark.parametrize("text", PRIVATE)
def test_private_addresses_by_wish(text: str) -> None:
    """GATEWAY_WEBHOOK_ALLOW_PRIVATE."""
    assert is_allowed(ip_address(text), allow_private=True)


@in_one_item
@pytest.mark.parametrize("text", NEVER)
@pytest.mark.parametrize("allow_private", [False, True])
def test_addresses_that_are_never_allowed(text: str, *, allow_private: bool) -> None:
    """Link-local ones are where clouds hand out credentials."""
    assert not is_allowed(ip_address(text), allow_private=allow_private)


@in_one_item
@pytest.mark.parametrize(
    "url",
    [
        "http://example.com/",
        "ftp://example.com/",
        "//example.com/",
        "https://",
        "https:///path",
        "https://user@example.com/",
        "https://user:pw@example.com/",
        "https://good.example\\@127.0.0.1/",
        "https://example.com/#part",
        "https://example.com:0/",
        "https://example.com:99999/",
        "https://[::1/",
        "https://127.0.0.1/",
        "https://[::1]/",
        "https://[::ffff:169.254.169.254]/",
        "https://exa mple.com/",
        "https://example.com/\r\nhost: other",
        "https://ex\u00e4mple.com/",
        "https://example.com/" + "x" * 3000,
    ],
)
def test_urls_that_are_refused(url: str) -> None:
    """Before anything is looked up."""
    with pytest.raises(ForbiddenTargetError):
        check_url(url, allow_private=False)


def test_urls_that_are_accepted() -> None:
    """Loopback, and without TLS, by wish only."""
    assert check_url("https://example.com:8443/a?b=c", allow_private=False).port == 8443
    assert check_url("http://127.0.0.1:9/", allow_private=True).hostname == "127.0.0.1"
    with pytest.raises(ForbiddenTargetError):
        check_url("http://169.254.169.254/latest/meta-data", allow_private=True)


async def address_of(*found: str, allow_private: bool = False) -> str:
    """What a name with these addresses comes to."""

    async def resolve(host: str, port: int) -> Sequence[str]:
        assert (host, port) == ("example.com", 443)
        return found

    url = urlsplit("https://example.com/")
    return await checked_address(url, resolve, allow_private=allow_private)


async def test_every_address_of_a_name_is_checked() -> None:
    """One that is forbidden forbids the name: which of them is used is chance."""
    assert await address_of("2606:4700:4700::1111", "8.8.8.8") == "8.8.8.8"
    for found in (["8.8.8.8", "10.0.0.1"], ["127.0.0.1"], ["8.8.8.8", "fe80::1%eth0"], []):
        with pytest.raises(ForbiddenTargetError):
            await address_of(*found)
    assert await address_of("127.0.0.1", allow_private=True) == "127.0.0.1"
