"""Latency that the gateway adds to a single call, next to the same call without it.

``python -m tests.benchmarks.single_requests`` sends chat completions at a steady rate, each at its
own time whether or not those before are answered: to the emulator alone (``generateContent``), to a
bare relay before it (:mod:`tests.benchmarks.relay`) and through the gateway. They take turns in
short rounds, since emulator, gateway, this client and the machine's other work share its cores; the
table has the median over the rounds. What the gateway adds is the median of the differences within
a round. On a machine that does other work too, ``chrt -r 1`` before the command keeps it away.
Goals, at half of the rate at which the relay saturates, at most 200 requests a second:
p50 2 ms, p99 8 ms, and the first byte of a stream 5 ms after Google's.

``--litellm FOLDER`` measures the throughput of LiteLLM's proxy too, from an environment of its own
(``python -m venv FOLDER && FOLDER/bin/pip install 'litellm[proxy]'``). Goal: 10 times.
"""

import argparse
import asyncio
import contextlib
import gc
import os
import re
import socket
import statistics
import subprocess
import sys
import tempfile
from collections.abc import AsyncGenerator, AsyncIterator, Coroutine, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import httpx
import psutil
import uvloop
from httpx_aiohttp import AiohttpTransport

from gateway.clock import SystemClock
from tests.cli.processes import serving

MODEL = "gemini-3.5-flash"
CLOCK = SystemClock()
Found = TypeVar("Found")
GOAL_RATE = 200
AT_ONCE = 32
CLIENT_KEY = {"authorization": "Bearer benchmark"}


@dataclass(frozen=True)
class Target:
    """What is asked: a URL, headers and a body; of a stream the first byte counts."""

    name: str
    url: str
    headers: Mapping[str, str]
    body: Any
    stream: bool = False
    pid: int = 0  # of the server, whose CPU time counts


@contextlib.asynccontextmanager
async def new_client() -> AsyncIterator[httpx.AsyncClient]:
    """Open a client that costs as little as one can, since it shares the cores."""
    limits = httpx.Limits(max_connections=None, max_keepalive_connections=500)
    transport = AiohttpTransport(limits=limits)
    async with httpx.AsyncClient(transport=transport, timeout=120) as client:
        yield client


async def ask(client: httpx.AsyncClient, target: Target) -> float:
    """Send a request; the time at which its answer, or its first byte, was there."""
    async with client.stream(
        "POST", target.url, json=target.body, headers=target.headers
    ) as answer:
        assert answer.status_code == 200, await answer.aread()
        body = answer.aiter_raw()
        first = await anext(body)
        at = CLOCK.monotonic()
        whole = first + b"".join([block async for block in body])
        assert whole
        return at if target.stream else CLOCK.monotonic()


async def at_rate(target: Target, rate: float, seconds: float) -> list[float]:
    """Milliseconds of each answer, from the time at which its request was due."""
    took: list[float] = []
    async with new_client() as client:

        async def one(due: float) -> None:
            took.append((await ask(client, target) - due) * 1000)

        await asyncio.gather(*[ask(client, target) for _ in range(10)])  # connections
        began = CLOCK.monotonic() + 0.05
        async with asyncio.TaskGroup() as group:
            for number in range(int(rate * seconds)):
                due = began + number / rate
                await asyncio.sleep(max(0.0, due - CLOCK.monotonic()))
                group.create_task(one(due))
    return sorted(took)


def cpu_seconds(pid: int) -> float:
    """CPU time that a server has taken."""
    spent = psutil.Process(pid).cpu_times()
    return spent.user + spent.system


async def send_again(address: tuple[str, int], message: bytes) -> AsyncGenerator[None]:
    """Send a request over one connection again and again, as cheaply as a client can."""
    reader, writer = await asyncio.open_connection(*address)
    try:
        while True:
            writer.write(message)
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200 "), head
            length = re.search(rb"(?i)content-length: *(\d+)", head)
            assert length, head
            await reader.readexactly(int(length[1]))
            yield
    finally:
        writer.close()


