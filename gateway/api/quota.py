"""``GET /v1/quota``: what is at Google by model and credential, and what refusals taught."""

from collections import Counter
from typing import Any

from starlette.responses import Response

from gateway.api.answers import answer
from gateway.api.services import Call
from gateway.batches.quota import LIVE_JOBS


async def show(call: Call) -> Response:
    """List a row for each model and credential; numbers are of all owners together."""
    jobs: Counter[tuple[str, str]] = Counter()
    tokens: Counter[tuple[str, str]] = Counter()
    for sent in await call.store.sent_jobs():
        jobs[sent.credential, sent.model] += sent.jobs
        tokens[sent.credential, sent.model] += sent.tokens
    learned = {(each.credential, each.model): each for each in await call.store.quotas()}
    rows: list[dict[str, Any]] = []
    for credential, model in sorted({*jobs, *learned}):
        if call.options.pass_through is not None and credential != call.owner:
            continue  # the key of another client
        quota = learned.get((credential, model))
        rows.append(
            {
                "object": "quota",
                "credential": credential,
                "model": None if model == LIVE_JOBS else model,
                "unit": "jobs" if model == LIVE_JOBS else "tokens",
                "jobs": jobs[credential, model],
                "tokens": tokens[credential, model],
                "room": quota.room if quota else None,
                "refused_above": quota.ceiling if quota else None,
                "refusals": quota.refusals if quota else 0,
                "blocked_until": _seconds(quota.blocked_until) if quota else None,
                "tokens_by_estimate": round(quota.ratio, 3) if quota else None,
            }
        )
    return answer({"object": "list", "data": rows, "has_more": False})


def _seconds(milliseconds: int | None) -> int | None:
    return None if milliseconds is None else milliseconds // 1000
