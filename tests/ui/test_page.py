"""The page in a real browser: a batch dropped, watched, cancelled, retried; a line opened."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import orjson
import pytest
from playwright.sync_api import Browser, Page, expect

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.e2e.harness import GatewayProcess, serving

pytestmark = pytest.mark.slow

DROP = """async ([selector, text]) => {
  const data = new DataTransfer();
  data.items.add(new File([text], "requests.jsonl", { type: "application/jsonl" }));
  const place = document.querySelector(selector);
  for (const type of ["dragover", "drop"]) {
    const how = { dataTransfer: data, bubbles: true, cancelable: true };
    place.dispatchEvent(new DragEvent(type, how));
  }
}"""
MILLISECONDS = 120_000


def lines(*temperatures: float) -> str:
    """Chat lines; a temperature beyond 2 is refused."""
    made = [
        {
            "custom_id": f"line-{number}",
            "method": "POST",
            "url": "/v1/chat/completions",
            "body": {
                "model": "gemini-3.5-flash",
                "messages": [{"role": "user", "content": "<b>hi</b>"}],
                "temperature": temperature,
                "parallel_tool_calls": False,
                "max_completion_tokens": 100,
            },
        }
        for number, temperature in enumerate(temperatures)
    ]
    return "".join(orjson.dumps(line).decode() + "\n" for line in made)


def ui(gateway: GatewayProcess) -> str:
    """Where the page is."""
    return gateway.url.removesuffix("/v1") + "/ui"


def tried(page: Page, gateway: GatewayProcess, text: str) -> None:
    """Drop a file and see its dry run."""
    page.goto(f"{ui(gateway)}/new")
    page.evaluate(DROP, ["#drop", text])
    page.wait_for_url(re.compile(r"/ui/files/file-\w+/try"))
    expect(page.locator("main")).to_contain_text("/v1/chat/completions")


def dropped(page: Page, gateway: GatewayProcess, text: str) -> str:
    """Drop a file, see its dry run and create its batch; the batch's id."""
    tried(page, gateway, text)
    page.click("text=Create the batch")
    page.wait_for_url(re.compile(r"/ui/batches/batch_"))
    return page.url.rpartition("/")[2]


def check_access(page: Page, axe: str) -> None:
    """No serious fault for keyboards and screen readers."""
    page.evaluate(axe)
    found: Any = page.evaluate("axe.run()")
    grave = [one for one in found["violations"] if one["impact"] in {"serious", "critical"}]
    assert [(one["id"], one["nodes"][0]["html"]) for one in grave] == []


def test_a_batch_from_drop_to_line(page: Page, gateway: GatewayProcess, axe: str) -> None:
    """It is watched until it ends, without a reload; then one of its lines is looked at."""
    batch_id = dropped(page, gateway, lines(1, 9, 1))
    expect(page.locator("h1 .badge")).to_have_text("completed")
    expect(page.locator("main")).to_contain_text("2 of 3")
    expect(page.locator("main")).to_contain_text("invalid_value")
    expect(page.locator("main")).to_contain_text("dropped parallel_tool_calls")
    check_access(page, axe)
    page.click("text=Verify")
    expect(page.locator("h1")).to_have_text("Each line came back once")
    expect(page.locator(".totals dd")).to_have_text(["3", "0", "0", "0", "0"])
    check_access(page, axe)
    page.go_back()
    page.fill("input[name=custom_id]", "line-0")
    page.click("text=Show its life")
    panes = page.locator(".panes section")
    expect(panes).to_have_count(4)
    expect(panes.nth(0)).to_contain_text("<b>hi</b>")
    expect(panes.nth(0).locator("mark.dropped")).to_contain_text("parallel_tool_calls")
    expect(panes.nth(0)).to_contain_text("→ generationConfig.maxOutputTokens")
    expect(panes.nth(1).locator("mark.renamed").first).to_contain_text("contents")
    expect(panes.nth(1)).to_contain_text("← max_completion_tokens")
    expect(panes.nth(2)).to_contain_text("→ usage.prompt_tokens")
    expect(panes.nth(3)).to_contain_text("← response.candidates[0].content.parts[0].text")
    expect(panes.nth(3).locator("mark.added").first).to_contain_text("id")
    check_access(page, axe)
    page.goto(f"{ui(gateway)}/batches?text={batch_id}&status=completed")
    expect(page.locator("tbody tr")).to_have_count(1)
    page.goto(f"{ui(gateway)}/batches?text=no-such-text")
    expect(page.locator("main")).to_contain_text("No batch matches")


