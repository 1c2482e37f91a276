"""The policy: stored and read back, every member behind a setting, bad ones refused by name."""

import time
from dataclasses import fields, replace
from typing import Any, Literal, get_args, get_origin, get_type_hints

import orjson
import pytest

from gateway.app import policy
from gateway.errors import SettingsError
from gateway.settings.load import load
from gateway.settings.table import SETTINGS, Setting
from gateway.translate.contract import DEFAULT_POLICY, LineError, NoteCode, Policy
from gateway.translate.endpoints import ENDPOINTS
from gateway.translate.models.capabilities import Capabilities, capabilities_of, check_capabilities
from gateway.translate.reading import unknown_fields as lenient
from gateway.translate.reading.notes import CODES, LONGEST_PATH, Noting, paths_by_id
from gateway.translate.reading.refusal import Refused

KEY = {"GEMINI_API_KEY": "k"}
# The members whose setting has another name.
NAMES = {"aliases": "GATEWAY_MODEL_ALIASES"}
OTHER: dict[str, Any] = {
    "aliases": {"gpt-4o": "gemini-2.5-flash", "g*": {"model": "m", "dimensions": 3}},
    "capabilities": {"gemini-4*": {"sampling": True}},
    "strict": True,
    "strict_fields": ["seed"],
    "safety_settings": {"HARM_CATEGORY_HARASSMENT": "OFF"},
    "voices": {"alloy": "Charon"},
}
BODY: dict[str, Any] = {"messages": [{"role": "user", "content": "Hi"}]}


def row_of(member: str) -> Setting:
    """The setting behind a member."""
    name = NAMES.get(member, f"GATEWAY_{member.upper()}")
    (row,) = (row for row in SETTINGS if row.name == name)
    return row


def other_of(member: str) -> Any:
    """A value that is not the default."""
    hint = get_type_hints(Policy)[member]
    if get_origin(hint) is Literal:
        return get_args(hint)[1]
    return OTHER[member]


MEMBERS = [member.name for member in fields(Policy)]


@pytest.mark.parametrize("member", MEMBERS)
def test_every_member_is_stored_and_read_back(member: str) -> None:
    """As JSON text, since that is what the record keeps."""
    changed = replace(DEFAULT_POLICY, **{member: other_of(member)})

    again = Policy.from_json(orjson.loads(orjson.dumps(changed.to_json())))

    assert getattr(again, member) == other_of(member) != getattr(DEFAULT_POLICY, member)
    assert again.to_json() == changed.to_json()


def test_what_another_version_stored_is_read() -> None:
    """Members it did not know are at their defaults, those we do not know are nothing."""
    assert Policy.from_json({}).to_json() == DEFAULT_POLICY.to_json()
    assert Policy.from_json({"of_tomorrow": 1}).to_json() == DEFAULT_POLICY.to_json()


@pytest.mark.parametrize("member", MEMBERS)
def test_every_member_has_a_setting(member: str) -> None:
    """Its default is the policy's, and what it takes is what the policy knows."""
    row = row_of(member)
    assert row.default is not None
    plain, _ = load(KEY)
    value = other_of(member)
    text = ",".join(value) if isinstance(value, list) else value
    text = text if isinstance(text, str) else orjson.dumps(text).decode()

    settings, _ = load(KEY | {row.name: text})

    assert policy(plain).to_json()[member] == DEFAULT_POLICY.to_json()[member]
    assert policy(settings).to_json()[member] == value
    hint = get_type_hints(Policy)[member]
    if get_origin(hint) is Literal:
        assert row.type == ", ".join(get_args(hint))
        for word in get_args(hint):
            assert row.parse(word) == word