def rendered(target: Target) -> tuple[tuple[str, int], bytes]:
    """Return the address of a target, and its request's bytes."""
    url = httpx.URL(target.url)
    request = httpx.Request("POST", url, json=target.body, headers=target.headers)
    lines = [b"POST %b HTTP/1.1" % url.raw_path]
    lines += [b"%b: %b" % (name, value) for name, value in request.headers.raw]
    return (url.host, url.port or 80), b"\r\n".join([*lines, b"", request.content])


async def at_most(target: Target, seconds: float) -> tuple[float, float]:
    """Answers a second with :data:`AT_ONCE` requests under way all the time, and CPU ms of one.

    The client only counts: server, emulator and client share the machine's cores, and what a
    client of many features takes of them is missing to the server that is measured.
    """
    count = 0
    address, message = rendered(target)
    began, spent = CLOCK.monotonic(), cpu_seconds(target.pid)

    async def client_of_many() -> None:
        nonlocal count
        async with contextlib.aclosing(send_again(address, message)) as answers:
            async for _ in answers:
                count += 1
                if CLOCK.monotonic() - began >= seconds:
                    return

    await asyncio.gather(*[client_of_many() for _ in range(AT_ONCE)])
    cpu = (cpu_seconds(target.pid) - spent) * 1000 / count
    return count / (CLOCK.monotonic() - began), cpu


def run(coroutine: Coroutine[Any, Any, Found]) -> Found:
    """Run a measurement on the loop that the servers have too."""
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as loop:
        return loop.run(coroutine)


def percentiles(took: list[float]) -> tuple[float, float]:
    """p50 and p99 of sorted times."""
    return took[len(took) // 2], took[int(len(took) * 0.99)]


def compare(targets: list[Target], rate: float, seconds: float, rounds: int) -> None:
    """Measure the targets in turn, and print medians, and what each adds to the first."""
    found: list[list[tuple[float, float]]] = []
    for _ in range(rounds):
        found.append([percentiles(run(at_rate(one, rate, seconds))) for one in targets])
    for place, target in enumerate(targets):
        half, tail = (statistics.median(each[place][kind] for each in found) for kind in (0, 1))
        more = [
            statistics.median(each[place][kind] - each[0][kind] for each in found)
            for kind in (0, 1)
        ]
        print(f"{target.name:<34}{half:8.2f}{tail:8.2f}{more[0]:+9.2f}{more[1]:+9.2f}", flush=True)


def compare_throughput(targets: list[Target], seconds: float, rounds: int) -> None:
    """Measure how much each answers, in turn; CPU time is the same on a busy machine."""
    found = [[run(at_most(one, seconds)) for one in targets] for _ in range(rounds)]
    title = f"with {AT_ONCE} requests at a time"
    print(f"\n{title:<34}{'a second':>9}{'ratio':>8}{'CPU ms':>9}{'ratio':>8}")
    medians = [
        [statistics.median(each[place][kind] for each in found) for kind in (0, 1)]
        for place in range(len(targets))
    ]
    most, cpu = medians[0]
    for target, (rate, spent) in zip(targets, medians, strict=True):
        print(
            f"{target.name:<34}{rate:9.0f}{rate / most:8.2f}{spent:9.2f}{spent / cpu:8.2f}",
            flush=True,
        )


@contextlib.contextmanager
def child(*command: str, env: Mapping[str, str] | None = None) -> Iterator[subprocess.Popen[str]]:
    """Run a server; end it."""
    own = {"PATH": os.defpath, **(env or {})}
    with (
        tempfile.TemporaryFile() as log,
        subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=log, text=True, env=own
        ) as process,
    ):
        try:
            yield process
        finally:
            process.kill()


@contextlib.contextmanager
def relay(upstream: str, headers: Mapping[str, str], body: object) -> Iterator[Target]:
    """Run a relay."""
    with child(sys.executable, "-m", "tests.benchmarks.relay", upstream) as process:
        assert process.stdout is not None
        url = process.stdout.readline().rpartition(" ")[2].strip()
        yield Target("bare relay", url, headers, body, pid=process.pid)


