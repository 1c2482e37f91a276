"""``gateway status``: the sum of single requests, read from the metrics of a gateway."""

from contextlib import redirect_stdout
from io import StringIO

import pytest
from rich.console import Console

from gateway.cli.status import printed, singles, table_of
from gateway.metrics.meters import PrometheusMeters
from gateway.ports.metrics import Series


def test_single_requests_are_summed_up() -> None:
    """Over all endpoints, models and outcomes; cached and reasoning tokens are parts of others."""
    meters = PrometheusMeters()
    for status in ("200", "499"):
        meters.count(Series.SINGLE_REQUESTS, 600, endpoint="/v1/embeddings", status=status)
    for kind, amount in {"input": 5000, "cached": 100, "output": 700, "reasoning": 9}.items():
        labels = {"endpoint": "/v1/embeddings", "kind": kind, "model": "gemini-3.8-flash"}
        meters.count(Series.SINGLE_TOKENS, amount, **labels)
    meters.count(Series.SINGLE_COST, 0.5, endpoint="/v1/embeddings", model="gemini-3.8-flash")
    assert singles(meters.text("")[0].decode()) == (
        "single requests of all clients since its start: 1,200, 5,700 tokens, $0.5000"
    )


@pytest.mark.parametrize("metrics", ["", PrometheusMeters().text("")[0].decode()])
def test_none_are_not_spoken_of(metrics: str) -> None:
    """Nor those of a server that shows no metrics."""
    assert singles(metrics) == ""


def test_texts_of_others_are_shown_as_they_are() -> None:
    """Brackets are no markup, and nothing reaches the terminal that it would obey."""
    batch = {
        "id": f"batch_{'0' * 32}",
        "status": "in_progress",
        "model": "models/[/x]",
        "request_counts": {"total": 1, "completed": 0, "failed": 0},
        "created_at": 0,
        "expires_at": 0,
        "gateway": {"waiting_for": "[bold]Google\x1b[2J"},
    }
    with StringIO() as text, redirect_stdout(text):
        with printed() as console:
            console.print(table_of([batch], 0))
        shown = text.getvalue()
    assert "models/[/x]" in shown
    assert "[bold]Google\N{REPLACEMENT CHARACTER}[2J" in shown


def test_ids_are_whole_on_a_narrow_terminal() -> None:
    """One that is cut cannot be copied."""
    name = f"batch_{'0' * 32}"
    batch = {
        "id": name,
        "status": "completed",
        "model": "gemini-3.8-flash",
        "request_counts": {"total": 1000, "completed": 999, "failed": 1},
        "created_at": 0,
    }
    console = Console(width=80, file=StringIO())
    with console.capture() as text:
        console.print(table_of([batch], 0))
    assert name in text.get()
