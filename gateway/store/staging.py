"""Transactions over the files that jobs name, and over their copies at the upstream.

Whether a copy is needed is asked inside the statements that claim and save it, so no job can take
one that is being removed, and none that became superfluous is forgotten.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace

import orjson

from gateway.batches.file import File
from gateway.batches.job import Job
from gateway.batches.staging import NamedFile, StagedFile, is_usable
from gateway.errors import ConflictError
from gateway.ids import new_staged_id
from gateway.store.columns import file_of, named_of, staged_of, staged_values
from gateway.store.session import Row, Session

# The key of a copy: sha256, media type, credential.
Content = tuple[str, str, str]


def _maybe(row: Row | None) -> StagedFile | None:
    return None if row is None else staged_of(row)


async def owned(session: Session, owner: str, file_ids: Iterable[str], now: int) -> Sequence[File]:
    """Return those of the files that are there for this owner."""
    ids = orjson.dumps(list(file_ids)).decode()
    rows = await session.all("files_of_owner", {"owner": owner, "ids": ids, "now": now})
    return [file_of(row) for row in rows]


async def name(
    session: Session, owner: str, job_id: str, files: Mapping[str, str], now: int
) -> None:
    """Note which files a new job names, each with its media type; all of them must be there."""
    for file_id, media_type in files.items():
        values = {"owner": owner, "job_id": job_id, "file_id": file_id, "now": now}
        if await session.run("name_file", {**values, "media_type": media_type}) == 0:
            raise ConflictError(f"file {file_id}, which a line names, was deleted meanwhile")


async def take_over(session: Session, before: str, job_id: str, file_ids: Iterable[str]) -> None:
    """Name files of a job for one that goes on for it, and use the same copies."""
    for file_id in file_ids:
        await session.run(
            "take_over_file", {"before": before, "job_id": job_id, "file_id": file_id}
        )


async def files_of(session: Session, job_id: str) -> Sequence[NamedFile]:
    """Return the files a job names, with the copies it uses."""
    return [named_of(row) for row in await session.all("named_files", {"job_id": job_id})]


async def failed(session: Session, job_id: str) -> Sequence[NamedFile]:
    """Return those of the files a job names that the upstream cannot use."""
    return [named_of(row) for row in await session.all("failed_files", {"job_id": job_id})]


async def stage(
    session: Session, job: Job, expires_at: int, room: int, now: int
) -> Sequence[NamedFile] | None:
    """Give each file that the job names a copy to use, new rows where there is none.

    All of them or none: two jobs that each held a part of what fits would wait for each other.
    """
    if await session.one("job_is_held", {"id": job.id, "fence": job.fence}) is None:
        return None
    files = await files_of(session, job.id)
    copies = {
        _content(job, file): file.staged
        for file in files
        if file.staged is not None
        and file.staged.credential == job.credential
        and is_usable(file.staged, expires_at, now)
    }
    fresh = []
    for file in files:
        content = _content(job, file)
        if content not in copies:
            best = await _best(session, content, expires_at, now)
            copies[content] = best or StagedFile(
                new_staged_id(), *content, file.bytes, now, due_at=now
            )
            fresh += [] if best else [copies[content]]
    if fresh and not await _fits(session, job.credential, fresh, room):
        return [await _using(session, job, file, None, now) for file in files]
    for copy in fresh:
        await session.run("insert_staged", staged_values(copy))
    return [await _using(session, job, file, copies[_content(job, file)], now) for file in files]


def _content(job: Job, file: NamedFile) -> Content:
    return file.sha256, file.media_type, job.credential


async def _best(session: Session, content: Content, expires_at: int, now: int) -> StagedFile | None:
    """Return the usable copy of a content that lives longest."""
    values = dict(zip(("sha256", "media_type", "credential"), content, strict=True))
    copies = map(staged_of, await session.all("copies_of_content", values))
    return next((copy for copy in copies if is_usable(copy, expires_at, now)), None)


async def _fits(session: Session, credential: str, fresh: Sequence[StagedFile], room: int) -> bool:
    stored: int = (await session.the("staged_bytes", {"credential": credential}))["bytes"]
    return stored + sum(copy.bytes for copy in fresh) <= room


async def _using(
    session: Session, job: Job, file: NamedFile, copy: StagedFile | None, now: int
) -> NamedFile:
    """Note which copy the job uses for a file; one it used before may be needed no more."""
    before = None if file.staged is None else file.staged.id
    after = None if copy is None else copy.id
    if before != after:
        await session.run("use_copy", {"job_id": job.id, "file_id": file.file_id, "staged": after})
        if before is not None:
            await session.run("ring_copy", {"id": before, "now": now})
    return replace(file, staged=copy)


async def due(session: Session, now: int, limit: int, uploads: int) -> Sequence[StagedFile]:
    """Return copies that are due and not claimed; those that wait for their upload come last."""
    values = {"now": now, "limit": limit, "uploads": uploads}
    return [staged_of(row) for row in await session.all("due_staged", values)]


async def claim(session: Session, staged_id: str, lease: int) -> StagedFile | None:
    """Claim a free copy; one that is not needed is to be removed from now on."""
    values = {"id": staged_id, "lease": lease}
    return _maybe(await session.one("claim_staged", values))


async def save(session: Session, staged: StagedFile, *, keep: bool, gone: bool, now: int) -> bool:
    """Save a copy that is still its holder's; a ``gone`` one is forgotten."""
    if gone:
        return await session.run("drop_staged", {"id": staged.id, "fence": staged.fence}) == 1
    values = {**staged_values(staged), "keep": keep, "now": now}
    return await session.run("save_staged", values) == 1


async def content(session: Session, staged_id: str) -> File | None:
    """Return the file whose bytes a copy has."""
    row = await session.one("content_of_staged", {"id": staged_id})
    return None if row is None else file_of(row)


async def foreign(session: Session, job_id: str, made_by: str) -> int:
    """Count the copies of a job that another key uploaded."""
    count: int = (await session.the("foreign_copies", {"job_id": job_id, "made_by": made_by}))[
        "count"
    ]
    return count


async def release_copies(session: Session, job_id: str, now: int) -> None:
    """Make the copies a job used due, to see whether they are needed any more."""
    await session.run("ring_copies_of_job", {"job_id": job_id, "now": now})


async def doubt(session: Session, job_id: str, now: int) -> None:
    """Make the copies a job uses due, to see whether they are there."""
    await session.run("doubt_copies_of_job", {"job_id": job_id, "now": now})


async def forget(session: Session, batch_id: str, now: int) -> None:
    """Release the files of an ended batch: they may be deleted, and failed copies are not needed.

    Of jobs whose results may still come late, that is: no other copies are left by then.
    """
    await session.run("ring_copies_of_batch", {"batch_id": batch_id, "now": now})
    await session.run("forget_names", {"batch_id": batch_id})


async def recover(session: Session) -> None:
    """End the leases of a dead process."""
    await session.run("recover_staged")
