"""The forms of ids, and digests.

Random ids are opaque: at least 128 bits (the job's 60 bits are no secret, they only need to be
unique), nothing of the upstream or the owner inside, always looked up together with the owner.
"""

import base64
import hashlib
import re
import secrets
from functools import lru_cache
from typing import Any, Final

_BASE62: Final = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
_BASE32: Final = "abcdefghijklmnopqrstuvwxyz234567"

FILE_ID: Final = re.compile(r"file-[0-9A-Za-z]{24}")


def _pick(alphabet: str, count: int) -> str:
    """Draw all characters at once: a call of the system for each took longer than the rest."""
    number, picked = secrets.randbelow(len(alphabet) ** count), []
    for _ in range(count):
        number, digit = divmod(number, len(alphabet))
        picked.append(alphabet[digit])
    return "".join(picked)


def new_file_id() -> str:
    """``file-`` and 24 base62 characters, as OpenAI's (142 bits)."""
    return f"file-{_pick(_BASE62, 24)}"


def new_batch_id() -> str:
    """``batch_`` and 32 hex digits."""
    return f"batch_{secrets.token_hex(16)}"


def new_upload_id() -> str:
    """``upload_`` and 32 hex digits."""
    return f"upload_{secrets.token_hex(16)}"


def new_part_id() -> str:
    """``part_`` and 32 hex digits."""
    return f"part_{secrets.token_hex(16)}"


def new_job_id() -> str:
    """Make twelve base32 characters: short, because the upstream's display name holds it."""
    return _pick(_BASE32, 12)


def new_staged_id() -> str:
    """Make one as a job's: the display name of a file at the upstream holds it."""
    return _pick(_BASE32, 12)


def new_gateway_id() -> str:
    """Made once per store; the first part of every display name."""
    return f"gw{_pick(_BASE32, 8)}"


def new_blob_name() -> str:
    """Make a fresh name under which bytes are written once."""
    return secrets.token_hex(16)


def new_blob_names(count: int) -> list[str]:
    """Make names that lie in one folder: several that are written together sync it once."""
    folder = secrets.token_hex(1)
    return [folder + secrets.token_hex(15) for _ in range(count)]


# What the names of blobs begin with whose bytes are in the records.
RECORDED: Final = "rec_"


def new_recorded_names(count: int) -> list[str]:
    """Make names of blobs that one save brings into the records.

    They lie next to each other in an index, and far from those of other saves. PostgreSQL locks
    the page that a save looks up what it has inserted on: with names that began with the time, all
    on the last page, each of 720 saves of three replicas was carried out three times.
    """
    together = RECORDED + secrets.token_hex(4)
    return [together + secrets.token_hex(14) for _ in range(count)]


def new_recorded_name() -> str:
    """Make the name of a blob that is kept in the records."""
    return new_recorded_names(1)[0]


def is_recorded(name: str) -> bool:
    """Whether the bytes of a blob of that name are in the records."""
    return name.startswith(RECORDED)


def new_webhook_endpoint_id() -> str:
    """``we_`` and 32 hex digits."""
    return f"we_{secrets.token_hex(16)}"


def new_webhook_secret() -> str:
    """``whsec_`` and base64, as Standard Webhooks writes a key, of 256 bits."""
    return f"whsec_{base64.b64encode(secrets.token_bytes(32)).decode()}"


def event_id(batch_id: str, kind: str) -> str:
    """``evt_`` and 32 hex digits: the same for one event about a batch, for ever."""
    return f"evt_{digest('event', batch_id, kind)[:32]}"


def new_request_id() -> str:
    """For ``x-request-id``."""
    return f"req_{secrets.token_hex(16)}"


def new_answer_id() -> str:
    """For the parts of an answer that Gemini gives no id; never shown itself."""
    return secrets.token_hex(16)


def jitter() -> float:
    """Draw a fraction in [0, 1) for spreading retries."""
    return secrets.randbelow(1 << 20) / (1 << 20)


def digest(*parts: str | int) -> str:
    """64 hex digits over the parts, with a separator no part can contain."""
    return hashlib.sha256("\x00".join(map(str, parts)).encode()).hexdigest()


def line_ids(batch_id: str, line: int) -> tuple[str, str]:
    """``id`` and ``request_id`` of an output line: the same for batch and line, for ever."""
    both = line_digest(batch_id, line)
    return f"batch_req_{both[:32]}", both[32:]


def line_digest(batch_id: str, line: int) -> str:
    """Make the 64 hex digits that both ids of an output line are the halves of."""
    found = _begun_digest(batch_id).copy()
    found.update(b"%d" % line)
    digits: str = found.hexdigest()
    return digits


@lru_cache(16)
def _begun_digest(batch_id: str) -> Any:  # noqa: ANN401 - hashlib names no type
    """Begin the digest of a batch's lines, as :func:`digest` does: it is made for every line."""
    return hashlib.sha256(f"line\x00{batch_id}\x00".encode())


def owner_of(secret: str) -> str:
    """Name the owner of a nameless credential: a digest, never the secret."""
    return f"key-{digest('owner', secret)[:24]}"
