"""Recorded exchanges of the live service, and what an answer has in common with a recorded one.

Compared are the status, the headers that matter, the paths that are there and those that are not,
the type at each (number or string included), and the spelling of everything that is an enum; texts,
times, names and counts are the service's own.

The samples are ``tests/data/gemini-samples.jsonl``; every one of them is replayed by a test that is
marked with :func:`replays`, or said why not in :data:`NOT_REPLAYED`.
"""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import httpx
import orjson
import pytest

from tests.emulator.grammar import faults_of

Json = dict[str, Any]

_DATA = Path(__file__).parent.parent / "data" / "gemini-samples.jsonl"
SAMPLES: dict[str, Json] = {
    sample["id"]: sample for sample in map(orjson.loads, _DATA.read_bytes().splitlines())
}
FLASH_JOBS = "/v1beta/models/gemini-2.5-flash:batchGenerateContent"
KEY = {"x-goog-api-key": "test-key"}

# --- the table -----------------------------------------------------------------------------------

REPLAYED: dict[str, str] = {}
"""Sample -> how: as recorded, or with a request of our own where its own was not published."""
AS_RECORDED = "as recorded"  # but for the names of jobs, files and caches
WITH_A_MARKER = "as recorded, with a marker in its text"
OUR_PROMPT = "its answer, to a request of ours"
BY_A_FAULT = "its answer, by a fault"

KINDS_NOT_REPLAYED = {
    "firebase.vertexai.generateContent": "another API (Vertex AI)",
    "firebase.vertexai.error": "another API (Vertex AI)",
    "generateContent.vertex_logprobs": "another API (Vertex AI)",
    "jsonl.output.vertex": "another API (Vertex AI)",
    "compat.batch": "Google's OpenAI layer, which is not part of the emulator",
    "compat.chat": "Google's OpenAI layer, which is not part of the emulator",
    "compat.output": "Google's OpenAI layer, which is not part of the emulator",
    "firebase.googleai.error": "has the details of a debug build, which the service does not send",
}
NOT_REPLAYED = {
    name: KINDS_NOT_REPLAYED[sample["kind"]]
    for name, sample in SAMPLES.items()
    if sample["kind"] in KINDS_NOT_REPLAYED
} | {"g023": "a status name in place of a code: of one library's tests, never seen on the wire"}
"""Sample -> why not."""

Test = TypeVar("Test", bound=Callable[..., object])


def replays(*names: str, how: str = AS_RECORDED) -> Callable[[Test], Test]:
    """Marks a test that replays samples."""
    REPLAYED.update(dict.fromkeys(names, how))
    return lambda test: test


def each(*names: str, how: str = AS_RECORDED) -> pytest.MarkDecorator:
    """A test for each of some samples, as its parameter ``name``."""
    REPLAYED.update(dict.fromkeys(names, how))
    return pytest.mark.parametrize("name", names)


def of_kind(*kinds: str) -> Iterator[str]:
    """The samples of some kinds."""
    return (name for name, sample in SAMPLES.items() if sample["kind"] in kinds)


# --- what may differ -----------------------------------------------------------------------------

FREE = re.compile(
    r"\.usageMetadata\.(serviceTier|thoughtsTokenCount)$"  # newer than some recordings; thinking
    r"|\.parts\[\]\.thoughtSignature$"  # comes with thinking
    r"|\.functionCall\.id$"  # 23 of 181 calls
    r"|\.candidates\[\]\.index$"  # absent in 38 of 410 recordings
    r"|\.functionCall\.args\."  # the model's own
    r"|\.thinking$|\.description$|\.topK$|\.maxTemperature$|\.temperature$|\.topP$",  # of models
)
"""Paths that may be there or not in any sample."""
FREE_FOR = {
    "g113": r"\.segment\.startIndex$",  # one support only
    "g121": r"[cC]ache",  # implicit cache hits, which [[cached]] has
    "g123": r"[cC]ache",
    "g131": r"[cC]ache",
    "g156": r"\.usageMetadata",  # the preview model had none before 2026-08
    "g157": r"\.usageMetadata",
    "g158": r"\.usageMetadata",
    "g010": r"\.tokenCount$",  # a request for -001, its answer of -2
    "g012": r"^\.operations$",  # of a test; on the wire an empty list is left out
    "g019": r"\.error\.message$",  # no live capture of an expired job exists
    "g206": r"\.segment\.startIndex$|\.webSearchQueries|toolUsePromptToken",  # of the model
    "g208": r"\.confidenceScores",  # newer models have none
    "g205": r"\.parts\[\]\.text$|\.id$",  # the model said nothing more; ids are newer
    "g134": r"\.finishMessage$|\.toolResponse\.response\.",  # the one call of 171 without
    "g272": r"\.safetyRatings|\.cacheTokensDetails",
    "g277": r"\.videoThumbnailBytes$",  # of 2024
}
"""Sample -> further paths, and why."""
TRIMMED = {
    "g006": "verbatim minus fields nothing reads",
    "g007": "details of the usage left out",
    "g010": "structure and names as captured, numbers filled in",
    "g016": "state and counts only",
    "g017": "state, counts and items only",
    "g018": "state and counts only",
    "g019": "state and counts only",
    "g048": "a File of the SDK's types",
    "g080": "of the SDK's types",
    "g125": "its responseId was cut",
    "g197": "mock data derived from an answer",
    "g202": "mock data derived from an answer",
    "g204": "mock data derived from an answer",
    "g206": "mock data derived from an answer",
    "g208": "mock data derived from an answer",
    "g209": "mock data derived from an answer",
    "g268": "printed in a notebook of 2024, when answers told less",
    "g269": "printed in a notebook of 2024",
    "g270": "printed in a notebook of 2024",
    "g272": "printed in a notebook of 2024",
    "g273": "printed in a notebook of 2024",
    "g274": "printed in a notebook",
    "g275": "printed in a notebook",
    "g276": "printed in a notebook of 2024",
    "g277": "printed in a notebook of 2024",
    "g278": "printed in a notebook of 2024",
}
"""Samples that do not have everything: what they have is there, more may be."""
SPELLED = re.compile(
    r"(\.|^)(state|finishReason|finishMessage|blockReason|role|modality|@type|outcome|language"
    r"|toolType|urlRetrievalStatus|source|status|error\.code|category|serviceTier|mimeType|reason|domain"
    r"|supportedGenerationMethods\[\])$"
)
"""Paths whose values are spelled the same, too."""
ANY_SPELLING_FOR = {
    "g091": r"\.mimeType$",  # 3 Pro Image answered image/jpeg
    "g269": r"\.category$",
}
SAME_HEADERS = (
    "content-type",
    "server",
    "x-goog-upload-status",
    "x-goog-upload-chunk-granularity",
    "x-goog-upload-header-content-type",
    "x-gemini-service-tier",
    "content-disposition",
    "cache-control",
)
"""Headers that have the recorded value; of the others it matters that they are there."""


