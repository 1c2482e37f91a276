"""Rows and records: a column per field, named alike.

``counts`` and ``usage`` are flattened into ``counts_total`` ..., so that SQL can add to them; the
other composite fields are JSON.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import asdict, fields
from operator import attrgetter, itemgetter
from typing import Any, Final

import orjson

from gateway.batches.batch import Batch, BatchError, BatchStatus, Counts, TokenUsage
from gateway.batches.file import File, Segment
from gateway.batches.job import Cause, Failure, Job, JobState
from gateway.batches.response import ResponseStatus, StoredResponse
from gateway.batches.staging import NamedFile, StagedFile, StagedState
from gateway.batches.upload import Part, Upload, UploadStatus
from gateway.store.session import Row

Values = dict[str, Any]


def _plain(
    record: type[File | Batch | Job | StagedFile | Upload | Part | StoredResponse],
    *composite: str,
) -> tuple[str, ...]:
    return tuple(field.name for field in fields(record) if field.name not in composite)


_COUNTS: Final = tuple((field.name, f"counts_{field.name}") for field in fields(Counts))
_USAGE: Final = tuple((field.name, f"usage_{field.name}") for field in fields(TokenUsage))
_FILE: Final = _plain(File, "segments")
_BATCH: Final = _plain(
    Batch, "status", "metadata", "policy", "counts", "usage", "errors", "notes", "rerendered"
)
_JOB: Final = _plain(
    Job, "state", "cause", "inline", "placed", "counts", "usage", "notes", "failure"
)
_STAGED: Final = _plain(StagedFile, "state", "failure")
_UPLOAD: Final = _plain(Upload, "status")
_PART: Final = _plain(Part)
_RESPONSE: Final = _plain(StoredResponse, "status", "waiting_for")


def _pick(row: Row, names: Iterable[str]) -> Values:
    return {name: row[name] for name in names}


def _reader(names: Sequence[str]) -> Callable[[object], Values]:
    """Return what reads these members of a record; every save of a job reads seventy."""
    read = attrgetter(*names)
    return lambda record: dict(zip(names, read(record), strict=True))


_read_counts: Final = itemgetter(*(column for _, column in _COUNTS))
_read_usage: Final = itemgetter(*(column for _, column in _USAGE))
# Every look and claim makes these records: given by their places, in three quarters of the time.
_members_of_batch: Final = itemgetter(*(field.name for field in fields(Batch)))
_members_of_job: Final = itemgetter(*(field.name for field in fields(Job)))

_read_file: Final = _reader(_FILE)
_read_batch: Final = _reader(_BATCH)
_read_job: Final = _reader(_JOB)
_read_staged: Final = _reader(_STAGED)
_read_upload: Final = _reader(_UPLOAD)
_read_response: Final = _reader(_RESPONSE)


def _json(value: object) -> str:
    return orjson.dumps(value).decode()


def sums_values(counts: Counts, usage: TokenUsage) -> Values:
    """Return the flattened columns of counts and usage."""
    values = {column: getattr(counts, name) for name, column in _COUNTS}
    values.update({column: getattr(usage, name) for name, column in _USAGE})
    return values


def _counts(values: Row) -> Counts:
    return Counts(*_read_counts(values))


def _usage(values: Row) -> TokenUsage:
    return TokenUsage(*_read_usage(values))


def _failure_text(failure: Failure | None) -> str | None:
    return None if failure is None else _json(asdict(failure))


def _failure(values: Row) -> Failure | None:
    text = values["failure"]
    return None if text is None else Failure(**orjson.loads(text))


def file_values(file: File) -> Values:
    """Return a file's columns."""
    segments = [[segment.blob, segment.bytes] for segment in file.segments]
    return {**_read_file(file), "segments": _json(segments)}


def file_of(row: Row) -> File:
    """Return the file in a row."""
    segments = tuple(Segment(*segment) for segment in orjson.loads(row["segments"]))
    return File(**_pick(row, _FILE), segments=segments)


def upload_values(upload: Upload) -> Values:
    """Return an upload's columns."""
    return {**_read_upload(upload), "status": upload.status.value}


def response_values(response: StoredResponse) -> Values:
    """Return a stored response's columns."""
    return {**_read_response(response), "status": response.status.value}


def response_of(row: Row) -> StoredResponse:
    """Return the stored response in a row; see the query ``owned_response``."""
    status = ResponseStatus.IN_PROGRESS if row.get("runs") else ResponseStatus(row["status"])
    waiting_for = row.get("waiting_for")
    return StoredResponse(**_pick(row, _RESPONSE), status=status, waiting_for=waiting_for)


def upload_of(row: Row) -> Upload:
    """Return the upload in a row."""
    return Upload(**_pick(row, _UPLOAD), status=UploadStatus(row["status"]))


def part_values(part: Part) -> Values:
    """Return a part's columns."""
    return asdict(part)


def part_of(row: Row) -> Part:
    """Return the part in a row."""
    return Part(**_pick(row, _PART))


def batch_values(batch: Batch) -> Values:
    """Return a batch's columns."""
    return {
        **_read_batch(batch),
        **sums_values(batch.counts, batch.usage),
        "status": batch.status.value,
        "metadata": None if batch.metadata is None else _json(dict(batch.metadata)),
        "policy": _json(dict(batch.policy)),
        "errors": _json([asdict(error) for error in batch.errors]),
        "notes": _json(dict(batch.notes)),
        "rerendered": _json([dict(entry) for entry in batch.rerendered]),
    }


def batch_of(row: Row) -> Batch:
    """Return the batch in a row."""
    metadata = row["metadata"]
    values = {
        **row,
        "status": BatchStatus(row["status"]),
        "metadata": None if metadata is None else orjson.loads(metadata),
        "policy": orjson.loads(row["policy"]),
        "counts": _counts(row),
        "usage": _usage(row),
        "errors": tuple(BatchError(**error) for error in orjson.loads(row["errors"])),
        "notes": orjson.loads(row["notes"]),
        "rerendered": tuple(orjson.loads(row["rerendered"])),
    }
    return Batch(*_members_of_batch(values))


def job_values(job: Job) -> Values:
    """Return a job's columns."""
    return {
        **_read_job(job),
        **sums_values(job.counts, job.usage),
        "state": job.state.value,
        "cause": job.cause.value,
        "inline": int(job.inline),
        "placed": int(job.placed),
        "notes": _json(dict(job.notes)),
        "failure": _failure_text(job.failure),
    }


def job_of(row: Row) -> Job:
    """Return the job in a row."""
    values = {
        **row,
        "state": JobState(row["state"]),
        "cause": Cause(row["cause"]),
        "inline": bool(row["inline"]),
        "placed": bool(row["placed"]),
        "counts": _counts(row),
        "usage": _usage(row),
        "notes": orjson.loads(row["notes"]),
        "failure": _failure(row),
    }
    return Job(*_members_of_job(values))


def staged_values(staged: StagedFile) -> Values:
    """Return a copy's columns."""
    return {
        **_read_staged(staged),
        "state": staged.state.value,
        "failure": _failure_text(staged.failure),
    }


def staged_of(row: Row) -> StagedFile:
    """Return the copy in a row."""
    return StagedFile(**_pick(row, _STAGED), state=StagedState(row["state"]), failure=_failure(row))


def named_of(row: Row) -> NamedFile:
    """Return a file that a job names, and its copy; see the query ``named_files``."""
    return NamedFile(
        row["named_id"],
        row["named_type"],
        row["named_sha256"],
        row["named_bytes"],
        None if row["id"] is None else staged_of(row),
    )