def test_a_file_is_tried_before_its_batch_is_created(
    page: Page, gateway: GatewayProcess, axe: str
) -> None:
    """Notes, refused lines, tokens and the most that it may cost; then the batch, or not."""
    client = openai.OpenAI(base_url=gateway.url, api_key="any")
    before = len(client.batches.list(limit=100).data)
    tried(page, gateway, lines(1, 9, 1))
    main = page.locator("main")
    expect(main).to_contain_text("Invalid value for 'temperature'")
    expect(main).to_contain_text("parallel_tool_calls")
    expect(main).to_contain_text("cost at most")
    expect(page.locator(".totals")).not_to_contain_text("unknown")
    shown = page.locator(".totals dd").all_inner_texts()
    assert shown[:3] == ["3", "2", "1"]
    check_access(page, axe)
    assert len(client.batches.list(limit=100).data) == before
    tried(page, gateway, lines(1).replace("POST", "GET"))
    expect(main).to_contain_text("would fail as a whole, because of 1 line: mend it")
    expect(main).to_contain_text("1 line is shown")
    expect(page.locator("text=Create the batch")).to_have_count(0)
    file_id = page.url.split("/")[-2]
    page.click("text=Delete the file")
    page.wait_for_url(re.compile("/ui/new"))
    with pytest.raises(openai.NotFoundError):
        client.files.retrieve(file_id)


HOSTILE = {
    "quotes": "'; touch hit-1; echo \"$(touch hit-2)`touch hit-3`\" \\' # \\",
    "lines": "a\nimport os; open('hit-4', 'w')\n</button><script>alert(1)</script>",
    "it's": "\u2028 \u202e {{ 7 * 7 }} %s $HOME {0} é 😀",
}


def copied(page: Page, button: str) -> str:
    """What a button puts onto the clipboard."""
    page.context.grant_permissions(["clipboard-read", "clipboard-write"])
    page.click(f"text={button}")
    expect(page.locator("#told")).to_have_text("Copied.")
    page.locator("#told").evaluate("told => { told.textContent = ''; }")
    text: str = page.evaluate("navigator.clipboard.readText()")
    return text


