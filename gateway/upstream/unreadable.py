"""Answers with a status of success that cannot be read: what is known of one, never its content."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import httpx

from gateway.errors import UpstreamUnreadableError

# Headers have been recorded that echoed the caller's key, so nothing but a plain type is shown.
_MEDIA_TYPE: Final = re.compile(
    r"(?:application|audio|font|image|message|model|multipart|text|video)/[a-z0-9.+-]{1,40}"
)
# What a body dies of that has begun. A clock that runs out is no such thing: more may have come.
_CUT: Final = (httpx.RemoteProtocolError, httpx.ReadError)


class BrokenOffError(UpstreamUnreadableError):
    """The connection was lost within the answer."""


def unreadable(why: str, response: httpx.Response | None, size: int) -> UpstreamUnreadableError:
    """Return the error of an answer of so many bytes; ``why`` as ``is not JSON``.

    Of some calls the body alone is known by then, and that it was a success.
    """
    head = "" if response is None else f"{_head(response)}, "
    status = 200 if response is None else response.status_code
    return UpstreamUnreadableError(_sentence(f"it {why}", f"{head}{size} bytes"), status=status)


class Received:
    """Bytes that have come of an answer's body."""

    def __init__(self, response: httpx.Response) -> None:
        self.response = response
        self.size = 0

    def unreadable(self, why: str) -> UpstreamUnreadableError:
        """Return the error of what has come; ``why`` as ``is not JSON``."""
        return unreadable(why, self.response, self.size)

    @contextmanager
    def to_the_end(self) -> Iterator[None]:
        """Tell an answer that is cut from none. Errors: BrokenOffError."""
        try:
            yield
        except _CUT as error:
            declared = self.response.headers.get("content-length", "")
            of_all = f" of {declared}" if re.fullmatch(r"[0-9]{1,12}", declared) else ""
            raise BrokenOffError(
                _sentence(f"it broke off after {self.size}{of_all} bytes", _head(self.response)),
                status=self.response.status_code,
            ) from error


def _sentence(why: str, known: str) -> str:
    return f"Google's answer cannot be read: {why} ({known})."


def _head(response: httpx.Response) -> str:
    told = response.headers.get("content-type", "").partition(";")[0].strip().lower()
    if not told:
        kind = "no content type"
    else:
        kind = told if _MEDIA_TYPE.fullmatch(told) else "a strange content type"
    return f"status {response.status_code}, {kind}"
