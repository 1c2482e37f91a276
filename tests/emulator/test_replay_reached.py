"""Recorded answers whose requests were not published, reached with prompts of our own.

And three whose requests are known but not why the model answered as it did: a marker decides.
"""

import base64
from collections.abc import Iterator
from typing import Any

import httpx
import orjson
import pytest

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.emulator.grammar import faults_of
from tests.emulator.replaying import (
    KEY,
    OUR_PROMPT,
    SAMPLES,
    WITH_A_MARKER,
    Json,
    compare,
    differences,
    replays,
)
from tests.emulator.replaying import upload as upload_file


@pytest.fixture(scope="module")
def old_and_new() -> Iterator[httpx.Client]:
    """An emulator that serves the models of 2024, too."""
    options = EmulatorOptions(unknown_models=True, video_seconds=5, speed=0.001)
    with (
        running(options) as gemini,
        httpx.Client(base_url=gemini.base_url, headers=KEY, timeout=60) as api,
    ):
        yield api


def _ask(
    api: httpx.Client, text: str, model: str = "gemini-2.5-flash", **request: Any
) -> httpx.Response:
    body = {"contents": [{"role": "user", "parts": [{"text": text}]}], **request}
    return api.post(f"/v1beta/models/{model}:generateContent", json=body)


NOW: Json = {"functionDeclarations": [{"name": "now"}]}
THEATERS = {
    "functionDeclarations": [
        {
            "name": "find_theaters",
            "parameters": {"type": "OBJECT", "properties": {"movie": {"type": "STRING"}}},
        },
    ],
}
PLACE: Json = {
    "toolConfig": {"retrievalConfig": {"latLng": {"latitude": 40.7, "longitude": -74}}},
    "tools": [{"googleMaps": {}}],
}
ASKED: dict[str, tuple[str, str, Json]] = {
    "g197": ("gemini-2.0-flash", "x [[finish:SAFETY]] [[partial]]", {}),
    "g202": ("gemini-2.0-flash", "x [[ratings]]", {}),
    "g204": ("gemini-2.0-flash", "x [[ratings]] [[citations]]", {}),
    "g205": ("gemini-2.5-flash", "sum of primes", {"tools": [{"codeExecution": {}}]}),
    "g206": ("gemini-2.5-flash", "pizza near me", PLACE),
    "g208": ("gemini-2.0-flash", "weather in London", {"tools": [{"googleSearch": {}}]}),
    "g209": (
        "gemini-2.5-pro",
        "how many days until New Year [[call:now]]",
        {
            "tools": [NOW],
            "generationConfig": {"thinkingConfig": {"includeThoughts": True}},
        },
    ),
    "g268": ("gemini-1.5-flash", "x [[block]]", {}),
    "g270": ("gemini-1.5-flash", "x [[ratings]]", {}),
    "g273": ("gemini-1.5-flash", "x [[ratings]]", {}),
    "g278": ("gemini-1.5-flash", "x [[ratings]]", {}),
}
"""Sample -> the model, the prompt and the rest of a request whose answer is of its shape."""


@replays(*ASKED, how=OUR_PROMPT)
@pytest.mark.parametrize("name", ASKED)
def test_answers(old_and_new: httpx.Client, name: str) -> None:
    """Safety, citations, code, maps, search, thoughts with a call, and answers of 2024."""
    model, text, request = ASKED[name]
    compare(name, _ask(old_and_new, text, model, **request), "GenerateContentResponse")


DECIDED = {
    "g108": "[[finish:SAFETY]]",
    "g134": "[[call:calculator]]",
    "g142": "[[call:dice_roll]] [[rounds:3]]",
}


@replays(*DECIDED, how=WITH_A_MARKER)
@pytest.mark.parametrize(("name", "marker"), DECIDED.items())
def test_decisions_of_the_model(old_and_new: httpx.Client, name: str, marker: str) -> None:
    """The recorded request; only a marker is added to the text that says what to do."""
    recorded = SAMPLES[name]["request"]
    body = orjson.loads(orjson.dumps(recorded["body"]))
    asked = next(part for part in body["contents"][0]["parts"] if "text" in part)
    found = []
    for again in range(10):  # empty content and none are both on record
        asked["text"] = f"{asked['text']} {marker} {again}"
        answer = old_and_new.post(recorded["path"], json=body)
        found.append(differences(name, SAMPLES[name]["response"]["body"], answer.json()))
        assert faults_of("GenerateContentResponse", answer.json()) == []
    assert [] in found, found


