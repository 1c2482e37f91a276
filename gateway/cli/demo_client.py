# ruff: noqa: T201 - a program that prints
"""Run three batches with OpenAI's SDK and keep what comes back: python demo_client.py DIRECTORY.

OPENAI_BASE_URL names the gateway and OPENAI_API_KEY a key, as for every OpenAI program.
"""

import asyncio
import sys
from pathlib import Path
from typing import Final, Literal

from openai import AsyncOpenAI

Endpoint = Literal["/v1/chat/completions", "/v1/responses", "/v1/embeddings"]
ENDED: Final = {"completed", "failed", "expired", "cancelled"}


async def run(client: AsyncOpenAI, path: Path, endpoint: Endpoint) -> None:
    """Upload a file, create a batch of it, poll to its end, and download next to the file."""
    with path.open("rb") as lines:  # an open file is streamed; a Path would be read whole
        file = await client.files.create(file=lines, purpose="batch")
    batch = await client.batches.create(
        input_file_id=file.id, endpoint=endpoint, completion_window="24h"
    )
    print(f"{path.name}: uploaded as {file.id}, created {batch.id}")
    shown = None
    while batch.status not in ENDED:
        await asyncio.sleep(0.2)  # against Google: a minute
        batch = await client.batches.retrieve(batch.id)
        counts = batch.request_counts
        if counts and (batch.status, counts) != shown:
            shown = (batch.status, counts)
            print(f"{path.name}: {batch.status}, {counts.completed + counts.failed}/{counts.total}")
    path.with_suffix(".batch.json").write_text(batch.to_json(), encoding="utf-8")
    for name, file_id in (("output", batch.output_file_id), ("error", batch.error_file_id)):
        if file_id:
            content = await client.files.content(file_id)
            content.write_to_file(path.with_suffix(f".{name}.jsonl"))


async def main(directory: Path) -> None:
    """Run all batches at once, of the files in a directory."""
    async with AsyncOpenAI() as client:
        await asyncio.gather(
            run(client, directory / "chat.jsonl", "/v1/chat/completions"),
            run(client, directory / "responses.jsonl", "/v1/responses"),
            run(client, directory / "embeddings.jsonl", "/v1/embeddings"),
        )


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
