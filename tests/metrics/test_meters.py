"""The table of series and what the Prometheus client makes of it, read by its own parser."""

import asyncio
import re
from collections.abc import Iterable

import pytest
from prometheus_client.parser import text_string_to_metric_families

from gateway.clock import SystemClock
from gateway.metrics.lag import watch_lag
from gateway.metrics.meters import PrometheusMeters
from gateway.metrics.table import LIVE_JOBS, QUOTA_USED, TABLE, UPSTREAM_AGE, Kind, Row
from gateway.ports.metrics import NO_METERS, Series
from tests.every import in_one_item

# Prometheus' conventions ("Metric and label naming"): base units, plural, at the end of a name.
UNITS = ("seconds", "bytes", "dollars", "tokens", "jobs")
# What is a number of things, and names them.
COUNTS = {
    "background_responses",
    "live_batches",
    "live_jobs",
    "webhook_deliveries_pending",
    "worker_processes",
}
PLAIN = {f"gateway_{name}" for name in {*COUNTS, "records_up"}}


def values_of(meters: PrometheusMeters) -> dict[tuple[str, ...], float]:
    """Samples by name and sorted label values."""
    text = meters.text("")[0].decode()
    return {
        (sample.name, *sorted(sample.labels.values())): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
    }


def label_values(row: Row, values: Iterable[str]) -> dict[str, str]:
    """Labels of a row, each with the next of these values."""
    return dict(zip(row.labels, values, strict=False))


@in_one_item
@pytest.mark.parametrize("row", TABLE, ids=lambda row: row.name)
def test_names_follow_the_conventions(row: Row) -> None:
    """One prefix, a base unit, ``_total`` for counters alone, a sentence of help."""
    assert re.fullmatch(r"gateway_[a-z_]+", row.name)
    assert row.name.endswith("_total") == (row.kind is Kind.COUNTER)
    assert row.kind is Kind.COUNTER or row.name in PLAIN or row.name.endswith(UNITS)
    assert bool(row.buckets) == (row.kind is Kind.HISTOGRAM)
    assert row.help.endswith(".")
    assert not {"le", "quantile", "owner", "batch_id", "job_id"} & set(row.labels)


def test_every_series_of_the_port_is_in_the_table_once() -> None:
    """What rooms may count has a place."""
    names = [row.name for row in TABLE]

    assert len(names) == len(set(names))
    assert {series.value for series in Series} <= set(names)


def test_rare_events_are_counted_from_0() -> None:
    """An increase over the first of them is seen by boards and alerts; a key's too."""
    values = values_of(PrometheusMeters({"default", "second"}))

    for name, label in (
        ("gateway_upstream_rate_limited_total", "create"),
        ("gateway_upstream_rate_limited_total", "single"),
        ("gateway_webhook_attempts_total", "given_up"),
        ("gateway_held_steps_total", "second"),
        ("gateway_ambiguous_creates_total", ""),
    ):
        assert values[(name, label) if label else (name,)] == 0


def test_the_text_is_read_by_the_librarys_parser() -> None:
    """With every series in it, under its name and kind; and in OpenMetrics for whoever asks."""
    meters = PrometheusMeters()
    for row in TABLE:
        labels = label_values(row, "abcd")
        if row.kind is Kind.COUNTER:
            meters.count(Series(row.name), 1, **labels)
        elif row.kind is Kind.HISTOGRAM:
            meters.observe(Series(row.name), 0.5, **labels)
        else:
            meters.show_all(row, {tuple(labels.values()): 1}) if labels else meters.show(row, 1)

    families = {
        family.name: family.type
        for family in text_string_to_metric_families(meters.text("")[0].decode())
        if family.name.startswith("gateway_")
    }

    assert families == {row.name.removesuffix("_total"): row.kind.value for row in TABLE}
    assert meters.text("application/openmetrics-text; version=1.0.0")[0].endswith(b"# EOF\n")


def test_labels_are_bounded_whatever_clients_name() -> None:
    """Ten thousand batches of as many models and keys are a handful of series."""
    meters = PrometheusMeters({"default": "", "second": ""})
    for number in range(10_000):
        meters.count(Series.BATCHES, status="completed", model=f"model-{number}")
        meters.count(Series.HELD, credential=f"key-{number}")
    meters.count(Series.BATCHES, status="completed", model="gemini-3.8-flash")
    meters.count(Series.HELD, credential="second")

    values = values_of(meters)

    assert values["gateway_batches_total", "completed", "other"] == 10_000
    assert values["gateway_batches_total", "completed", "gemini-3.8-flash"] == 1
    assert values["gateway_held_steps_total", "other"] == 10_000
    assert values["gateway_held_steps_total", "second"] == 1
    assert len([key for key in values if key[0] == "gateway_batches_total"]) == 2


def test_gauges_of_several_unknown_models_are_together() -> None:
    """Numbers are added, of ages the greatest is shown; what is over is gone."""
    meters = PrometheusMeters({"default": ""})
    meters.show_all(LIVE_JOBS, {("running", "x"): 2, ("running", "y"): 3})
    meters.show_all(UPSTREAM_AGE, {("PENDING", "x"): 20, ("PENDING", "y"): 30}, most=True)
    meters.show_all(QUOTA_USED, {("default", "gemini-3.8-flash"): 5})
    meters.show_all(QUOTA_USED, {})

    values = values_of(meters)

    assert values["gateway_live_jobs", "other", "running"] == 5
    assert values["gateway_upstream_age_seconds", "PENDING", "other"] == 30
    assert not [key for key in values if key[0] == "gateway_quota_used_tokens"]


class LateClock(SystemClock):
    """Wakes whoever sleeps later than asked, three times."""

    def __init__(self, *late: float) -> None:
        self._late = list(late)
        self._time = 100.0

    def monotonic(self) -> float:
        """Seconds."""
        return self._time

    async def sleep(self, seconds: float) -> None:
        """Let the time pass."""
        if not self._late:
            raise asyncio.CancelledError
        self._time += seconds + self._late.pop(0)


async def test_the_loops_lag_is_how_late_it_wakes() -> None:
    """And never less than nothing."""
    meters = PrometheusMeters()
    with pytest.raises(asyncio.CancelledError):
        await watch_lag(LateClock(0.25, 2.0, -0.125), meters)
    values = values_of(meters)
    assert values["gateway_event_loop_lag_seconds_sum",] == 2.25
    assert values["gateway_event_loop_lag_seconds_count",] == 3


def test_meters_that_keep_nothing_take_the_same() -> None:
    """What tests and tools hand in."""
    NO_METERS.count(Series.BATCHES, 2, status="completed", model="x")
    NO_METERS.observe(Series.LOOP_LAG, 0.5)
