"""Results, streamed: complete, or an error.

A results file is fetched from ``/download/…`` directly; the documented ``/{v}/files/…:download``
answers a 302 there that echoes the caller's key (recorded). Ranges are not documented, so a cut
download is resumed if the upstream answers 206, else read again from the start and the bytes
that were passed on already are skipped, after checking that they are the same.
"""

import hashlib
import re
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager
from typing import Final

import httpx
import orjson

from gateway.errors import UpstreamUnavailableError
from gateway.upstream.errors import Call, as_upstream_errors
from gateway.upstream.transport import Transport, worth_a_quick_retry
from gateway.wire.gemini import INLINE

_REDIRECTS: Final = frozenset({301, 302, 303, 307, 308})


def fetch(
    transport: Transport, name: str, output: str, credential: str
) -> AsyncGenerator[bytes, None]:
    """Return the raw results: a results file, or the whole operation of an inline job."""
    inline = output == INLINE
    url = (
        transport.url_of(name)
        if inline
        else transport.url_of(output, before="/download", suffix=":download?alt=media")
    )
    whole = _Download(transport, url, credential, resumable=not inline).blocks()
    return _shaped(whole, _SHAPES[inline])


# Where the first line of a results file, or the beginning of an operation, must show what it is.
_HEAD_BYTES: Final = 64 * 1024
# By whether it is an operation. A result has one of these members, an operation has any.
_SHAPES: Final = {
    False: re.compile(
        rb'\s*\{\s*".*"(?:key|response|error|metadata|status)"\s*:|'
        rb'\s*\{\s*"(?:key|response|error|metadata|status)"\s*:'
    ),
    True: re.compile(rb'\s*\{\s*"'),
}


async def _shaped(
    blocks: AsyncGenerator[bytes, None], shape: re.Pattern[bytes]
) -> AsyncGenerator[bytes, None]:
    """Yield the bytes if they begin as results do: a proxy's page or ``{}`` under 200 does not.

    Nothing at all passes: whether a job may have no results is not known here.
    """
    head = bytearray()
    async with aclosing(blocks):
        async for block in blocks:
            head += block
            if len(head) >= _HEAD_BYTES or b"\n" in head.lstrip():
                break
        if head:
            yield _checked(head, shape)
        async for block in blocks:
            yield block


def _checked(head: bytearray, shape: re.Pattern[bytes]) -> bytes:
    if shape.match(head) is None or _is_refusal(head):
        raise UpstreamUnavailableError("The upstream's answer is no results.", status=200)
    return bytes(head)


def _is_refusal(head: bytearray) -> bool:
    """Tell whether it is an error envelope under 200, as proxies make of a refusal (seen)."""
    try:
        body = orjson.loads(head)
    except orjson.JSONDecodeError:
        return False
    return isinstance(body, dict) and body.keys() == {"error"}


class _SlowError(UpstreamUnavailableError):
    """Refuses bytes that come too slowly."""


class _ChangedError(UpstreamUnavailableError):
    """Refuses bytes that do not continue those passed on already."""


