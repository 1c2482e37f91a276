"""The port of metrics: the series that rooms count and time while they work.

``metrics/`` keeps the numbers. Ages, queues and quota are read at a scrape and counted by no room.
"""

from enum import StrEnum
from typing import Final, Protocol


class Series(StrEnum):
    """The names that are counted and timed; ``metrics/table.py`` has the labels of each."""

    BATCHES = "gateway_batches_total"
    LINES = "gateway_lines_total"
    TOKENS = "gateway_tokens_total"
    COST = "gateway_cost_dollars_total"
    JOBS_CREATED = "gateway_upstream_jobs_total"
    FOLLOW_UPS = "gateway_follow_up_jobs_total"
    AMBIGUOUS_CREATES = "gateway_ambiguous_creates_total"
    RATE_LIMITED = "gateway_upstream_rate_limited_total"
    HELD = "gateway_held_steps_total"
    STEP_SECONDS = "gateway_step_duration_seconds"
    STEP_FAILURES = "gateway_step_failures_total"
    POLL_LAG = "gateway_poll_lag_seconds"
    UPSTREAM_SENT = "gateway_upstream_sent_bytes_total"
    UPSTREAM_RECEIVED = "gateway_upstream_received_bytes_total"
    HTTP_REQUESTS = "gateway_http_requests_total"
    HTTP_RECEIVED = "gateway_http_received_bytes_total"
    HTTP_SENT = "gateway_http_sent_bytes_total"
    SINGLE_REQUESTS = "gateway_single_requests_total"
    SINGLE_SECONDS = "gateway_single_request_duration_seconds"
    SINGLE_TOKENS = "gateway_single_tokens_total"
    SINGLE_COST = "gateway_single_cost_dollars_total"
    WEBHOOKS = "gateway_webhook_attempts_total"
    LOOP_LAG = "gateway_event_loop_lag_seconds"


class Meters(Protocol):
    """Where the numbers go. Neither call fails, waits or keeps anything of its arguments."""

    def count(self, series: Series, amount: float = 1, **labels: str) -> None:
        """Add to a counter."""
        ...

    def observe(self, series: Series, value: float, **labels: str) -> None:
        """Add a value, in seconds, to a histogram."""
        ...


class NoMeters:
    """Meters of tests and tools: nothing is kept."""

    def count(self, series: Series, amount: float = 1, **labels: str) -> None:
        """Forget it."""

    def observe(self, series: Series, value: float, **labels: str) -> None:
        """Forget it."""


NO_METERS: Final = NoMeters()
