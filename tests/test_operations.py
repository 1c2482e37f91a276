"""Files for operators in ``deploy/``: alert rules, the board, the unit of systemd."""

import os
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import orjson
import pytest
import yaml

from gateway.metrics.table import TABLE, Kind
from gateway.settings.table import SETTINGS
from tests.every import in_one_item

DEPLOY = Path(__file__).parent.parent / "deploy"
ROWS = {row.name: row for row in TABLE}
# What a histogram is scraped as.
PARTS = ("_bucket", "_sum", "_count")
KNOWN = {row.name for row in SETTINGS} | {f"{row.name}_FILE" for row in SETTINGS if row.secret}
# Labels that Prometheus adds, and those of a histogram.
ADDED = {"instance", "le"}
STORIES = Path(__file__).parent / "data/alerts.yaml"
CI = bool(os.environ.get("CI"))  # noqa: TID251 - where a missing tool is a failure


def rules() -> list[dict[str, Any]]:
    """Every alert."""
    groups = yaml.safe_load((DEPLOY / "alerts.yaml").read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def board() -> dict[str, Any]:
    """The board of Grafana."""
    read: dict[str, Any] = orjson.loads((DEPLOY / "grafana.json").read_bytes())
    return read


def expressions() -> dict[str, str]:
    """Expressions by the name of their rule or panel."""
    alerts = {rule["alert"]: rule["expr"] for rule in rules()}
    panels = {panel["title"]: panel["targets"][0]["expr"] for panel in board()["panels"]}
    return alerts | panels


@in_one_item
@pytest.mark.parametrize("name", expressions())
def test_every_series_and_label_exists(name: str) -> None:
    """A counter is never shown bare, a gauge never as a rate."""
    expression = expressions()[name]
    used = re.findall(r"\bgateway_[a-z_]+", expression)
    assert used
    labels = set(ADDED)
    for series in used:
        row = ROWS.get(series) or ROWS[re.sub(f"({'|'.join(PARTS)})$", "", series)]
        labels |= set(row.labels)
        is_rate = re.search(rf"(rate|increase)\({series}[^\[()]*\[", expression) is not None
        assert is_rate == (row.kind is not Kind.GAUGE), series
    asked = re.findall(r"by \(([^)]*)\)", expression) + re.findall(r"\{([a-z_]+)=", expression)
    assert {label.strip() for group in asked for label in group.split(",")} <= labels


def test_every_alert_says_what_to_do() -> None:
    """For whom it wakes, and a label in its text is one that its expression keeps."""
    for rule in rules():
        assert rule["labels"]["severity"] in {"warning", "critical"}
        assert rule["annotations"].keys() == {"summary", "description"}
        shown = set(re.findall(r"\$labels\.([a-z_]+)", str(rule["annotations"])))
        kept = set(re.findall(r"by \(([a-z_]+)\)", rule["expr"]))
        assert shown <= kept


def test_every_alert_has_a_story_that_wakes_it_and_one_that_does_not() -> None:
    """Of those that promtool evaluates."""
    tests = yaml.safe_load(STORIES.read_text(encoding="utf-8"))["tests"]
    asked = [one for test in tests for one in test["alert_rule_test"]]
    awake = {one["alertname"] for one in asked if one["exp_alerts"]}
    calm = {one["alertname"] for one in asked if not one["exp_alerts"]}

    assert awake == calm == {rule["alert"] for rule in rules()}


@pytest.mark.slow
@pytest.mark.skipif(shutil.which("promtool") is None and not CI, reason="there is no promtool")
@pytest.mark.parametrize("words", [("check", "rules"), ("test", "rules")])
def test_prometheus_takes_the_alerts(words: tuple[str, str]) -> None:
    """They are well formed, and wake when they should, as Prometheus evaluates them."""
    file = DEPLOY / "alerts.yaml" if words[0] == "check" else STORIES
    done = subprocess.run(
        ["promtool", *words, str(file)], capture_output=True, text=True, check=False, timeout=120
    )

    assert done.returncode == 0, done.stdout + done.stderr


def test_panels_do_not_overlap() -> None:
    """Three in a row, each with a number of its own."""
    panels = board()["panels"]
    places = {(panel["gridPos"]["x"], panel["gridPos"]["y"]) for panel in panels}

    assert len(places) == len({panel["id"] for panel in panels}) == len(panels)


def test_the_units_settings_are_real() -> None:
    """And it stops for good where a setting is wrong."""
    text = (DEPLOY / "gateway.service").read_text(encoding="utf-8")

    assert set(re.findall(r"\b((?:GATEWAY|GEMINI)_[A-Z_]+)=", text)) <= KNOWN
    assert "RestartPreventExitStatus=78" in text


@pytest.mark.skipif(shutil.which("systemd-analyze") is None, reason="there is no systemd")
def test_systemd_takes_the_unit(tmp_path: Path) -> None:
    """With a program that is there in place of the installed one."""
    text = (DEPLOY / "gateway.service").read_text(encoding="utf-8")
    unit = tmp_path / "gateway.service"
    unit.write_text(text.replace("/opt/gateway/bin/gateway", "/bin/true"))

    done = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)],
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert (done.returncode, "gateway.service" in done.stderr) == (0, False), done.stderr