@pytest.mark.parametrize(
    ("name", "value", "said"),
    [
        ("GATEWAY_STRICT", "yes", "none of true, false"),
        ("GATEWAY_STRICT_FIELDS", "a b", "not a list of field names"),
        ("GATEWAY_SCHEMA_MODE", "xml", "none of auto, openapi, json"),
        ("GATEWAY_SAFETY_SETTINGS", "[]", "not a JSON object"),
        ("GATEWAY_SAFETY_SETTINGS", "{", "not JSON. The text ends at character 2"),
        ("GATEWAY_VOICES", "{'alloy':'Kore'}", "not JSON. The single quote at character 2"),
        ("GATEWAY_MODEL_ALIASES", "openai {'a':'b'}", "The single quote at character 9"),
        ("GATEWAY_SAFETY_SETTINGS", '{"A":"OFF"}', "'A' is none of"),
        ("GATEWAY_SAFETY_SETTINGS", '{"A":1}', "not a JSON map of texts"),
        ("GATEWAY_SAFETY_SETTINGS", '{"HARM_CATEGORY_HARASSMENT":"NO"}', "'NO' is none of"),
        ("GATEWAY_VOICES", '{"alloy":"no voice"}', "'alloy': 'no voice' is not the name"),
        ("GATEWAY_VOICES", '{"Alloy":"Kore"}', "'Alloy' is not in lower case"),
        ("GATEWAY_CAPABILITIES", '{"x":1}', "not a JSON map of objects"),
        ("GATEWAY_CAPABILITIES", '{"x":{"wings":true}}', "'x': 'wings' is none of"),
        ("GATEWAY_CAPABILITIES", '{"x":{"sampling":1}}', "'sampling' must be true or false"),
        ("GATEWAY_CAPABILITIES", '{"x":{"max_candidates":-1}}', "must be a whole number"),
        ("GATEWAY_CAPABILITIES", '{"x":{"max_candidates":true}}', "must be a whole number"),
        ("GATEWAY_CAPABILITIES", '{"x":{"effort":5}}', "a JSON object or null"),
        ("GATEWAY_CAPABILITIES", '{"x":{"effort":{"low":5}}}', "budgets, or levels, for none"),
        ("GATEWAY_CAPABILITIES", '{"x":{"effort":{"most":"HIGH"}}}', "budgets, or levels"),
        ("GATEWAY_CAPABILITIES", '{"x":{"effort":{"low":"SOME"}}}', "levels out of MINIMAL"),
        ("GATEWAY_CAPABILITIES", '{"x":{"clamped":["some"]}}', "an array out of none"),
    ],
)
def test_a_bad_value_names_its_setting(name: str, value: str, said: str) -> None:
    """Before anything is started."""
    with pytest.raises(SettingsError, match=name) as caught:
        policy(load(KEY | {name: value})[0])

    assert said in str(caught.value)


def test_the_longest_beginning_of_a_name_decides() -> None:
    """And a whole name before any."""
    given = replace(
        DEFAULT_POLICY,
        capabilities={
            "gemini-*": {"penalties": True},
            "gemini-3*": {"penalties": False},
            "gemini-3-flash": {"sampling": False},
        },
    )

    assert capabilities_of("gemini-2.5-flash", given).penalties
    assert not capabilities_of("gemini-3.5-flash", given).penalties
    exact = capabilities_of("gemini-3-flash", given)
    assert (exact.sampling, exact.penalties) == (False, False)
    assert capabilities_of("other", given) == capabilities_of("other", DEFAULT_POLICY)


@pytest.mark.parametrize("path", ENDPOINTS)
def test_unknown_fields_may_be_dropped_on_every_endpoint(path: str) -> None:
    """The line becomes what it would be without them, and the body is left alone."""
    endpoint = ENDPOINTS[path]
    known = dict.fromkeys(endpoint.required, "x") | ({} if "chat" not in path else BODY)
    if path == "/v1/images/edits":  # either of two names, so none is required
        known["image"] = "data:image/png;base64,AAAA"
    body = {**known, "foo": {"bar": 1}}
    kept = orjson.dumps(body)
    dropping = Policy(unknown_fields="drop")

    refused = endpoint.to_gemini(body, DEFAULT_POLICY, "gemini-2.5-flash")
    made = endpoint.to_gemini(body, dropping, "gemini-2.5-flash")
    plain = endpoint.to_gemini(known, dropping, "gemini-2.5-flash")

    assert isinstance(refused, LineError)
    assert refused.code == "unknown_parameter"
    assert not isinstance(made, LineError)
    assert not isinstance(plain, LineError)
    assert [[note.code, note.field] for note in made[2]] == [["dropped", "foo"]]
    assert (made[0], made[1], made[3]) == (plain[0], plain[1], plain[3])
    assert orjson.dumps(body) == kept


