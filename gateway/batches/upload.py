"""Uploads: files that arrive in parts, as stored: frozen records, replaced and never changed.

Times are integer milliseconds since the epoch, UTC.
"""

from dataclasses import dataclass
from enum import StrEnum


class UploadStatus(StrEnum):
    """OpenAI's words."""

    PENDING = "pending"
    COMPLETED = "completed"
    CANCELLED = "cancelled"
    EXPIRED = "expired"


@dataclass(frozen=True, slots=True)
class Part:
    """Bytes of an upload: one blob. Their place is told when the upload is completed."""

    id: str
    upload_id: str
    blob: str
    bytes: int
    sha256: str
    created_at: int


@dataclass(frozen=True, slots=True)
class Upload:
    """A file that is to have ``bytes``; so far it has ``parts`` with ``received`` bytes.

    ``expires_after`` is the life of the file in seconds, None: as its purpose has it.
    """

    id: str
    owner: str
    purpose: str
    filename: str
    bytes: int
    mime_type: str
    expires_after: int | None
    created_at: int
    expires_at: int
    status: UploadStatus = UploadStatus.PENDING
    file_id: str | None = None
    parts: int = 0
    received: int = 0

    def status_at(self, now: int) -> UploadStatus:
        """Return its status: an hour ends by itself, before a sweep has written it down."""
        if self.status is UploadStatus.PENDING and self.expires_at <= now:
            return UploadStatus.EXPIRED
        return self.status
