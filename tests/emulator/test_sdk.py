"""Google's own SDK for Python judges the emulator, on v1 and on v1beta, sync and async.

Every public method of ``batches``, ``files``, ``models`` and ``caches`` is called by a test here or
known not to be for this API; :func:`test_every_method_is_called` compares with what the SDK has.
"""

import io
from collections.abc import Callable
from pathlib import Path
from typing import Any

import orjson
import pytest
from google import genai
from google.genai import errors, types
from google.oauth2.credentials import Credentials
from pydantic import BaseModel

from gateway.emulator.testing import Emulator, EmulatorOptions, running

pytestmark = pytest.mark.slow

MODEL = "gemini-2.5-flash"
Json = dict[str, Any]

CALLED: dict[str, set[str]] = {
    "batches": {"create", "create_embeddings", "get", "list", "cancel", "delete"},
    "files": {"upload", "get", "list", "download", "delete", "register_files"},
    "models": {
        "list",
        "get",
        "generate_content",
        "generate_content_stream",
        "embed_content",
        "count_tokens",
        "update",
        "delete",
    },
    "caches": {"create", "get", "list", "update", "delete"},
}
_IMAGE = types.Image(image_bytes=b"x", mime_type="image/png")
NOT_OF_THIS_API: dict[str, Callable[[genai.Client], object]] = {
    "compute_tokens": lambda c: c.models.compute_tokens(model=MODEL, contents="x"),
    "edit_image": lambda c: c.models.edit_image(
        model="m", prompt="x", reference_images=[types.RawReferenceImage(reference_image=_IMAGE)]
    ),
    "generate_images": lambda c: c.models.generate_images(model="m", prompt="x"),
    "generate_videos": lambda c: c.models.generate_videos(
        model="m", source=types.GenerateVideosSource(prompt="x")
    ),
    "recontext_image": lambda c: c.models.recontext_image(
        model="m", source=types.RecontextImageSource(prompt="x")
    ),
    "segment_image": lambda c: c.models.segment_image(
        model="m", source=types.SegmentImageSource(image=_IMAGE)
    ),
    "upscale_image": lambda c: c.models.upscale_image(model="m", image=_IMAGE, upscale_factor="x2"),
}
"""Methods of models that the SDK itself refuses without Vertex AI."""


def _inline(*texts: str) -> list[types.InlinedRequestDict]:
    return [
        {
            "contents": [{"role": "user", "parts": [{"text": text}]}],
            "metadata": {"key": f"k{at}"},
            "config": {"temperature": 0.1, "system_instruction": "be brief"},
        }
        for at, text in enumerate(texts)
    ]


def _lines(*requests: Json) -> io.BytesIO:
    rows = [{"key": f"k{at}", "request": request} for at, request in enumerate(requests)]
    return io.BytesIO(b"\n".join(map(orjson.dumps, rows)))


def _asked(text: str) -> Json:
    return {"contents": [{"parts": [{"text": text}]}]}


def _upload(sdk: genai.Client, data: io.BytesIO) -> types.File:
    config = types.UploadFileConfig(mime_type="application/jsonl", display_name="in")
    return sdk.files.upload(file=data, config=config)


def test_every_method_is_called() -> None:
    """A new method of the SDK fails here, until it is called or said why not."""
    client = genai.Client(api_key="k")
    for name, called in CALLED.items():
        module = getattr(client, name)
        public = {one for one in dir(module) if not one.startswith("_")} - {"vertexai"}
        assert public - NOT_OF_THIS_API.keys() == called, name
    text = Path(__file__).read_text(encoding="utf-8")
    for name, called in CALLED.items():
        for method in called:
            assert f".{name}.{method}(" in text, f"{name}.{method}"


# --- batches -------------------------------------------------------------------------------------