@pytest.mark.parametrize(
    "body",
    [
        {**BODY, "google.top_k": 1, "google": {"top_k": 3}},
        {**BODY, "x" * 500: 1},
        {**BODY, "": 1},
        {**BODY, **{f"f{n}": 1 for n in range(lenient.MAX_DROPPED + 1)}},
    ],
    ids=["dots", "long", "empty", "many"],
)
def test_what_cannot_be_dropped_stays_refused(body: dict[str, Any]) -> None:
    """A name that is no step of a path, and more fields than anybody means."""
    result = ENDPOINTS["/v1/chat/completions"].to_gemini(body, Policy(unknown_fields="drop"), "m")

    assert isinstance(result, LineError)
    assert result.code == "unknown_parameter"


def test_a_path_in_a_note_is_cut() -> None:
    """It leads through names that a client chose."""
    noting = Noting(DEFAULT_POLICY)

    noting.note("dropped", "x" * 10_000)

    assert len(noting.notes[0].field) == LONGEST_PATH + 1


def test_each_code_of_a_note_is_explained() -> None:
    """Mypy holds the notes to NoteCode; README shows CODES."""
    assert CODES.keys() == set(get_args(NoteCode))


@pytest.mark.parametrize("code", CODES)
def test_strict_refuses_losses_alone(code: NoteCode) -> None:
    """What is only doubtful is noted as ever."""
    strict = Noting(Policy(strict=True))
    if code in {"dropped", "clamped", "approximated"}:
        with pytest.raises(Refused, match="GATEWAY_STRICT"):
            strict.note(code, "seed")
    else:
        strict.note(code, "seed")
        assert [note.code for note in strict.notes] == [code]


@pytest.mark.slow
def test_notes_of_a_long_conversation_take_no_long_time() -> None:
    """Each has its place, and none of them is looked for from the beginning."""
    messages = [{"role": "user", "content": "Hi", "name": "ann"}] * 3 + [
        {"role": "user", "content": "Hi", "name": str(n)} for n in range(30_000)
    ]
    body = orjson.loads(orjson.dumps({"messages": messages}))
    start = time.process_time()

    made = ENDPOINTS["/v1/chat/completions"].to_gemini(body, DEFAULT_POLICY, "gemini-2.5-flash")

    assert time.process_time() - start < 5
    assert not isinstance(made, LineError)
    assert [note.field for note in made[2]] == [f"messages[{n}].name" for n in range(30_003)]


def test_long_names_on_the_way_are_cut() -> None:
    """A megabyte that leads to a thousand objects is no gigabyte."""
    root: Any = {"x" * 1_000_000: [{"a": {}} for _ in range(1000)]}

    places = paths_by_id(root, "input")

    assert max(map(len, places.values())) <= LONGEST_PATH
    assert len(places) == 2001


@pytest.mark.parametrize("field", fields(Capabilities), ids=lambda field: field.name)
def test_every_capability_can_be_given(field: Any) -> None:
    """As it is, in JSON's words; and nothing else changes."""
    known = capabilities_of("gemini-2.5-flash", DEFAULT_POLICY)
    value = getattr(known, field.name)
    given = sorted(value) if isinstance(value, frozenset) else value
    overrides = {"gemini-2.5-flash": {field.name: given}}

    check_capabilities(overrides)

    changed = replace(DEFAULT_POLICY, capabilities=overrides)
    assert capabilities_of("gemini-2.5-flash", changed) == known
