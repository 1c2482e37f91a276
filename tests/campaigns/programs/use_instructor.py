"""instructor, pointed at the gateway by the environment alone."""

import sys
import tempfile
import time
from collections.abc import Iterable
from pathlib import Path

import instructor
from instructor.batch import BatchProcessor
from openai import OpenAI
from pydantic import BaseModel

MODEL = "gemini-3.8-flash"
ASK = [{"role": "user", "content": "Ada is 36."}]
# In JSON mode the schema is in the prompt, which the emulator does not read.
TOLD = [{"role": "user", "content": 'Ada is 36. [[text:{"name": "Ada", "age": 36}]]'}]


class Person(BaseModel):
    """A person."""

    name: str
    age: int


def single() -> None:
    """An object, by a tool, by JSON and by a schema."""
    for mode in (instructor.Mode.TOOLS, instructor.Mode.JSON, instructor.Mode.JSON_SCHEMA):
        client = instructor.from_openai(OpenAI(), mode=mode)
        messages = TOLD if mode is instructor.Mode.JSON else ASK
        person = client.chat.completions.create(
            model=MODEL, response_model=Person, messages=messages
        )
        assert isinstance(person, Person), mode


def stream() -> None:
    """An object that grows, and objects one by one."""
    client = instructor.from_openai(OpenAI())
    grown = list(
        client.chat.completions.create_partial(model=MODEL, response_model=Person, messages=ASK)
    )
    assert isinstance(grown[-1].age, int)
    people = list(
        client.chat.completions.create(
            model=MODEL, response_model=Iterable[Person], messages=ASK, stream=True
        )
    )
    assert all(isinstance(person, Person) for person in people)


def tools() -> None:
    """The provider by name, with the completion beside the object."""
    client = instructor.from_provider(f"openai/{MODEL}")
    person, raw = client.chat.completions.create_with_completion(
        response_model=Person, messages=ASK
    )
    assert isinstance(person, Person)
    assert raw.usage.total_tokens > 0


def batch() -> None:
    """Its own batch processor."""
    with tempfile.TemporaryDirectory() as directory:
        path = str(Path(directory) / "input.jsonl")
        processor = BatchProcessor(f"openai/{MODEL}", Person)
        processor.create_batch_from_messages([ASK, ASK], file_path=path)
        name = processor.submit_batch(path)
        while processor.get_batch_status(name)["status"] not in ("completed", "failed"):
            time.sleep(0.2)
        results = processor.retrieve_results(name)
        assert [result.success for result in results] == [True, True], results


if __name__ == "__main__":
    globals()[sys.argv[1]]()
