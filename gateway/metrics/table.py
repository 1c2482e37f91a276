"""The table of series: one row for each, with its kind, labels and meaning.

Names follow Prometheus' conventions (base units, ``_total`` for counters). No label takes a value
that a client can choose: models are known names or ``other``, and there is no owner and no id.
"""

from dataclasses import dataclass
from enum import Enum
from typing import Final

from gateway.ports.metrics import Series


class Kind(Enum):
    """Prometheus' types, as far as they are used."""

    COUNTER = "counter"
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


# Steps and single requests take from milliseconds to an hour.
LONG: Final = (0.01, 0.05, 0.25, 1.0, 5.0, 30.0, 120.0, 600.0, 3600.0)
SHORT: Final = (0.001, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 5.0)
# A poll may wait for its turn: for seconds in a quiet gateway, for minutes in a crowded one.
LAG: Final = (0.1, 0.5, 1.0, 5.0, 15.0, 60.0, 300.0, 1800.0)


@dataclass(frozen=True, slots=True)
class Row:
    """One series. ``buckets`` are those of a histogram, in seconds.

    ``begins``: values of its only label that are there from the start, at 0. A counter that began
    with its first event would have no increase over it.
    """

    name: str
    kind: Kind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()
    begins: tuple[str, ...] = ()


def _counter(
    series: Series,
    help: str,  # noqa: A002 - the column's name
    *labels: str,
    begins: tuple[str, ...] = (),
) -> Row:
    return Row(series.value, Kind.COUNTER, help, labels, begins=begins)


def _gauge(name: str, help: str, *labels: str) -> Row:  # noqa: A002 - the column's name
    return Row(f"gateway_{name}", Kind.GAUGE, help, labels)


def _seconds(series: Series, buckets: tuple[float, ...], help: str, *labels: str) -> Row:  # noqa: A002 - the column's name
    return Row(series.value, Kind.HISTOGRAM, help, labels, buckets)


LIVE_BATCHES: Final = _gauge("live_batches", "Batches that have not ended.", "status")
LIVE_JOBS: Final = _gauge("live_jobs", "Jobs whose results are not rendered yet.", "state", "model")
QUEUE_AGE: Final = _gauge(
    "queue_age_seconds", "Age of the oldest job that waits to be sent.", "model"
)
UPSTREAM_AGE: Final = _gauge(
    "upstream_age_seconds",
    "For how long the oldest job at Google has been in its state there (PENDING, RUNNING).",
    "state",
    "model",
)
UNSECURED_AGE: Final = _gauge(
    "unsecured_age_seconds",
    "Since when the oldest job has ended at Google whose results are not copied yet.",
)
QUOTA_USED: Final = _gauge(
    "quota_used_tokens", "Tokens at Google, as the admission counts them.", "credential", "model"
)
QUOTA_LIMIT: Final = _gauge(
    "quota_limit_tokens", "Tokens that may be there, as answers have taught.", "credential", "model"
)
JOBS_USED: Final = _gauge("quota_used_jobs", "Jobs at Google.", "credential")
JOBS_LIMIT: Final = _gauge("quota_limit_jobs", "Jobs that may be there.", "credential")
DELIVERIES: Final = _gauge("webhook_deliveries_pending", "Webhook deliveries to be made.")
RESPONSES: Final = _gauge(
    "background_responses",
    "Responses in the background without an answer: queued, sent, or cancelled after that.",
    "state",
)
DISK_FREE: Final = _gauge("disk_free_bytes", "Free bytes where the data directory lies.")
DISK_SIZE: Final = _gauge("disk_size_bytes", "Size of the file system it lies on.")
DATABASE: Final = _gauge("database_bytes", "Size of the database's files; 0: it is elsewhere.")
WORKERS: Final = _gauge("worker_processes", "Worker processes that live.")
WORKER_MEMORY: Final = _gauge("worker_memory_bytes", "Resident memory of all workers together.")
RECORDS_UP: Final = _gauge(
    "records_up", "1 when the records could be read for this scrape, else 0 and old figures."
)

TABLE: Final = (
    _counter(
        Series.BATCHES,
        "Batches that ended, by their last status; model: of their first line.",
        "status",
        "model",
    ),
    _counter(
        Series.LINES,
        "Lines of ended batches: completed, failed or not_run.",
        "status",
        "model",
    ),
    _counter(
        Series.TOKENS,
        "Tokens of collected answers: input, cached (a part of input), output, reasoning (a part"
        " of output).",
        "kind",
        "model",
    ),
    _counter(
        Series.COST, "Cost of collected answers by the table of prices, where known.", "model"
    ),
    _counter(Series.JOBS_CREATED, "Jobs that Google accepted.", "model"),
    _counter(
        Series.FOLLOW_UPS, "Jobs made of lines of another: retry, stuck, recut.", "cause", "model"
    ),
    _counter(Series.AMBIGUOUS_CREATES, "Creates of which it was unknown whether they were done."),
    _counter(
        Series.RATE_LIMITED,
        "Answers 429 of Google's: to creates, to single requests, to other calls.",
        "call",
        begins=("create", "single", "other"),
    ),
    _counter(Series.HELD, "Steps that failed for the account: key, bill, location.", "credential"),
    _seconds(Series.STEP_SECONDS, LONG, "Duration of the runner's steps.", "step"),
    _counter(Series.STEP_FAILURES, "Steps that failed and are tried again.", "step"),
    _seconds(Series.POLL_LAG, LAG, "How much later than due a job was looked at."),
    _counter(Series.UPSTREAM_SENT, "Bytes of requests of jobs that were sent to Google."),
    _counter(Series.UPSTREAM_RECEIVED, "Bytes of results that were copied from Google."),
    _counter(
        Series.HTTP_REQUESTS, "Requests of clients; route: the first part.", "route", "status"
    ),
    _counter(Series.HTTP_RECEIVED, "Bytes of their bodies: uploads are of `files`.", "route"),
    _counter(Series.HTTP_SENT, "Bytes of the answers: downloads are of `files`.", "route"),
    _counter(Series.SINGLE_REQUESTS, "Requests outside of batches.", "endpoint", "status"),
    _seconds(Series.SINGLE_SECONDS, LONG, "How long their answers took.", "endpoint"),
    _counter(Series.SINGLE_TOKENS, "Their tokens, as above.", "endpoint", "kind", "model"),
    _counter(Series.SINGLE_COST, "Their cost, where known.", "endpoint", "model"),
    _counter(
        Series.WEBHOOKS,
        "Attempts at deliveries: accepted, failed, given_up.",
        "outcome",
        begins=("accepted", "failed", "given_up"),
    ),
    _seconds(Series.LOOP_LAG, SHORT, "How much later than asked the event loop woke a task."),
    LIVE_BATCHES,
    LIVE_JOBS,
    QUEUE_AGE,
    UPSTREAM_AGE,
    UNSECURED_AGE,
    QUOTA_USED,
    QUOTA_LIMIT,
    JOBS_USED,
    JOBS_LIMIT,
    DELIVERIES,
    RESPONSES,
    DISK_FREE,
    DISK_SIZE,
    DATABASE,
    WORKERS,
    WORKER_MEMORY,
    RECORDS_UP,
)
