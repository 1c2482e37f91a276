"""Defaults that an alias gives a line: members of its body that the line itself may override.

``{"gpt-4o-mini*": {"model": "gemini-3.5-flash-lite", "reasoning_effort": "minimal"}}``. OpenAI's
names promise more than a model: ``text-embedding-3-small`` has 1,536 numbers, and ``gpt-4o-mini``
spends no part of ``max_tokens`` on thoughts.
"""

from collections.abc import Callable, Iterator, Mapping
from typing import Any, Final

from gateway.translate import responses
from gateway.translate.contract import Json
from gateway.translate.endpoints import ENDPOINTS
from gateway.translate.reading.refusal import Refused
from gateway.translate.reading.table import TABLES, Field, Placing
from gateway.translate.request.thinking import effort

_EFFORT: Final = "reasoning_effort"
# What an endpoint's line may not be given by a name: its model, and whether it is a line at all.
_NEVER: Final = frozenset({"model", "stream", "background"})
# A line says it with either of them: a default of one is not added to the other.
_SAME: Final = {
    "max_tokens": "max_completion_tokens",
    "max_completion_tokens": "max_tokens",
}
_ROWS: Final[Mapping[str, Mapping[str, Field[Any]]]] = {
    table.path: {
        name: row
        for name, row in table.by_name.items()
        if row.placing is Placing.MAPPED
        and row.check is not None
        and name not in _NEVER
        and name not in ENDPOINTS[table.path].required
    }
    for table in TABLES
    if table.path in ENDPOINTS
}


def check_aliases(aliases: Mapping[str, str | Mapping[str, Any]]) -> None:
    """Check that every alias names a model, and that some endpoint takes each of its defaults.

    Errors: ValueError that names the alias and the member.
    """
    for name, alias in aliases.items():
        try:
            _check(name, {"model": alias} if isinstance(alias, str) else alias)
        except ValueError as error:
            raise ValueError(f"{name!r}: {error}") from None


def _check(name: str, alias: Mapping[str, Any]) -> None:
    if "*" in name[:-1]:
        raise ValueError("a * is allowed at the end only")
    model = alias.get("model")
    if not isinstance(model, str) or not model:
        raise ValueError("'model' must be the name of a Gemini model")
    for member, value in alias.items():
        if member != "model":
            _check_default(member, value)


def _check_default(member: str, value: object) -> None:
    if not isinstance(value, str | int | float):  # a setting's value, whatever its type
        raise ValueError(  # noqa: TRY004
            f"{member!r} must be a text, a number, true or false"
        )
    takes = [path for path in ENDPOINTS if _has(path, member)]
    if not takes:
        raise ValueError(f"{member!r} is no field that a name can have a default for")
    if not any(_takes(path, member, value) for path in takes):
        raise ValueError(f"no endpoint takes {value!r} as {member!r}")


def _has(path: str, member: str) -> bool:
    return member in _ROWS[path] or (member == _EFFORT and path == responses.PATH)


def _takes(path: str, member: str, value: object) -> bool:
    check = effort if member == _EFFORT else _ROWS[path][member].check
    try:
        return check is not None and check(value) is not None
    except Refused:
        return False


Add = Callable[[Json], Json]


def defaults_of(defaults: Mapping[str, Any], path: str) -> Add | None:
    """Return what adds defaults to a body of this endpoint; None where it has none of them."""
    fitting = dict(_fitting(defaults, path))
    if not fitting:
        return None
    add = _add_to_response if path == responses.PATH else _add
    return lambda body: add(body, fitting)


def _fitting(defaults: Mapping[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    """``dimensions`` means nothing to chat, and ``logprobs`` not the same to completions."""
    for member, value in defaults.items():
        if _has(path, member) and _takes(path, member, value):
            yield member, value


def _add(body: Json, defaults: Mapping[str, Any]) -> Json:
    return {**body, **{name: defaults[name] for name in defaults if not _says(body, name)}}


def _add_to_response(body: Json, defaults: Mapping[str, Any]) -> Json:
    """``reasoning_effort`` is ``reasoning.effort`` there."""
    added = _add(body, {name: defaults[name] for name in defaults if name != _EFFORT})
    reasoning = {} if body.get("reasoning") is None else body["reasoning"]
    told = type(reasoning) is not dict or reasoning.get("effort") is not None
    if _EFFORT in defaults and not told and not _says(body, _EFFORT):
        added["reasoning"] = {**reasoning, "effort": defaults[_EFFORT]}
    return added


def _says(body: Json, name: str) -> bool:
    """Whether a line says it itself; null is OpenAI's word for unsaid."""
    if body.get(name) is not None or body.get(_SAME.get(name, name)) is not None:
        return True
    return name == _EFFORT and _thinking_config(body) is not None


def _thinking_config(body: Json) -> object:
    """Find Google's own configuration of thoughts, which excludes an effort."""
    extra = body.get("extra_body")
    google = body.get("google") or (extra.get("google") if type(extra) is dict else None)
    return google.get("thinking_config") if type(google) is dict else None
