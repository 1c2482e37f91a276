"""Resumable uploads: sessions and the bytes that have come, on disk.

The protocol is Google's (recorded 2026-08-19 for start and ``upload, finalize``; ``query`` and
``cancel`` as its documentation of other services has them). What had come of a chunk when its
connection broke is kept in whole pieces of 256 KiB, so a client must ask before it goes on.
"""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from gateway.emulator.faults.book import FaultBook
from gateway.emulator.protocol.clock import SECOND, EmulatorClock
from gateway.emulator.protocol.errors import ApiError, JsonObject, invalid
from gateway.emulator.protocol.ids import new_id, new_upload_id
from gateway.emulator.resources.files import MAX_DISPLAY_NAME
from gateway.emulator.state.projects import Project

KEPT_PIECE: Final = 256 * 1024
# A resumable session lives a week (cloud.google.com/storage/docs/resumable-uploads).
SESSION_SECONDS: Final = 7 * 24 * 3600.0
DEFAULT_MIME: Final = "application/octet-stream"


@dataclass
class Upload:
    """One session; ``status`` is active, final or cancelled."""

    id: str
    path: Path
    file_id: str
    display_name: str
    mime_type: str
    # Size the start call spoke of, if it did.
    declared: int | None
    # Whose file it will be: of the key that started.
    project: Project
    started_ns: int
    received: int = 0
    # Bytes on disk, those of a chunk under way too.
    held: int = 0
    status: str = "active"
    # Faults that the first line of the file asks for.
    book: FaultBook = field(default_factory=FaultBook)

    def write(self, offset: int, data: bytes) -> None:
        """Put ``data`` at ``offset``."""
        self.project.files.check_growth(offset + len(data) - self.held)
        with self.path.open("r+b") as stream:
            stream.seek(offset)
            stream.write(data)
        self._hold(offset + len(data))

    def keep(self, received: int) -> None:
        """Keep a whole chunk: ``received`` bytes altogether."""
        self.received = received

    def keep_pieces(self, offset: int, came: int) -> None:
        """Keep the whole pieces of a chunk at ``offset`` that broke off after ``came`` bytes."""
        self.received = offset + came - came % KEPT_PIECE
        self.keep_none()

    def keep_none(self) -> None:
        """Remove what came of a refused chunk."""
        if self.status == "active":
            with self.path.open("r+b") as stream:
                stream.truncate(self.received)
            self._hold(self.received)

    def _hold(self, size: int) -> None:
        self.project.files.open_bytes += size - self.held
        self.held = size

    def end(self, status: str) -> None:
        """End the session: its bytes are a file's now, or gone."""
        self.status = status
        self._hold(0)

    def check_start(self, offset: int) -> None:
        """Raise ApiError 400 for a chunk that may not begin now and there."""
        if self.status != "active":
            raise invalid(f"Upload has already been {self.status}.")
        if offset != self.received:
            raise invalid(f"Invalid offset {offset}: {self.received} bytes have been received.")

    def check(self, offset: int, length: int, *, final: bool, granularity: int) -> None:
        """Raise ApiError 400 for a chunk that may not be sent now."""
        self.check_start(offset)
        if not final and length % granularity:
            raise invalid(
                f"Chunk of {length} bytes is not a multiple of the granularity {granularity}.",
            )
        end = offset + length
        if self.declared is not None and (end > self.declared or (final and end != self.declared)):
            raise invalid(f"Upload of {end} bytes does not match the announced {self.declared}.")


class Uploads:
    """The sessions of one emulator."""

    def __init__(self, directory: Path, clock: EmulatorClock) -> None:
        self._directory = directory
        self._clock = clock
        self._uploads: dict[str, Upload] = {}

    def start(self, project: Project, metadata: JsonObject, mime: str, size: int | None) -> Upload:
        """Open a session for a file described by ``metadata`` (a File message).

        Raises ApiError: a name that is wrong or taken, too many bytes.
        """
        if len(metadata.get("displayName", "")) > MAX_DISPLAY_NAME:
            raise invalid(
                f"* CreateFileRequest.file.display_name: at most {MAX_DISPLAY_NAME} characters.\n",
            )
        self._sweep()
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
            self._clock.now_ns(),
        )
        self._uploads[found.id] = found
        return found

    def get(self, upload_id: str) -> Upload:
        """Return an open or finished session; raises ApiError 404."""
        found = self._uploads.get(upload_id)
        if found is None:
            raise ApiError(404, "Upload not found.")
        return found

    def cancel(self, upload: Upload) -> None:
        """Forget the bytes; the session stays known as cancelled."""
        if upload.status == "active":
            upload.end("cancelled")
            upload.path.unlink(missing_ok=True)

    def _sweep(self) -> None:
        """Forget sessions that are too old to go on."""
        oldest = self._clock.now_ns() - int(SESSION_SECONDS * SECOND)
        for upload in list(self._uploads.values()):
            if upload.started_ns > oldest:
                return
            self.cancel(upload)
            del self._uploads[upload.id]
