"""Uploaded files that lines name, and their copies at the upstream.

A copy (:class:`StagedFile`) belongs to a content, not to a file or a job: it is made once for each
sha256, media type and credential, shared by every job whose spool names such a file, and removed
once no such job is left. Its row has steps of its own, as a job has.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Final

from gateway.batches.job import Failure
from gateway.batches.lifecycle import Act

HOUR: Final = 3_600_000  # ms

# How long after the end of its batch's window a copy must still be there: the last job is told to
# end at that moment, and goes on for a while.
MARGIN: Final = HOUR

# Where no copy lives that long, one is fresh enough for a job to be sent while no more than this
# share of its life has passed (8 of 48 hours).
FRESH_SHARE: Final = 6


class StagedState(StrEnum):
    """The state of one copy.

    wanted    a job needs this content; nothing is at the upstream. Next: upload. A crash in the
              middle: uploaded again, what came of the first is gone after 48 hours.
    uploaded  it is there, and not known (any more) to be usable. Next: look.
    ready     it can be used. Nothing follows while it is needed.
    failed    the upstream cannot use it: ``failure`` says why. Nothing follows while the lines
              that name it are not answered.
    removing  no job needs it, and none will take it. Next: remove, and the row goes too.
    """

    WANTED = "wanted"
    UPLOADED = "uploaded"
    READY = "ready"
    FAILED = "failed"
    REMOVING = "removing"


@dataclass(frozen=True, slots=True)
class StagedFile:
    """One copy. Times in ms; ``until`` is the end of its life at the upstream, on our clock."""

    id: str
    sha256: str
    media_type: str
    credential: str
    bytes: int
    created_at: int
    state: StagedState = StagedState.WANTED
    name: str | None = None
    uri: str | None = None
    uploaded_at: int | None = None
    until: int | None = None
    failure: Failure | None = None
    # Digest of the key that uploaded it, or has seen it since: another project's does not see it.
    made_by: str | None = None
    # Since when the upstream says that what was uploaded is not there, and how often: the time
    # decides, the number only makes the pauses longer.
    denied_at: int | None = None
    denials: int = 0
    due_at: int | None = None
    failures: int = 0
    defects: int = 0
    last_error: str | None = None
    fence: int = 0
    lease_until: int | None = None


@dataclass(frozen=True, slots=True)
class NamedFile:
    """A file that lines of one job name; ``staged`` is the copy that the job uses, if it has one.

    ``media_type`` is what the file was taken for when its batch was validated.
    """

    file_id: str
    media_type: str
    sha256: str
    bytes: int
    staged: StagedFile | None = None


@dataclass(frozen=True, slots=True)
class FileStep:
    """One thing to do on a copy."""

    act: Act
    staged_id: str


_ACTS: Final = {
    StagedState.WANTED: Act.UPLOAD,
    StagedState.UPLOADED: Act.LOOK,
    StagedState.REMOVING: Act.REMOVE,
}


def next_act(staged: StagedFile) -> Act | None:
    """Return what a copy that is due asks for."""
    return _ACTS.get(staged.state)


def usable_until(staged: StagedFile, expires_at: int) -> int | None:
    """Tell until when a job of a batch whose window ends then may be sent with this copy.

    None: for ever, since it outlives the batch.
    """
    if staged.until is None or staged.until >= expires_at + MARGIN:
        return None
    since = staged.created_at if staged.uploaded_at is None else staged.uploaded_at
    return since + (staged.until - since) // FRESH_SHARE


def is_usable(staged: StagedFile, expires_at: int, now: int) -> bool:
    """Whether such a job may use this copy, once it is ready; a failed one is not tried anew."""
    if staged.state is StagedState.REMOVING:
        return False
    until = usable_until(staged, expires_at)
    return staged.state is StagedState.FAILED or until is None or now < until


def earliest(moments: Sequence[int | None]) -> int | None:
    """Return the earliest of some moments, where None is never."""
    return min((moment for moment in moments if moment is not None), default=None)
