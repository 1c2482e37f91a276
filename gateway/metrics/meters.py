"""Meters kept by the Prometheus client library, in a registry of their own."""

from collections.abc import Collection, Mapping
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    disable_created_metrics,
)
from prometheus_client.exposition import choose_encoder

from gateway.metrics.table import TABLE, Kind, Row
from gateway.ports.metrics import Series
from gateway.translate import KNOWN_MODELS

# The time at which a series began would be as many series again; a restart is seen without it.
disable_created_metrics()  # type: ignore[no-untyped-call]

# Whatever a client may have chosen.
OTHER: Final = "other"
# Labels whose values come from outside of the program; of them only known ones are kept.
MODEL: Final = "model"
CREDENTIAL: Final = "credential"


class PrometheusMeters:
    """Implements :class:`gateway.ports.metrics.Meters`.

    ``credentials`` is a view of the names of the settings' keys: those that clients bring are
    ``other``.
    """

    def __init__(self, credentials: Collection[str] = ()) -> None:
        self._known: Mapping[str, Collection[str]] = {
            MODEL: KNOWN_MODELS.keys(),
            CREDENTIAL: credentials,
        }
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        rows = {kind: [row for row in TABLE if row.kind is kind] for kind in Kind}
        self._counters = {row.name: self._counter(row) for row in rows[Kind.COUNTER]}
        self._gauges = {row.name: self._gauge(row) for row in rows[Kind.GAUGE]}
        self._histograms = {row.name: self._histogram(row) for row in rows[Kind.HISTOGRAM]}
        for row in rows[Kind.COUNTER]:
            for value in credentials if row.labels == (CREDENTIAL,) else row.begins:
                self._counters[row.name].labels(value)

    def _counter(self, row: Row) -> Counter:
        return Counter(row.name, row.help, row.labels, registry=self._registry)

    def _gauge(self, row: Row) -> Gauge:
        return Gauge(row.name, row.help, row.labels, registry=self._registry)

    def _histogram(self, row: Row) -> Histogram:
        return Histogram(
            row.name, row.help, row.labels, registry=self._registry, buckets=row.buckets
        )

    def count(self, series: Series, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        counter = self._counters[series]
        (counter.labels(**self._bounded(labels)) if labels else counter).inc(amount)

    def observe(self, series: Series, value: float, **labels: str) -> None:
        """Add a value to a histogram."""
        histogram = self._histograms[series]
        (histogram.labels(**self._bounded(labels)) if labels else histogram).observe(value)

    def show(self, row: Row, value: float) -> None:
        """Set a gauge that has no labels."""
        self._gauges[row.name].set(value)

    def show_all(
        self, row: Row, values: Mapping[tuple[str, ...], float], *, most: bool = False
    ) -> None:
        """Set a gauge of labels to these values and no others.

        Where several have the same labels, once those are bounded: their sum, or the ``most``.
        """
        gauge = self._gauges[row.name]
        gauge.clear()
        together: dict[tuple[str, ...], float] = {}
        for labels, value in values.items():
            key = tuple(self._bounded(dict(zip(row.labels, labels, strict=True))).values())
            before = together.get(key, 0)
            together[key] = max(before, value) if most else before + value
        for key, value in together.items():
            gauge.labels(*key).set(value)

    def _bounded(self, labels: dict[str, str]) -> dict[str, str]:
        return {
            name: value if value in self._known.get(name, (value,)) else OTHER
            for name, value in labels.items()
        }

    def text(self, accept: str) -> tuple[bytes, str]:
        """Write all series in the form that the scraper asks for; the body and its media type."""
        encoder, media_type = choose_encoder(accept)
        return encoder(self._registry), media_type
