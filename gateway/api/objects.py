"""Records as OpenAI's objects: every key is always there, null when it has no value.

openai-python's ``to_dict()`` leaves out what an answer left out, so users who store batches would
lose keys; OpenAI's own answers carry the nulls that its OpenAPI types forbid.
"""

from typing import Any, Final

from gateway.batches.batch import LIVE_STATUSES, Batch, BatchStatus, Counts, TokenUsage
from gateway.batches.file import File
from gateway.batches.outlook import UNKNOWN, Outlook
from gateway.batches.upload import Part, Upload
from gateway.units import counted
from gateway.wire.openai import COMPLETION_WINDOW

# Before validation the lines are not counted; of a failed batch nothing ran (OpenAI shows 0/0/0).
_UNCOUNTED: Final = frozenset({BatchStatus.VALIDATING, BatchStatus.FAILED})


def encode_file(file: File) -> dict[str, Any]:
    """Write OpenAI's file. ``processed``: openai-python's ``wait_for_processing`` polls for it."""
    return {
        "id": file.id,
        "object": "file",
        "bytes": file.bytes,
        "created_at": _seconds(file.created_at),
        "expires_at": _seconds(file.expires_at),
        "filename": file.filename,
        "purpose": file.purpose,
        "status": "processed",
        "status_details": None,
    }


def encode_upload(upload: Upload, now: int, file: File | None = None) -> dict[str, Any]:
    """Write OpenAI's upload; its file is there once it is completed."""
    return {
        "id": upload.id,
        "object": "upload",
        "bytes": upload.bytes,
        "created_at": _seconds(upload.created_at),
        "expires_at": _seconds(upload.expires_at),
        "filename": upload.filename,
        "purpose": upload.purpose,
        "status": upload.status_at(now).value,
        "file": None if file is None else encode_file(file),
    }


def encode_part(part: Part) -> dict[str, Any]:
    """Write OpenAI's part of an upload."""
    return {
        "id": part.id,
        "object": "upload.part",
        "created_at": _seconds(part.created_at),
        "upload_id": part.upload_id,
    }


def encode_batch(
    batch: Batch, outlook: Outlook = UNKNOWN, most_errors: int | None = None
) -> dict[str, Any]:
    """Write OpenAI's batch, derived from what the runner and the requests wrote."""
    live = batch.status in LIVE_STATUSES
    return {
        "id": batch.id,
        "object": "batch",
        "endpoint": batch.endpoint_as_sent,
        "model": batch.model,
        "errors": _errors(batch, most_errors),
        "input_file_id": batch.input_file_id,
        "completion_window": COMPLETION_WINDOW,
        "status": shown_status(batch),
        "output_file_id": None if live else batch.output_file_id,
        "error_file_id": None if live else batch.error_file_id,
        "created_at": _seconds(batch.created_at),
        "in_progress_at": _seconds(batch.in_progress_at),
        "expires_at": _seconds(batch.expires_at),
        "finalizing_at": _seconds(batch.finalizing_at),
        "completed_at": _seconds(batch.completed_at),
        "failed_at": _seconds(batch.failed_at),
        "expired_at": _seconds(batch.expired_at),
        "cancelling_at": _seconds(batch.cancel_requested_at),
        "cancelled_at": _seconds(batch.cancelled_at),
        "request_counts": _counts(Counts() if batch.status in _UNCOUNTED else batch.counts),
        "usage": _usage(batch.usage),
        "metadata": None if batch.metadata is None else dict(batch.metadata),
        "gateway": _extension(batch, outlook, live=live),
    }


def _extension(batch: Batch, outlook: Outlook, *, live: bool) -> dict[str, Any]:
    """Make ``batch.gateway``, which OpenAI has not: its SDKs keep unknown members.

    Why a live batch does not go on, and since when; its place in the queue; how long it may take,
    null when that is not known; why it ended otherwise than with an answer to
    each line; the state at the upstream that has lasted longest, kept after the end; how often the
    lines that were sent most often have been sent; how many lines were given answers of earlier
    batches; how many may be paid twice, since results
    were given up after hours of denials; the synchronous calls for lines that were left near the
    deadline, null without any; what its answers cost, those of failed attempts too, and
    what it may cost in all, null when that is not known; the batch whose failed lines these are;
    the notes about its lines, counted by code, and the file that lists them; files it was rendered
    into again.
    """
    return {
        "waiting_for": (batch.last_error or outlook.waiting_for) if live else None,
        "waiting_since": _seconds(batch.waiting_since) if live else None,
        "position": outlook.position,
        "eta_seconds": _seconds(outlook.eta),
        "ended_because": batch.ended_because,
        "upstream": _upstream(batch),
        "attempts": batch.attempts,
        "reused": batch.reused,
        "paid_twice_at_most": batch.paid_twice_at_most,
        "rescue": _rescue(batch),
        "cost_usd": _dollars(batch.cost),
        "cost_at_most_usd": _dollars(batch.most if live else batch.cost),
        "retry_of": batch.retry_of,
        "rerendered": list(batch.rerendered),
        "warnings": dict(batch.notes),
        "warnings_file_id": None if live else batch.notes_file_id,
    }


def _rescue(batch: Batch) -> dict[str, Any] | None:
    """Tell of synchronous calls near the deadline; ``lost`` ones may be paid without an answer."""
    if not batch.rescue_calls and not batch.rescue_lost and not batch.rescue_cost:
        return None
    return {
        "calls": batch.rescue_calls,
        "lost": batch.rescue_lost,
        "cost_at_most_usd": _dollars(batch.rescue_cost),
    }


def _dollars(billionths: int | None) -> float | None:
    return None if billionths is None else billionths / 1_000_000_000


def _upstream(batch: Batch) -> dict[str, Any] | None:
    if batch.upstream_state is None:
        return None
    return {"state": batch.upstream_state, "since": _seconds(batch.upstream_since)}


def shown_status(batch: Batch) -> str:
    """Give the status that clients see: ``cancelling`` is derived, never stored."""
    if batch.status in LIVE_STATUSES and batch.cancel_requested_at is not None:
        return "cancelling"
    return batch.status.value


def _seconds(milliseconds: int | None) -> int | None:
    return None if milliseconds is None else milliseconds // 1000


def _errors(batch: Batch, most: int | None) -> dict[str, Any] | None:
    if not batch.errors:
        return None
    shown = batch.errors[:most]
    data = [
        {"code": error.code, "message": error.message, "param": error.param, "line": error.line}
        for error in shown
    ]
    if len(shown) < len(batch.errors):
        more = len(batch.errors) - len(shown)
        entries = counted(more, "more entry", "more entries")
        message = f"{entries}: GET /v1/batches/{batch.id} shows all of them."
        data.append({"code": shown[-1].code, "message": message, "param": None, "line": None})
    return {"object": "list", "data": data}


def _counts(counts: Counts) -> dict[str, int]:
    return {"total": counts.total, "completed": counts.completed, "failed": counts.failed}


def _usage(usage: TokenUsage) -> dict[str, Any]:
    return {
        "input_tokens": usage.input_tokens,
        "input_tokens_details": {"cached_tokens": usage.cached_tokens},
        "output_tokens": usage.output_tokens,
        "output_tokens_details": {"reasoning_tokens": usage.reasoning_tokens},
        "total_tokens": usage.input_tokens + usage.output_tokens,
    }
