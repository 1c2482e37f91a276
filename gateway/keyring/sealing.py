"""Sealing of clients' keys: AES-256-GCM under a key that is derived from the setting's.

What is written down tells neither the key nor, without the setting, whose it is.
"""

import base64
import binascii
import hashlib
import hmac
import secrets
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

_NONCE_BYTES: Final = 12
_OWNER_CHARACTERS: Final = 32


class UnsealableError(Exception):
    """Sealed under another key, or damaged."""


class Seals:
    """Names owners, and seals their keys. ``master`` has 32 bytes."""

    def __init__(self, master: bytes) -> None:
        self._names = _derived(master, "owner")
        self._cipher = AESGCM(_derived(master, "seal"))

    def owner_of(self, secret: str) -> str:
        """Name the owner of a key: the same for ever, and of no use without the setting."""
        named = hmac.new(self._names, secret.encode(), hashlib.sha256).hexdigest()
        return f"google-{named[:_OWNER_CHARACTERS]}"

    def seal(self, owner: str, secret: str) -> str:
        """Encrypt a key for its owner's row alone."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        sealed = self._cipher.encrypt(nonce, secret.encode(), owner.encode())
        return base64.b64encode(nonce + sealed).decode()

    def unseal(self, owner: str, sealed: str) -> str:
        """Decrypt a key. Errors: UnsealableError."""
        try:
            both = base64.b64decode(sealed, validate=True)
            nonce, text = both[:_NONCE_BYTES], both[_NONCE_BYTES:]
            return self._cipher.decrypt(nonce, text, owner.encode()).decode()
        except (InvalidTag, binascii.Error, ValueError) as error:
            raise UnsealableError from error


def _derived(master: bytes, purpose: str) -> bytes:
    """Derive a key of its own for each purpose, as HKDF-Expand does with one block (RFC 5869)."""
    return hmac.new(master, f"gateway {purpose}\x01".encode(), hashlib.sha256).digest()
