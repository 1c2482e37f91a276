"""A program of spring 2024: every method of files, batches and models that openai 1.20 has.

python old_python.py BASE_URL KEY, in an environment of its own; what came of it as a line of JSON.
"""

import json
import sys

import openai

LINE = (
    b'{"custom_id":"1","method":"POST","url":"/v1/embeddings","body":{"model":"m","input":"a"}}\n'
)


def main(base_url: str, key: str) -> None:
    """Drive them all."""
    client = openai.OpenAI(base_url=base_url, api_key=key)
    file = client.files.create(file=("in.jsonl", LINE), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/embeddings",
        completion_window="24h",
        metadata={"a": "b"},
    )
    told = {
        "version": openai.__version__,
        "retrieved": client.files.retrieve(file.id) == file,
        "listed": [one.id for one in client.files.list(purpose="batch")] == [file.id],
        "waited": client.files.wait_for_processing(file.id).status,
        "content": client.files.content(file.id).read() == LINE,
        "old content": client.files.content(file.id).text,
        "batch": client.batches.retrieve(batch.id) == batch,
        "status": batch.status,
        "cancelled": client.batches.cancel(batch.id).status,
        "models": [model.id for model in client.models.list()],
        "model": client.models.retrieve("models/gemini-2.5-flash").id,
    }
    try:
        client.files.delete(file.id)
    except openai.ConflictError as error:
        told["in use"] = error.param
    other = client.files.create(file=("b.jsonl", LINE), purpose="batch")
    told["deleted"] = client.files.delete(other.id).deleted
    try:
        client.batches.retrieve("batch_none")
    except openai.NotFoundError as error:
        told["unknown"] = error.message
    print(json.dumps(told))  # noqa: TID251 - the old environment has no orjson


if __name__ == "__main__":
    main(*sys.argv[1:])
