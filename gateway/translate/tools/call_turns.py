"""Turns of calls as part of a shape: the history of an agent is written from a template, too.

An agent's lines are mostly its earlier calls with their results. Read in full they take four times
what texts of the same length take (measured); of those that are plain, only ids, arguments and
results differ.
"""

from collections.abc import Iterator
from typing import Final

from orjson import dumps

from gateway.translate.contract import Json
from gateway.translate.request.compiled_options import Turn
from gateway.translate.template import Piece, StandIns
from gateway.translate.tools.calls import has_long_integer, parsed_arguments, parsed_result

_ASSISTANT: Final = "assistant"
_TEXT: Final = ""
# In front of a function's name: no type of a picture begins with it.
_CALLED: Final = "("
# Members of a message of calls, of a call and of a result, where they have no others.
_MEMBERS: Final = 3
# What an id with a signature in it has, see signatures.split_call_id.
_MARKER: Final = "_t"


class CallTurns:
    """Messages of an assistant with ``tool_calls``, each answered right behind, in their order."""

    def read(self, message: Json, rest: Iterator[Json], texts: list[Piece]) -> Turn | None:
        """``find`` called and answered -> ``("assistant", "(find")``."""
        content = message["content"]
        if len(message) != _MEMBERS or message["role"] != _ASSISTANT:
            return None
        names = [_ASSISTANT]
        if content:
            if type(content) is not str:
                return None
            names.append(_TEXT)
            texts.append(dumps(content))
        elif content is not None and content != "":
            return None
        ids = _read_calls(message["tool_calls"], names, texts)
        return tuple(names) if ids and _read_results(ids, rest, texts) else None

    def stand_ins(self, turn: Turn, made: StandIns) -> list[Json]:
        """Return the message of the calls and those of the results."""
        if type(turn) is str or not turn[-1].startswith(_CALLED):
            return []
        text = made.text() if turn[1] == _TEXT else None
        calls = [
            {
                "id": made.text(times=2),
                "type": "function",
                "function": {"name": name[1:], "arguments": made.json()},
            }
            for name in turn[1:]
            if name
        ]
        message = {"role": turn[0], "content": text, "tool_calls": calls}
        results = [
            {"role": "tool", "tool_call_id": call["id"], "content": made.json()} for call in calls
        ]
        return [message, *results]


CALLS: Final = CallTurns()


def _read_calls(calls: object, names: list[str], texts: list[Piece]) -> list[str]:
    """Add the calls to a turn; their ids, none where one is more than a name and arguments."""
    ids: list[str] = []
    if type(calls) is not list:
        return ids
    for call in calls:
        key, function = call["id"], call["function"]
        if len(call) != _MEMBERS or call["type"] != "function" or len(function) != _MEMBERS - 1:
            return []
        if type(key) is not str or not key or _MARKER in key or key in ids:
            return []
        text = function["arguments"]
        arguments = parsed_arguments(text) if type(text) is str else None
        if arguments is None or has_long_integer(text):
            return []
        ids.append(key)
        names.append(_CALLED + function["name"])
        texts += (dumps(key), dumps(arguments))
    return ids


def _read_results(ids: list[str], rest: Iterator[Json], texts: list[Piece]) -> bool:
    """Add the results of these calls; whether there is one text of each, in their order."""
    for key in ids:
        result = next(rest, None)
        if result is None or len(result) != _MEMBERS or result["role"] != "tool":
            return False
        text = result["content"]
        if result["tool_call_id"] != key or type(text) is not str:
            return False
        texts.append(dumps(parsed_result(text)))
    return True
