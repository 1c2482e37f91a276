"""``gateway status``: the sum of single requests, read from the metrics of a gateway."""

import pytest

from gateway.cli.status import singles
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
