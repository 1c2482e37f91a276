"""Pictures of the page by the tests' browser: ``python -m tests.ui.pictures`` writes them anew.

Into ``deploy/pictures/`` those that the README files show; with a directory as its argument, every
page there too, light, dark and as on a phone, for a person to look at.
"""

import contextlib
import io
import os
import re
import sys
from contextlib import ExitStack
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import openai
import pexpect
from playwright.sync_api import Browser, ViewportSize, sync_playwright
from rich.console import Console
from rich.terminal_theme import MONOKAI
from rich.text import Text

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.e2e.harness import TERMINAL, GatewayProcess, line, serving, until

PICTURES: Final = Path(__file__).parent.parent.parent / "deploy" / "pictures"
ARGUMENTS: Final = ("--no-sandbox", "--disable-gpu", "--no-first-run")
WIDE: Final[ViewportSize] = {"width": 1280, "height": 640}
PHONE: Final[ViewportSize] = {"width": 390, "height": 844}
TOPICS: Final = ("a lighthouse", "the tides", "a harbour at night", "rain on a tin roof")


def chat(custom_id: str, text: str, **body: Any) -> bytes:
    """A chat line of a small model."""
    messages = [
        {"role": "system", "content": "You write two plain sentences."},
        {"role": "user", "content": text},
    ]
    asked = {"model": "gemini-3.8-flash", "messages": messages, "max_completion_tokens": 400}
    return line(custom_id, "/v1/chat/completions", {**asked, **body})


def poems(lines: int, refused: int = 0) -> bytes:
    """A file of lines, some of which are refused."""
    made = [
        chat(
            f"poem-{n:03}",
            f"Say something about {TOPICS[n % 4]}.",
            reasoning_effort="low",
            top_p=0.9,
        )
        for n in range(lines - refused)
    ]
    made += [chat(f"odd-{n}", "Too hot.", temperature=9) for n in range(refused)]
    noted = chat("noted", "Use tools.", parallel_tool_calls=False, user="someone", seed=7)
    return b"".join([noted, *made])


def create(client: openai.OpenAI, content: bytes, name: str) -> openai.types.Batch:
    """Upload and create."""
    file = client.files.create(file=(f"{name}.jsonl", content), purpose="batch")
    return client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata={"campaign": name},
    )


class Scene:
    """A gateway with batches in several states."""

    def __init__(self, stack: ExitStack, directory: Path, gemini: Emulator) -> None:
        self.gateway: GatewayProcess = stack.enter_context(serving(directory, gemini.base_url))
        client = self.gateway.client()

        def ended(content: bytes, name: str) -> openai.types.Batch:
            batch = create(client, content, name)

            def done() -> openai.types.Batch | None:
                gemini.finish()
                now = client.batches.retrieve(batch.id)
                return now if now.status in TERMINAL else None

            found: openai.types.Batch = until(done, name, 120)
            return found

        self.done = ended(poems(60), "spring")
        ended(poems(40, refused=9), "summer")
        ended(chat("twice", "a") * 2, "autumn")
        self.tried = client.files.create(
            file=("winter.jsonl", poems(30, refused=2)), purpose="batch"
        )
        self.running = create(client, poems(200, refused=20), "harvest")
        until(
            lambda: client.batches.retrieve(self.running.id).to_dict()["gateway"]["upstream"],  # type: ignore[index]
            "the last batch is at Google",
        )

    def url(self, path: str) -> str:
        """Where a page is."""
        return f"{self.gateway.url.removesuffix('/v1')}/ui/{path}"

    def pages(self) -> dict[str, str]:
        """Every page by a name for its picture."""
        batch = f"batches/{self.done.id}"
        return {
            "batches": "batches",
            "batch": batch,
            "running": f"batches/{self.running.id}",
            "line": f"{batch}/line?custom_id=noted",
            "try": f"files/{self.tried.id}/try",
            "files": "files",
            "file": f"files/{self.tried.id}",
            "quota": "quota",
            "new": "new",
        }


