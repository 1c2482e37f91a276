"""A test of a pipeline as its users would write it, with the fixture that ships with the package.

The pipeline classifies reviews by a batch job and retries what failed; it knows nothing of the
emulator but a base URL.
"""

import orjson
from google import genai
from google.genai import types

from gateway.emulator.testing import Emulator

PROMPT = "Is this review positive? {}"
SCHEMA = {
    "type": "object",
    "properties": {"sentiment": {"enum": ["positive", "negative"]}},
    "required": ["sentiment"],
}


def submit(client: genai.Client, reviews: dict[str, str]) -> str:
    """Create a job for reviews by their id; the job's name."""
    config = types.GenerateContentConfig(
        response_mime_type="application/json",
        response_json_schema=SCHEMA,
    )
    requests = [
        types.InlinedRequest(
            contents=[types.Content(role="user", parts=[types.Part(text=PROMPT.format(text))])],
            metadata={"key": key},
            config=config,
        )
        for key, text in reviews.items()
    ]
    return str(client.batches.create(model="gemini-2.5-flash", src=requests).name)


def collect(client: genai.Client, name: str) -> tuple[dict[str, str], list[str]]:
    """Sentiments by id of a finished job, and the ids that failed."""
    job = client.batches.get(name=name)
    items = (job.dest.inlined_responses if job.dest else None) or []
    found, failed = {}, []
    for item in items:
        key = (item.metadata or {})["key"]
        if item.response is None or item.response.text is None:
            failed.append(key)
        else:
            found[key] = str(orjson.loads(item.response.text)["sentiment"])
    return found, failed


def test_failed_reviews_are_retried(gemini: Emulator) -> None:
    """A review that fails once is in the second job, and no job is paid for twice."""
    reviews = {"1": "Lovely.", "2": "Broken on arrival. [[error:13,times=1]]", "3": "It is fine."}
    options = types.HttpOptions(base_url=gemini.base_url)
    with genai.Client(api_key="any", http_options=options) as client:
        first = submit(client, reviews)
        gemini.finish()
        found, failed = collect(client, first)
        assert failed == ["2"]
        second = submit(client, {key: reviews[key] for key in failed})
        gemini.finish()
        again, still = collect(client, second)
    assert still == []
    assert set((found | again).values()) <= {"positive", "negative"}
    assert sorted(found | again) == ["1", "2", "3"]
    assert [entry["items"] for entry in gemini.journal("create")] == [3, 1]