# --- the comparison ------------------------------------------------------------------------------


def leaves(value: object, path: str = "") -> Iterator[tuple[str, object]]:
    """Every path with what is there; lists are merged, objects and lists named by their type."""
    if isinstance(value, dict):
        yield path, dict
        for name, inner in value.items():
            yield from leaves(inner, f"{path}.{name}")
    elif isinstance(value, list):
        yield path, list
        for inner in value:
            yield from leaves(inner, f"{path}[]")
    else:
        yield path, value


_KINDS = {str: "string", bool: "boolean", int: "number", float: "number", type(None): "null"}


def shape(value: object) -> dict[str, set[str]]:
    """Path -> the types at it."""
    found: dict[str, set[str]] = {}
    for path, leaf in leaves(value):
        kind = leaf.__name__ if isinstance(leaf, type) else _KINDS[type(leaf)]
        found.setdefault(path, set()).add(kind)
    return found


def spelling(value: object) -> dict[str, set[object]]:
    """Path -> the values at it, of those that must be spelled the same."""
    found: dict[str, set[object]] = {}
    for path, leaf in leaves(value):
        if SPELLED.search(path) and not isinstance(leaf, type):
            found.setdefault(path, set()).add(leaf)
    return found


def differences(name: str, recorded: object, answered: object) -> list[str]:
    """What is in one of two bodies only, of another type or spelled differently."""
    free = re.compile(f"{FREE.pattern}|{FREE_FOR.get(name, '$^')}")
    ours, theirs = shape(answered), shape(recorded)
    paths = theirs.keys() if name in TRIMMED else ours.keys() | theirs.keys()
    found = [
        f"{path}: recorded {theirs.get(path)}, answered {ours.get(path)}"
        for path in sorted(paths)
        if not free.search(path) and ours.get(path) != theirs.get(path)
    ]
    words, any_word = spelling(answered), re.compile(ANY_SPELLING_FOR.get(name, "$^"))
    found += [
        f"{path}: recorded {values}, answered {words.get(path)}"
        for path, values in spelling(recorded).items()
        if not (free.search(path) or any_word.search(path)) and words.get(path) != values
    ]
    return found


def header_differences(name: str, answer: httpx.Response) -> list[str]:
    """Recorded headers that are not there or have another value."""
    recorded = SAMPLES[name]["response"].get("headers", {})
    found = []
    for header, value in recorded.items():
        given = answer.headers.get(header)
        wrong = header.lower() in SAME_HEADERS and given != value
        if header.lower() == "vary":
            wrong = not set(value.split(", ")) <= set(str(given).split(", "))
        if given is None or wrong:
            found.append(f"{header}: recorded {value}, answered {given}")
    return found


def compare(name: str, answer: httpx.Response, message: str = "") -> None:
    """Assert that an answer is as it was recorded, and of a message of the grammar if given."""
    recorded = SAMPLES[name]["response"]
    assert answer.status_code == recorded["status"], answer.text
    found = header_differences(name, answer)
    if isinstance(recorded.get("body"), dict):
        found += differences(name, recorded["body"], answer.json())
    if message:
        found += faults_of(message, answer.json())
    assert not found, "\n".join(found)


def send(base_url: str, name: str, **changes: Any) -> httpx.Response:
    """Send a request as it was recorded, but for ``path`` or ``json`` if given."""
    request = SAMPLES[name]["request"]
    return httpx.request(
        request["method"],
        base_url + changes.get("path", request["path"]),
        headers={**KEY, **request.get("headers", {})},
        json=changes.get("json", request.get("body")),
        timeout=60,
    )


def upload(
    api: httpx.Client, name: str, data: bytes, mime: str = "", title: str = ""
) -> httpx.Response:
    """Put a file where a recorded request looks for it; its final answer."""
    file = {"name": name, "displayName": title}
    body = {"file": {field: value for field, value in file.items() if value}}
    headers = {"X-Goog-Upload-Command": "start", "X-Goog-Upload-Protocol": "resumable"}
    if mime:
        headers["X-Goog-Upload-Header-Content-Type"] = mime
    start = api.post("/upload/v1beta/files", headers=headers, json=body)
    headers = {"X-Goog-Upload-Command": "upload, finalize", "X-Goog-Upload-Offset": "0"}
    return httpx.post(start.headers["x-goog-upload-url"], content=data, headers=headers, timeout=60)