def shoot(browser: Browser, scene: Scene, directory: Path) -> None:
    """Take every page in every light."""
    kinds: dict[str, dict[str, Any]] = {
        "light": {"viewport": WIDE, "color_scheme": "light"},
        "dark": {"viewport": WIDE, "color_scheme": "dark"},
        "phone": {"viewport": PHONE, "color_scheme": "light"},
    }
    for kind, options in kinds.items():
        context = browser.new_context(**options)
        page = context.new_page()
        for name, path in scene.pages().items():
            page.goto(scene.url(path), wait_until="domcontentloaded")
            page.screenshot(path=directory / f"{name}-{kind}.png", full_page=True)
        context.close()


def on_a_terminal(scene: Scene, directory: Path, gemini: Emulator) -> str:
    """What ``gateway run`` shows in the end, with its colours."""
    path = directory / "requests.jsonl"
    path.write_bytes(poems(60, refused=3))
    command = [sys.executable, "-m", "gateway", "run", path.name]
    environment = {**os.environ, "OPENAI_BASE_URL": scene.gateway.url, "OPENAI_API_KEY": "any"}  # noqa: TID251 - a child's
    child = pexpect.spawn(
        command[0],
        command[1:],
        cwd=str(directory),
        env=environment | {"TERM": "xterm-256color"},
        dimensions=(40, 110),
        encoding="utf-8",
        timeout=120,
    )
    told = ""
    while child.isalive():
        gemini.finish()
        with contextlib.suppress(pexpect.TIMEOUT, pexpect.EOF):
            told += child.read_nonblocking(4096, timeout=0.5)
    with contextlib.suppress(pexpect.EOF):
        told += child.read()
    return screen(told)


def screen(told: str) -> str:
    """The lines that a terminal has in the end: as far as Rich moves its cursor."""
    lines, row = [""], 0
    for piece in re.split(r"(\x1b\[\d*A|\x1b\[2K|\x1b\[\?25[hl]|\r\n|\n|\r)", told):
        if piece in {"\n", "\r\n"}:
            row += 1
            lines += [""] * (row + 1 - len(lines))
        elif up := re.fullmatch(r"\x1b\[(\d*)A", piece):
            row = max(row - int(up[1] or 1), 0)
        elif piece == "\x1b[2K":
            lines[row] = ""
        elif piece and piece != "\r" and not piece.startswith("\x1b[?"):
            lines[row] += piece
    return "\n".join(lines).strip()


def draw(browser: Browser, text: str, path: Path) -> None:
    """Draw a terminal's text."""
    console = Console(record=True, width=110, file=io.StringIO(), force_terminal=True)
    console.print(Text.assemble("$ gateway run requests.jsonl\n", Text.from_ansi(text)))
    context = browser.new_context(viewport={"width": 960, "height": 100}, color_scheme="dark")
    page = context.new_page()
    page.set_content(console.export_html(theme=MONOKAI, inline_styles=True))
    page.screenshot(path=path, full_page=True)
    context.close()


def main() -> None:
    """Write the pictures."""
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory()))
        gemini = stack.enter_context(running(EmulatorOptions(job_seconds=36_000)))
        scene = Scene(stack, directory, gemini)
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=list(ARGUMENTS)
        )
        if len(sys.argv) > 1:
            shoot(browser, scene, Path(sys.argv[1]))
        context = browser.new_context(viewport=WIDE, color_scheme="light")
        page = context.new_page()
        PICTURES.mkdir(exist_ok=True)
        for name in ("batches", "line"):
            page.goto(scene.url(scene.pages()[name]), wait_until="domcontentloaded")
            page.screenshot(path=PICTURES / f"{name}.png")
        draw(browser, on_a_terminal(scene, directory, gemini), PICTURES / "run.png")
        browser.close()


if __name__ == "__main__":
    main()
