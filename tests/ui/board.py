"""A picture of the board for Grafana: ``python -m tests.ui.board [SECONDS]`` draws it anew.

Grafana is not at hand where the tests run, so its panels are drawn here, and the picture says so:
title, place, unit and queries are those of ``deploy/grafana.json``, and Prometheus (``prometheus``
on the PATH, Debian's) scrapes a gateway at work before the emulator and answers the queries.
"""

import html
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Event
from typing import Any, Final

import httpx
import openai
import orjson
from playwright.sync_api import sync_playwright

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.e2e.harness import CLOCK, GatewayProcess, chat_line, serving, submit, until
from tests.ui.pictures import ARGUMENTS, PICTURES

BOARD: Final = PICTURES.parent / "grafana.json"
SECONDS: Final = 180
STEP: Final = 3
LATE: Final = 25  # turns of work
COLOURS: Final = ("#73bf69", "#f2cc0c", "#5794f2", "#ff9830", "#f2495c", "#b877d9", "#8ab8ff")
MOST_LINES: Final = 5
WIDTH, HEIGHT = 400, 132  # of a panel's drawing
ROW: Final = 30  # pixels of a row of the grid
MODELS: Final = ("gemini-3.8-flash", "gemini-3.5-flash-lite")
SAID: Final = (
    "The panels of deploy/grafana.json, drawn by the project's tests in place of Grafana; the data"
    " are Prometheus' answers over {seconds} s of a gateway at work before an emulator with faults,"
    " on two cores that other programs kept busy."
)

Json = dict[str, Any]
Series = tuple[str, Sequence[tuple[float, float]]]


@contextmanager
def prometheus(directory: Path, target: str) -> Iterator[httpx.Client]:
    """Scrape a target each second; its API."""
    program = shutil.which("prometheus")
    assert program is not None, "needs Debian's prometheus"
    config = {
        "global": {"scrape_interval": "1s"},
        "scrape_configs": [{"job_name": "gateway", "static_configs": [{"targets": [target]}]}],
    }
    (directory / "prometheus.yml").write_bytes(orjson.dumps(config))
    port = 9_000 + CLOCK.now() % 1_000
    command = [program, f"--config.file={directory}/prometheus.yml"]
    command += [f"--storage.tsdb.path={directory}/tsdb", f"--web.listen-address=127.0.0.1:{port}"]
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=60) as api:
            until(lambda: _is_ready(api), "Prometheus is ready")
            yield api
    finally:
        child.terminate()
        child.wait(60)


def _is_ready(api: httpx.Client) -> bool:
    try:
        return api.get("/-/ready").is_success
    except httpx.TransportError:
        return False


def work(gateway: GatewayProcess, gemini: Emulator, seconds: float) -> None:
    """Batches, single calls and responses in the background, with a few faults."""
    client, pause = gateway.client(), Event()
    end, turn = CLOCK.monotonic() + seconds, 0
    while CLOCK.monotonic() < end:
        model = MODELS[turn % 2]
        submit(client, [chat_line(f"{turn}-{n}", f"say {n}", model) for n in range(20)])
        if turn == LATE:  # what it teaches holds jobs back for minutes
            gemini.fault("quota", on="create", times=1)
        if turn % 4 == 1:
            gemini.fault("results-fail", code=14, share=0.3, times=1)
        if turn % 5 == 2:
            gemini.fault("create-drop-after", times=1)
        if turn % 5 == 4:
            gemini.fault("job-slow", seconds=20, times=1)
        for _ in range(1 + turn % 4):
            ask_once(client, model)
        client.responses.create(model=model, input="later", background=True)
        turn += 1
        pause.wait(2)


def ask_once(client: openai.OpenAI, model: str) -> None:
    """A single call."""
    client.chat.completions.create(model=model, messages=[{"role": "user", "content": "hello"}])


def answers(api: httpx.Client, panel: Json, start: float, end: float) -> list[Series]:
    """What Prometheus answers to a panel's queries: a name and points of each series."""
    found: list[Series] = []
    for target in panel["targets"]:
        query = {"query": target["expr"], "start": start, "end": end, "step": STEP}
        told = api.get("/api/v1/query_range", params=query).raise_for_status().json()
        for series in told["data"]["result"]:
            points = [(at, float(value)) for at, value in series["values"] if value != "NaN"]
            name = " ".join(series["metric"].values()) or "all"
            prefix = target.get("legendFormat", "").partition("{{")[0]
            if points:
                found.append((prefix + name, points))
    return sorted(found, key=lambda series: -max(value for _, value in series[1]))


