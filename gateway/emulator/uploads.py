"""Resumable uploads: sessions and the bytes that have come, on disk.

The protocol is Google's (recorded 2026-08-19 for start and ``upload, finalize``; ``query`` and
``cancel`` as its documentation of other services has them). What had come of a chunk when its
connection broke is kept in whole pieces of 256 KiB, so a client must ask before it goes on.
"""

from dataclasses import dataclass, field
from pathlib import Path

from gateway.emulator.errors import ApiError, JsonObject, invalid
from gateway.emulator.faults import FaultBook
from gateway.emulator.files import MAX_DISPLAY_NAME, StoredFile
from gateway.emulator.identity import new_id, new_upload_id
from gateway.emulator.projects import Project

KEPT_PIECE = 256 * 1024
DEFAULT_MIME = "application/octet-stream"


@dataclass
class Upload:
    """One session; ``status`` is active, final or cancelled."""

    id: str
    path: Path
    file_id: str
    display_name: str
    mime_type: str
    declared: int | None
    """Size the start call spoke of, if it did."""
    project: Project
    """Whose file it will be: of the key that started."""
    received: int = 0
    status: str = "active"
    file: StoredFile | None = None
    book: FaultBook = field(default_factory=FaultBook)
    """Faults that the first line of the file asks for."""

    def write(self, offset: int, data: bytes) -> None:
        """Put ``data`` at ``offset``."""
        with self.path.open("r+b") as stream:
            stream.seek(offset)
            stream.write(data)

    def keep(self, received: int) -> None:
        """A whole chunk has come: ``received`` bytes altogether."""
        self.received = received

    def keep_pieces(self, offset: int, came: int) -> None:
        """A chunk at ``offset`` broke off after ``came`` bytes: keep its whole pieces."""
        self.received = offset + came - came % KEPT_PIECE
        with self.path.open("r+b") as stream:
            stream.truncate(self.received)

    def check(self, offset: int, length: int, *, final: bool, granularity: int) -> None:
        """Raise ApiError 400 for a chunk that may not be sent now."""
        if self.status != "active":
            raise invalid(f"Upload has already been {self.status}.")
        if offset != self.received:
            raise invalid(f"Invalid offset {offset}: {self.received} bytes have been received.")
        if not final and length % granularity:
            raise invalid(
                f"Chunk of {length} bytes is not a multiple of the granularity {granularity}.",
            )
        end = offset + length
        if self.declared is not None and (end > self.declared or (final and end != self.declared)):
            raise invalid(f"Upload of {end} bytes does not match the announced {self.declared}.")


class Uploads:
    """The sessions of one emulator."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._uploads: dict[str, Upload] = {}

    def start(self, project: Project, metadata: JsonObject, mime: str, size: int | None) -> Upload:
        """Open a session for a file described by ``metadata`` (a File message).

        Raises ApiError: a name that is wrong or taken, too many bytes.
        """
        if len(metadata.get("displayName", "")) > MAX_DISPLAY_NAME:
            raise invalid(
                f"* CreateFileRequest.file.display_name: at most {MAX_DISPLAY_NAME} characters.\n",
            )
        project.files.check_room(size or 0)
        file_id = project.files.check_name(metadata.get("name", ""))
        path = self._directory / f"upload-{new_id(16)}"
        path.touch()
        found = Upload(
            new_upload_id(),
            path,
            file_id,
            metadata.get("displayName", ""),
            mime or metadata.get("mimeType") or DEFAULT_MIME,
            size,
            project,
        )
        self._uploads[found.id] = found
        return found

    def get(self, upload_id: str) -> Upload:
        """An open or finished session; raises ApiError 404."""
        found = self._uploads.get(upload_id)
        if found is None:
            raise ApiError(404, "Upload not found.")
        return found

    def cancel(self, upload: Upload) -> None:
        """Forget the bytes; the session stays known as cancelled."""
        if upload.status == "active":
            upload.status = "cancelled"
            upload.path.unlink(missing_ok=True)
