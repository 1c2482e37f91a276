# ruff: noqa: TID251 - written as the cookbook writes: with the standard library
"""The flow of OpenAI's cookbook ("Batch processing with the Batch API"), as a program of its own.

Nothing in it knows the gateway: OPENAI_BASE_URL and OPENAI_API_KEY say where it goes, as with any
program, and the two models are its arguments. It prints what it has read as one JSON object.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from openai import OpenAI
from openai.types import Batch

CATEGORIES: Final = (
    "Find the categories of a movie and sum it up in a sentence. Answer with a JSON object:"
    ' {"categories": [string], "summary": string}.'
)
CAPTION: Final = "Caption images of things that are for sale, in a short sentence."
MOVIES: Final = (
    ("The Long Winter", "Two strangers share a cabin until the snow melts."),
    ("Paper Kings", "A clerk prints money, and a detective counts it."),
    ("Ünder the Sea", "A diver\u2028hears a city sing."),
)
PIXEL: Final = (
    "data:image/png;base64,iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk"
    "+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)
IMAGES: Final = (("Shoe rack", "https://m.media-amazon.example/images/rack.jpg"), ("Chair", PIXEL))


def movie_request(model: str, overview: str) -> dict[str, Any]:
    """One request, for a trial and for a line alike: JSON mode."""
    return {
        "model": model,
        "temperature": 0.1,
        "response_format": {"type": "json_object"},
        "messages": [
            {"role": "system", "content": CATEGORIES},
            {"role": "user", "content": overview},
        ],
    }


def image_request(model: str, title: str, url: str) -> dict[str, Any]:
    """One request about an image by its URL."""
    parts = [{"type": "text", "text": title}, {"type": "image_url", "image_url": {"url": url}}]
    return {
        "model": model,
        "temperature": 0.2,
        "max_tokens": 300,
        "messages": [{"role": "system", "content": CAPTION}, {"role": "user", "content": parts}],
    }


def run(client: OpenAI, name: str, bodies: list[dict[str, Any]]) -> dict[str, Any]:
    """Write the tasks, upload, create, look until it is done, read; contents by custom_id."""
    path = Path(f"batch_tasks_{name}.jsonl")
    with path.open("w") as file:
        for index, body in enumerate(bodies):
            task = {"custom_id": f"task-{index}", "method": "POST", "body": body}
            file.write(json.dumps({**task, "url": "/v1/chat/completions"}) + "\n")
    with path.open("rb") as opened:
        batch_file = client.files.create(file=opened, purpose="batch")
    batch_job = client.batches.create(
        input_file_id=batch_file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    batch_job = done(client, batch_job)
    assert batch_job.output_file_id is not None, batch_job
    results = Path(f"batch_job_results_{name}.jsonl")
    results.write_bytes(client.files.content(batch_job.output_file_id).content)
    found = {}
    with results.open() as lines:
        for line in lines:
            row = json.loads(line.strip())
            index = row["custom_id"].split("-")[-1]
            found[index] = row["response"]["body"]["choices"][0]["message"]["content"]
    return found


def done(client: OpenAI, batch_job: Batch) -> Batch:
    """Look until the status is ``completed``; ``?wait=`` spares a pause between looks."""
    while batch_job.status != "completed":
        assert batch_job.status in {"validating", "in_progress", "finalizing"}, batch_job
        batch_job = client.batches.retrieve(batch_job.id, extra_query={"wait": 5})
    return batch_job


def main(text_model: str, image_model: str) -> None:
    """Try each request alone, then all as a batch."""
    client = OpenAI()
    movies = [movie_request(text_model, overview) for _, overview in MOVIES]
    images = [image_request(image_model, title, url) for title, url in IMAGES]
    trial = client.chat.completions.create(**movies[0])
    told = {
        "trial": json.loads(trial.choices[0].message.content or ""),
        "movies": {at: json.loads(text) for at, text in run(client, "movies", movies).items()},
        "captions": run(client, "images", images),
    }
    print(json.dumps(told))
    client.close()


if __name__ == "__main__":
    os.chdir(sys.argv[3])
    main(*sys.argv[1:3])
