"""One attempt: a POST to the address that was checked, and what became of it."""

import asyncio
import logging
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import httpx

from gateway.batches.webhooks import Attempt
from gateway.clock import Clock
from gateway.notify.guard import (
    ForbiddenTargetError,
    Resolve,
    check_url,
    checked_address,
)
from gateway.notify.names import Resolver

# A receiver answers at once and works later; what takes longer is given up, and counts as failed.
ATTEMPT_SECONDS: Final = 30.0
CONNECT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class SenderOptions:
    """``allow_private`` admits http, loopback and private addresses."""

    allow_private: bool = False
    attempt_seconds: float = ATTEMPT_SECONDS


class Sender:
    """Sends, each time on a connection of its own, and never follows a redirect."""

    def __init__(
        self,
        options: SenderOptions,
        clock: Clock,
        resolve: Resolve | None = None,
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self._options = options
        self._clock = clock
        self._resolve = resolve or Resolver()
        for library in ("httpx", "httpcore"):  # they log URLs, whose paths may be secrets
            logging.getLogger(library).setLevel(logging.WARNING)
        self._tls = tls or httpx.create_ssl_context(trust_env=True)

    async def send(self, url: str, headers: Mapping[str, str], body: bytes) -> Attempt:
        """Make an attempt; whatever goes wrong is what it came to."""
        at, began = self._clock.now(), self._clock.monotonic()
        status, error = None, None
        try:
            async with asyncio.timeout(self._options.attempt_seconds):
                status = await self._post(url, headers, body)
        except TimeoutError:
            error = f"no answer within {self._options.attempt_seconds:g} s"
        except ForbiddenTargetError as forbidden:
            error = f"not sent: the URL {forbidden}"
        except (OSError, UnicodeError) as unresolved:
            error = f"the name cannot be resolved ({type(unresolved).__name__})"
        except (httpx.HTTPError, httpx.InvalidURL, httpx.StreamError) as failure:
            error = _in_words(failure)
        took = round((self._clock.monotonic() - began) * 1000)
        return Attempt(at, took, status, error)

    def refusal(self, url: str) -> str | None:
        """Say why nothing would be sent to this URL, before its name is looked up."""
        try:
            check_url(url, allow_private=self._options.allow_private)
        except ForbiddenTargetError as forbidden:
            return str(forbidden)
        return None

    async def _post(self, url: str, headers: Mapping[str, str], body: bytes) -> int:
        """Give the status; the answer's body is not read.

        The connection goes to the address, the Host header and the certificate are the name's. It
        is not kept: httpx's pool knows connections by address, so another name at the same one
        would get it.
        """
        allow = self._options.allow_private
        parts = check_url(url, allow_private=allow)
        address = await checked_address(parts, self._resolve, allow_private=allow)
        target = parts._replace(netloc=_netloc(address, parts.port), path=parts.path or "/")
        transport = httpx.AsyncHTTPTransport(verify=self._tls, trust_env=False, retries=0)
        timeout = httpx.Timeout(self._options.attempt_seconds, connect=CONNECT_SECONDS)
        async with (
            httpx.AsyncClient(
                transport=transport, timeout=timeout, trust_env=False, follow_redirects=False
            ) as client,
            client.stream(
                "POST",
                target.geturl(),
                content=body,
                headers={**headers, "host": parts.netloc},
                extensions={"sni_hostname": parts.hostname},
            ) as response,
        ):
            return response.status_code


def _netloc(address: str, port: int | None) -> str:
    host = f"[{address}]" if ":" in address else address
    return host if port is None else f"{host}:{port}"


def _in_words(failure: Exception) -> str:
    """Say what failed by its kind: texts of exceptions name addresses."""
    if isinstance(failure, httpx.ConnectTimeout):
        return f"no connection within {CONNECT_SECONDS:g} s"
    if isinstance(failure, httpx.ConnectError):
        refused = "certificate" in str(failure).lower()
        return "the certificate was not accepted" if refused else "no connection"
    return f"the connection broke ({type(failure).__name__})"
