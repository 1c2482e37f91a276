"""A job as an Operation on the wire.

As recorded (ruby_llm cassettes of 2026-08-19, captures of 2026-07-25): ``@type`` says v1main on
every version of the URL, ``inputConfig`` is echoed for files only, ``done`` is absent until the
end, counts are strings and absent when zero, output is there twice, a list has neither output nor
``updateTime`` and its counts are as they were at create.
"""

from typing import Final

import orjson

from gateway.emulator.faults.book import Take
from gateway.emulator.jobs.job import Job, Snapshot
from gateway.emulator.protocol.clock import stamp
from gateway.emulator.protocol.errors import JsonObject

_TYPE: Final = "type.googleapis.com/google.ai.generativelanguage.v1main."
_RESOURCES: Final = {"generate": "GenerateContentBatch", "embed": "EmbedContentBatch"}
# endTime and updateTime differ by some hundred nanoseconds (recorded).
SKEW_NS: Final = 130


def operation(job: Job, seen: Snapshot, take: Take, *, call: str) -> JsonObject:
    """Return the Operation that ``create``, ``get`` or ``list`` answers."""
    listed = call == "list"
    if listed and seen.done and take("list-stale", call):
        seen = Snapshot("PENDING", seen.counts)
    stale = listed and not take("list-fresh", call)
    found = metadata(job, seen, listed=listed, stale=stale)
    answer: JsonObject = {"name": job.name, "metadata": found}
    metadata_state(answer["metadata"], seen, take, call)
    if not seen.done:
        return answer
    answer["done"] = True
    if seen.error is not None and not listed:
        answer["error"] = seen.error
    if seen.has_output and not listed:
        _add_output(answer, job, take)
    return answer


def metadata(job: Job, seen: Snapshot, *, listed: bool = False, stale: bool = False) -> JsonObject:
    """Return the batch resource, without output."""
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
    found["batchStats"] = stats(job, seen, stale=stale)
    found["state"] = f"BATCH_STATE_{seen.state}"
    found["name"] = job.name
    if job.priority not in {"", "0"}:
        found["priority"] = job.priority
    return found


def stats(job: Job, seen: Snapshot, *, stale: bool) -> JsonObject:
    """Return counts as strings, zeros left out."""
    counts = {"requestCount": job.total}
    if seen.has_output and not stale:
        counts["requestCount"] = seen.counts.total
        counts["successfulRequestCount"] = seen.counts.succeeded
        counts["failedRequestCount"] = seen.counts.failed
    elif seen.state in {"PENDING", "RUNNING", "EXPIRED"} or stale:
        counts["pendingRequestCount"] = job.total
    return {name: str(count) for name, count in counts.items() if count}


def metadata_state(found: JsonObject, seen: Snapshot, take: Take, call: str) -> None:
    """Put the states that clients are known to stumble over."""
    if not seen.done and (fault := take("state-unknown", call)):
        found["state"] = fault.state
    if take("state-spelling", call):
        found["state"] = str(found["state"]).replace("BATCH_STATE_", "JOB_STATE_")


def _add_output(answer: JsonObject, job: Job, take: Take) -> None:
    if take("output-nowhere", "get"):
        return
    found = output(job, take)
    only = take("output-only", "get")
    if only is None or only.place == "metadata":
        answer["metadata"]["output"] = found
    if only is None or only.place == "response":
        kind = f"{_TYPE}{_RESOURCES[job.kind]}Output"
        answer["response"] = {"@type": kind, **found}


def output(job: Job, take: Take) -> JsonObject:
    """``{"responsesFile"}`` or ``{"inlinedResponses": {"inlinedResponses": [...]}}``."""
    if job.has_file:
        return {"responsesFile": f"files/{job.result_id}"}
    lines = job.run.lines if job.run else []
    inner = {"inlinedResponses": orjson.Fragment(b"[" + b",".join(lines) + b"]")}
    found: JsonObject = {"inlinedResponses": inner}
    if job.kind == "embed" and take("embed-spelling", "get"):
        found["inlinedEmbedContentResponses"] = inner
    return found