def test_inline_job(sdk: genai.Client, gemini: Emulator) -> None:
    """Created, pending, succeeded, with one answer per request."""
    job = sdk.batches.create(model=MODEL, src=_inline("one", "two"), config={"display_name": "d"})
    assert job.state == types.JobState.JOB_STATE_PENDING
    assert job.display_name == "d"
    gemini.finish()
    job = sdk.batches.get(name=str(job.name))
    assert job.state == types.JobState.JOB_STATE_SUCCEEDED
    assert job.done
    assert job.create_time
    assert job.end_time
    assert job.create_time <= job.end_time
    assert job.dest
    assert job.dest.inlined_responses
    answers = {
        item.metadata["key"]: item.response.text
        for item in job.dest.inlined_responses
        if item.metadata and item.response
    }
    assert answers == {"k0": "Echo: one", "k1": "Echo: two"}
    assert [entry["keys"] for entry in gemini.journal("create")] == [["k0", "k1"]]


def test_file_job(sdk: genai.Client, gemini: Emulator) -> None:
    """Uploaded, created from the file, results downloaded by name."""
    file = _upload(sdk, _lines(*map(_asked, ("one", "two", "three"))))
    assert file.state == types.FileState.ACTIVE
    job = sdk.batches.create(model=MODEL, src=str(file.name))
    gemini.finish()
    job = sdk.batches.get(name=str(job.name))
    assert job.dest
    data = sdk.files.download(file=str(job.dest.file_name))
    assert data is not None
    texts = {
        row["key"]: row["response"]["candidates"][0]["content"]["parts"][0]["text"]
        for row in map(orjson.loads, data.splitlines())
    }
    assert texts == {"k0": "Echo: one", "k1": "Echo: two", "k2": "Echo: three"}


@pytest.mark.filterwarnings("ignore:.*experimental")
@pytest.mark.parametrize("model", ["gemini-embedding-001", "gemini-embedding-2"])
def test_embedding_job(sdk: genai.Client, gemini: Emulator, model: str) -> None:
    """Vectors of the asked size, token counts where the model has them."""
    source = types.EmbeddingsBatchJobSource(
        inlined_requests=types.EmbedContentBatch(
            contents=["a", "b"],
            config=types.EmbedContentConfig(output_dimensionality=8),
        ),
    )
    job = sdk.batches.create_embeddings(model=model, src=source)
    gemini.finish()
    job = sdk.batches.get(name=str(job.name))
    assert job.dest
    assert job.dest.inlined_embed_content_responses
    vectors = [
        item.response.embedding.values
        for item in job.dest.inlined_embed_content_responses
        if item.response and item.response.embedding
    ]
    assert [len(vector or []) for vector in vectors] == [8, 8]
    assert vectors[0] != vectors[1]


@pytest.mark.filterwarnings("ignore:.*experimental")
def test_embedding_file_job(sdk: genai.Client, gemini: Emulator) -> None:
    """From a file, with a size for each line."""
    requests = [
        {"content": {"parts": [{"text": "x"}]}, "output_dimensionality": size} for size in (3, 5)
    ]
    file = _upload(sdk, _lines(*requests))
    source = types.EmbeddingsBatchJobSource(file_name=file.name)
    job = sdk.batches.create_embeddings(model="gemini-embedding-001", src=source)
    gemini.finish()
    job = sdk.batches.get(name=str(job.name))
    assert job.dest
    data = sdk.files.download(file=str(job.dest.file_name))
    rows = [orjson.loads(line) for line in (data or b"").splitlines()]
    assert [len(row["response"]["embedding"]["values"]) for row in rows] == [3, 5]


def test_list_cancel_delete(sdk: genai.Client, gemini: Emulator) -> None:
    """Paged lists end; a cancelled job says so; a deleted one is gone."""
    gemini.fault("job-slow", seconds=1000)
    names = [str(sdk.batches.create(model=MODEL, src=_inline("x")).name) for _ in range(3)]
    assert [job.name for job in sdk.batches.list(config={"page_size": 2})] == names[::-1]
    sdk.batches.cancel(name=names[0])
    assert sdk.batches.get(name=names[0]).state == types.JobState.JOB_STATE_CANCELLED
    sdk.batches.delete(name=names[1])
    with pytest.raises(errors.ClientError) as caught:
        sdk.batches.get(name=names[1])
    assert caught.value.code == 404
    assert [job.name for job in sdk.batches.list()] == [names[2], names[0]]
    assert [entry["name"] for entry in gemini.journal("delete")] == [names[1]]


