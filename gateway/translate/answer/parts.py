"""One functionCall of an answer, checked: what every endpoint makes its own call of."""

from collections.abc import Collection
from typing import NamedTuple

import orjson

from gateway.ids import digest
from gateway.translate.answer.failure import Failure
from gateway.translate.contract import Context, Json
from gateway.translate.reading.function_names import openai_name


class Called(NamedTuple):
    """A call; ``arguments`` is written JSON, ``signature`` is ``""`` where Gemini gave none."""

    call_id: str
    name: str
    arguments: str
    signature: str


def called(
    part: Json, context: Context, choice: int, number: int, taken: Collection[str] = ()
) -> Called | Failure:
    """Read a part with a functionCall.

    ``{"functionCall": {"name": "f", "args": {"a": 1}}}`` ->
    ``Called("call_…", "f", '{"a":1}', "")``. Args and id may be absent; an id of ours names the
    line, the choice and the ``number`` of the call in it. So does that of a call whose id is
    ``taken`` by another: nobody could answer both.
    """
    call = part["functionCall"]
    name = call.get("name") if type(call) is dict else None
    if type(name) is not str or not name:
        return Failure(502, "malformed_function_call", "Gemini called no function by name.")
    arguments = call.get("args")
    try:
        text = orjson.dumps({} if arguments is None else arguments).decode()
    except TypeError:
        # Nested deeper than any JSON writer goes.
        return Failure(502, "malformed_function_call", "Gemini's arguments are no JSON.")
    call_id = call.get("id")
    if type(call_id) is not str or not call_id or call_id in taken:
        where = (context.batch_id, context.line, choice, number)
        call_id = "call_" + digest("call", *where)[:24]
    signature = part.get("thoughtSignature")
    return Called(call_id, openai_name(name), text, signature if type(signature) is str else "")
