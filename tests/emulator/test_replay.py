"""Recorded calls, caches and models, sent as recorded, get answers of the recorded shape."""

from collections.abc import Iterator

import httpx
import orjson
import pytest

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.emulator import (
    replaying,
    test_replay_files,
    test_replay_jobs,
    test_replay_reached,
    test_webhooks,
)
from tests.emulator.grammar import EMULATED
from tests.emulator.replaying import (
    KEY,
    NOT_REPLAYED,
    SAMPLES,
    Json,
    compare,
    differences,
    each,
    header_differences,
    of_kind,
    replays,
    send,
    upload,
)

_MESSAGES = {
    "generateContent": "GenerateContentResponse",
    "countTokens": "CountTokensResponse",
    "batchEmbedContents.sync": "BatchEmbedContentsResponse",
}
_OWN_DECISIONS = {"g108", "g134", "g142"}
"""The model blocked an answer or called a function, which no prompt of these says."""


@pytest.fixture(scope="module")
def world() -> Iterator[Emulator]:
    """One emulator for all that needs no state; retired models are served too."""
    with running(EmulatorOptions(unknown_models=True)) as emulator:
        with httpx.Client(base_url=emulator.base_url, headers=KEY, timeout=60) as client:
            upload(client, "files/8b2bhnsluaai", b"a recorded sound (g122)")
        yield emulator


@each(*(name for name in of_kind(*_MESSAGES) if name not in _OWN_DECISIONS))
def test_synchronous(world: Emulator, name: str) -> None:
    """Generate, count, embed: the recorded request gets an answer of the recorded shape."""
    compare(name, send(world.base_url, name), _MESSAGES[SAMPLES[name]["kind"]])


@replays("g195")
def test_models(gemini: Emulator) -> None:
    """The recorded page of the model list, entry for entry, the same methods for each."""
    answer = send(gemini.base_url, "g195")
    compare("g195", answer, "ListModelsResponse")
    methods = [
        {model["name"]: model.get("supportedGenerationMethods") for model in page["models"]}
        for page in (SAMPLES["g195"]["response"]["body"], answer.json())
    ]
    assert methods[0] == methods[1]


def _whole(name: str) -> Json:
    """A body whose text its publisher cut off at 1,200 characters: there were thousands."""
    body: Json = orjson.loads(orjson.dumps(SAMPLES[name]["request"]["body"]))
    assert body["contents"][0]["parts"][0]["text"].endswith("…")
    body["contents"][0]["parts"][0]["text"] *= 10
    return body


@replays("g172", "g173", "g179", "g180", "g181")
@pytest.mark.parametrize(("name", "other"), [("g172", "g173"), ("g179", "g181")])
def test_caches(gemini: Emulator, name: str, other: str) -> None:
    """A cache is made, prolonged and deleted."""
    made = send(gemini.base_url, name, json=_whole(name))
    compare(name, made, "CachedContent")
    for step in ("g180", other):
        compare(step, send(gemini.base_url, step, path=f"/v1beta/{made.json()['name']}"))


# --- the table is complete -----------------------------------------------------------------------


def test_every_sample_is_placed() -> None:
    """Each sample is replayed by a test or said why not, none is both."""
    modules = (test_replay_files, test_replay_jobs, test_replay_reached, test_webhooks)
    assert all(modules)  # imported: they fill the table
    assert SAMPLES.keys() == replaying.REPLAYED.keys() | NOT_REPLAYED.keys()
    assert not replaying.REPLAYED.keys() & NOT_REPLAYED.keys()


def test_recorded_finish_reasons_are_in_the_grammar() -> None:
    """The enum values of the recordings are those the emulator knows."""
    found = {
        candidate["finishReason"]
        for name in of_kind("generateContent")
        for candidate in SAMPLES[name]["response"]["body"].get("candidates", [])
        if "finishReason" in candidate
    }
    assert found <= set(EMULATED["Candidate"]["finishReason"]["enum"])


# --- the comparison sees what it should ----------------------------------------------------------


@pytest.mark.parametrize(
    ("recorded", "answered", "seen"),
    [
        ({"a": 1}, {"a": "1"}, ".a: recorded {'number'}, answered {'string'}"),
        ({"a": 1}, {}, ".a: recorded {'number'}, answered None"),
        ({}, {"a": 1}, ".a: recorded None, answered {'number'}"),
        ({"a": [{"b": 1}, {}]}, {"a": [{}]}, ".a[].b: recorded {'number'}, answered None"),
        ({"a": []}, {"a": {}}, ".a: recorded {'list'}, answered {'dict'}"),
        ({"a": True}, {"a": 1}, ".a: recorded {'boolean'}, answered {'number'}"),
        (
            {"candidates": [{"finishReason": "STOP"}]},
            {"candidates": [{"finishReason": "stop"}]},
            ".candidates[].finishReason: recorded {'STOP'}, answered {'stop'}",
        ),
    ],
)
def test_differences(recorded: Json, answered: Json, seen: str) -> None:
    """Missing, added, of another type, spelled differently."""
    assert differences("", recorded, answered) == [seen]


def test_differences_of_headers() -> None:
    """Missing ones, other values of those that matter, a weaker Vary."""
    recorded = SAMPLES["g047"]["response"]["headers"]
    assert header_differences("g047", httpx.Response(200, headers=recorded)) == []
    for name, value in (("Server", "nginx"), ("Vary", "X-Origin"), ("Cache-Control", "public")):
        changed = httpx.Response(200, headers=recorded | {name: value})
        assert header_differences("g047", changed) == [
            f"{name}: recorded {recorded[name]}, answered {value}"
        ]
    less = {name: value for name, value in recorded.items() if name != "X-Goog-Hash"}
    assert len(header_differences("g047", httpx.Response(200, headers=less))) == 1
