"""A seeded sample of each campaign, as CI runs it."""

import os
import shutil

import pytest

from tests.campaigns import fuzz, hostile, kill_sweep, replicas, schema_fuzz, soak, tiers

CI = bool(os.environ.get("CI"))  # noqa: TID251 - where a missing tool is a failure


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(not CI and shutil.which("cc") is None, reason="no C compiler is installed")
def test_a_sample_of_the_kill_sweep() -> None:
    """Wherever the process is killed, the batch ends whole and nothing is paid twice."""
    with kill_sweep.ready() as runner:
        outcomes = [(point, runner.run(point)) for point in kill_sweep.sample(8, seed=11)]

    assert [(str(point), found.wrong) for point, found in outcomes if found.wrong] == []
    assert sum(bool(found.died) for _, found in outcomes) >= 4, (
        "the sample met too few of its points"
    )


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(not CI and shutil.which("cc") is None, reason="no C compiler is installed")
def test_a_sample_of_two_deaths_in_one_run() -> None:
    """The same where what was started again is killed again."""
    points = kill_sweep.sample(6, seed=5, deaths=2)
    assert [kill_sweep.Point.named(str(point)) for point in points] == points
    with kill_sweep.ready() as runner:
        outcomes = [(point, runner.run(point)) for point in points]

    assert [(str(point), found.wrong) for point, found in outcomes if found.wrong] == []
    assert sum(bool(found.died_again) for _, found in outcomes) >= 2, (
        "the sample met too few of its points"
    )


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.skipif(not CI and shutil.which("cc") is None, reason="no C compiler is installed")
def test_a_sample_of_the_kill_sweep_over_postgresql() -> None:
    """The same where the records are in PostgreSQL and the bytes in a bucket."""
    points = kill_sweep.sample(6, seed=5, of=kill_sweep.SHARED_CALLS)
    with kill_sweep.ready(shared=True) as runner:
        outcomes = [(point, runner.run(point)) for point in points]

    assert [(str(point), found.wrong) for point, found in outcomes if found.wrong] == []
    assert sum(bool(found.died) for _, found in outcomes) >= 3, (
        "the sample met too few of its points"
    )


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_sample_of_the_soak() -> None:
    """A minute of kills, stops and faults: nothing lost, nothing paid twice."""
    report = soak.soak(soak.Plan(seconds=60, batches=24, seed=7))

    assert report.wrong == []
    assert report.happened["SIGKILL"] + report.happened["SIGSTOP"] >= 2
    assert report.happened["batches"] == 24


@pytest.mark.slow
def test_a_sample_of_the_fuzzing() -> None:
    """No 5xx, nothing slow, nothing logged as our error, no growth."""
    report = fuzz.fuzz(requests=500, lines=3_000, seed=7)

    assert report.wrong == []
    assert report.lines["refused"] > 100
    assert report.statuses["400"] > 100


@pytest.mark.slow
def test_a_sample_of_what_the_description_allows_and_does_not() -> None:
    """No 5xx, and every answer is of the shape that OpenAI describes."""
    report = schema_fuzz.fuzz(examples=8, seeded=7)

    assert report.wrong == []
    assert len(report.statuses) == 16
    seen = set().union(*report.statuses.values())
    assert {200, 400, 401, 404} <= seen


@pytest.mark.slow
@pytest.mark.timeout(400)
def test_a_sample_of_hostile_uploads() -> None:
    """All but those that take a minute by themselves; tests/api has these with a clock."""
    slow = {"slow_heads", "slow_bodies", "stalled_uploads", "lying_lengths"}
    names = {attack.__name__ for attack, _ in hostile.ATTACKS} - slow

    report = hostile.attacked(scale=0.01, names=sorted(names))

    assert report.wrong == []
    assert len(report.rows) == len(names)


@pytest.mark.slow
@pytest.mark.parametrize("told", [True, False], ids=["told", "auto"])
def test_a_sample_of_the_tiers(told: bool) -> None:
    """40 MB of two owners on Tier 1: whole, in turn, within the limit."""
    report = tiers.run(tiers.Plan(megabytes=20, tier=1, told=told, lines_per_job=100))

    assert report.wrong == []
    assert report.jobs >= 20


@pytest.mark.slow
@pytest.mark.timeout(400)
@pytest.mark.parametrize("scenario", ["kill", "restart", "stop", "bucket"])
def test_a_sample_of_the_replicas(scenario: str) -> None:
    """Two of them, ten batches: nothing lost, nothing paid twice."""
    plan = soak.Plan(seconds=15, batches=10, seed=7)
    report, recoveries = replicas.chaos(scenario, 2, plan, away=12)

    assert report.wrong == []
    assert recoveries
