"""Faults of prompts, ``[[fault:SPECIFICATION]]``: read, and sorted by what they strike."""

from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from gateway.emulator.faults.markers import Seen, find_faults
from gateway.emulator.faults.table import FAULTS, Fault, Scope, parse_fault
from gateway.emulator.protocol.errors import invalid

# Calls about one job, or about the file of its results.
JOB_OPERATIONS: Final = frozenset(
    {"get", "cancel", "delete", "update", "file-get", "file-delete", "redirect", "download"}
)
UPLOAD_OPERATIONS: Final = frozenset({"upload-start", "upload", "upload-query"})


@dataclass
class PromptFaults:
    """The faults of some prompts, by whom they strike."""

    # The call that brings the prompts.
    call: list[Fault] = field(default_factory=list)
    # The job that is made of them, if one is; with the prompt of each.
    job: list[tuple[Fault, str]] = field(default_factory=list)
    # Calls about that job.
    later: list[Fault] = field(default_factory=list)
    # Whatever they are for, next: listings, for one.
    others: list[Fault] = field(default_factory=list)


def parse_prompt_fault(specification: str) -> tuple[Fault, Scope]:
    """Read a prompt's fault and its scope; once unless it says otherwise. Raises ApiError 400."""
    try:
        fault = parse_fault(specification)
    except ValueError as error:
        raise invalid(str(error)) from error
    scope = FAULTS[specification.partition(":")[0].strip()].scope
    later = fault.lasts and not JOB_OPERATIONS.isdisjoint(fault.on.split("|"))
    if scope is not Scope.VIEW and not later and "times=" not in specification:
        fault = replace(fault, times=1)
    return fault, scope


def sort_prompt_faults(texts: Iterable[str], operation: str, seen: Seen) -> PromptFaults:
    """Sort the faults that ``texts`` ask for, in a call ``operation``. Raises ApiError 400.

    Faults of single items are left to those who answer them (:func:`of_item`), those of uploads to
    those who take the file (:func:`of_upload`).
    """
    found = PromptFaults()
    for specification, text in find_faults(texts).items():
        fault, scope = parse_prompt_fault(specification)
        if scope is Scope.JOB:
            found.job.append((fault, text))
        elif scope is Scope.VIEW:
            found.later.append(fault)
        elif scope is Scope.CALL:
            _sort_call(found, fault, operation, _again(fault, text, seen))
        elif scope is Scope.LIST:
            found.others.append(fault)
    return found


def of_job(marked: PromptFaults, seen: Seen) -> dict[str, Fault]:
    """Return the faults that prompts ask for of their job, counted now that it is made."""
    return {fault.name: fault for fault, text in marked.job if _again(fault, text, seen)}


def _sort_call(found: PromptFaults, fault: Fault, operation: str, again: bool) -> None:
    """Sort a fault of calls: of this one, of those about the job, or of others."""
    named = set(fault.on.split("|"))
    if fault.hits(operation) and again:
        found.call.append(replace(fault, times=1, skip=0))
    if named & JOB_OPERATIONS:
        found.later.append(fault)
    elif not fault.hits(operation) and not named & UPLOAD_OPERATIONS:
        found.others.append(fault)


def of_upload(line: str, seen: Seen) -> tuple[list[Fault], list[Fault]]:
    """Read the faults that a file's first line asks for: of the uploading call, of the file."""
    of_call: list[Fault] = []
    of_file: list[Fault] = []
    for specification in find_faults([line]):
        fault, scope = parse_prompt_fault(specification)
        struck = scope is Scope.UPLOAD or (scope is Scope.CALL and "upload" in fault.on.split("|"))
        if struck and _again(fault, line, seen):
            (of_file if scope is Scope.UPLOAD else of_call).append(replace(fault, skip=0))
    return of_call, of_file


def of_item(text: str, seen: Seen) -> dict[str, Fault]:
    """Return the faults of an item that its own prompt asks for; raises ApiError 400."""
    if "[[fault:" not in text:
        return {}
    pairs = [parse_prompt_fault(specification) for specification in find_faults([text])]
    return {
        fault.name: fault
        for fault, scope in pairs
        if scope is Scope.ITEMS and _again(fault, text, seen)
    }


def still_hit(faults: dict[str, Fault], text: str, seen: Seen) -> dict[str, Fault]:
    """Return the faults that hit an item's prompt again, no more often than ``attempts`` say."""
    return {
        name: fault
        for name, fault in faults.items()
        if not fault.attempts or seen.count(f"{name} attempts {text}") <= fault.attempts
    }


def _again(fault: Fault, text: str, seen: Seen) -> bool:
    """Count a prompt; whether it is struck once more."""
    times = seen.count(f"{fault.name} {fault.on} {text}")
    return times > fault.skip and (fault.times is None or times <= fault.skip + fault.times)
