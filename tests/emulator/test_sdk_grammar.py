"""Whatever google-genai can send is in the grammar, field by field.

For every field of the SDK's request types, however deep, a call is made with nothing else in it,
and what the SDK would send is read by the grammar. What the SDK refuses for this API is left out;
what is left must be readable, or be one of the few things the service is known to refuse.
"""

import enum
import re
import types as python_types
import typing
from collections.abc import Callable, Iterator
from functools import partial
from typing import Any

import httpx
import orjson
import pytest
from google import genai
from google.genai import types
from pydantic import BaseModel, ValidationError

from gateway.emulator.protocol.schema import read

pytestmark = pytest.mark.slow

Json = dict[str, Any]
CONFIG_DEPTH, PART_DEPTH = 3, 4
OF_THE_CALL = "http_options"
"""A field that is about the call itself, not about what is sent."""
REFUSED = (
    # the OpenAPI dialect knows neither references nor maps (python-genai#1150, #1307, #1608)
    r'Unknown name "(defs|ref|additional_properties)" at .*(schema|parameters|response)',
    r"HARM_CATEGORY_(JAILBREAK|IMAGE_\w+)",  # of Vertex AI
    r"response_modalities.*\"(VIDEO|x)\"",  # of Vertex AI, and any text where the SDK has no enum
    r"top_k' \(TYPE_INT32\), 0.5",  # a float in the SDK, a whole number in the API
)
"""What the SDK lets through and the service refuses."""

Sample = tuple[str, Any]


def samples(kind: Any, depth: int, name: str = "") -> Iterator[Sample]:
    """Values of a type, each with the path of the one field that is set in it."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin in {typing.Union, python_types.UnionType}:
        for one in inner:
            yield from samples(one, depth, name)
    elif origin is list:
        yield from ((path, [value]) for path, value in samples(inner[0], depth, name))
    elif origin is dict:
        yield from ((path, {"k": value}) for path, value in samples(inner[1], depth, name))
    elif isinstance(kind, type) and issubclass(kind, enum.Enum):
        yield from ((f"={member.value}", member) for member in kind)
    elif isinstance(kind, type) and issubclass(kind, BaseModel):
        yield from _models(kind, depth)
    elif kind in SCALARS:
        yield "", "1.5s" if name.endswith("_offset") else SCALARS[kind]


SCALARS: Json = {str: "x", bool: True, int: 1, float: 0.5, bytes: b"x", Any: {"type": "string"}}  # type: ignore[dict-item]


def _models(kind: type[BaseModel], depth: int) -> Iterator[Sample]:
    yield "", kind()
    for name, field in kind.model_fields.items() if depth else ():
        for path, value in samples(field.annotation, depth - 1, name):
            try:
                yield f".{name}{path}", kind(**{name: value})
            except ValidationError:
                continue  # a combination that the SDK itself refuses


class Recorder:
    """The SDK with nothing behind it: what it would send."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        transport = httpx.MockTransport(self._answer)
        options = types.HttpOptions(base_url="http://x", client_args={"transport": transport})
        self.client = genai.Client(api_key="k", http_options=options)

    def _answer(self, request: httpx.Request) -> httpx.Response:
        self.sent.append(request.content)
        return httpx.Response(200, json={})

    def complaints(self, message: str, call: Callable[[genai.Client], object]) -> list[str] | None:
        """What the grammar has against a call's body; None if the SDK refuses to make it."""
        self.sent.clear()
        try:
            call(self.client)
        except (ValueError, AttributeError, KeyError):
            if not self.sent:  # else it is only the empty answer that it does not like
                return None
        body = orjson.loads(self.sent[0])
        found = [violation.description for violation in read(message, body)[1]]
        return [one for one in found if not any(re.search(known, one) for known in REFUSED)]


@pytest.fixture
def recorder() -> Recorder:
    """A fresh one."""
    return Recorder()


HELLO: Any = [types.Content(parts=[types.Part(text="x")])]
FLASH = "gemini-2.5-flash"


@pytest.mark.parametrize(
    "name", sorted(types.GenerateContentConfig.model_fields.keys() - {OF_THE_CALL})
)
def test_generate_config(recorder: Recorder, name: str) -> None:
    """Every field of GenerateContentConfig."""
    field = types.GenerateContentConfig.model_fields[name]
    found: Json = {}
    for path, value in samples(field.annotation, CONFIG_DEPTH, name):
        config = types.GenerateContentConfig(**{name: value})
        wrong = recorder.complaints(
            "GenerateContentRequest",
            partial(_generate, contents=HELLO, config=config),
        )
        found |= dict.fromkeys(wrong or [], path)
    assert found == {}


def _generate(client: genai.Client, contents: Any, config: Any = None) -> object:
    return client.models.generate_content(model=FLASH, contents=contents, config=config)


def test_parts(recorder: Recorder) -> None:
    """Every field of a part of the conversation."""
    found: Json = {}
    count = 0
    for path, part in samples(types.Part, PART_DEPTH):
        call = partial(_generate, contents=[types.Content(parts=[part])])
        wrong = recorder.complaints("GenerateContentRequest", call)
        count += wrong is not None
        found |= dict.fromkeys(wrong or [], path)
    assert found == {}
    assert count > 100


def test_embed_config(recorder: Recorder) -> None:
    """Every field of EmbedContentConfig."""
    found: list[str] = []
    count = 0
    for name in types.EmbedContentConfig.model_fields.keys() - {OF_THE_CALL}:
        field = types.EmbedContentConfig.model_fields[name]
        for _, value in samples(field.annotation, 1, name):
            chosen: Any = "CLUSTERING" if name == "task_type" else value
            config = types.EmbedContentConfig(**{name: chosen})
            wrong = recorder.complaints(
                "BatchEmbedContentsRequest",
                lambda client, config=config: client.models.embed_content(  # type: ignore[misc]
                    model="gemini-embedding-001", contents="x", config=config
                ),
            )
            count += wrong is not None
            found += wrong or []
    assert found == []
    assert count >= 3


def test_jobs(recorder: Recorder) -> None:
    """Both kinds of source, and all that can be said of a job."""
    config = types.CreateBatchJobConfig(
        display_name="d",
        webhook_config=types.WebhookConfig(uris=["https://x"], user_metadata={"a": "b"}),
    )
    request = types.InlinedRequest(
        model=FLASH,
        contents="x",
        metadata={"key": "a"},
        config=types.GenerateContentConfig(
            temperature=0.5, tools=[types.Tool(url_context=types.UrlContext())]
        ),
    )
    sources: list[Any] = [[request], "files/abc"]
    for source in sources:
        assert (
            recorder.complaints(
                "BatchGenerateContentRequest",
                lambda client, source=source: client.batches.create(  # type: ignore[misc]
                    model=FLASH, src=source, config=config
                ),
            )
            == []
        )


def test_caches(recorder: Recorder) -> None:
    """Every field of a cache."""
    found: Json = {}
    count = 0
    for name in types.CreateCachedContentConfig.model_fields.keys() - {OF_THE_CALL}:
        field = types.CreateCachedContentConfig.model_fields[name]
        for path, value in samples(field.annotation, 1, name):
            chosen: Any = "60s" if name == "ttl" else value
            config = types.CreateCachedContentConfig(**{name: chosen})
            wrong = recorder.complaints(
                "CachedContent",
                lambda client, config=config: client.caches.create(model=FLASH, config=config),  # type: ignore[misc]
            )
            count += wrong is not None
            found |= dict.fromkeys(wrong or [], f"{name}{path}")
    assert found == {}
    assert count > 5
