"""``gateway serve`` whose spans are kept in memory, and written to a file when it stops."""

import asyncio
import sys
from pathlib import Path

from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter

from gateway.app import Gateway
from gateway.cli.logs import set_up_logs
from gateway.settings.load import load
from gateway.tracing.provider import traces_to


def main() -> None:
    """``python -m tests.e2e.traced FILE``; settings come from the environment."""
    settings, _ = load()
    set_up_logs(settings.log_level, settings.log_format)
    exporter = InMemorySpanExporter()
    gateway = Gateway(settings, tracing=traces_to(SimpleSpanProcessor(exporter)))
    asyncio.run(gateway.serve(lambda url: print(f"listening on {url}/v1", flush=True)))
    with Path(sys.argv[1]).open("a") as file:
        file.writelines(f"{span.to_json(indent=None)}\n" for span in exporter.get_finished_spans())


if __name__ == "__main__":
    main()
