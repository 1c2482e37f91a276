"""Webhook endpoints on the wire: bodies of requests, as openai-python 3.53 and later sends them.

in   {"name": "mine", "url": "https://…", "event_types": ["batch.completed"]}
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from gateway.errors import RequestError
from gateway.wire.openai import truncate
from gateway.wire.openai_errors import (
    Complaint,
    invalid_type,
    invalid_value,
    json_type,
    missing_parameter,
    unknown_parameter,
)

MOST_NAME_CHARACTERS: Final = 256

_ENDPOINT_MEMBERS: Final = ("name", "url", "event_types")


@dataclass(frozen=True, slots=True)
class EndpointChange:
    """Members that a create or an update sets; None: left as it is."""

    name: str | None
    url: str | None
    event_types: tuple[str, ...] | None


def parse_new_endpoint(body: object, offered: Collection[str]) -> EndpointChange:
    """Read the body of ``POST /v1/webhook_endpoints``: every member is there."""
    members = _members(body, _ENDPOINT_MEMBERS)
    for name in _ENDPOINT_MEMBERS:
        if name not in members:
            raise _complained(missing_parameter(name), name)
    return _change(members, offered)


def parse_endpoint_change(body: object, offered: Collection[str]) -> EndpointChange:
    """Read the body of ``POST /v1/webhook_endpoints/{id}``: what is left out stays."""
    return _change(_members(body, _ENDPOINT_MEMBERS), offered)


def parse_rotation(body: object) -> bool:
    """Read the body of ``…/rotate_secret``: whether the old secret works for another day."""
    name = "keep_old_secret_active_for_24_hours"
    keep = _members(body, (name,)).get(name, False)
    if not isinstance(keep, bool):
        raise _complained(invalid_type(name, "a boolean", json_type(keep)), name)
    return keep


def parse_test(body: object, offered: Collection[str]) -> str:
    """Read the body of ``…/test``: the type of the sample."""
    members = _members(body, ("event_type",))
    if "event_type" not in members:
        raise _complained(missing_parameter("event_type"), "event_type")
    return _event_type(members["event_type"], "event_type", offered)


def refused_url(why: str) -> RequestError:
    """Make the complaint about the URL of an endpoint; ``why`` is a clause about it."""
    return _complained(invalid_value("url", f"it {why}."), "url")


def _change(members: Mapping[str, Any], offered: Collection[str]) -> EndpointChange:
    types = members.get("event_types")
    return EndpointChange(
        name=_text(members, "name"),
        url=_text(members, "url"),
        event_types=None if types is None else _event_types(types, offered),
    )


def _members(body: object, known: Sequence[str]) -> Mapping[str, Any]:
    if not isinstance(body, dict):
        raise RequestError(f"Invalid request body: expected an object, but got {json_type(body)}.")
    for name in body:
        if name not in known:
            raise _complained(unknown_parameter(truncate(name)), truncate(name))
    return body


def _text(members: Mapping[str, Any], name: str) -> str | None:
    value = members.get(name)
    if name not in members:
        return None
    if not isinstance(value, str):
        raise _complained(invalid_type(name, "a string", json_type(value)), name)
    if name == "name" and not 0 < len(value) <= MOST_NAME_CHARACTERS:
        why = f"expected 1 to {MOST_NAME_CHARACTERS} characters, but got {len(value)} instead."
        raise _complained(invalid_value(name, why), name)
    return value


def _event_types(value: object, offered: Collection[str]) -> tuple[str, ...]:
    name = "event_types"
    if not isinstance(value, list):
        raise _complained(invalid_type(name, "an array of strings", json_type(value)), name)
    if not value:
        raise _complained(invalid_value(name, "expected at least one event type."), name)
    types = [_event_type(one, f"{name}[{place}]", offered) for place, one in enumerate(value)]
    return tuple(dict.fromkeys(types))


def _event_type(value: object, param: str, offered: Collection[str]) -> str:
    if not isinstance(value, str):
        raise _complained(invalid_type(param, "a string", json_type(value)), param)
    if value not in offered:
        words = ", ".join(f"'{one}'" for one in offered)
        why = f"'{truncate(value)}' is not offered here. Supported values are: {words}."
        raise _complained(invalid_value(param, why), param)
    return value


def _complained(complaint: Complaint, param: str) -> RequestError:
    return RequestError(complaint.message, param=param, code=complaint.code)
