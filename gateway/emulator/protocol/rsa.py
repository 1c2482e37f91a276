"""RS256 by hand: a key of this process, its public half as a JWK, signatures.

Good enough to stand in for Google's key in tests, and for nothing else: the arithmetic is not
constant in time. (The standard library has no RSA, and an emulator is no reason for a dependency.)
"""

import base64
import math
import secrets
from dataclasses import dataclass
from functools import cache
from hashlib import sha256
from typing import Final

import orjson

from gateway.emulator.protocol.errors import JsonObject

BITS: Final = 2048
EXPONENT: Final = 65537
# Miller-Rabin rounds; each lets a composite through one time in four at most.
ROUNDS: Final = 20
# DigestInfo of SHA-256 (RFC 8017, 9.2).
_SHA256_PREFIX: Final = bytes.fromhex("3031300d060960864801650304020105000420")
_SMALL_PRIMES: Final = [3, *(n for n in range(5, 2000, 2) if all(n % d for d in range(3, n, 2)))]


@dataclass(frozen=True)
class Key:
    """A private key; ``kid`` names its public half."""

    modulus: int
    private: int

    @property
    def kid(self) -> str:
        """Ten characters that tell this key from others."""
        return sha256(str(self.modulus).encode()).hexdigest()[:10]

    def jwk(self) -> JsonObject:
        """Return the public half, as in a key set."""
        return {
            "kty": "RSA",
            "use": "sig",
            "alg": "RS256",
            "kid": self.kid,
            "n": encode(self.modulus.to_bytes(BITS // 8)),
            "e": encode(EXPONENT.to_bytes(3)),
        }

    def sign(self, message: bytes) -> bytes:
        """RSASSA-PKCS1-v1_5 with SHA-256."""
        digest = _SHA256_PREFIX + sha256(message).digest()
        padding = b"\xff" * (BITS // 8 - len(digest) - 3)
        block = int.from_bytes(b"\x00\x01" + padding + b"\x00" + digest)
        return pow(block, self.private, self.modulus).to_bytes(BITS // 8)

    def jwt(self, claims: JsonObject) -> str:
        """Return a signed token."""
        header = {"alg": "RS256", "typ": "JWT", "kid": self.kid}
        text = f"{encode(orjson.dumps(header))}.{encode(orjson.dumps(claims))}"
        return f"{text}.{encode(self.sign(text.encode()))}"


def encode(data: bytes) -> str:
    """Base64url without padding."""
    return base64.urlsafe_b64encode(data).rstrip(b"=").decode()


@cache
def process_key() -> Key:
    """Return the key of this process; made on first use, which takes a second or so."""
    while True:
        first, second = _prime(BITS // 2), _prime(BITS // 2)
        order = math.lcm(first - 1, second - 1)
        if first != second and math.gcd(EXPONENT, order) == 1:
            return Key(first * second, pow(EXPONENT, -1, order))


def _prime(bits: int) -> int:
    while True:
        candidate = secrets.randbits(bits) | (3 << (bits - 2)) | 1
        if all(candidate % prime for prime in _SMALL_PRIMES) and _is_prime(candidate):
            return candidate


def _is_prime(number: int) -> bool:
    """Miller-Rabin."""
    odd, twos = number - 1, 0
    while odd % 2 == 0:
        odd //= 2
        twos += 1
    return all(_passes(number, odd, twos) for _ in range(ROUNDS))


def _passes(number: int, odd: int, twos: int) -> bool:
    power = pow(2 + secrets.randbelow(number - 3), odd, number)
    if power in {1, number - 1}:
        return True
    for _ in range(twos - 1):
        power = power * power % number
        if power == number - 1:
            return True
    return False
