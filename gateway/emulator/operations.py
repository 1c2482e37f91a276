"""A job as an Operation on the wire.

As recorded (ruby_llm cassettes of 2026-08-19, captures of 2026-07-25): ``@type`` says v1main on
every version of the URL, ``inputConfig`` is echoed for files only, ``done`` is absent until the
end, counts are strings and absent when zero, output stands twice, a list has neither output nor
``updateTime`` and its counts are as they were at create.
"""

import orjson

from gateway.emulator.errors import JsonObject
from gateway.emulator.faults import FaultBook
from gateway.emulator.jobs import Job, Snapshot
from gateway.emulator.timing import stamp

_TYPE = "type.googleapis.com/google.ai.generativelanguage.v1main."
_RESOURCES = {"generate": "GenerateContentBatch", "embed": "EmbedContentBatch"}
SKEW_NS = 130
"""endTime and updateTime differ by some hundred nanoseconds (recorded)."""


def operation(job: Job, seen: Snapshot, faults: FaultBook, *, call: str) -> JsonObject:
    """The Operation that ``create``, ``get`` or ``list`` answers."""
    listed = call == "list"
    answer: JsonObject = {"name": job.name, "metadata": metadata(job, seen, listed=listed)}
    metadata_state(answer["metadata"], seen, faults, call)
    if not seen.done:
        return answer
    answer["done"] = True
    if seen.error is not None and not listed:
        answer["error"] = seen.error
    if seen.state == "SUCCEEDED" and not listed:
        _add_output(answer, job, faults)
    return answer


def metadata(job: Job, seen: Snapshot, *, listed: bool = False) -> JsonObject:
    """The batch resource, without output."""
    found: JsonObject = {"@type": _TYPE + _RESOURCES[job.kind], "model": f"models/{job.model}"}
    if job.display_name:
        found["displayName"] = job.display_name
    if job.file_name:
        found["inputConfig"] = {"fileName": job.file_name}
    found["createTime"] = stamp(job.created_ns)
    if seen.ended_ns is not None:
        found["endTime"] = stamp(seen.ended_ns + SKEW_NS)
    if not listed:
        found["updateTime"] = stamp(job.created_ns if seen.ended_ns is None else seen.ended_ns)
    found["batchStats"] = stats(job, seen, stale=listed)
    found["state"] = f"BATCH_STATE_{seen.state}"
    found["name"] = job.name
    if job.priority not in {"", "0"}:
        found["priority"] = job.priority
    return found


def stats(job: Job, seen: Snapshot, *, stale: bool) -> JsonObject:
    """Counts as strings, zeros left out."""
    counts = {"requestCount": job.total}
    if seen.state in {"PENDING", "RUNNING"} or stale or seen.state == "EXPIRED":
        counts["pendingRequestCount"] = job.total
    elif seen.state == "SUCCEEDED":
        counts["successfulRequestCount"] = seen.counts.succeeded
        counts["failedRequestCount"] = seen.counts.failed
    return {name: str(count) for name, count in counts.items() if count}


def metadata_state(found: JsonObject, seen: Snapshot, faults: FaultBook, call: str) -> None:
    """Put the states that clients are known to stumble over."""
    if not seen.done and (fault := faults.take("state-unknown", call)):
        found["state"] = fault.state
    if faults.take("state-spelling", call):
        found["state"] = str(found["state"]).replace("BATCH_STATE_", "JOB_STATE_")


def _add_output(answer: JsonObject, job: Job, faults: FaultBook) -> None:
    if faults.take("output-nowhere", "get"):
        return
    found = output(job, faults)
    only = faults.take("output-only", "get")
    if only is None or only.place == "metadata":
        answer["metadata"]["output"] = found
    if only is None or only.place == "response":
        kind = f"{_TYPE}{_RESOURCES[job.kind]}Output"
        answer["response"] = {"@type": kind, **found}


def output(job: Job, faults: FaultBook) -> JsonObject:
    """``{"responsesFile"}`` or ``{"inlinedResponses": {"inlinedResponses": [...]}}``."""
    if job.result_file:
        return {"responsesFile": f"files/{job.result_file}"}
    lines = job.run.lines if job.run else []
    inner = {"inlinedResponses": orjson.Fragment(b"[" + b",".join(lines) + b"]")}
    found: JsonObject = {"inlinedResponses": inner}
    if job.kind == "embed" and faults.take("embed-spelling", "get"):
        found["inlinedEmbedContentResponses"] = inner
    return found
