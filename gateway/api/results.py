"""``GET /v1/batches/{id}/results``: finished lines, from the first collected job on, an extension.

The answer is JSONL; with the header ``x-gateway-next-after`` a client asks on, until it is missing.
"""

import asyncio
import logging
from collections.abc import Iterable, Iterator, Sequence
from contextlib import aclosing
from dataclasses import dataclass, field, replace
from typing import Final, NamedTuple

from starlette.responses import Response

from gateway.api.batches import no_such_batch
from gateway.api.content import Download, Span, Stretch, read_stretches, stretches_of
from gateway.api.services import Call
from gateway.batches.batch import LIVE_STATUSES, Batch
from gateway.batches.file import File
from gateway.batches.results import (
    MARK,
    Cursor,
    FilePlace,
    Piece,
    Place,
    Taken,
    parse_cursor,
    rest_of_files,
    sizes,
)
from gateway.batches.runs import RECORD, Entry, Kind, unpack
from gateway.errors import DataLostError, NotFoundError, RequestError, UnavailableError
from gateway.ports.blobs import Blobs
from gateway.ports.store import Work
from gateway.units import MIB
from gateway.wire.openai import parse_list_query

log = logging.getLogger(__name__)

HEADER: Final = "x-gateway-next-after"

DEFAULT_LIMIT: Final = 1_000
MAX_LIMIT: Final = 10_000
# An answer ends before the line with which it would be longer, but after one line at least.
MAX_BYTES: Final = 64 * MIB
# Records that are looked at before others have their turn.
TURN: Final = 4_096

STATUSES: Final = {
    None: frozenset({True, False}),
    "completed": frozenset({True}),
    "failed": frozenset({False}),
}


@dataclass(slots=True)
class ResultPage:
    """Lines that an answer will have; ``wanted``: answers (True), error lines (False) or both."""

    limit: int
    wanted: frozenset[bool]
    lines: int = 0
    bytes: int = 0
    stretches: list[Stretch] = field(default_factory=list)

    def wants(self, *, is_output: bool) -> bool:
        """Whether lines of that kind were asked for."""
        return is_output in self.wanted

    def has_room(self, length: int) -> bool:
        """Whether a line of that many bytes may come."""
        return self.lines < self.limit and (not self.lines or self.bytes + length <= MAX_BYTES)

    def take(self, stretches: Iterable[Stretch]) -> None:
        """Add a line."""
        self.lines += 1
        for blob, start, length in stretches:
            self.bytes += length
            last = self.stretches[-1] if self.stretches else None
            if last is not None and (last.blob, last.start + last.length) == (blob, start):
                self.stretches[-1] = last._replace(length=last.length + length)
            else:
                self.stretches.append(Stretch(blob, start, length))


class FinishedRun(NamedTuple):
    """Rendered lines: number 0 are those refused at validation, jobs, from 0 on, come after."""

    number: int
    run: str
    name_of_index: str

    @property
    def mark(self) -> str:
        """Late results of a job take the place of what was given up: then it is read anew."""
        return self.name_of_index[:MARK]


async def results(call: Call) -> Response:
    """Answer with what is finished, and where to go on."""
    work = await _found(call)
    query = parse_list_query(call.request.query_params, limit=DEFAULT_LIMIT, most=MAX_LIMIT)
    page = ResultPage(query.limit, _wanted(call.request.query_params.get("status")))
    cursor = Cursor() if query.after is None else parse_cursor(query.after)
    if cursor is None:
        raise _no_cursor("it is none that this gateway gave")
    try:
        following = await _fill(call, work, cursor, page)
    except FileNotFoundError:  # published a moment ago, and swept already
        page = replace(page, lines=0, bytes=0, stretches=[])
        following = await _filled_again(call, cursor, page)
    return await _answered(call, page, following)


async def _found(call: Call) -> Work:
    batch = await call.store.get_batch(call.owner, call.path_id())
    work = None if batch is None else await call.store.load_work(batch.id)
    if work is None:
        raise no_such_batch(call.path_id())
    return work


