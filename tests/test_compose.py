"""Compose files, read by Debian's docker-compose: names, references and variables resolve."""

import os
import shutil
import subprocess
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest
import yaml

pytestmark = pytest.mark.slow

DEPLOY = Path(__file__).parent.parent / "deploy"
# What Compose has learnt since Debian's version 1.29, and Docker's own plugin knows.
CONTENT, RESTART, NAME = "content", "restart", "name"
NEEDED = {"GEMINI_API_KEY": "any", "GATEWAY_API_KEYS": "example=example"}


def as_of_1_29(compose: dict[str, Any]) -> dict[str, Any]:
    """A file without its three newer members: each has to be where it is taken from."""
    del compose[NAME]
    for config in compose.get("configs", {}).values():
        assert config.pop(CONTENT)
        config["file"] = "./requests.jsonl"
    for service in compose["services"].values():
        for needed in service.get("depends_on", {}).values():
            needed.pop(RESTART, None)
    return compose


def config(path: Path, environment: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """What ``docker-compose config`` makes of a file; no engine is asked."""
    program = shutil.which("docker-compose")
    if program is None and not os.environ.get("CI"):  # noqa: TID251 - whether a person can install it
        pytest.skip("needs Debian's docker-compose: apt-get install docker-compose")
    assert program is not None
    return subprocess.run(
        [program, "-f", str(path), "config"],
        env={"PATH": os.defpath, **environment},
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


@pytest.mark.parametrize("name", ["compose.yaml", "compose-replicas.yaml"])
def test_compose_resolves_it(name: str, tmp_path: Path) -> None:
    """Every service is there, with what it depends on and the volumes that are declared."""
    source = yaml.safe_load((DEPLOY / name).read_text())
    path = tmp_path / name
    path.write_text(yaml.safe_dump(as_of_1_29(source)))
    done = config(path, NEEDED)
    assert done.returncode == 0, done.stderr
    resolved = yaml.safe_load(done.stdout)
    assert resolved["services"].keys() == source["services"].keys()
    assert resolved["volumes"].keys() == source["volumes"].keys()
    text = done.stdout
    assert "${" not in text


def test_a_missing_key_stops_the_replicas(tmp_path: Path) -> None:
    """With the words that the file gives it."""
    source = yaml.safe_load((DEPLOY / "compose-replicas.yaml").read_text())
    path = tmp_path / "compose.yaml"
    path.write_text(yaml.safe_dump(as_of_1_29(source)))
    done = config(path, {"GATEWAY_API_KEYS": "example=example"})
    assert done.returncode != 0
    assert "the key for Google" in done.stderr