class _Download:
    """One body over as many connections as it takes, of any length: what is paid for is fetched.

    Only the disk bounds it. (100 lines with log probabilities answer with 454 MB inline.)
    """

    def __init__(self, transport: Transport, url: str, credential: str, *, resumable: bool) -> None:
        self._transport = transport
        self._url = url
        self._credential = credential
        self._resumable = resumable
        self._passed = 0
        self._digest = hashlib.sha256()
        self._total: int | None = None
        self._ranges = True

    async def blocks(self) -> AsyncGenerator[bytes, None]:
        """Yield the body's bytes, each once."""
        failures = 0
        while True:
            before = self._passed
            try:
                async with aclosing(self._attempt()) as attempt:
                    async for block in attempt:
                        yield block
            except UpstreamUnavailableError as error:
                failures = 1 if self._passed > before else failures + 1
                if not self._may_go_on(error, failures):
                    raise
            else:
                return
            await self._transport.back_off(failures)

    def _may_go_on(self, error: UpstreamUnavailableError, failures: int) -> bool:
        if isinstance(error, _ChangedError | _SlowError) or not worth_a_quick_retry(error):
            return False
        # An operation is written anew for every GET, in any member order: no resuming there.
        resumable = self._resumable or self._passed == 0
        return resumable and failures < self._transport.options.download_attempts

    async def _attempt(self) -> AsyncGenerator[bytes, None]:
        with as_upstream_errors(Call.OTHER, self._transport.scrub):
            async with self._open() as response:
                if response.status_code == 416:
                    self._end_or_start_over()
                    return
                rest = _Rest(self._passed, self._digest) if response.status_code != 206 else None
                expected, received = self._expected(response), 0
                began = self._transport.clock.monotonic()
                async for block in response.aiter_raw():
                    received += len(block)
                    self._check_rate(received, self._transport.clock.monotonic() - began)
                    fresh = rest.after(block) if rest else block
                    if fresh:
                        self._note(fresh)
                        yield fresh
                if expected is not None and received != expected:
                    raise UpstreamUnavailableError("The upstream's answer was cut short.")
                if rest and rest.skip:
                    raise _ChangedError("The upstream's results have become shorter.")
                if self._total not in {None, self._passed}:
                    raise UpstreamUnavailableError("The upstream sent a part of what was left.")

    def _check_rate(self, received: int, seconds: float) -> None:
        """End a drip, as it holds one of a few slots for hours; it is asked for again later."""
        options = self._transport.options
        if seconds > options.stall_seconds and received < seconds * options.least_rate:
            raise _SlowError(f"The upstream sent {received} bytes in {seconds:.0f} s.")

    def _note(self, block: bytes) -> None:
        self._passed += len(block)
        self._digest.update(block)

    @asynccontextmanager
    async def _open(self) -> AsyncIterator[httpx.Response]:
        """Open the answer to read from, after at most one redirect on the upstream's own host."""
        async with self._get(self._url) as response:
            if not response.has_redirect_location:
                yield response
                return
            target = httpx.URL(self._url).join(response.headers["location"])
        async with self._get(str(target)) as response:
            yield response

    @asynccontextmanager
    async def _get(self, url: str) -> AsyncIterator[httpx.Response]:
        headers = {"Accept": "*/*"}
        if self._passed and self._ranges:
            headers["Range"] = f"bytes={self._passed}-"
        async with self._transport.stream(
            "GET", url, self._credential, headers=headers, accept=_REDIRECTS | {416}
        ) as response:
            yield response

    def _end_or_start_over(self) -> None:
        """Read a 416: either everything had come, or the range is not understood."""
        if self._passed != self._total:
            self._ranges = False
            raise UpstreamUnavailableError("The upstream refused to resume a download.")

    def _expected(self, response: httpx.Response) -> int | None:
        """Return Content-Length, None of a chunked body; refuse what could be cut unnoticed."""
        headers = response.headers
        if not response.is_success:
            raise UpstreamUnavailableError(
                "The upstream redirects a download to nowhere.", status=response.status_code
            )
        if headers.get("content-type", "").startswith("text/html"):
            raise UpstreamUnavailableError("The upstream answers with a page.", status=200)
        if headers.get("content-encoding", "identity") != "identity":
            raise UpstreamUnavailableError("The upstream encodes results without being asked.")
        if headers.get("transfer-encoding", "").lower() == "chunked":
            length = None
        elif headers.get("content-length", "").isdecimal():
            length = int(headers["content-length"])
        else:
            raise UpstreamUnavailableError("The upstream does not say how long the results are.")
        self._check_place(response, length)
        return length

    def _check_place(self, response: httpx.Response, length: int | None) -> None:
        """Check that a 206 begins where we are, and that a total stays what it was."""
        total = length
        if response.status_code == 206:
            start, _, total_text = response.headers.get("content-range", "").partition("/")
            total = int(total_text) if total_text.isdecimal() else None
            total = self._total if total is None else total
            if total is None or not start.startswith(f"bytes {self._passed}-"):
                self._ranges = False
                raise UpstreamUnavailableError("The upstream resumed a download elsewhere.")
        if not self._passed:
            self._total = None  # nothing to continue: whatever comes is the beginning
        if total is not None and self._total not in {None, total}:
            raise _ChangedError("The upstream's results have changed their length.")
        self._total = total or self._total


class _Rest:
    """Skips what was passed on already, and checks that it is the same."""

    def __init__(self, skip: int, digest: "hashlib._Hash") -> None:
        self.skip = skip
        self._expected = digest.digest()
        self._digest = hashlib.sha256()

    def after(self, block: bytes) -> bytes:
        """Return the part of ``block`` that is new."""
        if not self.skip:
            return block
        again = block[: self.skip]
        self._digest.update(again)
        self.skip -= len(again)
        if not self.skip and self._digest.digest() != self._expected:
            raise _ChangedError("The upstream's results have changed between two attempts.")
        return block[len(again) :]
