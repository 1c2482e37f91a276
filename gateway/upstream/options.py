"""Options of the Gemini client: its keys, and every limit and timeout by name."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

import httpx

from gateway.errors import SettingsError
from gateway.units import KIB, MIB
from gateway.wire.gemini import GOOGLE_BASE_URL

HOUR_MS: Final = 3_600_000

# Bodies. A finished inline embedding job answers about 48 KB per item on every plain GET.
JSON_BYTES: Final = 64 * MIB
ERROR_BYTES: Final = 64 * KIB

# Sub-blocks of a chunk: httpx given 8 MiB as one body holds 240 MB (measured). As large as the
# blocks that files are read in, which then are sent as they are.
BLOCK_BYTES: Final = MIB

# Listings: a page of jobs (100 works, recorded), of models (1,000 is the maximum, discovery).
JOBS_PER_PAGE: Final = 100
# For a listing that ended with a full page: no number of jobs below 5,100 fills the last page of
# both sizes.
OTHER_JOBS_PER_PAGE: Final = 51
MODELS_PER_PAGE: Final = 1000
MAX_PAGES: Final = 1000

# Above this an upstream's own hint is not believed: a full file store answers a RetryInfo of
# 2^63-1 seconds (python-genai#1172).
MAX_RETRY_AFTER: Final = 3600.0

# A file lives for 48 h (guide, recorded); create must come well before its end.
FILE_LIFE_MS: Final = 48 * HOUR_MS
FILE_MARGIN_MS: Final = HOUR_MS


def check_keys(keys: Mapping[str, str]) -> None:
    """Refuse a key that no header can carry. Errors: SettingsError."""
    for name, key in keys.items():
        if not (key.isascii() and key.isprintable() and key.strip() == key and key):
            raise SettingsError(f"the Gemini key {name!r} is empty or not plain ASCII")


@dataclass(frozen=True, slots=True)
class GeminiOptions:
    """Where the upstream is, with which keys, and how patient to be. Seconds, bytes, counts.

    ``credentials`` may change while it is used: a key is looked up for each call.
    ``trust_env`` takes proxies and extra certificate authorities from the usual variables
    (``HTTPS_PROXY``, ``NO_PROXY``, ``SSL_CERT_FILE``), which containers often need; a loopback
    upstream is never reached through a proxy.
    """

    credentials: Mapping[str, str] = field(repr=False)
    base_url: str = GOOGLE_BASE_URL
    api_version: str = "v1beta"
    trust_env: bool = True
    connect_seconds: float = 10.0
    stall_seconds: float = 60.0  # without a byte, in either direction
    least_rate: float = 4096.0  # bytes a second of a download that lasts longer than a stall may
    call_seconds: float = 90.0  # one small call, all in all
    aside_seconds: float = 5.0  # the same, for what is a nicety: lists of models
    chunk_seconds: float = 300.0  # one chunk of an upload, the answer included
    chunk_bytes: int = 8 * MIB
    chunk_attempts: int = 8  # in a row without progress
    session_attempts: int = 3  # whole uploads
    download_attempts: int = 8  # in a row without progress
    call_attempts: int = 3
    retry_min_seconds: float = 0.5
    retry_max_seconds: float = 8.0

    def __post_init__(self) -> None:
        """Refuse what would fail later, and differently, inside a header or a URL."""
        try:
            url = httpx.URL(self.base_url)
        except httpx.InvalidURL as error:
            raise SettingsError("the Gemini base URL is no URL") from error
        if url.scheme not in {"http", "https"} or not url.host:
            raise SettingsError("the Gemini base URL must begin with https:// or http://")
        if url.userinfo or url.query or url.fragment:
            raise SettingsError("the Gemini base URL must be a host and perhaps a path, no more")
        check_keys(self.credentials)

    @property
    def root(self) -> str:
        """The base URL without a trailing slash."""
        return self.base_url.rstrip("/")