@pytest.mark.parametrize(
    ("fault", "state"),
    [
        ("job-fails", types.JobState.JOB_STATE_FAILED),
        ("job-expires", types.JobState.JOB_STATE_EXPIRED),
    ],
)
def test_jobs_that_end_badly(
    sdk: genai.Client, gemini: Emulator, fault: str, state: types.JobState
) -> None:
    """The SDK's job has the state; the error on the wire it drops."""
    gemini.fault(fault)
    name = str(sdk.batches.create(model=MODEL, src=_inline("x")).name)
    gemini.finish()
    job = sdk.batches.get(name=name)
    assert job.state == state
    assert job.done
    assert job.dest is None


def test_items_that_fail(sdk: genai.Client, gemini: Emulator) -> None:
    """An item's error is where its response would be."""
    made = sdk.batches.create(model=MODEL, src=_inline("a [[error:8]]", "b"))
    gemini.finish()
    job = sdk.batches.get(name=str(made.name))
    assert job.dest
    assert job.dest.inlined_responses
    first, second = job.dest.inlined_responses
    assert first.error
    assert first.error.code == 8
    assert first.response is None
    assert second.error is None


# --- files ---------------------------------------------------------------------------------------


def test_files(sdk: genai.Client, tmp_path: Path) -> None:
    """By bytes and by path; got, listed over pages, deleted."""
    config = types.UploadFileConfig(mime_type="text/plain", name="my-file")
    file = sdk.files.upload(file=io.BytesIO(b"hello"), config=config)
    assert file.name == "files/my-file"
    path = tmp_path / "notes.txt"
    path.write_text("more")
    other = sdk.files.upload(file=path)
    assert other.mime_type == "text/plain"
    got = sdk.files.get(name="my-file")
    assert (got.size_bytes, got.state, got.source) == (
        5,
        types.FileState.ACTIVE,
        types.FileSource.UPLOADED,
    )
    assert got.expiration_time
    assert got.create_time
    assert (got.expiration_time - got.create_time).total_seconds() == pytest.approx(48 * 3600)
    names = [one.name for one in sdk.files.list(config={"page_size": 1})]
    assert names == [other.name, "files/my-file"]
    sdk.files.delete(name="my-file")
    assert [one.name for one in sdk.files.list()] == [other.name]


def test_large_upload(sdk: genai.Client, gemini: Emulator) -> None:
    """More than a chunk: the SDK sends 8 MiB pieces and finalizes the last one."""
    data = b"x" * (8 * 1024 * 1024 + 5)
    config = types.UploadFileConfig(mime_type="text/plain")
    file = sdk.files.upload(file=io.BytesIO(data), config=config)
    assert file.size_bytes == len(data)
    assert [entry["bytes"] for entry in gemini.journal("upload-chunk")] == [8 * 1024 * 1024, 5]


def test_registered_files(sdk: genai.Client) -> None:
    """With a token, beside the key."""
    token = Credentials(token="oauth-token")  # type: ignore[no-untyped-call]
    answer = sdk.files.register_files(auth=token, uris=["gs://bucket/report.pdf"])
    [file] = answer.files or []
    assert (file.source, file.mime_type) == (types.FileSource.REGISTERED, "application/pdf")


# --- models --------------------------------------------------------------------------------------


def test_models(sdk: genai.Client) -> None:
    """The list is followed over its pages; a model can be got; tuned ones there are none."""
    names = [model.name for model in sdk.models.list()]
    assert len(names) > 50
    assert f"models/{MODEL}" in names
    got = sdk.models.get(model=MODEL)
    assert (got.input_token_limit, got.output_token_limit) == (1_048_576, 65_536)
    assert "batchGenerateContent" in (got.supported_actions or [])
    assert list(sdk.models.list(config={"query_base": False})) == []