async def _fill(call: Call, work: Work, cursor: Cursor, page: ResultPage) -> Cursor | None:
    if work.batch.status in LIVE_STATUSES:
        if cursor.place is not None or cursor.in_file is not None:
            raise _no_cursor("it is of a batch that has ended")
        return await _fill_running(call.blobs, _runs(work), cursor, page)
    files = await _files(call, work.batch, page)
    if files == (None, None):
        return None  # it failed, or what was deleted was not asked for
    if not cursor.taken:
        return await _fill_from_files(call.blobs, files, cursor.in_file or FilePlace(), page)
    return await _fill_rest(call.blobs, _runs(work), files, cursor, page)


async def _filled_again(call: Call, cursor: Cursor, page: ResultPage) -> Cursor | None:
    work = await _found(call)
    try:
        return await _fill(call, work, cursor, page)
    except FileNotFoundError as error:
        if work.batch.status in LIVE_STATUSES:  # lines that the disk has lost are rendered again
            raise UnavailableError("The results of this batch cannot be read now.") from error
        log.error("bytes of batch %s are gone", work.batch.id)  # noqa: TRY400 - as in files.py
        raise DataLostError("What this batch wrote is gone from the gateway's disk.") from error


async def _answered(call: Call, page: ResultPage, following: Cursor | None) -> Response:
    headers = {
        "content-length": str(page.bytes),
        "content-type": "application/jsonl",
        "x-content-type-options": "nosniff",
    }
    if following is not None:
        headers[HEADER] = str(following)
    if call.request.method == "HEAD" or not page.lines:
        return Response(None, 200, headers)
    blocks = read_stretches(call.blobs, page.stretches)
    first = await anext(blocks, b"")  # before anything is promised
    return Download(first, blocks, 200, headers)


def _wanted(status: str | None) -> frozenset[bool]:
    if status not in STATUSES:
        raise RequestError(
            "Invalid 'status': expected 'completed' (answers) or 'failed' (error lines).",
            param="status",
            code="invalid_value",
        )
    return STATUSES[status]


def _no_cursor(why: str) -> RequestError:
    return RequestError(
        f"Invalid 'after': {why}. Begin anew without it; lines that come again have the custom_id"
        " that they had.",
        param="after",
        code="invalid_value",
    )


def _runs(work: Work) -> list[FinishedRun]:
    """Give the runs: lines refused at validation, then those of collected jobs.

    Of a job that ended its batch the index alone is kept.
    """
    named = [(0, work.batch.run, work.batch.index)]
    named += [(1 + job.number, job.run, job.index) for job in work.jobs]
    return [
        FinishedRun(number, run or "", its_index)
        for number, run, its_index in named
        if its_index is not None
    ]


async def _fill_running(
    blobs: Blobs, runs: Sequence[FinishedRun], cursor: Cursor, page: ResultPage
) -> Cursor:
    taken = dict(cursor.taken)
    for run in runs:
        mark, done = taken.get(run.number, Taken(run.mark, 0))
        done = done if mark == run.mark else 0
        done += await _take_records(blobs, run, done, page)
        taken[run.number] = Taken(run.mark, done)
    return Cursor(taken)


async def _take_records(blobs: Blobs, run: FinishedRun, start: int, page: ResultPage) -> int:
    """Take lines of one run, from a record of its index on; how many records that were."""
    done, held = 0, b""
    async with aclosing(blobs.read(run.name_of_index, start * RECORD.size)) as blocks:
        async for block in blocks:
            held += block
            whole = len(held) - len(held) % RECORD.size
            for entry in unpack(held[:whole]):
                if not _take(run.run, entry, page):
                    return done
                done += 1
                if done % TURN == 0:
                    await asyncio.sleep(0)
            held = held[whole:]
    return done


def _take(run: str, entry: Entry, page: ResultPage) -> bool:
    """Take a line, or pass one by that was not asked for; False when there is no room."""
    if entry.kind == Kind.NOTES or not page.wants(is_output=entry.kind == Kind.OUTPUT):
        return True
    if not page.has_room(entry.length):
        return False
    page.take([Stretch(run, entry.offset, entry.length)])
    return True


