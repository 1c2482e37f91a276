"""A seeded sample of each campaign, as CI runs it."""

import os
import shutil

import pytest

from tests.campaigns import kill_sweep

CI = bool(os.environ.get("CI"))  # noqa: TID251 - where a missing tool is a failure


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(not CI and shutil.which("strace") is None, reason="strace is not installed")
def test_a_sample_of_the_kill_sweep() -> None:
    """Wherever the process is killed, the batch ends whole and nothing is paid twice."""
    with kill_sweep.ready() as runner:
        outcomes = [(point, runner.run(point)) for point in kill_sweep.sample(8, seed=11)]

    assert [(str(point), found.wrong) for point, found in outcomes if found.wrong] == []
    assert sum(found.died for _, found in outcomes) >= 4, "the sample met too few of its points"
