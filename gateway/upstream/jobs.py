"""Create, find and observe a job."""

import asyncio
import logging
import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final

import orjson

from gateway.batches.job import Job
from gateway.errors import (
    UpstreamAmbiguousError,
    UpstreamError,
    UpstreamHeldError,
    UpstreamRefusedError,
    UpstreamStaleError,
    UpstreamUnavailableError,
)
from gateway.ports.upstream import Absent, Found, Observation, Source, Unknown
from gateway.upstream.errors import Call, Scrubber, as_upstream_errors, error_of
from gateway.upstream.options import ERROR_BYTES, JOBS_PER_PAGE, JSON_BYTES, OTHER_JOBS_PER_PAGE
from gateway.upstream.transport import TooLargeAnswerError, Transport, parse_object, read_capped
from gateway.wire.gemini import (
    EMBED_CONTENT,
    INLINE,
    KNOWN_STATES,
    SUCCEEDED,
    UNSPECIFIED,
    Operation,
    parse_operation,
)

# "You do not have permission to access the File abc123 or it may not exist."
_FILE_NAME: Final = re.compile(r"\bFile (?:files/)?([A-Za-z0-9-]{1,64})\b")

_log = logging.getLogger(__name__)

# A finished inline job carries its whole output, twice, on every GET. `fields` is a standard
# parameter (discovery), but unproven on this endpoint: a 400 falls back to a plain GET.
_MASK: Final = (
    "name,done,error,response/responsesFile,metadata(name,state,displayName,"
    "inputConfig/fileName,output/responsesFile,createTime,endTime,updateTime)"
)

# --- create -----------------------------------------------------------------------------------


async def create(transport: Transport, job: Job, spool: Source, seconds: float) -> str:
    """Create the job once, on a connection of its own; its name."""
    headers = {**transport.key(job.credential), "Content-Type": "application/json"}
    url = transport.url("models", job.model, suffix=f":{job.method}")
    sent = False
    try:
        async with asyncio.timeout(seconds):
            body = await _body(job, spool)
            sent = True
            status, answer = await _post_alone(transport, url, headers, body, seconds)
    except TimeoutError as error:
        message = f"The upstream did not answer within {seconds:g} s."
        raise (UpstreamAmbiguousError if sent else UpstreamUnavailableError)(message) from error
    if 200 <= status < 300:
        return _created_name(status, answer)
    refusal = error_of(Call.CREATE, status, answer, transport.scrub)
    if job.inline and not job.files and isinstance(refusal, UpstreamStaleError):
        # Nothing was staged: the missing file is one that a client named by its URI, or there is
        # none, and the account is not in order: Google says the same then (python-genai#1218).
        kind = UpstreamRefusedError if _is_named(refusal.message, body) else UpstreamHeldError
        refusal = kind(refusal.message, status=refusal.status, code=refusal.code)
    raise refusal


def _is_named(message: str, body: bytes) -> bool:
    """Whether a request names the file that a refusal speaks of."""
    file = _FILE_NAME.search(message)
    return b'"fileUri"' in body and (file is None or file[1].encode() in body)


async def _post_alone(
    transport: Transport, url: str, headers: Mapping[str, str], body: bytes, seconds: float
) -> tuple[int, bytes]:
    with as_upstream_errors(Call.CREATE, transport.scrub):
        async with transport.alone(url, headers, body, seconds) as response:
            limit = JSON_BYTES if response.is_success else ERROR_BYTES
            return response.status_code, await read_capped(response, limit, cut=True)


def _created_name(status: int, answer: bytes) -> str:
    try:
        name = parse_operation(parse_object(answer)).name
    except UpstreamUnavailableError as error:
        raise UpstreamAmbiguousError(error.message, status=status) from error
    if not name:
        raise UpstreamAmbiguousError("The upstream's answer names no job.", status=status)
    return name


async def _body(job: Job, spool: Source) -> bytes:
    """``{"batch":{"displayName":…,"inputConfig":{"fileName":…}}}``, or the requests inline."""
    if job.inline:
        config: dict[str, Any] = {"requests": {"requests": await _inline_requests(job, spool)}}
    elif job.staged:
        config = {"fileName": job.staged}
    else:
        raise UpstreamStaleError("The job's spool has not been staged.")
    return orjson.dumps({"batch": {"displayName": job.display_name, "inputConfig": config}})


async def _inline_requests(job: Job, spool: Source) -> list[dict[str, Any]]:
    """Spool lines ``{"key":…,"request":{…}}`` -> ``{"request":{…},"metadata":{"key":…}}``.

    An embedding request names its model here (as the request builders that work do), a generate
    request need not: the URL has it.
    """
    text = b"".join([block async for block in spool.blocks()])
    extra = {"model": f"models/{job.model}"} if job.method == EMBED_CONTENT else {}
    rows = (orjson.loads(line) for line in text.splitlines() if line)
    return [
        {"request": {**extra, **row["request"]}, "metadata": {"key": row["key"]}} for row in rows
    ]


# --- find -------------------------------------------------------------------------------------


