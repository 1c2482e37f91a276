"""``gateway config``."""

from pathlib import Path

import pytest

from gateway.settings.table import SETTINGS
from tests.cli.processes import run

pytestmark = pytest.mark.slow


def test_it_prints_every_setting_in_force() -> None:
    """In the order of the table, defaults included."""
    done = run("config", env={"GEMINI_API_KEY": "AIza-very-secret", "GATEWAY_PORT": "9000"})

    names = [line.partition("=")[0] for line in done.stdout.splitlines()]
    assert (done.returncode, done.stderr) == (0, "")
    assert names == [setting.name for setting in SETTINGS]
    assert "GATEWAY_PORT=9000\n" in done.stdout


def test_it_masks_secrets(tmp_path: Path) -> None:
    """Wherever they come from; names of owners are no secrets."""
    (tmp_path / "key").write_text("AIza-very-secret")
    env = {"GEMINI_API_KEY_FILE": str(tmp_path / "key"), "GATEWAY_API_KEYS": "alice=s3cret,other"}

    done = run("config", env=env)

    assert "GEMINI_API_KEY=***\n" in done.stdout
    assert "GATEWAY_API_KEYS=alice=***, ***\n" in done.stdout
    for secret in ("AIza", "s3cret", "other"):
        assert secret not in done.stdout + done.stderr


def test_it_warns_of_what_kubernetes_injects() -> None:
    """On stderr, so that the list can be used."""
    done = run("config", env={"GEMINI_API_KEY": "k", "GATEWAY_SERVICE_HOST": "10.0.0.1"})

    assert done.returncode == 0
    assert done.stderr.startswith("warning: ignored")


def test_it_explains_every_setting_without_reading_any() -> None:
    """--help-settings works where the settings are wrong."""
    done = run("config", "--help-settings", env={"GATEWAY_PORT": "wrong"})

    assert done.returncode == 0
    for setting in SETTINGS:
        assert f"{setting.name} ({setting.type}, " in done.stdout
        assert setting.help in done.stdout


def test_bad_settings_are_its_failure() -> None:
    """With the exit code that stops a start."""
    done = run("config")

    assert done.returncode == 78
    assert "GEMINI_API_KEY is not set" in done.stderr


def test_without_a_key_it_prints_the_others() -> None:
    """Whoever looks for what is wrong sees what is right, and what is missing."""
    done = run("config", env={"GATEWAY_PORT": "9000"})

    assert done.returncode == 78
    assert "GATEWAY_PORT=9000\n" in done.stdout
    assert "GEMINI_API_KEY=(not set)\n" in done.stdout
    assert "GEMINI_API_KEY is not set" in done.stderr
