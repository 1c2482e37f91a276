"""Histories of an agent are written from a template: they come out as if each were read in full."""

import copy
from collections.abc import Callable
from typing import Any, Final

import orjson
import pytest

from gateway.translate import frames
from gateway.translate.chat import request as chat
from gateway.translate.chat.messages import read_messages
from gateway.translate.contract import LineError, Policy
from gateway.translate.request.conversation import Conversation
from gateway.translate.template import StandIns
from gateway.translate.tools.call_turns import CALLS
from tests.every import in_one_item

POLICY: Final = Policy()
MODELS: Final = ("gemini-2.5-flash", "gemini-3.6-flash")
CHAT: Final = "/v1/chat/completions"

Json = dict[str, Any]


def call(key: str, arguments: str = '{"city":"Ulm"}', name: str = "find") -> Json:
    """A call of a function."""
    return {"id": key, "type": "function", "function": {"name": name, "arguments": arguments}}


def result(key: str, content: Any = '{"sky":"clear"}') -> Json:
    """The result of a call."""
    return {"role": "tool", "tool_call_id": key, "content": content}


def history(calls: list[Json], results: list[Json], content: Any = None) -> list[Json]:
    """A conversation with one turn of calls."""
    return [
        {"role": "user", "content": "How is it?"},
        {"role": "assistant", "content": content, "tool_calls": calls},
        *results,
        {"role": "user", "content": "And now?"},
    ]


def plain(messages: list[Json], model: str = MODELS[0]) -> bytes | None:
    """The item as it is written from a template, None where it is not."""
    options = chat._build({"model": "m"}, model, POLICY)
    before = copy.deepcopy(messages)
    made = options.plain(messages, read_messages, "text", "image_url", calls=CALLS)
    assert messages == before
    return None if made is None else made[0]


def in_full(messages: list[Json], model: str = MODELS[0]) -> bytes:
    """The item as it is read in full."""
    options = chat._build({"model": "m"}, model, POLICY)
    return options.translation(copy.deepcopy(messages), read_messages, "messages")[0][0]


TWO: Final = [call("a1"), call("b2", "{}", "list_all")]
BOTH: Final = [result("a1"), result("b2", "sunny")]


@in_one_item
@pytest.mark.parametrize("model", MODELS)
@pytest.mark.parametrize(
    "messages",
    [
        history([call("a1")], [result("a1")]),
        history(TWO, BOTH),
        history(TWO, BOTH, "Let me look."),
        history(TWO, BOTH, ""),
        history([call('é"\x1a0\x1a', '{"a":"%b"}')], [result('é"\x1a0\x1a', "%b")]),
        history([call("a1", "")], [result("a1", "")]),
        history([call("a1", '{"n":123456789012345}')], [result("a1", "12")]),
        history([call("a1")], [result("a1", '{"n":12345678901234567890}')]),
        history([call("a1")], [result("a1", '{"$ref":"x"}')]),
        history([call("a1")], [result("a1")]) + history([call("a1")], [result("a1")]),
        history([call("a1", '{"\\u001a1\\u001a":""}')], [result("a1", '{"\\u001a1\\u001a":""}')]),
        history([call("a1", name="1st")], [result("a1")]),
        history([call("a1", name="x" * 64)], [result("a1")]),
        history([call("a1")], [result("a1")])[1:],
        history([call("a1")], [result("a1")])[:-1],
    ],
)
def test_a_history_from_a_template(messages: list[Json], model: str) -> None:
    """The same bytes as of the ordinary way, without it."""
    assert plain(messages, model) == in_full(messages, model)


def changed(change: Callable[[list[Json]], Any]) -> list[Json]:
    """A history that is good but for one change."""
    messages = copy.deepcopy(history(TWO, BOTH))
    change(messages)
    return messages