@dataclass(slots=True)
class _Listing:
    """Findings of a listing: jobs of a display name, whether it is whole, whether a known one.

    By name: pages that shift show a job twice. ``full`` is that of the last page.
    """

    matches: dict[str, Operation] = field(default_factory=dict)
    whole: bool = True
    shown: bool = False
    full: bool = False


async def find(
    transport: Transport, display_name: str, credential: str, known: str | None
) -> Found | Absent | Unknown:
    """List to the end and match the display name exactly.

    Absent only if the listing was whole and, where a job is known to exist, showed that one: a
    listing has been seen to be empty for no reason (python-genai#1250), and believing a truncated
    one has cost others thousands of paid requests (sourcelibrary-v2#4889). One that ends with a
    full page may have ended for that: it is read again in pages of another size, and proves
    nothing if that one ends so too.
    """
    for size in (JOBS_PER_PAGE, OTHER_JOBS_PER_PAGE):
        seen = await _listing(transport, display_name, credential, known, size)
        if seen.matches:
            return Found(sorted(seen.matches, key=lambda name: _age_rank(seen.matches[name])))
        if not seen.full:
            break
    return Absent() if seen.whole and seen.shown and not seen.full else Unknown()


async def _listing(
    transport: Transport, display_name: str, credential: str, known: str | None, size: int
) -> _Listing:
    seen = _Listing(shown=known is None)
    async for page in transport.pages(
        transport.url("batches"), credential, member="operations", size=size
    ):
        seen.whole = seen.whole and page.complete
        seen.full = len(page.items) >= size
        for operation in map(parse_operation, page.items):
            seen.shown = seen.shown or operation.name == known
            if operation.display_name == display_name and operation.name:
                seen.matches[operation.name] = operation
    return seen


def _age_rank(operation: Operation) -> tuple[bool, int]:
    """Rank by age, the oldest first; what has no time comes last."""
    return operation.created_at is None, operation.created_at or 0


# --- observe ----------------------------------------------------------------------------------


class Observer:
    """Asks for a job's state; remembers whether this upstream takes a field mask."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._masked = True
        self._logged_states: set[str] = set()

    async def observe(self, name: str, credential: str, *, whole: bool = False) -> Observation:
        """Return the job's state, and where its output is once it has ended.

        With ``whole`` it is asked for without a mask: what a small inline job answers comes in the
        call that finds its end, and needs none of its own.
        """
        if whole:
            return await self._whole(name, credential)
        operation = await self._look(name, credential)
        if operation.ended and operation.output is None and self._masked:
            # The mask hides inline output. An inline job that succeeded has it; of the others the
            # whole operation must tell, for some hold results all the same.
            if operation.state == SUCCEEDED and operation.input_file is None:
                operation = replace(operation, output=INLINE)
            else:
                operation = await self._plain(name, credential)
        self._log_unknown_state(operation)
        return _observation(operation, self._transport.scrub)

    def _log_unknown_state(self, operation: Operation) -> None:
        """Log an unknown state once; the job is polled on."""
        state = self._transport.scrub(operation.state)
        if operation.state not in KNOWN_STATES and state not in self._logged_states:
            self._logged_states.add(state)
            _log.warning("job %s is in the unknown state %s", operation.name, state)

    async def _whole(self, name: str, credential: str) -> Observation:
        url = self._transport.url_of(name)
        try:
            body = await self._transport.get_bytes(url, credential)
        except TooLargeAnswerError:
            return _observation(_too_large(name), self._transport.scrub)
        operation = parse_operation(parse_object(body))
        self._log_unknown_state(operation)
        seen = _observation(operation, self._transport.scrub)
        complete = operation.state == SUCCEEDED and seen.output == INLINE
        return replace(seen, raw=body) if complete else seen

    async def _look(self, name: str, credential: str) -> Operation:
        if not self._masked:
            return await self._plain(name, credential)
        url = self._transport.url_of(name)
        try:
            body = await self._transport.get(url, credential, {"fields": _MASK})
        except UpstreamError as error:
            if error.status != 400:
                raise
        else:
            operation = parse_operation(body)
            if operation.state != UNSPECIFIED:
                return operation
        operation = await self._plain(name, credential)
        self._masked = False  # the plain call works where the masked one did not
        return operation

    async def _plain(self, name: str, credential: str) -> Operation:
        url = self._transport.url_of(name)
        try:
            return parse_operation(await self._transport.get(url, credential))
        except TooLargeAnswerError:
            return _too_large(name)


def _too_large(name: str) -> Operation:
    """Take what is that large for ended: only results are, and they are fetched as a stream."""
    return Operation(name, state=SUCCEEDED, done=True, output=INLINE)


def _observation(operation: Operation, scrub: Scrubber) -> Observation:
    error = operation.error
    return Observation(
        state=scrub(operation.state),
        ended=operation.ended,
        output=operation.output if operation.ended else None,
        error_code=error.status if error else None,
        error=scrub(error.message) or None if error else None,
        ended_at=operation.ended_at or operation.updated_at if operation.ended else None,
    )
