"""Every line comes back: the real program against an emulator whose faults pass."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.emulator.testing import Emulator, running
from tests.e2e.harness import (
    GatewayProcess,
    assert_conserved,
    chat_line,
    content_of,
    finished,
    read_lines,
    serving,
    submit,
)

TWENTY = [f"id-{number}" for number in range(20)]


@pytest.fixture(scope="module")
def upstream() -> Iterator[Emulator]:
    """An emulator of its own: its journal is asked for every job."""
    with running() as emulator:
        yield emulator


@pytest.fixture(scope="module", params=["100", "0"], ids=["inline", "file"])
def gateway(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory, upstream: Emulator
) -> Iterator[GatewayProcess]:
    """A gateway before it, once for each way that jobs travel."""
    settings = {"GATEWAY_INLINE_MAX_ITEMS": request.param}
    place: Path = tmp_path_factory.mktemp("gateway")
    with serving(place, upstream.base_url, **settings) as process:
        yield process


@pytest.mark.parametrize(
    ("fault", "parameters"),
    [
        ("results-fail", {"code": 13, "keys": "2|3|5|8|13"}),
        ("results-fail", {"code": 8, "share": 0.5}),
        ("results-dropped", {"share": 0.5}),
        ("results-blank", {"share": 0.5}),
        ("results-empty", {"share": 0.5}),
        ("results-keyless", {"share": 0.5}),
        ("job-fails", {"code": 8}),
        ("job-fails", {"code": 14}),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_fault_that_passes_costs_no_line(
    gateway: GatewayProcess, upstream: Emulator, fault: str, parameters: dict[str, object]
) -> None:
    """All twenty are answered, once each; a job for each attempt, and no more."""
    before = len(upstream.journal("create"))
    upstream.fault(fault, times=1, **parameters)
    client = gateway.client()

    batch = finished(client, submit(client, (chat_line(i, f"say {i}") for i in TWENTY)))
    upstream.clear_faults()

    output = read_lines(client, batch.output_file_id)
    assert batch.status == "completed"
    assert_conserved(TWENTY, output)
    assert [content_of(row) for row in output] == [f"Echo: say {i}" for i in TWENTY]
    assert batch.request_counts is not None
    assert batch.request_counts.model_dump() == {"total": 20, "completed": 20, "failed": 0}
    assert batch.usage is not None
    shown = sum(row["response"]["body"]["usage"]["completion_tokens"] for row in output)
    # Answers without a candidate are paid for, and are in the usage though no line shows them.
    assert (batch.usage.output_tokens > shown) is (fault == "results-empty")
    assert batch.usage.output_tokens >= shown
    created = upstream.journal("create")[before:]
    assert len(created) == 2
    assert created[0]["items"] == 20
    assert len({job["displayName"] for job in created}) == 2


@pytest.mark.parametrize("parameters", [{}, {"reason": "unnamed"}], ids=["named", "unnamed"])
def test_a_refused_request_costs_itself_alone(
    upstream: Emulator, tmp_path: Path, parameters: dict[str, object]
) -> None:
    """Nineteen are answered, in one job if Google says which it does not like."""
    upstream.fault("create-names-item", keys="7", **parameters)
    with serving(tmp_path, upstream.base_url) as gateway:
        client = gateway.client()

        batch = finished(client, submit(client, (chat_line(i, f"say {i}") for i in TWENTY)))
        upstream.clear_faults()

        output = read_lines(client, batch.output_file_id)
        errors = read_lines(client, batch.error_file_id)
        assert_conserved(TWENTY, output, errors)
        assert [row["custom_id"] for row in errors] == ["id-6"]
        assert errors[0]["response"]["status_code"] == 400
        assert errors[0]["response"]["body"]["error"]["code"] == "invalid_argument"


def test_a_model_that_is_listed_and_not_served(upstream: Emulator, tmp_path: Path) -> None:
    """One entry with Google's advice instead of twenty equal error lines."""
    upstream.fault("model-unserved")
    with serving(tmp_path, upstream.base_url) as gateway:
        client = gateway.client()

        batch = finished(client, submit(client, (chat_line(i, f"say {i}") for i in TWENTY)))
        upstream.clear_faults()

    assert batch.status == "failed"
    assert batch.errors is not None
    assert batch.errors.data is not None
    [error] = batch.errors.data
    assert (error.code, error.line) == ("model_not_found", None)
    assert error.message
    assert batch.request_counts is not None
    assert batch.request_counts.model_dump() == {"total": 0, "completed": 0, "failed": 0}