def written(value: float, unit: str) -> str:
    """A number with its unit, as short as an axis wants it."""
    if unit == "percentunit":
        return f"{100 * value:.3g} %"
    if unit == "currencyUSD":
        return f"${value:.2g}"
    if unit in {"bytes", "Bps"}:
        for power, name in ((30, "GiB"), (20, "MiB"), (10, "KiB")):
            if value >= 2**power:
                return f"{value / 2**power:.3g} {name}" + ("/s" if unit == "Bps" else "")
    return (
        f"{value:.3g}{ {'s': ' s', 'reqps': ' req/s', 'Bps': ' B/s', 'bytes': ' B'}.get(unit, '') }"
    )


def drawing(series: Sequence[Series], unit: str, start: float, end: float) -> str:
    """The lines of a panel over its time, and its greatest value."""
    greatest = max((value for _, points in series for _, value in points), default=0.0)
    most = greatest or 1
    lines = []
    for number, (_, points) in enumerate(series[:MOST_LINES]):
        path = " ".join(
            f"{(at - start) / (end - start) * WIDTH:.1f},{HEIGHT - value / most * (HEIGHT - 8):.1f}"
            for at, value in points
        )
        colour = COLOURS[number % len(COLOURS)]
        lines.append(
            f'<polyline points="{path}" fill="none" stroke="{colour}" stroke-width="1.5"/>'
        )
    grid = "".join(
        f'<path d="M0 {y}H{WIDTH}" stroke="#2c3235"/>' for y in (8, HEIGHT // 2 + 4, HEIGHT)
    )
    return (
        f'<div class="most">{html.escape(written(greatest, unit)) if series else ""}</div>'
        f'<svg viewBox="0 0 {WIDTH} {HEIGHT + 2}" preserveAspectRatio="none">{grid}'
        f"{''.join(lines)}</svg>"
    )


def legend(series: Sequence[Series]) -> str:
    """Names of the lines that are drawn, and how many others there are."""
    names = [
        f'<span style="color:{COLOURS[number % len(COLOURS)]}">■</span> {html.escape(name)}'
        for number, (name, _) in enumerate(series[:MOST_LINES])
    ]
    if len(series) > MOST_LINES:
        names.append(f"and {len(series) - MOST_LINES} more")
    return " &nbsp; ".join(names) or "no data"


STYLE: Final = """
body { margin: 0; padding: 12px; background: #111217; color: #ccccdc; }
body { font: 11px system-ui, sans-serif; }
p { margin: 0 0 10px; } main { display: grid; grid-template-columns: repeat(24, 1fr); gap: 6px; }
section { background: #181b1f; border: 1px solid #2c3235; padding: 6px 8px; overflow: hidden; }
h2 { font-size: 12px; font-weight: 500; margin: 0; } .most { color: #8e8e9c; height: 14px; }
svg { width: 100%; height: 92px; display: block; }
.legend { white-space: nowrap; overflow: hidden; text-overflow: ellipsis; }
.legend { margin-top: 4px; color: #a0a0ae; }
"""


def page(api: httpx.Client, start: float, end: float) -> str:
    """All panels, where the board has them."""
    sections = []
    for panel in orjson.loads(BOARD.read_bytes())["panels"]:
        series, place = answers(api, panel, start, end), panel["gridPos"]
        unit = panel["fieldConfig"]["defaults"]["unit"]
        sections.append(
            f'<section style="grid-column: {place["x"] + 1} / span {place["w"]}">'
            f"<h2>{html.escape(panel['title'])}</h2>{drawing(series, unit, start, end)}"
            f'<div class="legend">{legend(series)}</div></section>'
        )
    said = html.escape(SAID.format(seconds=round(end - start)))
    return f"<style>{STYLE}</style><p>{said}</p><main>{''.join(sections)}</main>"


def main() -> None:
    """Write the picture."""
    seconds = float(sys.argv[1]) if len(sys.argv) > 1 else SECONDS
    with ExitStack() as stack:
        directory = Path(stack.enter_context(TemporaryDirectory()))
        gemini = stack.enter_context(running(EmulatorOptions(job_seconds=3)))
        settings = {"GATEWAY_BACKGROUND_WINDOW_SECONDS": "5", "GATEWAY_MAX_LIVE_JOBS": "20"}
        gateway = stack.enter_context(serving(directory, gemini.base_url, **settings))
        api = stack.enter_context(prometheus(directory, gateway.url.split("/")[2]))
        start = CLOCK.now() / 1000
        work(gateway, gemini, seconds)
        text = page(api, start, CLOCK.now() / 1000)
        playwright = stack.enter_context(sync_playwright())
        browser = playwright.chromium.launch(
            executable_path="/usr/bin/chromium", args=list(ARGUMENTS)
        )
        shown = browser.new_page(viewport={"width": 1280, "height": 720})
        shown.set_content(text)
        shown.screenshot(path=PICTURES / "board.png", full_page=True)
        browser.close()


if __name__ == "__main__":
    main()