@in_one_item
@pytest.mark.parametrize(
    "change",
    [
        lambda messages: messages[1].update(refusal=None),
        lambda messages: messages[1].update(role="user"),
        lambda messages: messages[1].pop("content"),
        lambda messages: messages[1].pop("tool_calls"),
        lambda messages: messages[1].update(content=[{"type": "text", "text": "x"}]),
        lambda messages: messages[1].update(content=[]),
        lambda messages: messages[1].update(content=0),
        lambda messages: messages[1].update(tool_calls=[]),
        lambda messages: messages[1].update(tool_calls=None),
        lambda messages: messages[1].update(tool_calls="ab"),
        lambda messages: messages[1]["tool_calls"][0].update(index=0),
        lambda messages: messages[1]["tool_calls"][0].update(type="custom"),
        lambda messages: messages[1]["tool_calls"][0].update(id=""),
        lambda messages: messages[1]["tool_calls"][0].update(id=7),
        lambda messages: messages[1]["tool_calls"][0].update(id="b2"),
        lambda messages: messages[1]["tool_calls"][0].update(function="find"),
        lambda messages: messages[1]["tool_calls"][0]["function"].update(parsed_arguments={}),
        lambda messages: messages[1]["tool_calls"][0]["function"].update(arguments="[1]"),
        lambda messages: messages[1]["tool_calls"][0]["function"].update(arguments="{"),
        lambda messages: messages[1]["tool_calls"][0]["function"].update(arguments=None),
        lambda messages: messages[1]["tool_calls"][0]["function"].update(name=7),
        lambda messages: messages[1]["tool_calls"][0]["function"].update(name=""),
        lambda messages: messages[1]["tool_calls"][0]["function"].update(name="a b"),
        lambda messages: messages[1]["tool_calls"][0]["function"].update(name="x" * 65),
        lambda messages: messages[1]["tool_calls"][0]["function"].update(
            arguments='{"n":1234567890123456}'
        ),
        lambda messages: messages[2].update(name="find"),
        lambda messages: messages[2].update(role="function"),
        lambda messages: messages[2].update(tool_call_id="c3"),
        lambda messages: messages[2].update(content=None),
        lambda messages: messages[2].update(content=[{"type": "text", "text": "x"}]),
        lambda messages: messages.insert(3, messages.pop(2)),
        lambda messages: messages.pop(3),
        lambda messages: messages.insert(3, messages[2]),
        lambda messages: messages.__delitem__(slice(3, None)),
        lambda messages: messages.__delitem__(slice(2, None)),
        lambda messages: messages.insert(2, {"role": "user", "content": "x"}),
        lambda messages: messages.__setitem__(2, 7),
        lambda messages: messages[1]["tool_calls"].__setitem__(0, 7),
    ],
)
def test_what_is_more_than_calls_and_results_is_read_in_full(
    change: Callable[[list[Json]], Any],
) -> None:
    """It may be refused, noted, or sent in another order: the template says nothing of it."""
    assert plain(changed(change)) is None


def test_an_id_with_a_signature_is_read_in_full() -> None:
    """The signature in it is sent as one."""
    key = "call_1__thought__" + "QUJD" * 20
    messages = history([call(key)], [result(key)])
    assert plain(messages) is None
    assert b"thoughtSignature" in in_full(messages)


def test_an_id_without_characters_is_read_in_full() -> None:
    """Also where the result has the same."""
    assert plain(history([call("")], [result("")])) is None


def test_a_history_is_learnt_once() -> None:
    """Otherwise the tests above would compare the ordinary way with itself."""
    read = []

    def counted(messages: Any, conversation: Conversation) -> None:
        read.append(len(messages))
        read_messages(messages, conversation)

    options = chat._build({"model": "m"}, MODELS[0], POLICY)
    for number in range(3):
        messages = history(
            [call(f"a{number}", f'{{"n":{number}}}')], [result(f"a{number}", f"r{number}")]
        )
        made = options.plain(messages, counted, "text", "image_url", calls=CALLS)
        assert made == (in_full(messages), ())
    assert read == [4]
    # Functions of other names are another shape; calls are nothing where an endpoint has none.
    other = history([call("a", name="store")], [result("a")])
    assert options.plain(other, counted, calls=CALLS) == (in_full(other), ())
    assert read == [4, 4]
    assert options.plain(other, counted) is None


def test_stand_ins_of_a_turn_without_calls_are_others() -> None:
    """A message of texts and pictures is made elsewhere."""
    for turn in ("user", ("user", ""), ("assistant", "image/png")):
        assert CALLS.stand_ins(turn, StandIns()) == []


@pytest.mark.parametrize("model", MODELS)
def test_lines_of_an_agent_among_each_other(model: str) -> None:
    """With options of their own, through the endpoint: each as if it had come alone."""
    tool = {"name": "find", "parameters": {"type": "object", "properties": {}}}
    lines = []
    for number in range(12):
        key = f"call_{number}"
        described = {"type": "function", "function": {**tool, "description": f"Of {number}"}}
        messages = history([call(key)], [result(key)], "Look." if number % 3 else None)
        lines.append({"model": "m", "messages": messages, "seed": number, "tools": [described]})
    alone = []
    for line in lines:
        frames.forget()
        alone.append(chat.to_gemini(line, POLICY, model))
    frames.forget()
    for _ in range(2):
        assert [chat.to_gemini(line, POLICY, model) for line in lines] == alone
    for number, made in enumerate(alone):
        assert not isinstance(made, LineError)
        parts = [part for turn in orjson.loads(made[0][0])["contents"] for part in turn["parts"]]
        response = next(part for part in parts if "functionResponse" in part)
        assert response["functionResponse"]["id"] == f"call_{number}"
