"""``GET /v1/batches/{id}/jobs``: the upstream jobs of a batch, an extension."""

from typing import Any

from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.batches import no_such_batch
from gateway.api.services import Call
from gateway.batches.job import Job


async def list_jobs(call: Call) -> Response:
    """List every job, in order of their number; none before validation.

    Of a batch of responses in the background too, whose id ``/v1/background`` tells.
    """
    found = await call.store.get_batch_and_queues(call.owner, call.path_id())
    if found is None:
        raise no_such_batch(call.path_id())
    work = await call.store.load_work(found[0].id)
    jobs = [] if work is None else [encode_job(job) for job in work.jobs]
    return answer({"object": "list", "data": jobs, "has_more": False})


def encode_job(job: Job) -> dict[str, Any]:
    """Show a job as people need it; at Google it is found by its display name."""
    since = job.upstream_since or job.submitted_at or job.created_at
    return {
        "object": "batch.job",
        "number": job.number,
        "cause": job.cause.value,
        "model": job.model,
        "credential": job.credential,
        "lines": job.lines,
        "items": job.items,
        "tokens": job.tokens,
        "state": job.state.value,
        "upstream_state": job.upstream_state,
        "since": since // 1000,
        "created_at": job.created_at // 1000,
        "attempts": job.attempt,
        "refused": job.refused,
        "waiting_for": job.last_error,
        "in_doubt": job.doubt is not None,
        "error": None if job.failure is None else job.failure.message,
        "display_name": job.display_name,
    }
