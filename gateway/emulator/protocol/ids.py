"""Names as Google makes them: random, of recorded length and alphabet."""

import base64
import secrets
from typing import Final

ALPHABET: Final = "abcdefghijklmnopqrstuvwxyz0123456789"
# ``batches/31u18uq6dr4ods3957z38i1mbfa581k01xcq`` (recorded 2026-08-19).
BATCH_LENGTH: Final = 36
# ``files/mwp1gi5it47f`` (recorded 2026-08-19).
FILE_LENGTH: Final = 12


def new_id(length: int) -> str:
    """Random lowercase letters and digits."""
    return "".join(secrets.choice(ALPHABET) for _ in range(length))


def new_upload_id() -> str:
    """Make a long URL-safe token: it is the permission to upload."""
    return "AJ" + base64.urlsafe_b64encode(secrets.token_bytes(84)).decode().rstrip("=")
