"""OpenAI's cookbook flow: unchanged but for base URL and model, or with its own names of models."""

import os
import subprocess
import sys
from pathlib import Path

import orjson
import pytest

from gateway.emulator.testing import Emulator
from tests.e2e import cookbook
from tests.e2e.harness import serving

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("models", "aliases"),
    [
        (("gemini-3.8-flash", "gemini-3.8-flash"), "{}"),
        (("gpt-3.5-turbo", "gpt-4-turbo"), "openai"),
    ],
    ids=["models", "aliases"],
)
def test_the_flow_of_the_cookbook(
    tmp_path: Path, gemini: Emulator, models: tuple[str, str], aliases: str
) -> None:
    """Categories in JSON mode, tried alone and in a batch; captions of images by URL."""
    place = tmp_path / "notebook"
    place.mkdir()
    with serving(tmp_path, gemini.base_url, GATEWAY_MODEL_ALIASES=aliases) as gateway:
        ran = subprocess.run(
            [sys.executable, "-W", "error", "-m", "tests.e2e.cookbook", *models, str(place)],
            env={
                "PATH": os.defpath,
                "PYTHONPATH": str(Path(__file__).parents[2]),
                "PYTHONDONTWRITEBYTECODE": "1",
                "OPENAI_BASE_URL": gateway.url,
                "OPENAI_API_KEY": "any",
            },
            capture_output=True,
            timeout=150,
            check=False,
        )
    assert ran.returncode == 0, ran.stderr.decode()[-3000:]
    told = orjson.loads(ran.stdout)
    assert isinstance(told["trial"], dict)
    assert sorted(told["movies"]) == [str(at) for at in range(len(cookbook.MOVIES))]
    assert all(isinstance(each, dict) for each in told["movies"].values())
    assert sorted(told["captions"]) == [str(at) for at in range(len(cookbook.IMAGES))]
    assert all(told["captions"].values())