@contextlib.contextmanager
def litellm(environment: Path, emulator: str, directory: Path) -> Iterator[Target]:
    """Run LiteLLM's proxy of the same model over the same emulator."""
    config = directory / "litellm.yaml"
    config.write_text(
        f"model_list:\n  - model_name: {MODEL}\n    litellm_params:\n"
        f"      model: gemini/{MODEL}\n      api_key: k\n      api_base: {emulator}/v1beta\n"
        "general_settings:\n  master_key: sk-benchmark\n"
    )
    port = free_port()
    proxy = str(environment / "bin" / "litellm")
    settings = {"LITELLM_LOCAL_MODEL_COST_MAP": "True", "HOME": str(directory)}
    url = f"http://127.0.0.1:{port}/v1/chat/completions"
    command = (proxy, "--config", str(config), "--port", str(port), "--host", "127.0.0.1")
    with child(*command, env=settings) as process:
        key = {"authorization": "Bearer sk-benchmark"}
        target = Target("LiteLLM's proxy", url, key, chat(), pid=process.pid)
        asyncio.run(answering(target, process))
        yield target


def free_port() -> int:
    """Find a port, for a program that announces none."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
        return port


async def answering(target: Target, process: subprocess.Popen[str]) -> None:
    """Wait until a server answers."""
    async with new_client() as client:
        while True:
            with contextlib.suppress(httpx.TransportError, AssertionError):
                await ask(client, target)
                return
            if process.poll() is not None:
                raise SystemExit(f"{target.name} ended with {process.returncode}")
            await asyncio.sleep(0.5)


def chat(**more: object) -> Mapping[str, object]:
    """Write a request of chat."""
    return {"model": MODEL, "messages": [{"role": "user", "content": "hi"}], **more}


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rate", type=float, help="requests a second; default: the goal's")
    parser.add_argument("--seconds", type=float, default=4, help="of one round")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--litellm", type=Path, help="environment that has litellm[proxy]")
    options = parser.parse_args()
    gc.collect()
    gc.disable()  # pauses of this client are no latency of theirs
    gemini = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
    google_key = {"x-goog-api-key": "k", "content-type": "application/json"}
    with contextlib.ExitStack() as stack:
        directory = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        emulator = stack.enter_context(serving(directory, "emulator", "--port", "0"))
        settings = {
            "GATEWAY_GEMINI_BASE_URL": emulator.url,
            "GATEWAY_DATA_DIR": str(directory / "data"),
            "GATEWAY_PORT": "0",
            "GATEWAY_LOG_LEVEL": "warning",
            "GATEWAY_REQUESTS_PER_MINUTE": "0",
        }
        gateway = stack.enter_context(serving(directory, "serve", env=settings))
        bare = f"{emulator.url}/v1beta/models/{MODEL}"
        ours = f"{gateway.url}/chat/completions"
        whole = [
            Target("emulator alone", f"{bare}:generateContent", google_key, gemini),
            stack.enter_context(relay(f"{bare}:generateContent", google_key, gemini)),
            Target("gateway", ours, CLIENT_KEY, chat(), pid=gateway.process.pid),
        ]
        streams = [
            Target(
                "emulator alone, first byte",
                f"{bare}:streamGenerateContent?alt=sse",
                google_key,
                gemini,
                stream=True,
            ),
            Target("gateway, first byte", ours, CLIENT_KEY, chat(stream=True), stream=True),
        ]
        most = statistics.median(run(at_most(whole[1], 2))[0] for _ in range(3))
        rate = options.rate or min(GOAL_RATE, most / 2)
        print(f"the relay saturates at {most:.0f} requests a second; measured at {rate:.0f}")
        print(f"\n{'milliseconds':<34}{'p50':>8}{'p99':>8}{'p50':>9}{'p99':>9}")
        compare(whole, rate, options.seconds, options.rounds)
        compare(streams, rate, options.seconds, options.rounds)
        rivals = [whole[2], whole[1]]
        if options.litellm:
            rivals.append(stack.enter_context(litellm(options.litellm, emulator.url, directory)))
        compare_throughput(rivals, options.seconds, 3)


if __name__ == "__main__":
    main()
