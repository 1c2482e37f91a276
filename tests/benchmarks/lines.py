"""Deterministic OpenAI input lines and Gemini result lines, for benchmarks.

``python tests/benchmarks/lines.py mixed --megabytes 400 > input.jsonl`` writes a file;
``--count`` instead of ``--megabytes`` writes that many lines. Kinds: ``mixed`` (4 to 5 KB on
average: short and long prompts, dialogues, tools with their results, JSON schemas, small images),
``small`` (300 bytes), ``media`` (a data URI of 1 MB) and ``embeddings``.
"""

import argparse
import base64
import itertools
import json
import sys
from collections.abc import Callable, Iterator
from random import Random  # noqa: TID251 - seeded: the same lines every time
from typing import Any, Final

import orjson

Json = dict[str, Any]

SMALL_LINE_BYTES: Final = 300
MEDIA_BYTES: Final = 768 * 1024
_SEED: Final = 20261123
_WORDS: Final = [
    "the",
    "of",
    "and",
    "to",
    "in",
    "is",
    "that",
    "for",
    "it",
    "as",
    "was",
    "with",
    "be",
    "by",
    "on",
    "not",
    "he",
    "his",
    "but",
    "at",
    "are",
    "this",
    "have",
    "from",
    "or",
    "had",
    "an",
    "they",
    "which",
    "one",
    "you",
    "were",
    "all",
    "her",
    "she",
    "there",
    "would",
    "their",
    "we",
    "him",
    "been",
    "has",
    "when",
    "who",
    "will",
    "no",
    "more",
    "if",
    "out",
    "so",
    "up",
    "said",
    "what",
    "its",
    "about",
    "than",
    "into",
    "them",
    "can",
    "only",
    "other",
    "time",
    "new",
    "some",
    "could",
    "batch",
    "gateway",
    "request",
    "answer",
    "invoice",
    "customer",
    "order",
    "shipping",
    "refund",
    "contract",
    "paragraph",
    "summary",
    "classify",
    "sentiment",
    "extract",
    "translate",
    "Übersetzung",
    "größer",
    "naïve",
    "café",
    "東京",
    "データ",
    "🙂",
]


