"""A real browser before a real gateway: Debian's Chromium, steered by Playwright."""

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.e2e.harness import GatewayProcess, serving
from tests.sdk.nodejs import installed

MILLISECONDS = 120_000  # a bound, not a wait: a busy machine starts a browser slowly
ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
    "--no-first-run",
]
AXE = "axe-core@4.14.0"


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """The browser; where there is none, only .ci/run insists.

    For one module: Playwright's event loop runs for as long, and no test with one of its own could.
    """
    path = shutil.which("chromium")
    if path is None and not os.environ.get("CI"):  # noqa: TID251 - whether a person can install it
        pytest.skip("needs Debian's chromium: apt-get install chromium")
    expect.set_options(timeout=MILLISECONDS)  # five seconds otherwise
    with sync_playwright() as playwright:
        launched = playwright.chromium.launch(
            executable_path=path, args=ARGUMENTS, timeout=MILLISECONDS
        )
        yield launched
        launched.close()


@pytest.fixture(scope="session")
def axe() -> str:
    """The source of axe-core, to be run in a page: its policy allows no script from elsewhere."""
    return (installed(AXE) / "node_modules" / "axe-core" / "axe.min.js").read_text()


@pytest.fixture(scope="module")
def gemini() -> Iterator[Emulator]:
    """An emulator whose jobs take a moment, so that a batch is seen to run."""
    with running(EmulatorOptions(job_seconds=2)) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, gemini: Emulator) -> Iterator[GatewayProcess]:
    """A gateway without keys."""
    with serving(tmp_path_factory.mktemp("gateway"), gemini.base_url) as process:
        yield process


@pytest.fixture
def page(browser: Browser) -> Iterator[Page]:
    """A page of its own session; an error of its script fails the test."""
    context = browser.new_context(viewport={"width": 1280, "height": 900})
    context.set_default_timeout(MILLISECONDS)
    opened = context.new_page()
    errors: list[str] = []
    opened.on("pageerror", lambda error: errors.append(str(error)))
    yield opened
    context.close()
    assert errors == []


def input_file(directory: Path, text: bytes) -> Path:
    """A file to drop."""
    path = directory / "requests.jsonl"
    path.write_bytes(text)
    return path
