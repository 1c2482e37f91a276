"""LiteLLM, pointed at the gateway by the environment alone."""

import json
import sys
import time

import litellm
from litellm import completion

MODEL = "openai/gemini-3.8-flash"
WEATHER = {
    "type": "function",
    "function": {
        "name": "get_weather",
        "description": "Tells the weather of a city.",
        "parameters": {
            "type": "object",
            "properties": {"city": {"type": "string"}},
            "required": ["city"],
        },
    },
}


def single() -> None:
    """One chat completion, and one embedding."""
    answer = completion(model=MODEL, messages=[{"role": "user", "content": "Say hello."}])
    assert "hello" in answer.choices[0].message.content
    assert answer.usage.total_tokens > 0
    vectors = litellm.embedding(model="openai/gemini-embedding-001", input=["a", "b"])
    assert len(vectors.data) == 2
    response = litellm.responses(model=MODEL, input="Say hello.")
    assert "hello" in response.output[-1].content[0].text


def stream() -> None:
    """Chunks, with usage at the end."""
    messages = [{"role": "user", "content": "Say hello."}]
    chunks = list(
        completion(
            model=MODEL, messages=messages, stream=True, stream_options={"include_usage": True}
        )
    )
    whole = litellm.stream_chunk_builder(chunks, messages=messages)
    assert "hello" in whole.choices[0].message.content
    assert whole.usage.total_tokens > 0


def tools() -> None:
    """A call, its result, an answer."""
    messages = [{"role": "user", "content": "What is the weather in Rome?"}]
    first = completion(model=MODEL, messages=messages, tools=[WEATHER])
    (call,) = first.choices[0].message.tool_calls
    assert call.function.name == "get_weather"
    assert "city" in json.loads(call.function.arguments)
    result = {"role": "tool", "tool_call_id": call.id, "content": "Sunny."}
    messages += [first.choices[0].message, result]
    second = completion(model=MODEL, messages=messages, tools=[WEATHER])
    assert second.choices[0].message.content
    assert second.choices[0].finish_reason == "stop"


def batch() -> None:
    """A file, a batch, its output."""
    body = {"model": "gemini-3.8-flash", "messages": [{"role": "user", "content": "Say hello."}]}
    line = {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": body}
    file = litellm.create_file(
        file=("input.jsonl", json.dumps(line).encode()),
        purpose="batch",
        custom_llm_provider="openai",
    )
    made = litellm.create_batch(
        completion_window="24h",
        endpoint="/v1/chat/completions",
        input_file_id=file.id,
        custom_llm_provider="openai",
    )
    while made.status not in ("completed", "failed", "expired", "cancelled"):
        time.sleep(0.2)
        made = litellm.retrieve_batch(batch_id=made.id, custom_llm_provider="openai")
    assert made.status == "completed", made
    content = litellm.file_content(file_id=made.output_file_id, custom_llm_provider="openai")
    assert b"hello" in content.content


if __name__ == "__main__":
    globals()[sys.argv[1]]()
