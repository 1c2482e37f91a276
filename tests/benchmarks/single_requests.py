"""Latency that the gateway adds to a single call, next to the same call without it.

``python -m tests.benchmarks.single_requests`` sends chat completions at a steady rate, each at its
own time whether or not those before are answered, first to the emulator alone
(``generateContent``), then through the gateway to the same emulator, in one run. The difference of
the percentiles is what the gateway adds. Goals at 200 requests a second: p50 2 ms, p99 8 ms.
Emulator, gateway and this client share the machine's cores, so a busy machine shows in both rows.
"""

import argparse
import asyncio
import contextlib
import tempfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import httpx

from gateway.clock import SystemClock
from tests.benchmarks.latency import row
from tests.cli.processes import serving

MODEL = "gemini-3.5-flash"
CLOCK = SystemClock()


async def load(url: str, headers: Mapping[str, str], body: Any, rate: int, seconds: int) -> Any:
    """Milliseconds of each answer, from the time at which its request was due."""
    took: list[float] = []
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=500)
    async with httpx.AsyncClient(headers=headers, limits=limits, timeout=60) as client:

        async def one(due: float) -> None:
            answer = await client.post(url, json=body)
            assert answer.status_code == 200, answer.text
            took.append((CLOCK.monotonic() - due) * 1000)

        began = CLOCK.monotonic()
        async with asyncio.TaskGroup() as group:
            for number in range(rate * seconds):
                due = began + number / rate
                await asyncio.sleep(max(0.0, due - CLOCK.monotonic()))
                group.create_task(one(due))
    return took


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=int, default=200)
    parser.add_argument("--seconds", type=int, default=20)
    options = parser.parse_args()
    gemini = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    openai = {"model": MODEL, "messages": [{"role": "user", "content": "hi"}]}
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        emulator = stack.enter_context(serving(directory, "emulator", "--port", "0"))
        settings = {
            "GATEWAY_GEMINI_BASE_URL": emulator.url,
            "GATEWAY_DATA_DIR": str(directory / "data"),
            "GATEWAY_PORT": "0",
            "GATEWAY_LOG_LEVEL": "warning",
        }
        gateway = stack.enter_context(serving(directory, "serve", env=settings))
        bare = f"{emulator.url}/v1beta/models/{MODEL}:generateContent"
        calls = {
            "emulator alone": (bare, {"x-goog-api-key": "k"}, gemini),
            "through the gateway": (
                f"{gateway.url}/chat/completions",
                {"authorization": "Bearer benchmark"},
                openai,
            ),
        }
        print(f"{'':<28}{'requests':>9}{'p50 ms':>9}{'p99 ms':>9}")
        for name, call in calls.items():
            asyncio.run(load(*call, options.rate, 2))  # connections, and what is made once
            row(name, asyncio.run(load(*call, options.rate, options.seconds)))


if __name__ == "__main__":
    main()