def text(random: Random, characters: int) -> str:
    """Words, about so many characters of them, with a line break now and then."""
    words = random.choices(_WORDS, k=max(1, characters // 5))
    for index in range(20, len(words), 23):
        words[index] += '.\n"Quoted" next'
    return " ".join(words)


def _message(role: str, content: object) -> Json:
    return {"role": role, "content": content}


def _plain(random: Random) -> Json:
    return {
        "messages": [
            _message("system", text(random, 900)),
            _message("user", text(random, random.randint(500, 3_500))),
        ],
        "temperature": 0.2,
        "max_tokens": 800,
    }


def _dialogue(random: Random) -> Json:
    turns = [_message("developer", text(random, 400))]
    for _ in range(random.randint(2, 5)):
        turns.append(_message("user", text(random, 400)))
        turns.append(_message("assistant", text(random, 600)))
    turns.append(_message("user", [{"type": "text", "text": text(random, 300)}]))
    return {"messages": turns, "top_p": 0.9, "max_completion_tokens": 1_000, "stop": ["END"]}


def _document(random: Random) -> Json:
    return {
        "messages": [
            _message("system", "Summarise the document in three sentences."),
            _message("user", text(random, random.randint(8_000, 22_000))),
        ],
        "reasoning_effort": "low",
        "seed": random.randint(0, 1_000),
    }


_ORDER: Final[Json] = {
    "type": "object",
    "properties": {
        "number": {"type": "string", "description": "As printed on the invoice"},
        "total": {"type": ["number", "null"]},
        "status": {"type": "string", "enum": ["open", "paid", "cancelled"]},
        "lines": {
            "type": "array",
            "items": {
                "type": "object",
                "properties": {"article": {"type": "string"}, "count": {"type": "integer"}},
                "required": ["article", "count"],
                "additionalProperties": False,
            },
        },
    },
    "required": ["number", "total", "status", "lines"],
    "additionalProperties": False,
}


def _structured(random: Random) -> Json:
    return {
        "messages": [
            _message("system", text(random, 500)),
            _message("user", text(random, random.randint(800, 3_000))),
        ],
        "response_format": {
            "type": "json_schema",
            "json_schema": {"name": "order", "strict": True, "schema": _ORDER},
        },
        "temperature": 0,
    }


# The lines of a batch come from one program: they share their tools.
_TOOLS: Final[list[Json]] = [
    {
        "type": "function",
        "function": {
            "name": name,
            "description": text(Random(name), 120),
            "parameters": {
                "type": "object",
                "properties": {
                    "city": {"type": "string", "description": "City and country"},
                    "days": {"type": "integer", "minimum": 1},
                    "unit": {"type": "string", "enum": ["celsius", "fahrenheit"]},
                },
                "required": ["city"],
            },
        },
    }
    for name in ("get_weather", "find_order", "refund")
]


def _tools(random: Random) -> Json:
    calls = [
        {
            "id": f"call_{random.getrandbits(64):016x}",
            "type": "function",
            "function": {"name": "get_weather", "arguments": '{"city":"Ulm, DE","days":3}'},
        }
        for _ in range(2)
    ]
    results = [
        {"role": "tool", "tool_call_id": call["id"], "content": '{"celsius":21,"sky":"clear"}'}
        for call in calls
    ]
    turns = [
        _message("system", text(random, 300)),
        _message("user", text(random, 400)),
        {"role": "assistant", "content": None, "tool_calls": calls},
        *results,
        _message("assistant", text(random, 300)),
        _message("user", text(random, 200)),
    ]
    return {"messages": turns, "tools": _TOOLS, "tool_choice": "auto"}


def _image(random: Random) -> Json:
    return _picture(random, 24 * 1024)


def _picture(random: Random, size: int) -> Json:
    data = base64.b64encode(random.randbytes(size)).decode()
    url = f"data:image/jpeg;base64,{data}"
    parts = [
        {"type": "text", "text": text(random, 120)},
        {"type": "image_url", "image_url": {"url": url, "detail": "low"}},
    ]
    return {"messages": [_message("user", parts)], "max_tokens": 300}


def _embedding(random: Random) -> Json:
    texts = [text(random, random.randint(200, 1_500)) for _ in range(random.choice((1, 1, 1, 4)))]
    return {"input": texts[0] if len(texts) == 1 else texts}


_MIX: Final[tuple[tuple[int, Callable[[Random], Json]], ...]] = (
    (34, _plain),
    (20, _dialogue),
    (16, _structured),
    (16, _tools),
    (11, _document),
    (3, _image),
)


def _line(number: int, body: Json, url: str, model: str) -> bytes:
    envelope = {"custom_id": f"request-{number:07}", "method": "POST", "url": url}
    # As nearly every input file is written: the standard library's spaces and ASCII escapes.
    return json.dumps({**envelope, "body": {"model": model, **body}}).encode()  # noqa: TID251


def mixed() -> Iterator[bytes]:
    """Yield lines of every kind, without end."""
    random = Random(_SEED)
    makers = [make for weight, make in _MIX for _ in range(weight)]
    for number in itertools.count(1):
        body = random.choice(makers)(random)
        yield _line(number, body, "/v1/chat/completions", "gemini-2.5-flash")


def small() -> Iterator[bytes]:
    """Yield lines of 300 bytes: two messages and a limit."""
    random = Random(_SEED)
    for number in itertools.count(1):
        body = {
            "messages": [
                _message("system", "Classify the sentiment."),
                _message("user", f"{random.getrandbits(64):020} arrived late, but"),
            ],
            "max_tokens": 20,
        }
        line = _line(number, body, "/v1/chat/completions", "gemini-2.5-flash")
        padding = " it works" * 20
        missing = SMALL_LINE_BYTES - len(line)
        yield line.replace(b" late, but", b" late, but" + padding[:missing].encode())


def small_responses() -> Iterator[bytes]:
    """Yield lines of 300 bytes for the responses endpoint: instructions, a text and a limit."""
    random = Random(_SEED)
    for number in itertools.count(1):
        body = {
            "instructions": "Classify the sentiment.",
            "input": f"{random.getrandbits(64):020} arrived late, but",
            "max_output_tokens": 20,
        }
        line = _line(number, body, "/v1/responses", "gemini-2.5-flash")
        padding = " it works" * 20
        missing = SMALL_LINE_BYTES - len(line)
        yield line.replace(b" late, but", b" late, but" + padding[:missing].encode())


def media() -> Iterator[bytes]:
    """Yield lines with one large image each; four different ones take turns."""
    random = Random(_SEED)
    bodies = [_picture(random, MEDIA_BYTES) for _ in range(4)]
    for number, body in enumerate(itertools.cycle(bodies), 1):
        yield _line(number, body, "/v1/chat/completions", "gemini-2.5-flash")


def embeddings() -> Iterator[bytes]:
    """Yield embedding lines of one or four inputs."""
    random = Random(_SEED)
    for number in itertools.count(1):
        yield _line(number, _embedding(random), "/v1/embeddings", "gemini-embedding-001")


KINDS: Final[dict[str, Callable[[], Iterator[bytes]]]] = {
    "mixed": mixed,
    "small": small,
    "media": media,
    "embeddings": embeddings,
}


def _usage(random: Random) -> Json:
    prompt, answer, thoughts = (random.randint(20, 900) for _ in range(3))
    return {
        "promptTokenCount": prompt,
        "candidatesTokenCount": answer,
        "thoughtsTokenCount": thoughts,
        "totalTokenCount": prompt + answer + thoughts,
        "promptTokensDetails": [{"modality": "TEXT", "tokenCount": prompt}],
        "serviceTier": "standard",
    }


def _result(number: int, random: Random, parts: list[Json]) -> bytes:
    response = {
        "candidates": [
            {"content": {"parts": parts, "role": "model"}, "finishReason": "STOP", "index": 0}
        ],
        "usageMetadata": _usage(random),
        "modelVersion": "gemini-2.5-flash",
        "responseId": f"{random.getrandbits(96):024x}",
    }
    return orjson.dumps({"response": response, "key": f"{number}.0"})


def results(*, small: bool) -> Iterator[bytes]:
    """Yield result lines: texts, every sixth with two calls; small ones are one word."""
    random = Random(_SEED)
    for number in itertools.count(1):
        if small:
            parts: list[Json] = [{"text": "positive"}]
        elif number % 6 == 0:
            args = {"city": "Ulm, DE", "days": 3, "unit": "celsius"}
            parts = [{"functionCall": {"name": "get_weather", "args": args}} for _ in range(2)]
            parts[0]["thoughtSignature"] = base64.b64encode(random.randbytes(300)).decode()
        else:
            parts = [{"text": text(random, random.randint(300, 6_000))}]
        yield _result(number, random, parts)


def vectors(size: int = 3072) -> Iterator[bytes]:
    """Yield embedding results of full size."""
    random = Random(_SEED)
    values = [[random.uniform(-0.1, 0.1) for _ in range(size)] for _ in range(8)]
    for number in itertools.count(1):
        response = {"tokenCount": "12", "embedding": {"values": values[number % 8]}}
        yield orjson.dumps({"response": response, "key": f"{number}.0"})


def main() -> None:
    """Write lines to standard output."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("kind", choices=sorted(KINDS))
    amount = parser.add_mutually_exclusive_group(required=True)
    amount.add_argument("--count", type=int, help="number of lines")
    amount.add_argument("--megabytes", type=int, help="size to reach, in 1,000,000 bytes")
    arguments = parser.parse_args()
    written = 0
    for number, line in enumerate(KINDS[arguments.kind]()):
        if number == arguments.count:
            break
        if arguments.megabytes is not None and written >= arguments.megabytes * 1_000_000:
            break
        sys.stdout.buffer.write(line + b"\n")
        written += len(line) + 1


if __name__ == "__main__":
    main()
