"""Files of a project: uploads and results on disk, gone after 48 hours; registered objects."""

import base64
import itertools
import mimetypes
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from gateway.emulator.options import EmulatorOptions
from gateway.emulator.protocol.clock import SECOND, EmulatorClock, stamp
from gateway.emulator.protocol.errors import ApiError, JsonObject, file_gone, invalid
from gateway.emulator.protocol.ids import FILE_LENGTH, new_id
from gateway.emulator.resources.models import keyed_page

MAX_ID: Final = 40
MAX_DISPLAY_NAME: Final = 512
# How long a registered object can be used (ai.google.dev, "Files").
REGISTERED_SECONDS: Final = 30 * 24 * 3600.0
DEFAULT_PAGE: Final = 10
MAX_PAGE: Final = 100
_ID: Final = re.compile(r"[a-z0-9]([a-z0-9-]*[a-z0-9])?")
_BLOCK: Final = 1 << 20
_NUMBERS: Final = itertools.count(1)


@dataclass
class StoredFile:
    """One file resource and its bytes."""

    id: str
    path: Path
    display_name: str
    mime_type: str
    size: int
    # Hex digest.
    sha256: str
    lines: int
    # UPLOADED, GENERATED or REGISTERED.
    source: str
    created_ns: int
    expires_ns: int
    # From when on it is ACTIVE.
    active_ns: int = 0
    failed: bool = False
    # Of a registered object.
    gs_uri: str = ""
    # Later files have greater ones.
    number: int = field(default_factory=_NUMBERS.__next__)

    def wire(self, now_ns: int, base_url: str, version: str) -> JsonObject:
        """Return the File resource: sha256Hash is base64 of the hex text (recorded 2026-08-19)."""
        found: JsonObject = {"name": f"files/{self.id}"}
        if self.display_name:
            found["displayName"] = self.display_name
        found |= {
            "mimeType": self.mime_type,
            **({"sizeBytes": str(self.size)} if self.size else {}),
            "createTime": stamp(self.created_ns, 6),
            "updateTime": stamp(self.created_ns, 6),
            "expirationTime": stamp(self.expires_ns),
            **({"sha256Hash": _hash_text(self.sha256)} if self.sha256 else {}),
            "uri": self.gs_uri or f"{base_url}/{version}/files/{self.id}",
            "state": self.state(now_ns),
            "source": self.source,
        }
        if self.mime_type.startswith("video/") and self.state(now_ns) == "ACTIVE":
            found["videoMetadata"] = {"videoDuration": "1s"}
        if self.failed:
            found["error"] = {"code": 13, "message": "The file could not be processed."}
        return found

    def state(self, now_ns: int) -> str:
        """Return PROCESSING, ACTIVE or FAILED."""
        if now_ns < self.active_ns:
            return "PROCESSING"
        return "FAILED" if self.failed else "ACTIVE"


def _hash_text(digest: str) -> str:
    return base64.b64encode(digest.encode()).decode()


def guess_type(uri: str) -> str:
    """Return the MIME type that the end of a name tells."""
    return mimetypes.guess_type(uri)[0] or "application/octet-stream"


@dataclass(frozen=True)
class Digest:
    """Size and digest of a file's bytes."""

    size: int
    sha256: str
    lines: int


def digest_file(path: Path) -> Digest:
    """Read a file once; seconds for gigabytes, so never on the event loop."""
    hasher, size, lines, last = sha256(), 0, 0, b"\n"
    with path.open("rb") as stream:
        while block := stream.read(_BLOCK):
            hasher.update(block)
            size += len(block)
            lines += block.count(b"\n")
            last = block[-1:]
    return Digest(size, hasher.hexdigest(), lines + (last != b"\n"))