def test_what_is_copied_makes_the_batch_again(
    page: Page, gateway: GatewayProcess, tmp_path: Path
) -> None:
    """Pasted into a shell and into Python: the same batch, and the files of the first; no key."""
    client = openai.OpenAI(base_url=gateway.url, api_key="any")
    file = client.files.create(file=("x.jsonl", lines(1, 9).encode()), purpose="batch")
    first = client.batches.create(
        input_file_id=file.id,
        endpoint="/v1/chat/completions",
        completion_window="24h",
        metadata=HOSTILE,
    )
    page.goto(f"{ui(gateway)}/batches/{first.id}")
    expect(page.locator("h1 .badge")).to_have_text("completed")
    environment = {"PATH": os.environ["PATH"], "OPENAI_API_KEY": "my-secret"}  # noqa: TID251 - a child's
    for button, command in (("Copy as curl", ["bash"]), ("Copy as Python", [sys.executable])):
        text = copied(page, button)
        assert "Bearer $OPENAI_API_KEY" in text or 'os.environ["OPENAI_API_KEY"]' in text
        ran = subprocess.run(
            command,
            input=text,
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        assert first.id in ran.stdout + text
        again = client.batches.list(limit=1).data[0]
        assert again.id != first.id
        assert (again.metadata, again.endpoint) == (HOSTILE, first.endpoint)
        assert client.files.content(again.input_file_id).text == lines(1, 9)
    made = {path.name for path in tmp_path.iterdir()}
    assert made == {"requests.jsonl", "output.jsonl", "errors.jsonl"}
    assert "Echo" in (tmp_path / "output.jsonl").read_text()


def test_lines_refused_for_good_are_not_sent_again(page: Page, gateway: GatewayProcess) -> None:
    """The page says so in words, and stays where it is."""
    dropped(page, gateway, lines(1, 9))
    expect(page.locator("h1 .badge")).to_have_text("completed")
    page.click("text=Retry failed lines")
    expect(page.locator("#told")).to_contain_text("nothing to retry")


@pytest.fixture(scope="module")
def slow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """A gateway whose batches do not end."""
    with (
        running(EmulatorOptions(job_seconds=36_000)) as emulator,
        serving(tmp_path_factory.mktemp("slow"), emulator.base_url) as process,
    ):
        yield process


def test_a_batch_is_cancelled_and_sent_again(page: Page, slow: GatewayProcess) -> None:
    """After a question, and followed to its end; then its lines run in a new batch."""
    page.on("dialog", lambda dialog: dialog.accept())
    first = dropped(page, slow, lines(1))
    expect(page.locator("h1 .badge")).to_have_text("in progress")
    page.click("text=Cancel")
    expect(page.locator("h1 .badge")).to_have_text("cancelled")
    page.click("text=Retry failed lines")
    expect(page.locator("main")).to_contain_text("retry of")
    assert first not in page.url
    expect(page.locator("main")).to_contain_text(first)


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("width", [1280, 390])
def test_every_page_in_every_light(
    page: Page, gateway: GatewayProcess, axe: str, scheme: Any, width: int
) -> None:
    """Contrast and names are good, and nothing is wider than a phone."""
    page.emulate_media(color_scheme=scheme)
    page.set_viewport_size({"width": width, "height": 800})
    client = openai.OpenAI(base_url=gateway.url, api_key="any")
    file = client.files.create(file=("x.jsonl", lines(1).encode()), purpose="batch")
    batch = client.batches.create(
        input_file_id=file.id, endpoint="/v1/chat/completions", completion_window="24h"
    )
    line = f"batches/{batch.id}/line?custom_id=line-0"
    pages = ("batches", f"batches/{batch.id}", line, "files", f"files/{file.id}", "quota", "new")
    for path in (*pages, f"files/{file.id}/try"):
        page.goto(f"{ui(gateway)}/{path}")
        check_access(page, axe)
        wide: Any = page.evaluate("document.documentElement.scrollWidth")
        assert wide <= width, path
        inner: Any = page.evaluate(
            "[...document.querySelectorAll('.scroll')].map(e => e.scrollWidth - e.clientWidth)"
        )
        assert width > 640 or max([*inner, 0]) <= 0, path


def test_a_gateway_with_keys_asks_for_one(
    browser: Browser, gemini: Emulator, tmp_path: Path, axe: str
) -> None:
    """The cookie is out of the reach of scripts and sites; another key sees nothing."""
    keys = "alice=secret-of-alice,bob=secret-of-bob"
    with serving(tmp_path, gemini.base_url, GATEWAY_API_KEYS=keys) as gateway:
        alice = openai.OpenAI(base_url=gateway.url, api_key="secret-of-alice")
        file = alice.files.create(file=("mine.jsonl", lines(1).encode()), purpose="batch")
        context = browser.new_context()
        context.set_default_timeout(MILLISECONDS)
        page = context.new_page()
        page.goto(f"{ui(gateway)}/files")
        assert page.url.endswith("/ui/login")
        check_access(page, axe)
        page.fill("input[name=key]", "wrong")
        page.click("main button")
        expect(page.locator("[role=alert]")).to_be_visible()
        page.fill("input[name=key]", "secret-of-bob")
        page.click("main button")
        page.wait_for_url(re.compile("/ui/batches"))
        [cookie] = context.cookies(f"{ui(gateway)}/batches")
        assert (cookie["httpOnly"], cookie["sameSite"]) == (True, "Strict")
        page.goto(f"{ui(gateway)}/files/{file.id}")
        expect(page.locator("h1")).to_have_text("404")
        page.click("text=Log out")
        page.wait_for_url(re.compile("/ui/login"))
        context.close()


def test_what_other_sites_cannot_do(gateway: GatewayProcess) -> None:
    """No foreign origin changes anything, no made-up name of this machine sees anything."""
    url = f"{ui(gateway)}/api/v1/batches/batch_none/cancel"
    for headers in ({}, {"origin": "https://elsewhere.example"}, {"origin": "null"}):
        assert httpx.post(url, headers=headers, timeout=60).status_code == 403
    rebound = httpx.get(f"{ui(gateway)}/batches", headers={"host": "elsewhere.example"}, timeout=60)
    assert rebound.status_code == 403
    shown = httpx.get(f"{ui(gateway)}/batches", timeout=60)
    assert "default-src 'none'" in shown.headers["content-security-policy"]
    assert httpx.get(f"{ui(gateway)}/static/../app.py", timeout=60).status_code == 404


def test_responses_in_the_background_are_seen(page: Page, slow: GatewayProcess, axe: str) -> None:
    """Their model, state, cost and what they wait for; they change without a reload."""
    client = openai.OpenAI(base_url=slow.url, api_key="any")
    page.goto(f"{ui(slow)}/batches")
    client.responses.create(model="gemini-3.5-flash", input="later", background=True)
    row = page.locator("table.background tbody tr").first
    expect(row).to_contain_text("gemini-3.5-flash")
    expect(row.locator(".badge")).to_have_text("in progress")
    expect(row.locator("td[data-label='at most']")).to_contain_text("$")
    check_access(page, axe)
    page.goto(f"{ui(slow)}/batches?status=failed")
    expect(page.locator("table.background")).to_have_count(0)


def test_an_address_that_is_no_page_leads_back(
    page: Page, gateway: GatewayProcess, axe: str
) -> None:
    """A page as the others, with its status; what is below the API stays the API's."""
    for path in ("unknown", "batches/batch_none/unknown/x"):
        answer = page.goto(f"{ui(gateway)}/{path}")
        assert answer is not None
        assert answer.status == 404
        expect(page.locator("h1")).to_have_text("404")
        expect(page.locator("main")).to_contain_text("There is no such page")
        assert "default-src 'none'" in answer.headers["content-security-policy"]
    check_access(page, axe)
    page.click("text=All batches")
    page.wait_for_url(re.compile("/ui/batches"))
    unknown = httpx.get(
        f"{ui(gateway)}/api/v1/unknown", headers={"authorization": "Bearer any"}, timeout=60
    )
    assert unknown.json()["error"]["message"]


def test_it_can_be_turned_off(gemini: Emulator, tmp_path: Path) -> None:
    """GATEWAY_UI=off leaves the API alone."""
    with serving(tmp_path, gemini.base_url, GATEWAY_UI="off") as gateway:
        assert httpx.get(ui(gateway), timeout=60).status_code in {401, 404}
