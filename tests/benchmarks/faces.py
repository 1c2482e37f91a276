"""GETs with the page open and a scraper on against GETs without: at most 1.1 times.

``python -m tests.benchmarks.faces`` asks for a batch over one connection (p50, p99) and over eight
(requests a second), without and with one page that is watched (server-sent events) and one scraper
that asks for ``/metrics``. A round is several slices of each, in turn, so that whatever else the
machine does falls on both alike; it prints the medians of five rounds' ratios. ``--batches``
changes how many there are in the list that the page shows, ``--slices`` how many a round has.
"""

import argparse
import http.client
import io
import multiprocessing
import statistics
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from multiprocessing.synchronize import Event
from urllib.parse import urlsplit

from tests.benchmarks.latency import ask
from tests.benchmarks.lines import KINDS
from tests.benchmarks.service import CLOCK, Service, service

ROUNDS = 5
SLICE_SECONDS = 2.0
CONNECTIONS = 8
SCRAPE_SECONDS = 5.0


class Side:
    """One side of a round: milliseconds of GETs, and how many there were a second."""

    def __init__(self) -> None:
        self._took: list[float] = []
        self._rates: list[float] = []

    def measure(self, gateway: Service, batch_id: str) -> None:
        """Measure a slice."""
        self._took += _asked(gateway, batch_id)
        with ThreadPoolExecutor(CONNECTIONS) as threads:
            asked = threads.map(lambda _: len(_asked(gateway, batch_id)), range(CONNECTIONS))
            self._rates.append(sum(asked) / SLICE_SECONDS)

    def figures(self) -> tuple[float, float, float]:
        """p50, p99, rate."""
        took = sorted(self._took)
        p50, p99 = (took[int(len(took) * share)] for share in (0.5, 0.99))
        return p50, p99, statistics.mean(self._rates)


def _asked(gateway: Service, batch_id: str) -> list[float]:
    end = CLOCK.monotonic() + SLICE_SECONDS
    return ask(gateway, batch_id, lambda *_: CLOCK.monotonic() < end)


class Watchers:
    """A page that is open, and a scraper, in a process of their own: on and off when told."""

    def __init__(self, url: str) -> None:
        context = multiprocessing.get_context("spawn")
        self._on, self._there = context.Event(), context.Event()
        self._process = context.Process(
            target=_watch, args=(url, self._on, self._there), daemon=True
        )
        self._process.start()

    @contextmanager
    def on(self) -> Iterator[None]:
        """Watch during the block."""
        self._on.set()
        assert self._there.wait(60)
        yield
        self._on.clear()

    def close(self) -> None:
        """End the process."""
        self._process.kill()
        self._process.join()


def _watch(url: str, on: Event, there: Event) -> None:
    parts = urlsplit(url)
    while on.wait():
        with (
            closing(http.client.HTTPConnection(parts.hostname or "", parts.port)) as page,
            closing(http.client.HTTPConnection(parts.hostname or "", parts.port)) as scraper,
        ):
            page.request("GET", "/ui/events")
            events = page.getresponse()
            assert events.status == 200
            due = CLOCK.monotonic()
            while on.is_set() and events.readline():  # one each two seconds
                if CLOCK.monotonic() >= due:
                    scraper.request("GET", "/metrics")
                    assert b"gateway_live_batches" in scraper.getresponse().read()
                    due += SCRAPE_SECONDS
                    there.set()
            there.clear()


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--batches", type=int, default=100)
    parser.add_argument("--slices", type=int, default=6)
    given = parser.parse_args()
    with service() as gateway:
        line = next(KINDS["small"]()) + b"\n"
        ids = [
            gateway.create(gateway.upload(io.BytesIO(line), len(line)))
            for _ in range(given.batches)
        ]
        for batch_id in ids:
            gateway.wait(batch_id, "completed")
        print(f"{'':<10}{'p50 ms':>9}{'p99 ms':>9}{'GETs / s':>12}")
        watchers = Watchers(gateway.url)
        rounds = [_round(gateway, watchers, ids[0], given.slices) for _ in range(ROUNDS)]
        watchers.close()
    p50, p99, rate = (statistics.median(each) for each in zip(*rounds, strict=True))
    print(f"medians of with / without   p50 {p50:.2f}   p99 {p99:.2f}   GETs / s {rate:.2f}")
    print("goals                        p50, p99 at most 1.10; GETs / s at least 0.91")


def _round(gateway: Service, watchers: Watchers, batch_id: str, slices: int) -> tuple[float, ...]:
    without, both = Side(), Side()
    for _ in range(slices):
        without.measure(gateway, batch_id)
        with watchers.on():
            both.measure(gateway, batch_id)
    for name, side in (("without", without), ("with", both)):
        p50, p99, rate = side.figures()
        print(f"{name:<10}{p50:9.2f}{p99:9.2f}{rate:12,.0f}", flush=True)
    pairs = zip(both.figures(), without.figures(), strict=True)
    return tuple(one / other for one, other in pairs)


if __name__ == "__main__":
    main()