class Files:
    """The files of one project; ids of results are ``batch-<36>``. Results come from threads."""

    def __init__(self, options: EmulatorOptions, clock: EmulatorClock, directory: Path) -> None:
        self._options = options
        self._clock = clock
        self._directory = directory
        self._files: dict[str, StoredFile] = {}
        self._stored = 0
        """Bytes of all uploads (the limit is 20 GB a project); results cost nothing."""
        self.open_bytes = 0
        """Bytes of uploads that are not files yet."""

    def sweep(self) -> None:
        """Remove what has ended, so that a long life fills no disk."""
        now = self._clock.now_ns()
        for file in [one for one in list(self._files.values()) if now >= one.expires_ns]:
            self.delete(file)

    def check_room(self, size: int) -> None:
        """Raise ApiError unless a file of ``size`` bytes may come."""
        self.check_size(size)
        self.sweep()
        self.check_growth(size)

    def check_growth(self, size: int) -> None:
        """Raise ApiError unless ``size`` bytes more fit into what a project may store."""
        if self._stored + self.open_bytes + size > self._options.max_storage_bytes:
            raise ApiError(
                429,
                f"File storage quota of {self._options.max_storage_bytes} bytes is exhausted.",
            )

    def check_size(self, size: int) -> None:
        """Raise ApiError for more bytes than a file may have."""
        if size > self._options.max_file_bytes:
            raise invalid(f"Media is too large. Limit: {self._options.max_file_bytes} bytes.")

    def check_name(self, asked: str) -> str:
        """Return the id of a new file: the asked one if allowed and free, else a random one."""
        if not asked:
            return new_id(FILE_LENGTH)
        file_id = asked.removeprefix("files/")
        if len(file_id) > MAX_ID or not _ID.fullmatch(file_id):
            raise invalid(
                "* CreateFileRequest.file.name: File ID must be at most 40 characters of lowercase "
                "letters, digits or dashes, and not begin or end with a dash.\n",
            )
        self._check_free(file_id)
        return file_id

    def _check_free(self, file_id: str) -> None:
        self.sweep()
        if file_id in self._files:
            raise ApiError(409, f"File {file_id} already exists.", status="ALREADY_EXISTS")

    def add(
        self,
        file_id: str,
        path: Path,
        digest: Digest,
        *,
        display_name: str,
        mime_type: str,
        source: str,
        born_ns: int = 0,
    ) -> StoredFile:
        """Take over the finished bytes at ``path``; ``source`` is UPLOADED or GENERATED.

        Its 48 hours begin now, or at ``born_ns`` if that is later. Raises ApiError 409 for an
        upload whose name was free when it began and is no longer.
        """
        if source == "UPLOADED":
            self._check_free(file_id)
            self._stored += digest.size
        now = max(self._clock.now_ns(), born_ns)
        found = StoredFile(
            file_id,
            path,
            display_name,
            mime_type,
            digest.size,
            digest.sha256,
            digest.lines,
            source,
            now,
            now + int(self._options.file_seconds * SECOND),
        )
        if mime_type.startswith("video/"):
            found.active_ns = now + int(self._options.video_seconds * SECOND)
        self._files[file_id] = found
        return found

    def get(self, file_id: str) -> StoredFile:
        """Return a living file; raises ApiError 403 as for files of others."""
        found = self._files.get(file_id)
        if found is None:
            raise file_gone(file_id)
        if self._clock.now_ns() >= found.expires_ns:
            raise file_gone(file_id)
        return found

    def register(self, uri: str, mime_type: str) -> StoredFile:
        """Make an object of Cloud Storage a file; nothing is fetched."""
        now = self._clock.now_ns()
        ends = now + int(REGISTERED_SECONDS * SECOND)
        found = StoredFile(
            new_id(FILE_LENGTH),
            self._directory / "nothing",
            uri.rpartition("/")[2],
            mime_type,
            0,
            "",
            0,
            "REGISTERED",
            now,
            ends,
            gs_uri=uri,
        )
        self._files[found.id] = found
        return found

    def is_registered(self, uri: str) -> bool:
        """Whether an object was registered and is still."""
        now = self._clock.now_ns()
        return any(
            file.gs_uri == uri and now < file.expires_ns for file in list(self._files.values())
        )

    def usable(self, file_id: str) -> StoredFile:
        """Return a file that a job may read; raises ApiError 403, or 400 while it is not ACTIVE."""
        found = self.get(file_id)
        if found.state(self._clock.now_ns()) != "ACTIVE":
            text = f"The File {file_id} is not in an ACTIVE state and usage is not allowed."
            raise ApiError(400, text, status="FAILED_PRECONDITION")
        return found

    def resource(self, file_id: str, method: str) -> StoredFile:
        """Return a file for get and delete, which refuse results (go-genai#436, js-genai#1227)."""
        if len(file_id) > MAX_ID:
            raise invalid(
                f"* {method}FileRequest.name: File ID (name excluding 'files/') cannot be more "
                "than 40 characters.\n",
            )
        return self.get(file_id)

    def delete(self, file: StoredFile) -> None:
        """Remove a file and its bytes."""
        if self._files.pop(file.id, None) is not None and file.source == "UPLOADED":
            self._stored -= file.size
        file.path.unlink(missing_ok=True)

    def link(self, file: StoredFile) -> Path:
        """Return a second name of a file's bytes for a job, which outlives the file."""
        path = self._directory / f"input-{new_id(16)}"
        os.link(file.path, path)
        return path

    def page(self, query: Mapping[str, str], base_url: str, version: str) -> JsonObject:
        """``{"files": [...], "nextPageToken"}``, newest first, uploads only."""
        now = self._clock.now_ns()
        living = [
            file
            for file in reversed(list(self._files.values()))
            if file.source != "GENERATED" and now < file.expires_ns
        ]
        shown, token = keyed_page(
            living, query, default=DEFAULT_PAGE, most=MAX_PAGE, newest_first=True
        )
        answer: JsonObject = {}
        if shown:
            answer["files"] = [file.wire(now, base_url, version) for file in shown]
        return answer | ({"nextPageToken": token} if token else {})
