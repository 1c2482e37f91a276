"""Whose request this is.

Secrets are compared as SHA-256 digests, in constant time, against every configured one; a secret
is never looked up, logged or repeated.
"""

import hmac
import re
from collections.abc import Mapping
from typing import Final

from starlette.datastructures import Headers

from gateway.api.services import LOCAL_OWNER
from gateway.errors import AuthenticationError, RequestError
from gateway.ids import digest

# What can be sent to Google as a header, and no more.
_GOOGLE_KEY: Final = re.compile(r"[\x21-\x7e]{8,512}")


class MissingKeyError(RequestError):
    """No key at all: OpenAI's answer has no code then."""

    status = 401

    def __init__(self) -> None:
        super().__init__(
            "You didn't provide an API key. You need to provide your API key in an Authorization"
            " header using Bearer auth (i.e. Authorization: Bearer YOUR_KEY)."
        )


def owner_of_request(headers: Headers, credentials: Mapping[str, str] | None) -> str:
    """Find the owner of the request's key. Without ``credentials`` any key will do."""
    secret = _secret(headers)
    if not secret:
        raise MissingKeyError
    if credentials is None:
        return LOCAL_OWNER
    presented = digest(secret)
    owners = [
        owner for known, owner in credentials.items() if hmac.compare_digest(known, presented)
    ]
    if not owners:
        raise AuthenticationError("Incorrect API key provided.")
    return owners[0]


def key_of_client(headers: Headers) -> str:
    """Read a key for Google that a client presents as its own. Errors: AuthenticationError."""
    secret = _secret(headers)
    if not secret:
        raise MissingKeyError
    if not _GOOGLE_KEY.fullmatch(secret):
        raise AuthenticationError("Incorrect API key provided: this is no key for Gemini.")
    return secret


def _secret(headers: Headers) -> str:
    """Read ``Authorization: Bearer``, or the header of Azure's client, or of Google's."""
    scheme, _, secret = headers.get("authorization", "").partition(" ")
    if scheme.lower() == "bearer" and secret.strip():
        return secret.strip()
    return (headers.get("api-key", "") or headers.get("x-goog-api-key", "")).strip()