def test_generate(sdk: genai.Client) -> None:
    """Text, stream, tokens: the SDK reads them all."""
    answer = sdk.models.generate_content(model=MODEL, contents="hello there")
    assert answer.text == "Echo: hello there"
    assert answer.usage_metadata
    assert answer.model_version == MODEL
    assert answer.response_id
    pieces = list(sdk.models.generate_content_stream(model=MODEL, contents="hello there"))
    assert len(pieces) == 2
    assert "".join(piece.text or "" for piece in pieces) == "Echo: hello there"
    assert (sdk.models.count_tokens(model=MODEL, contents="hello there").total_tokens or 0) > 0


def test_function_call(sdk: genai.Client) -> None:
    """Mode ANY calls the declared function with arguments that fit."""
    declared = types.FunctionDeclaration(
        name="get_weather",
        description="Weather",
        parameters_json_schema={
            "type": "object",
            "properties": {"city": {"type": "string"}, "days": {"type": "integer", "minimum": 3}},
            "required": ["city"],
        },
    )
    calling = types.FunctionCallingConfig(mode=types.FunctionCallingConfigMode.ANY)
    config = types.GenerateContentConfig(
        tools=[types.Tool(function_declarations=[declared])],
        tool_config=types.ToolConfig(function_calling_config=calling),
    )
    answer = sdk.models.generate_content(model=MODEL, contents="Paris", config=config)
    assert answer.function_calls
    call = answer.function_calls[0]
    assert call.name == "get_weather"
    assert call.args
    assert call.args["city"] == "Paris"
    assert call.args["days"] >= 3


@pytest.mark.parametrize("model", [MODEL, "gemini-3-flash-preview"])
def test_automatic_function_calling(sdk: genai.Client, model: str) -> None:
    """The SDK runs the function and sends its result: on Gemini 3 with the signature, untouched."""
    asked = []

    def get_weather(city: str) -> str:
        """Weather of a city."""
        asked.append(city)
        return "sunny"

    config = types.GenerateContentConfig(tools=[get_weather])
    answer = sdk.models.generate_content(model=model, contents="weather?", config=config)
    assert asked == ["weather?"]
    assert "sunny" in (answer.text or "")


class Review(BaseModel):
    """A structured answer."""

    kind: str
    stars: int


def test_json_answer(sdk: genai.Client) -> None:
    """A schema is kept, in the SDK's own parsing: as a class, and as JSON Schema."""
    parsed = sdk.models.generate_content(
        model=MODEL,
        contents="hello",
        config={"response_mime_type": "application/json", "response_schema": Review},
    ).parsed
    assert isinstance(parsed, Review)
    config = types.GenerateContentConfig(
        response_mime_type="application/json",
        response_json_schema={
            "type": "object",
            "properties": {"kind": {"enum": ["a", "b"]}, "size": {"type": "number"}},
        },
    )
    answer = sdk.models.generate_content(model=MODEL, contents="hello", config=config)
    found = orjson.loads(answer.text or "")
    assert found["kind"] in {"a", "b"}
    assert isinstance(found["size"], float)


def test_thinking_pictures_sound_logprobs_search(sdk: genai.Client) -> None:
    """What else an answer can have, each read by the SDK."""

    def ask(model: str, **config: Any) -> types.GenerateContentResponse:
        return sdk.models.generate_content(
            model=model, contents="what is it?", config=types.GenerateContentConfig(**config)
        )

    thought = ask(MODEL, thinking_config=types.ThinkingConfig(include_thoughts=True))
    assert [part.thought for part in thought.parts or []] == [True, None]
    drawn = ask("gemini-2.5-flash-image", image_config=types.ImageConfig(aspect_ratio="16:9"))
    [image] = [part.inline_data for part in drawn.parts or [] if part.inline_data]
    assert (image.data or b"").startswith(b"\x89PNG")
    spoken = ask("gemini-2.5-flash-preview-tts", response_modalities=["AUDIO"])
    [sound] = [part.inline_data for part in spoken.parts or [] if part.inline_data]
    assert len(sound.data or b"") % 2 == 0
    counted = ask(MODEL, response_logprobs=True, logprobs=2)
    assert counted.candidates
    assert counted.candidates[0].logprobs_result
    searched = ask(MODEL, tools=[types.Tool(google_search=types.GoogleSearch())])
    assert searched.candidates
    assert searched.candidates[0].grounding_metadata
    run = ask(MODEL, tools=[types.Tool(code_execution=types.ToolCodeExecution())])
    assert "print" in (run.executable_code or "")
    assert run.code_execution_result


