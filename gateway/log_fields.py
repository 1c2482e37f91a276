"""Log fields: the ids that every line of a task's log bears, kept in a context variable.

A request and a step each run in a task of their own, and tasks that they start inherit the fields.
"""

from collections.abc import Mapping
from contextvars import ContextVar
from types import MappingProxyType
from typing import Final

# What may be on a line, in this order: ids alone, never anything that was asked or answered.
LOG_FIELDS: Final = ("request_id", "owner", "batch_id", "job_id")

_FIELDS: ContextVar[Mapping[str, str]] = ContextVar("log_fields", default=MappingProxyType({}))


def bind(**fields: str | None) -> None:
    """Put fields on all lines that this task logs from now on; None and "" are left out."""
    _FIELDS.set({**_FIELDS.get(), **{name: value for name, value in fields.items() if value}})


def bound() -> Mapping[str, str]:
    """Return the fields of the current task."""
    return _FIELDS.get()
