"""Commands that make a batch again and fetch what it came to, to be copied: curl and Python.

What a client chose (metadata, an endpoint) is data in them, whatever characters it has, and no key
is in them: the variable that OpenAI's SDKs read names it.
"""

import json
import shlex
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

KEY: Final = "OPENAI_API_KEY"
INPUT: Final = "requests.jsonl"
_ABOUT_KEY: Final = f"# {KEY} holds your key of the gateway; any text where it asks for none."
_AUTHORIZED: Final = f'-H "Authorization: Bearer ${KEY}"'
_ID: Final = """python3 -c 'import json, sys; print(json.load(sys.stdin)["id"])'"""
_RESULTS: Final = {"output_file_id": "output.jsonl", "error_file_id": "errors.jsonl"}


@dataclass(frozen=True, slots=True)
class Commands:
    """The same in two languages."""

    curl: str
    python: str


def commands_of(batch: Mapping[str, Any], base_url: str) -> Commands:
    """Write the commands of a batch as the API shows it."""
    create = {name: batch[name] for name in ("endpoint", "completion_window", "metadata")}
    create = {name: value for name, value in create.items() if value is not None}
    return Commands(_curl(batch, create, base_url), _python(batch, create, base_url))


def _curl(batch: Mapping[str, Any], create: Mapping[str, Any], base_url: str) -> str:
    # ASCII alone, which orjson cannot: what a person pastes shows all that it does.
    body = json.dumps(create)[:-1] + ', "input_file_id": "'  # noqa: TID251 - see above
    quoted = f'{shlex.quote(body)}"$file"' + shlex.quote('"}')
    files = [
        f'curl -sS "$base/files/{batch[name]}/content" {_AUTHORIZED} -o {path}'
        for name, path in _RESULTS.items()
        if batch[name]
    ]
    lines = [
        _ABOUT_KEY,
        f"base={shlex.quote(base_url)}",
        "",
        "# Make such a batch again: its input, an upload of it, the batch.",
        f'curl -sS "$base/files/{batch["input_file_id"]}/content" {_AUTHORIZED} -o {INPUT}',
        f'file=$(curl -sS "$base/files" {_AUTHORIZED} -F purpose=batch -F file=@{INPUT} | {_ID})',
        f'curl -sS "$base/batches" {_AUTHORIZED} -H "Content-Type: application/json" -d {quoted}',
        "",
        f"# Fetch what {batch['id']} came to.",
        f'curl -sS "$base/batches/{batch["id"]}" {_AUTHORIZED}',
        *files,
    ]
    return "\n".join(lines) + "\n"


def _python(batch: Mapping[str, Any], create: Mapping[str, Any], base_url: str) -> str:
    # ascii() writes any text as a literal of itself.
    given = [f"    {name}={value!a}," for name, value in create.items()]
    lines = [
        "import os",
        "",
        "from openai import OpenAI",
        "",
        _ABOUT_KEY,
        f'client = OpenAI(base_url={base_url!a}, api_key=os.environ["{KEY}"])',
        "",
        "# Make such a batch again: its input, an upload of it, the batch.",
        f"lines = client.files.content({batch['input_file_id']!a}).content",
        f'file = client.files.create(file=("{INPUT}", lines), purpose="batch")',
        "batch = client.batches.create(",
        "    input_file_id=file.id,",
        *given,
        ")",
        "print(batch.id, batch.status)",
        "",
        f"# Fetch what {batch['id']} came to.",
        f"batch = client.batches.retrieve({batch['id']!a})",
        "print(batch.status, batch.request_counts)",
        "for file_id in filter(None, (batch.output_file_id, batch.error_file_id)):",
        "    print(client.files.content(file_id).text)",
    ]
    return "\n".join(lines) + "\n"