@pytest.mark.parametrize(
    ("model", "contents", "vectors"),
    [("gemini-embedding-001", ["a", "b"], 2), ("gemini-embedding-2", ["a", "b"], 1)],
)
def test_embed(sdk: genai.Client, model: str, contents: Any, vectors: int) -> None:
    """A vector per content; of gemini-embedding-2 one for all of them (graphiti#1467)."""
    config = types.EmbedContentConfig(output_dimensionality=16)
    answer = sdk.models.embed_content(model=model, contents=contents, config=config)
    assert [len(one.values or []) for one in answer.embeddings or []] == [16] * vectors


def test_caches(sdk: genai.Client) -> None:
    """Made, got, listed, prolonged, used, deleted."""
    made = sdk.caches.create(
        model=MODEL,
        config=types.CreateCachedContentConfig(contents=["word " * 2000], ttl="600s"),
    )
    name = str(made.name)
    assert sdk.caches.get(name=name).model == f"models/{MODEL}"
    assert [one.name for one in sdk.caches.list()] == [name]
    later = sdk.caches.update(name=name, config=types.UpdateCachedContentConfig(ttl="6000s"))
    assert later.expire_time
    assert made.expire_time
    assert later.expire_time > made.expire_time
    config = types.GenerateContentConfig(cached_content=name)
    used = sdk.models.generate_content(model=MODEL, contents="x", config=config).usage_metadata
    assert used
    assert made.usage_metadata
    assert used.cached_content_token_count == made.usage_metadata.total_token_count
    sdk.caches.delete(name=name)
    with pytest.raises(errors.ClientError) as caught:
        sdk.models.generate_content(model=MODEL, contents="x", config=config)
    assert caught.value.code == 403


# --- what is raised ------------------------------------------------------------------------------

Call = Callable[[genai.Client], object]


def _download_of_an_upload(sdk: genai.Client) -> object:
    return sdk.files.download(file=str(_upload(sdk, io.BytesIO(b"x")).name))


RAISED: list[tuple[int, str, str, Call]] = [
    (
        404,
        "NOT_FOUND",
        "batchGenerateContent",
        lambda c: c.batches.create(model="m", src=_inline("x")),
    ),
    (
        403,
        "PERMISSION_DENIED",
        "access the File",
        lambda c: c.batches.create(model=MODEL, src="files/x"),
    ),
    (404, "NOT_FOUND", "not found", lambda c: c.batches.get(name="batches/x")),
    (404, "NOT_FOUND", "not found", lambda c: c.batches.cancel(name="batches/x")),
    (404, "NOT_FOUND", "not found", lambda c: c.batches.delete(name="batches/x")),
    (403, "PERMISSION_DENIED", "may not exist", lambda c: c.files.get(name="x")),
    (403, "PERMISSION_DENIED", "may not exist", lambda c: c.files.delete(name="x")),
    (400, "INVALID_ARGUMENT", "40 characters", lambda c: c.files.get(name="batch-" + "x" * 36)),
    (403, "PERMISSION_DENIED", "may not exist", lambda c: c.files.download(file="files/x")),
    (400, "INVALID_ARGUMENT", "only generated", _download_of_an_upload),
    (404, "NOT_FOUND", "is not found", lambda c: c.models.get(model="m")),
    (404, "NOT_FOUND", "ListModels", lambda c: c.models.generate_content(model="m", contents="x")),
    (
        404,
        "NOT_FOUND",
        "ListModels",
        lambda c: list(c.models.generate_content_stream(model="m", contents="x")),
    ),
    (404, "NOT_FOUND", "countTokens", lambda c: c.models.count_tokens(model="m", contents="x")),
    (404, "NOT_FOUND", "embedContent", lambda c: c.models.embed_content(model="m", contents="x")),
    (
        400,
        "INVALID_ARGUMENT",
        "temperature",
        lambda c: c.models.generate_content(model=MODEL, contents="x", config={"temperature": 9}),
    ),
    (
        404,
        "NOT_FOUND",
        "does not exist",
        lambda c: c.models.update(model="tunedModels/x", config={"display_name": "y"}),
    ),
    (404, "NOT_FOUND", "does not exist", lambda c: c.models.delete(model="tunedModels/x")),
    (403, "PERMISSION_DENIED", "CachedContent", lambda c: c.caches.get(name="x")),
]


