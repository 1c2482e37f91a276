"""Steps on the upstream's copy of a file: upload, look, remove."""

import logging
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, Final

from gateway.batches.job import FILE_FAILED, Failure
from gateway.batches.pacing import next_poll, next_retry
from gateway.batches.patience import UPSTREAM_LIFE, elapsed
from gateway.batches.planning import display_name
from gateway.batches.staging import StagedFile, StagedState
from gateway.errors import UpstreamError, UpstreamGoneError, UpstreamRefusedError
from gateway.ids import jitter
from gateway.ports.store import Seal
from gateway.ports.upstream import FileSeen, FileState, Uploaded
from gateway.runner.blob_source import BlobSource
from gateway.runner.context import (
    DEFECTS,
    MAX_DEFECTS,
    FileClaim,
    StepContext,
    describe,
)

logger = logging.getLogger(__name__)

# A copy that the upstream denies is asked for by its name for so long (ms) before it is uploaded
# anew: a GET right after an upload has answered 403 for a while (python-genai#1218).
SAME_NAME_FOR: Final = 300_000

# The members of a copy that is not at the upstream, as far as is known.
ABSENT: Final[Mapping[str, Any]] = {
    "state": StagedState.WANTED,
    "name": None,
    "uri": None,
    "uploaded_at": None,
    "until": None,
    "made_by": None,
}

UNREADABLE: Final = Failure("internal_error", "the gateway failed to read it, three times.", 500)
LOST: Final = Failure("upstream_file_lost", "the upstream has denied it for hours.", 500)


async def upload(context: StepContext, claim: FileClaim) -> None:
    """Bring the bytes there. What a crash left of an earlier attempt expires by itself."""
    staged = claim.row
    key = _key_of(context, staged)
    try:
        made = await _upload(context, staged)
    except UpstreamRefusedError as error:
        await _fail(claim, Failure(FILE_FAILED, error.message, error.status or 400))
        return
    except DEFECTS:
        if staged.defects + 1 < MAX_DEFECTS:
            raise
        await _fail(claim, UNREADABLE)
        return
    now = context.clock.now()
    there = replace(staged, name=made.name, uri=made.uri, uploaded_at=now, until=made.until)
    await _note(context, claim, replace(there, made_by=key), made.seen)


async def _upload(context: StepContext, staged: StagedFile) -> Uploaded:
    file = await context.store.content_of_staged(staged.id)
    if file is None:
        raise LookupError("a file that a live batch names is not there")
    name = display_name(context.options.gateway_id, staged.id)
    content = BlobSource(context.blobs, file.segments, Seal(file.bytes, file.sha256))
    return await context.upstream.stage_file(staged, name, content)


async def look(context: StepContext, claim: FileClaim) -> None:
    """Ask whether it can be used; uploaded once more if it is gone."""
    staged = claim.row
    if staged.name is None:
        raise LookupError("an uploaded file has no upstream name")
    key = _key_of(context, staged)
    try:
        seen = await context.upstream.observe_file(staged.name, staged.credential)
    except UpstreamGoneError as error:
        if staged.made_by in {None, key}:
            await _note_denial(context, claim, error)
        else:  # of another project: nothing of this one was paid for with it
            logger.warning("file %s was uploaded with another key, it is uploaded again", staged.id)
            await claim.save(_calm(replace(staged, **ABSENT), context.clock.now()))
        return
    await _note(context, claim, replace(staged, made_by=key, denied_at=None, denials=0), seen)


def _key_of(context: StepContext, staged: StagedFile) -> str:
    return context.upstream.identity(staged.credential, context.options.gateway_id)


async def _note_denial(context: StepContext, claim: FileClaim, error: UpstreamGoneError) -> None:
    """Look again after a pause; after minutes upload it anew; after hours it is lost."""
    now = context.clock.now()
    since = now if claim.row.denied_at is None else min(claim.row.denied_at, now)
    staged = replace(claim.row, denied_at=since, denials=claim.row.denials + 1)
    if now - since >= context.options.patience.denial:
        await _fail(claim, LOST, staged)
        return
    if now - max(since, staged.uploaded_at or since) >= SAME_NAME_FOR:
        logger.info("file %s is gone at the upstream, it is uploaded again", staged.id)
        staged = replace(staged, **ABSENT)
    pause = next_retry(staged.denials, context.options.retry, jitter())
    staged = replace(staged, due_at=now + pause, last_error=describe(error))
    await claim.save(replace(staged, failures=0, defects=0))


async def _note(context: StepContext, claim: FileClaim, staged: StagedFile, seen: FileSeen) -> None:
    """Save what the upstream says of a copy that is there."""
    if seen.state is FileState.FAILED:
        reason = f": {seen.reason}" if seen.reason else "."
        why = Failure(FILE_FAILED, f"the upstream could not process it{reason}", 400)
        await _fail(claim, why, staged)
    elif seen.state is FileState.PROCESSING:
        now = context.clock.now()
        pause = next_poll(now - (staged.uploaded_at or now), 1, context.options.poll, jitter())
        await claim.save(_calm(replace(staged, state=StagedState.UPLOADED), now + pause))
    else:
        await claim.save(_calm(replace(staged, state=StagedState.READY), None))
        logger.info("file %s is at the upstream: %d bytes", staged.id, staged.bytes)


async def _fail(claim: FileClaim, why: Failure, staged: StagedFile | None = None) -> None:
    failed = replace(staged or claim.row, state=StagedState.FAILED, failure=why)
    await claim.save(_calm(failed, None))
    logger.warning("file %s cannot be used at the upstream: %s", failed.id, why.code)


def _calm(staged: StagedFile, due_at: int | None) -> StagedFile:
    """Forget the failures before, after something went well; due then."""
    return replace(staged, due_at=due_at, failures=0, defects=0, last_error=None)


async def remove(context: StepContext, claim: FileClaim) -> None:
    """Delete it there and forget it here."""
    staged = claim.row
    if staged.name is not None:
        try:
            await context.upstream.release_file(staged.name, staged.credential)
        except UpstreamError as error:
            if elapsed(staged.uploaded_at, context.clock.now()) < UPSTREAM_LIFE:
                raise  # after that it is gone by itself
            logger.warning("file %s: left behind at the upstream: %s", staged.id, describe(error))
    await claim.save(staged, gone=True)