async def _files(call: Call, batch: Batch, page: ResultPage) -> tuple[File | None, File | None]:
    """Find the output and the error file. Errors: NotFoundError of one that was deleted."""
    found: list[File | None] = []
    ids = ((batch.output_file_id, True), (batch.error_file_id, False))
    for file_id, is_output in ids:
        file = None
        if file_id is not None:
            file = await call.store.get_file(call.owner, file_id, call.now())
            if file is None and page.wants(is_output=is_output):
                raise NotFoundError(
                    f"The {'output' if is_output else 'error'} file of batch '{batch.id}' was"
                    " deleted, or has expired."
                )
        found.append(file)
    return found[0], found[1]


async def _fill_from_files(
    blobs: Blobs, files: Sequence[File | None], place: FilePlace, page: ResultPage
) -> Cursor | None:
    """Take lines as they follow each other in the output file, then in the error file."""
    for number, file in enumerate(files):
        if number < place.file or file is None or not page.wants(is_output=number == 0):
            continue
        start = place.offset if number == place.file else 0
        offset = await _take_lines(blobs, file, start, page)
        if offset < file.bytes:
            return Cursor(in_file=FilePlace(number, offset))
    return None


async def _take_lines(blobs: Blobs, file: File, offset: int, page: ResultPage) -> int:
    """Take lines of one file from an offset on; the offset after them."""
    begun = offset
    stretches = stretches_of(file, Span(offset, file.bytes))
    async with aclosing(read_stretches(blobs, stretches)) as blocks:
        async for block in blocks:
            for end in _line_ends(block):
                length = begun + end - offset
                if not page.has_room(length):
                    return offset
                page.take(stretches_of(file, Span(offset, offset + length)))
                offset += length
            begun += len(block)
    return offset


def _line_ends(block: bytes) -> Iterator[int]:
    end = block.find(b"\n") + 1
    while end:
        yield end
        end = block.find(b"\n", end) + 1


async def _fill_rest(
    blobs: Blobs,
    runs: Sequence[FinishedRun],
    files: tuple[File | None, File | None],
    cursor: Cursor,
    page: ResultPage,
) -> Cursor | None:
    """Take the lines that were not read while the batch ran."""
    try:
        indexes = [await _whole(blobs, run.name_of_index) for run in runs]
    except FileNotFoundError as error:
        raise _no_cursor("it is of the time before the batch ended, which is not kept") from error
    if cursor.place is None and not _fits(files, await asyncio.to_thread(sizes, indexes)):
        raise _no_cursor("the files were not made of what had been collected then")
    counts = [_count(cursor, run) for run in runs]
    rest = rest_of_files(indexes, counts, cursor.place or Place())
    place = await asyncio.to_thread(_take_pieces, rest, files, page)
    return None if place is None else replace(cursor, place=place)


def _count(cursor: Cursor, run: FinishedRun) -> int:
    mark, count = cursor.taken.get(run.number, ("", 0))
    return count if mark == run.mark else 0


def _fits(files: Sequence[File | None], sizes: Sequence[int]) -> bool:
    """Whether the files were made of the runs alone; one that was deleted is not looked at."""
    return all(file is None or file.bytes == size for file, size in zip(files, sizes, strict=True))


def _take_pieces(
    rest: Iterator[Piece], files: tuple[File | None, File | None], page: ResultPage
) -> Place | None:
    """Take lines while there is room; the place after them, None at the end."""
    place = Place()
    for piece in rest:
        file = files[0 if piece.is_output else 1]
        if file is not None and page.wants(is_output=piece.is_output):
            if not page.has_room(piece.length):
                return place
            page.take(stretches_of(file, Span(piece.offset, piece.offset + piece.length)))
        place = piece.after
    return None


async def _whole(blobs: Blobs, name: str) -> bytes:
    """Read an index: 17 bytes a line."""
    async with aclosing(blobs.read(name)) as blocks:
        return b"".join([block async for block in blocks])