@replays("g028", "g029", how=OUR_PROMPT)
@pytest.mark.parametrize("name", ["g028", "g029"])
def test_contents(old_and_new: httpx.Client, name: str) -> None:
    """The content of a text and of a picture described."""
    picture = {"inlineData": {"mimeType": "image/png", "data": base64.b64encode(b"x").decode()}}
    contents = [{"parts": [{"text": "describe"}, *([picture] if name == "g029" else [])]}]
    answer = _ask(old_and_new, "", contents=contents).json()
    assert differences(name, SAMPLES[name]["line"], answer["candidates"][0]["content"]) == []


@replays("g275", how=OUR_PROMPT)
def test_sound(old_and_new: httpx.Client) -> None:
    """A question about a sound: its tokens are counted apart."""
    sound = {"inlineData": {"mimeType": "audio/mpeg", "data": base64.b64encode(b"x").decode()}}
    contents = [{"parts": [{"text": "what is this"}, sound]}]
    compare("g275", _ask(old_and_new, "", "gemini-2.0-flash", contents=contents))


@replays("g269", how=OUR_PROMPT)
def test_call_of_2024(old_and_new: httpx.Client) -> None:
    """A function call of a model that does not think."""
    text = "which theaters [[call:find_theaters]] [[ratings]]"
    answer = _ask(old_and_new, text, "gemini-1.5-flash", tools=[THEATERS])
    recorded = orjson.loads(orjson.dumps(SAMPLES["g269"]["response"]["body"]))
    del recorded["promptFeedback"]  # ratings of prompts ended with the models of 2024
    assert differences("g269", recorded, answer.json()) == []


@replays("g271", "g272", how=OUR_PROMPT)
def test_cache(old_and_new: httpx.Client) -> None:
    """A cache, and an answer of it."""
    body = {
        "model": "models/gemini-2.5-flash",
        "displayName": "",
        "contents": [{"role": "user", "parts": [{"text": "lorem ipsum " * 1000}]}],
        "ttl": "300s",
    }
    made = old_and_new.post("/v1beta/cachedContents", json=body)
    compare("g271", made, "CachedContent")
    asked = _ask(old_and_new, "summary [[ratings]]", cachedContent=made.json()["name"])
    compare("g272", asked, "GenerateContentResponse")


@replays("g274", how=OUR_PROMPT)
def test_sound_file(old_and_new: httpx.Client) -> None:
    """A sound can be used at once."""
    upload_file(old_and_new, "files/x27lu0k9zc2k", b"sound", "audio/mpeg", "Sample audio")
    compare("g274", old_and_new.get("/v1beta/files/x27lu0k9zc2k"), "File")


@replays("g276", "g277", how=OUR_PROMPT)
def test_video_file(gemini: Emulator, api: httpx.Client) -> None:
    """A video is processed first; then its length is known."""
    gemini.advance(0)
    made = upload_file(api, "files/4if4o2bqvugf", b"video", "video/mp4", "Big Buck Bunny")
    compare("g276", made, "CreateFileResponse")
    gemini.advance(10)
    compare("g277", api.get("/v1beta/files/4if4o2bqvugf"), "File")


def test_video_that_is_not_ready(old_and_new: httpx.Client) -> None:
    """A question about a video that is being processed is refused."""
    made = upload_file(old_and_new, "", b"video", "video/mp4").json()["file"]
    video = {"fileData": {"fileUri": made["uri"], "mimeType": "video/mp4"}}
    contents = [{"parts": [{"text": "what is this"}, video]}]
    answer = _ask(old_and_new, "", contents=contents)
    assert answer.status_code == 400
    assert "not in an ACTIVE state" in answer.json()["error"]["message"]
