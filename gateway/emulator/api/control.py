"""Routes that steer an emulator: off unless asked for, and not guarded.

========================  =======================================================================
GET /emulator/journal     ``{"entries": [...]}``; ``?kind=create`` and ``?since=SEQ`` choose
DELETE /emulator/journal  forget
GET /emulator/faults      ``{"faults": [...], "known": {name: what}}`` with how often each applied
POST /emulator/faults     ``{"name": "create-500-after", "times": 2}``, a list, or a text
DELETE /emulator/faults   disarm all
GET /emulator/clock       ``{"now", "speed"}``
POST /emulator/clock      ``{"advance": seconds}`` and/or ``{"speed": factor}``
GET /emulator/jobs        every job with its state and counts, deleted ones too
POST /emulator/jobs       ``{"name": "batches/..."}`` (or no name: all): its time is over now
GET /emulator/calls       ``{"calls": {operation: count}}``, whatever was answered
GET /emulator/ledger      ``{"charges": [...], "usd": {tier: dollars}}`` with the option --ledger
========================  =======================================================================
"""

import asyncio
from collections.abc import Awaitable, Callable

import orjson
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from gateway.emulator.faults.table import FAULTS, Fault, make_fault, parse_fault
from gateway.emulator.jobs.job import Job
from gateway.emulator.protocol.clock import stamp
from gateway.emulator.protocol.errors import JsonObject, json_response
from gateway.emulator.state.state import EmulatorState

Function = Callable[[EmulatorState, Request], Awaitable[JsonObject]]


def _object(body: bytes) -> JsonObject:
    found = orjson.loads(body)
    if not isinstance(found, dict):
        raise TypeError("the body must be an object")
    return found


async def read_journal(state: EmulatorState, request: Request) -> JsonObject:
    """Return the journal."""
    since = int(request.query_params.get("since", "0"))
    return {"entries": state.journal.entries(request.query_params.get("kind", ""), since)}


async def clear_journal(state: EmulatorState, _request: Request) -> JsonObject:
    """Forget the journal."""
    state.journal.clear()
    return {}


async def read_faults(state: EmulatorState, _request: Request) -> JsonObject:
    """Return what is armed, and what could be."""
    known = {name: kind.what for name, kind in FAULTS.items()}
    return {"faults": state.armed(), "known": known}


async def arm_faults(state: EmulatorState, request: Request) -> JsonObject:
    """Arm one fault or several; nothing is armed when one of them is wrong (ValueError)."""
    asked = orjson.loads(await request.body())
    faults = [read_fault(one) for one in (asked if isinstance(asked, list) else [asked])]
    for fault in faults:
        state.faults.arm(fault)
    return {"faults": state.armed()}


def read_fault(asked: object) -> Fault:
    """Read a fault: ``{"name", ...parameters}``, or a specification. ValueError, TypeError."""
    if isinstance(asked, str):
        return parse_fault(asked)
    if not (isinstance(asked, dict) and isinstance(asked.get("name"), str)):
        raise TypeError("a fault is an object with a name, or a specification")
    parameters = {key: value for key, value in asked.items() if key != "name"}
    return make_fault(asked["name"], parameters)


async def clear_faults(state: EmulatorState, _request: Request) -> JsonObject:
    """Disarm everything."""
    state.disarm()
    return {}


async def read_clock(state: EmulatorState, _request: Request) -> JsonObject:
    """Return what time it is."""
    return {"now": stamp(state.clock.now_ns()), "speed": state.clock.speed}


async def move_clock(state: EmulatorState, request: Request) -> JsonObject:
    """Move the time or change its speed; raises ValueError."""
    asked = _object(await request.body())
    if "speed" in asked:
        state.clock.set_speed(float(asked["speed"]))
    if "advance" in asked:
        state.clock.advance(float(asked["advance"]))
        await asyncio.to_thread(state.await_work)
    return await read_clock(state, request)


async def read_jobs(state: EmulatorState, _request: Request) -> JsonObject:
    """Every job."""
    return {"jobs": [job_state(state, job) for job in state.jobs()]}


def job_state(state: EmulatorState, job: Job) -> JsonObject:
    """One job as its emulator sees it."""
    seen = state.look(job)
    return {
        "name": job.name,
        "project": job.project,
        "displayName": job.display_name,
        "model": job.model,
        "state": seen.state,
        "items": job.total,
        "succeeded": seen.counts.succeeded,
        "failed": seen.counts.failed,
        "deleted": job.deleted,
        "faults": sorted(job.faults),
    }


async def read_calls(state: EmulatorState, _request: Request) -> JsonObject:
    """Count the calls of each operation."""
    return {"calls": dict(state.calls)}


async def read_ledger(state: EmulatorState, _request: Request) -> JsonObject:
    """Return what was paid for, and how much."""
    charges = state.charges()
    tiers = {one.tier for one in charges}
    usd = {tier: round(sum(one.usd for one in charges if one.tier == tier), 9) for tier in tiers}
    return {"charges": [one.wire() for one in charges], "usd": usd}


async def finish_jobs(state: EmulatorState, request: Request) -> JsonObject:
    """Let the time of one job, or of all, be over; raises ValueError for an unknown name."""
    name = _object(await request.body() or b"{}").get("name")
    jobs = [job for job in state.jobs() if name is None or name == job.name]
    if name is not None and not jobs:
        raise ValueError(f"there is no job {name}")
    for job in jobs:
        state.finish(job)
    await asyncio.to_thread(state.await_work)
    return {"jobs": [job_state(state, job) for job in jobs]}


TABLE: tuple[tuple[str, str, Function], ...] = (
    ("GET", "/emulator/journal", read_journal),
    ("DELETE", "/emulator/journal", clear_journal),
    ("GET", "/emulator/faults", read_faults),
    ("POST", "/emulator/faults", arm_faults),
    ("DELETE", "/emulator/faults", clear_faults),
    ("GET", "/emulator/clock", read_clock),
    ("POST", "/emulator/clock", move_clock),
    ("GET", "/emulator/jobs", read_jobs),
    ("POST", "/emulator/jobs", finish_jobs),
    ("GET", "/emulator/calls", read_calls),
    ("GET", "/emulator/ledger", read_ledger),
)


def control_routes(state: EmulatorState) -> list[Route]:
    """Return the routes, for an emulator that was asked for them."""
    return [
        Route(path, _endpoint(state, function), methods=[method])
        for method, path, function in TABLE
    ]


def _endpoint(state: EmulatorState, function: Function) -> Callable[[Request], Awaitable[Response]]:
    async def respond(request: Request) -> Response:
        try:
            return json_response(await function(state, request), pretty=False)
        except (ValueError, TypeError) as error:
            return json_response({"error": str(error)}, 400, pretty=False)

    return respond