@pytest.mark.parametrize(("code", "status", "words", "call"), RAISED)
def test_errors_are_raised(
    sdk: genai.Client, code: int, status: str, words: str, call: Call
) -> None:
    """ClientError or ServerError with Google's status, message and body."""
    kind = errors.ClientError if code < 500 else errors.ServerError
    with pytest.raises(kind) as caught:
        call(sdk)
    assert (caught.value.code, caught.value.status) == (code, status)
    assert words in str(caught.value.message)
    assert caught.value.details["error"]["code"] == code


@pytest.mark.parametrize(
    ("fault", "expected", "jobs"),
    [
        ("quota", (429, "RESOURCE_EXHAUSTED"), 0),
        ("create-500-after", (500, "INTERNAL"), 1),
        ("overloaded", (503, "UNAVAILABLE"), 0),
    ],
)
def test_failures_are_raised(
    sdk: genai.Client, gemini: Emulator, fault: str, expected: tuple[int, str], jobs: int
) -> None:
    """Of the service; the SDK does not try again unless it is told to."""
    gemini.fault(fault, times=1)
    with pytest.raises(errors.APIError) as caught:
        sdk.batches.create(model=MODEL, src=_inline("x"))
    assert (caught.value.code, caught.value.status) == expected
    assert len(gemini.journal("create")) == jobs


def test_the_sdk_tries_again_when_told_to(gemini: Emulator) -> None:
    """And so pays twice, when a create was accepted before it failed."""
    gemini.fault("create-500-after", times=1)
    retries = types.HttpRetryOptions(attempts=2, initial_delay=0.01)
    options = types.HttpOptions(base_url=gemini.base_url, retry_options=retries)
    with genai.Client(api_key="k", http_options=options) as client:
        client.batches.create(model=MODEL, src=_inline("x"))
    assert len(gemini.journal("create")) == 2


def test_wrong_keys_are_raised() -> None:
    """400 with the reason among the details."""
    with running(EmulatorOptions(api_keys=("good",))) as emulator:
        options = types.HttpOptions(base_url=emulator.base_url)
        with (
            genai.Client(api_key="bad", http_options=options) as client,
            pytest.raises(errors.ClientError) as caught,
        ):
            client.batches.list()
    assert caught.value.code == 400
    assert caught.value.details["error"]["details"][0]["reason"] == "API_KEY_INVALID"


@pytest.mark.filterwarnings("ignore:The .* method is deprecated")
@pytest.mark.parametrize("name", NOT_OF_THIS_API)
def test_calls_that_are_not_of_this_api(sdk: genai.Client, name: str) -> None:
    """The SDK says so itself, and sends nothing."""
    with pytest.raises(ValueError, match="only supported in"):
        NOT_OF_THIS_API[name](sdk)


# --- async ---------------------------------------------------------------------------------------


async def test_async(gemini: Emulator) -> None:
    """The other client: a file job from upload to download, a stream, an error."""
    options = types.HttpOptions(base_url=gemini.base_url)
    async with genai.Client(api_key="test-key", http_options=options).aio as client:
        config = types.UploadFileConfig(mime_type="application/jsonl")
        file = await client.files.upload(file=_lines(_asked("one")), config=config)
        job = await client.batches.create(model=MODEL, src=str(file.name))
        gemini.finish()
        job = await client.batches.get(name=str(job.name))
        assert job.dest
        data = await client.files.download(file=str(job.dest.file_name))
        assert b"Echo: one" in (data or b"")
        assert [one.name async for one in await client.batches.list()] == [job.name]
        stream = await client.models.generate_content_stream(model=MODEL, contents="hello there")
        assert "".join([piece.text or "" async for piece in stream]) == "Echo: hello there"
        with pytest.raises(errors.ClientError):
            await client.files.get(name="nothing")
