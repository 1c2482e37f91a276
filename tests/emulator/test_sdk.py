"""Google's own SDK for Python judges the emulator, on v1 and on v1beta."""

import io

import orjson
import pytest
from google import genai
from google.genai import errors, types

from gateway.emulator.testing import Emulator

MODEL = "gemini-2.5-flash"


def _inline(*texts: str) -> list[types.InlinedRequestDict]:
    return [
        {
            "contents": [{"role": "user", "parts": [{"text": text}]}],
            "metadata": {"key": f"k{at}"},
            "config": {"temperature": 0.1, "system_instruction": "be brief"},
        }
        for at, text in enumerate(texts)
    ]


def _jsonl(*texts: str) -> io.BytesIO:
    lines = [
        orjson.dumps({"key": f"k{at}", "request": {"contents": [{"parts": [{"text": text}]}]}})
        for at, text in enumerate(texts)
    ]
    return io.BytesIO(b"\n".join(lines))


def test_inline_job(sdk: genai.Client, gemini: Emulator) -> None:
    """Created, pending, succeeded, with one answer per request."""
    job = sdk.batches.create(model=MODEL, src=_inline("one", "two"), config={"display_name": "d"})
    assert job.state == types.JobState.JOB_STATE_PENDING
    assert job.display_name == "d"
    gemini.finish()
    job = sdk.batches.get(name=str(job.name))
    assert job.state == types.JobState.JOB_STATE_SUCCEEDED
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
    config = types.UploadFileConfig(mime_type="application/jsonl", display_name="in")
    file = sdk.files.upload(file=_jsonl("one", "two", "three"), config=config)
    assert file.state == types.FileState.ACTIVE
    job = sdk.batches.create(model=MODEL, src=str(file.name))
    gemini.finish()
    job = sdk.batches.get(name=str(job.name))
    assert job.dest
    lines = sdk.files.download(file=str(job.dest.file_name)).decode().splitlines()
    texts = {
        row["key"]: row["response"]["candidates"][0]["content"]["parts"][0]["text"]
        for row in map(orjson.loads, lines)
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


def test_files(sdk: genai.Client) -> None:
    """Get, list, delete; a result file cannot be got, a lost one is as a foreign one."""
    config = types.UploadFileConfig(mime_type="text/plain", name="my-file")
    file = sdk.files.upload(file=io.BytesIO(b"hello"), config=config)
    assert file.name == "files/my-file"
    assert sdk.files.get(name="my-file").size_bytes == 5
    assert [one.name for one in sdk.files.list()] == ["files/my-file"]
    sdk.files.delete(name="my-file")
    for name, code in (("my-file", 403), ("batch-" + "x" * 36, 400)):
        with pytest.raises(errors.ClientError) as caught:
            sdk.files.get(name=name)
        assert caught.value.code == code


def test_large_upload(sdk: genai.Client, gemini: Emulator) -> None:
    """More than a chunk: the SDK sends 8 MiB pieces and finalizes the last one."""
    data = b"x" * (8 * 1024 * 1024 + 5)
    config = types.UploadFileConfig(mime_type="text/plain")
    file = sdk.files.upload(file=io.BytesIO(data), config=config)
    assert file.size_bytes == len(data)
    assert [entry["bytes"] for entry in gemini.journal("upload-chunk")] == [8 * 1024 * 1024, 5]


def test_models(sdk: genai.Client) -> None:
    """The list is followed over its pages; a model can be got; an unknown one is 404."""
    names = [model.name for model in sdk.models.list()]
    assert len(names) > 50
    assert f"models/{MODEL}" in names
    assert sdk.models.get(model=MODEL).input_token_limit == 1_048_576
    with pytest.raises(errors.ClientError) as caught:
        sdk.models.get(model="gemini-0")
    assert caught.value.code == 404


def test_generate(sdk: genai.Client) -> None:
    """Text, stream, tokens: the SDK reads them all."""
    answer = sdk.models.generate_content(model=MODEL, contents="hello there")
    assert answer.text == "Echo: hello there"
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


def test_json_answer(sdk: genai.Client) -> None:
    """A response schema is kept, in the SDK's own parsing."""
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


def test_embed(sdk: genai.Client) -> None:
    """A vector per content."""
    answer = sdk.models.embed_content(model="gemini-embedding-001", contents=["a", "b"])
    assert [len(one.values or []) for one in answer.embeddings or []] == [3072, 3072]


def test_errors_are_raised(sdk: genai.Client, gemini: Emulator) -> None:
    """Refusals are ClientError, failures ServerError, with Google's status names."""
    with pytest.raises(errors.ClientError) as refused:
        sdk.batches.create(model="gemini-0", src=_inline("x"))
    assert (refused.value.code, refused.value.status) == (404, "NOT_FOUND")
    gemini.fault("quota", times=1)
    with pytest.raises(errors.ClientError) as limited:
        sdk.batches.create(model=MODEL, src=_inline("x"))
    assert (limited.value.code, limited.value.status) == (429, "RESOURCE_EXHAUSTED")
    gemini.fault("create-500-after", times=1)
    with pytest.raises(errors.ServerError) as failed:
        sdk.batches.create(model=MODEL, src=_inline("x"))
    assert (failed.value.code, failed.value.status) == (500, "INTERNAL")
    assert len(gemini.journal("create")) == 1
