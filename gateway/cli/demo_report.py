"""The tables at the end of ``gateway demo``: python -m gateway.cli.demo_report DIRECTORY.

A program of its own, because ``openai`` is there with the ``[demo]`` extra only.
Bodies go through the SDK's own types: what these refuse would fail here.
"""

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

import orjson
from openai.types import Batch, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion
from openai.types.chat.chat_completion import Choice
from openai.types.responses import (
    Response,
    ResponseOutputItem,
    ResponseOutputRefusal,
    ResponseOutputText,
)
from rich.console import Console
from rich.markup import escape
from rich.table import Table

BATCHES: Final = ("chat", "responses", "embeddings")
WIDTH_WITHOUT_TERMINAL: Final = 120
TOKENS_WIDTH: Final = 8
SHOWN_NUMBERS: Final = 3
JOINER: Final = "\u200d"  # holds an emoji together


def main() -> None:
    """Print what came back into the directory that is the first argument."""
    directory = Path(sys.argv[1])
    console = Console()
    if not console.is_terminal:
        console = Console(width=WIDTH_WITHOUT_TERMINAL)
    for name in BATCHES:
        console.print(_answers(directory, name))
    console.print(_totals(directory))


def _answers(directory: Path, name: str) -> Table:
    table = Table(title=f"{name}.jsonl", title_justify="left", title_style="bold", expand=True)
    lines = [line["custom_id"] for line in _lines(directory / f"{name}.jsonl")]
    table.add_column("custom_id", no_wrap=True, min_width=max(map(len, lines)))
    table.add_column("what came back", overflow="ellipsis", no_wrap=True, ratio=1)
    table.add_column("tokens", justify="right", no_wrap=True, min_width=TOKENS_WIDTH)
    answers = {}
    for kind in ("output", "error"):
        for line in _lines(directory / f"{name}.{kind}.jsonl"):
            answers[line["custom_id"]] = _answer(line, name)
    for custom_id in lines:
        table.add_row(custom_id, *answers[custom_id])
    return table


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    if path.exists():  # OpenAI has no empty files either
        yield from map(orjson.loads, path.read_bytes().splitlines())


def _answer(line: dict[str, Any], name: str) -> tuple[str, str]:
    """``[red]`` and ``[cyan]`` are rich's words for colours."""
    if line["response"] is None:
        return f"[red]{escape(line['error']['code'])}[/]", ""
    body = line["response"]["body"]
    if line["response"]["status_code"] != 200:
        error = body["error"]
        words = f"{line['response']['status_code']} {error['code']}: {error['message']}"
        return f"[red]{_shown(words)}[/]", ""
    if name == "embeddings":
        return _vectors(body)
    if name == "responses":
        return _response(Response.model_validate(body))
    return _completion(ChatCompletion.model_validate(body))


def _response(response: Response) -> tuple[str, str]:
    usage = response.usage
    tokens = f"{usage.input_tokens} + {usage.output_tokens}" if usage else ""
    said = " ".join(map(_item, response.output))
    details = response.incomplete_details
    return f"[magenta]{details.reason}[/] {said}" if details else said, tokens


def _item(item: ResponseOutputItem) -> str:
    """Words as they are, calls as calls, of everything else its kind."""
    if item.type == "function_call":
        return f"[cyan]{_shown(f'{item.name}({item.arguments})')}[/]"
    if item.type != "message":
        return f"[dim]{item.type}[/]"
    return " ".join(map(_content, item.content))


def _content(content: ResponseOutputText | ResponseOutputRefusal) -> str:
    if content.type == "refusal":
        return f"[yellow]{_shown(content.refusal)}[/]"
    return _shown(content.text)


def _completion(completion: ChatCompletion) -> tuple[str, str]:
    usage = completion.usage
    tokens = f"{usage.prompt_tokens} + {usage.completion_tokens}" if usage else ""
    return " [dim]|[/] ".join(map(_choice, completion.choices)), tokens


def _choice(choice: Choice) -> str:
    message = choice.message
    said = _shown(message.content or "")
    if message.refusal:
        said = f"[yellow]{_shown(message.refusal)}[/]"
    for call in message.tool_calls or ():
        if call.type == "function":
            said += f"[cyan]{_shown(f'{call.function.name}({call.function.arguments})')}[/] "
    return said if choice.finish_reason in {"stop", "tool_calls"} else _marked(said, choice)


def _marked(said: str, choice: Choice) -> str:
    return f"[magenta]{choice.finish_reason}[/] {said}"


def _vectors(body: dict[str, Any]) -> tuple[str, str]:
    """Vectors may be base64 here, which the SDK's type does not know."""
    vectors = [item["embedding"] for item in body["data"]]
    if not any(isinstance(vector, str) for vector in vectors):
        CreateEmbeddingResponse.model_validate(body)
    return "; ".join(map(_vector, vectors)), str(body["usage"]["prompt_tokens"])


def _vector(vector: str | list[float]) -> str:
    if isinstance(vector, str):
        return f"base64, {len(vector)} characters"
    first = ", ".join(f"{number:.3f}" for number in vector[:SHOWN_NUMBERS])
    return f"{len(vector)} numbers ({first}, …)"


def _shown(text: str) -> str:
    """On one line, and without what a terminal would obey."""
    return escape("".join(c if c.isprintable() or c == JOINER else " " for c in text))


def _totals(directory: Path) -> Table:
    table = Table(title="batches", title_justify="left", title_style="bold")
    for heading in ("input", "status", "lines", "answered", "failed", "tokens in", "tokens out"):
        table.add_column(heading, justify="right" if heading not in {"input", "status"} else "left")
    for name in BATCHES:
        text = (directory / f"{name}.batch.json").read_bytes()
        table.add_row(f"{name}.jsonl", *_total(Batch.model_validate_json(text)))
    return table


def _total(batch: Batch) -> Sequence[str]:
    counts, usage = batch.request_counts, batch.usage
    if counts is None or usage is None:
        raise ValueError(f"{batch.id} came without counts or usage")
    numbers = (
        counts.total,
        counts.completed,
        counts.failed,
        usage.input_tokens,
        usage.output_tokens,
    )
    return (batch.status, *map(str, numbers))


if __name__ == "__main__":
    main()
