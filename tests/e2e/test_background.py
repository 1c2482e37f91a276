"""``background: true`` as an SDK user meets it: queued, collected into batches, asked for."""

import contextlib
import re
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import openai
import orjson
import pytest
from openai.types.responses import Response

from gateway.emulator.testing import Emulator, EmulatorOptions, running
from tests.cli.processes import run
from tests.e2e.harness import GatewayProcess, serving, until
from tests.sdk.nodejs import run_node

MODEL = "gemini-3.5-flash"
UNFINISHED = ("queued", "in_progress")
NO_END = EmulatorOptions(job_seconds=3600)
# Windows end when a test says so: close_windows().
LONG = {"GATEWAY_BACKGROUND_WINDOW_SECONDS": "3600"}


@pytest.fixture(scope="module")
def gemini() -> Iterator[Emulator]:
    """Jobs that take a moment."""
    with running(EmulatorOptions(job_seconds=0.2)) as emulator:
        yield emulator


@pytest.fixture(scope="module")
def gateway(gemini: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One for the tests that need no other settings."""
    folder = tmp_path_factory.mktemp("gateway")
    with serving(folder, gemini.base_url, GATEWAY_BACKGROUND_WINDOW_SECONDS="0.2") as process:
        yield process


@pytest.fixture(scope="module")
def patient(gemini: Emulator, tmp_path_factory: pytest.TempPathFactory) -> Iterator[GatewayProcess]:
    """One that answers nothing: what it is asked waits for an hour to be collected."""
    with serving(tmp_path_factory.mktemp("patient"), gemini.base_url, **LONG) as process:
        yield process


@pytest.fixture
def client(gateway: GatewayProcess) -> openai.OpenAI:
    """The SDK, pointed at the gateway and nothing else changed."""
    return gateway.client()


def ended(client: openai.OpenAI, response_id: str) -> Response:
    """Poll as OpenAI's guide does."""

    def look() -> Response | None:
        now = client.responses.retrieve(response_id)
        return None if now.status in UNFINISHED else now

    done = until(look, f"{response_id} ends")
    assert isinstance(done, Response)
    return done


def close_windows(gateway: GatewayProcess) -> None:
    """Let what waits be collected now: a test that waited for a window would race with it."""
    path = f"{gateway.data}/gateway.sqlite3"
    with contextlib.closing(sqlite3.connect(path, timeout=60)) as database, database:
        database.execute("UPDATE responses SET due_at = 1 WHERE due_at > 1 AND batch_id IS NULL")


def begin(client: openai.OpenAI, text: str, **body: Any) -> Response:
    """Ask for one."""
    response: Response = client.responses.create(model=MODEL, input=text, background=True, **body)
    return response


def test_it_is_queued_and_answered_by_a_batch(gateway: GatewayProcess, gemini: Emulator) -> None:
    """At once: queued; then what a single call would answer, and no batch or file to see."""
    client = gateway.client()
    asked = [begin(client, f"hello {number}") for number in range(5)]
    assert {one.status for one in asked} == {"queued"}
    assert all(one.background and one.output == [] for one in asked)
    done = [ended(client, one.id) for one in asked]
    plain = client.responses.create(model=MODEL, input="hello 3")
    for number, one in enumerate(done):
        assert one.status == "completed"
        assert f"hello {number}" in one.output_text
        assert one.usage is not None
        assert one.usage.total_tokens > 0
    assert done[3].output_text == plain.output_text
    assert done[3].created_at == asked[3].created_at
    assert 1 <= len(gemini.journal("create")) <= len(asked)
    assert list(client.batches.list()) == []
    assert list(client.files.list()) == []

    def logged() -> bool:
        counts = re.findall(r": (\d+) responses? ha(?:s|ve) ended", gateway.log())
        return sum(map(int, counts)) == len(asked)

    until(logged, "the log counts what has ended")


def test_what_is_wrong_is_said_at_once(client: openai.OpenAI) -> None:
    """As for any other request: nothing is queued that cannot be answered."""
    with pytest.raises(openai.BadRequestError, match="temperature"):
        begin(client, "x", temperature=9)
    with pytest.raises(openai.BadRequestError, match="background"):
        begin(client, "x", extra_body={"background": "yes"})
    with pytest.raises(openai.BadRequestError) as gone:
        begin(client, "x", previous_response_id="resp_none")
    assert gone.value.code == "previous_response_not_found"


def test_a_line_that_fails_is_a_failed_response(client: openai.OpenAI) -> None:
    """With OpenAI's word for the error and the gateway's, and never another response's end."""
    good = begin(client, "fine")
    bad = begin(client, "[[error:3,message=Not this one.]] x")
    cut = begin(client, "[[finish:MAX_TOKENS]] long")
    assert ended(client, good.id).status == "completed"
    failed = ended(client, bad.id)
    assert (failed.status, failed.output) == ("failed", [])
    assert failed.error is not None
    assert failed.error.message
    incomplete = ended(client, cut.id)
    assert incomplete.status == "incomplete"
    assert incomplete.incomplete_details is not None
    assert incomplete.incomplete_details.reason == "max_output_tokens"


def test_a_model_that_is_not_there_fails_alone(client: openai.OpenAI) -> None:
    """Its batch is refused as a whole: the response says why."""
    good = begin(client, "fine")
    bad = client.responses.create(model="gemini-0-none", input="x", background=True)
    assert ended(client, good.id).status == "completed"
    failed = ended(client, bad.id)
    assert failed.status == "failed"
    assert failed.error is not None
    assert "gemini-0-none" in failed.error.message


def test_the_next_turn_waits_for_its_end(client: openai.OpenAI, patient: GatewayProcess) -> None:
    """In flight it is refused by name; then input, output and signatures go in front."""
    asked = patient.client()
    first = begin(asked, "one")
    with pytest.raises(openai.BadRequestError) as early:
        asked.responses.create(model=MODEL, input="two", previous_response_id=first.id)
    first = begin(client, "one")
    assert early.value.code == "previous_response_not_completed"
    done = ended(client, first.id)
    second = client.responses.create(model=MODEL, input="two", previous_response_id=first.id)
    assert second.usage is not None
    assert done.usage is not None
    assert second.usage.input_tokens > done.usage.input_tokens
    third = begin(client, "three", previous_response_id=second.id)
    assert third.previous_response_id == second.id
    assert ended(client, third.id).status == "completed"
    items = list(client.responses.input_items.list(third.id, order="asc"))
    assert len(items) >= 5


def test_tools_in_the_background(client: openai.OpenAI) -> None:
    """A call is answered by the id of its response alone; signatures are kept and not shown."""
    tools: Any = [{"type": "function", "name": "f", "parameters": {"type": "object"}}]
    asked = ended(client, begin(client, "go", tools=tools, tool_choice="required").id)
    [call] = [item for item in asked.output if item.type == "function_call"]
    assert "encrypted_content" not in asked.to_json()
    result: Any = {"type": "function_call_output", "call_id": call.call_id, "output": "42"}
    end = client.responses.create(
        model=MODEL, input=[result], tools=tools, previous_response_id=asked.id
    )
    assert end.status == "completed"


def test_input_items_are_there_from_the_beginning(client: openai.OpenAI) -> None:
    """And after the end; deleted there is nothing."""
    asked = begin(client, "look at me")
    for _ in range(2):
        [item] = client.responses.input_items.list(asked.id).data
        assert "look at me" in item.to_json()
        ended(client, asked.id)
    client.responses.delete(asked.id)
    with pytest.raises(openai.NotFoundError):
        client.responses.retrieve(asked.id)


def test_unstored_it_can_be_collected_alone(client: openai.OpenAI) -> None:
    """OpenAI's guide wants store: true, recordings show that false is taken."""
    done = ended(client, begin(client, "x", store=False).id)
    assert (done.status, done.to_dict()["store"]) == ("completed", False)
    with pytest.raises(openai.BadRequestError, match="not found"):
        client.responses.create(model=MODEL, input="y", previous_response_id=done.id)


async def test_in_node(gateway: GatewayProcess, patient: GatewayProcess, tmp_path: Path) -> None:
    """openai-node, unchanged but for base URL and model."""
    saw = await run_node(tmp_path, gateway.url, "background", model=MODEL, waiting=patient.url)
    assert (saw["asked"]["status"], saw["done"]["status"]) == ("queued", "completed")
    assert "hello there" in saw["done"]["output_text"]
    [item] = saw["items"]
    assert item["role"] == "user"
    assert saw["cancelled"]["status"] == "cancelled"
    assert saw["gone"]["name"] == "NotFoundError"


def test_streamed_its_events_come_at_its_end(client: openai.OpenAI) -> None:
    """Numbered from 0 by 1, alike each time, and from any number on."""
    stream: Any = client.responses.create(
        model=MODEL, input="hello there", background=True, stream=True
    )
    events = list(stream)
    assert [event.sequence_number for event in events] == list(range(len(events)))
    begun = [f"response.{name}" for name in ("created", "queued", "in_progress")]
    assert [event.type for event in events[:3]] == begun
    assert events[0].response.status == "queued"
    done = events[-1].response
    assert (events[-1].type, done.status) == ("response.completed", "completed")
    assert "".join(e.delta for e in events if e.type.endswith("text.delta")) == done.output_text
    again = list(client.responses.retrieve(done.id, stream=True))
    assert [event.type for event in again[:3]] == begun
    assert [event.to_dict() for event in again[3:]] == [event.to_dict() for event in events[3:]]
    rest = list(client.responses.retrieve(done.id, stream=True, starting_after=3))
    assert [event.sequence_number for event in rest] == list(range(4, len(events)))
    with client.responses.stream(model=MODEL, input="hello there", background=True) as helper:
        assert helper.get_final_response().output_text == done.output_text
    at_once = client.responses.create(model=MODEL, input="x")
    with pytest.raises(openai.BadRequestError, match="background"):
        client.responses.retrieve(at_once.id, stream=True)


@pytest.mark.parametrize("end", ["cancelled", "deleted", "failed"])
def test_a_stream_of_one_without_an_answer(
    gateway: GatewayProcess, patient: GatewayProcess, end: str
) -> None:
    """It always ends with an event: a cut one would pass for success in Node."""
    client = (gateway if end == "failed" else patient).client()
    text = "[[error:3,message=Not this one.]] x" if end == "failed" else "x"
    asked = begin(client, text)
    if end == "cancelled":
        client.responses.cancel(asked.id)
    stream = client.responses.retrieve(asked.id, stream=True)
    if end == "deleted":
        client.responses.delete(asked.id)
        with pytest.raises(openai.APIError, match="deleted"):
            list(stream)
        return
    last: Any = list(stream)[-1]
    assert (last.type, last.response.status) == ("response.failed", end)


def test_cancelled_in_its_window_it_is_never_sent(tmp_path: Path) -> None:
    """Nor is one that was deleted; a second cancel changes nothing."""
    with (
        running(NO_END) as gemini,
        serving(tmp_path, gemini.base_url, **LONG) as gateway,
    ):
        client = gateway.client()
        dropped, gone, kept = (begin(client, text) for text in ("drop", "gone", "keep"))
        assert client.responses.cancel(dropped.id).status == "cancelled"
        assert client.responses.cancel(dropped.id).status == "cancelled"
        client.responses.delete(gone.id)
        close_windows(gateway)
        [created] = until(lambda: gemini.journal("create"), "the batch is sent")
        sent = gateway.rows("SELECT id FROM responses WHERE batch_id IS NOT NULL")
        assert sent == [(kept.id,)]
        assert created
        assert client.responses.retrieve(dropped.id).status == "cancelled"


def test_cancelled_alone_its_job_ends(tmp_path: Path) -> None:
    """Nothing else waits for the batch: Google is told; the answer says cancelled for ever."""
    settings = {"GATEWAY_BACKGROUND_WINDOW_SECONDS": "0", "GATEWAY_CANCEL_SECONDS": "1"}
    with (
        running(NO_END) as gemini,
        serving(tmp_path, gemini.base_url, **settings) as gateway,
    ):
        client = gateway.client()
        asked = begin(client, "x")
        until(lambda: client.responses.retrieve(asked.id).status == "in_progress", "it runs")
        assert client.responses.cancel(asked.id).status == "cancelled"
        until(lambda: gemini.journal("cancel"), "Google is told")
        until(lambda: not gateway.rows("SELECT 1 FROM responses WHERE due_at > 0"), "it ends")
        assert client.responses.retrieve(asked.id).status == "cancelled"


def test_cancelled_among_others_its_answer_is_kept(tmp_path: Path) -> None:
    """It was paid for: the response stays cancelled, and shows what came."""
    with (
        running(NO_END) as gemini,
        serving(tmp_path, gemini.base_url, **LONG) as gateway,
    ):
        client = gateway.client()
        first, second, third = (begin(client, text) for text in ("one", "two", "three"))
        close_windows(gateway)
        until(lambda: client.responses.retrieve(third.id).status == "in_progress", "they run")
        assert client.responses.cancel(first.id).status == "cancelled"
        client.responses.delete(second.id)
        gemini.finish()
        assert ended(client, third.id).status == "completed"
        assert gemini.journal("cancel") == []
        paid = until(lambda: _answered(client, first.id), "its answer is kept")
        assert paid.status == "cancelled"
        assert "one" in paid.output_text
        with pytest.raises(openai.NotFoundError):
            client.responses.retrieve(second.id)


def test_an_answer_is_there_before_its_batch_has_ended(tmp_path: Path) -> None:
    """As soon as its own job is collected: the others of the batch may take a day."""
    with (
        running(NO_END) as gemini,
        serving(tmp_path, gemini.base_url, **LONG, GATEWAY_ITEMS_PER_JOB="1") as gateway,
    ):
        client = gateway.client()
        noted: Any = {"parallel_tool_calls": False}
        asked = [begin(client, text, **noted) for text in ("one", "two")]
        refused = begin(client, "[[error:3,message=Not this one.]] x", **noted)
        close_windows(gateway)
        running_jobs = "SELECT 1 FROM jobs WHERE state = 'running'"
        until(lambda: len(gateway.rows(running_jobs)) == 3, "the jobs are sent")
        assert len(gateway.rows("SELECT 1 FROM batches")) == 1
        slow = gateway.rows("SELECT upstream_name FROM jobs WHERE number = 1")
        for name in {str(job["name"]) for job in gemini.jobs()} - {name for (name,) in slow}:
            gemini.finish(name)
        first = ended(client, asked[0].id)
        assert (first.status, "one" in first.output_text) == ("completed", True)
        assert ended(client, refused.id).status == "failed"
        assert client.responses.retrieve(asked[1].id).status == "in_progress"
        assert gateway.rows("SELECT status FROM batches") == [("in_progress",)]
        gemini.finish()
        second = ended(client, asked[1].id)
        assert "two" in second.output_text
        told = [one.to_dict()["extra_content"]["gateway"] for one in (first, second)]  # type: ignore[index]
        assert told[0] == told[1]
        assert told[0]["notes"]
        assert client.responses.retrieve(asked[0].id) == first


def test_a_person_sees_them(tmp_path: Path) -> None:
    """What waits, what runs and what it came to: for programs, and in the commands."""
    with (
        running(NO_END) as gemini,
        serving(tmp_path, gemini.base_url, **LONG) as gateway,
    ):
        client = gateway.client()
        asked = [begin(client, text) for text in ("one", "[[error:3,message=Not this.]] two")]
        env = {"OPENAI_BASE_URL": gateway.url, "OPENAI_API_KEY": "any"}
        [waiting] = background(gateway)
        assert (waiting["status"], waiting["model"]) == ("queued", MODEL)
        assert waiting["responses"]["total"] == 2
        assert waiting["waiting_for"].startswith("others to be sent with, for ")
        assert waiting["cost_at_most_usd"] > 0
        told = run("status", env=env).stdout
        assert "responses in the background" in told
        assert f"not sent yet queued {MODEL} 0 of 2 done" in " ".join(told.split())
        close_windows(gateway)
        until(lambda: client.responses.retrieve(asked[0].id).status == "in_progress", "it runs")
        [sent] = background(gateway)
        assert (sent["status"], sent["model"], sent["ended_at"]) == ("in_progress", MODEL, None)
        listed = run("batches", "--background", "--json", "--status", "in_progress", env=env)
        assert orjson.loads(listed.stdout)["batch_id"] == sent["batch_id"]
        of_it = run("status", sent["batch_id"], env=env).stdout
        assert f"{sent['batch_id']}: in_progress" in of_it
        assert "RUNNING" in of_it or "PENDING" in of_it
        with pytest.raises(openai.NotFoundError):
            client.batches.cancel(sent["batch_id"])
        gemini.finish()
        assert ended(client, asked[0].id).status == "completed"
        done = until(lambda: ended_rows(gateway), "its batch has ended")
        assert done["responses"] == {"total": 2, "completed": 1, "failed": 1}
        assert done["cost_usd"] > 0
        assert done["tokens"] > 0
        assert "completed" in run("batches", env=env).stdout
        assert run("batches", "--json", env=env).stdout == ""


def background(gateway: GatewayProcess) -> list[dict[str, Any]]:
    """What a program of the same key is told."""
    headers = {"authorization": "Bearer any"}
    answer = httpx.get(f"{gateway.url}/background", headers=headers, timeout=60)
    data: list[dict[str, Any]] = answer.json()["data"]
    return data


def ended_rows(gateway: GatewayProcess) -> dict[str, Any] | None:
    """The row of a batch that has ended."""
    [row] = background(gateway)
    return row if row["ended_at"] else None


def test_a_request_that_the_disk_lost_fails_alone(tmp_path: Path) -> None:
    """It says so; the others of its window are answered."""
    with (
        running(EmulatorOptions(job_seconds=0.1)) as gemini,
        serving(tmp_path, gemini.base_url, **LONG) as gateway,
    ):
        client = gateway.client()
        lost, kept = begin(client, "lost"), begin(client, "kept")
        [(blob,)] = gateway.rows("SELECT blob FROM responses WHERE id = ?", lost.id)
        gateway.change_blob(blob, lambda written: written[:-9])
        close_windows(gateway)
        assert ended(client, kept.id).status == "completed"
        [(status,)] = gateway.rows("SELECT status FROM responses WHERE id = ?", lost.id)
        assert status == "failed"
        error = ended(client, lost.id).error
        assert error is not None
        assert "lost the request" in error.message


def _answered(client: openai.OpenAI, response_id: str) -> Response | None:
    now = client.responses.retrieve(response_id)
    return now if now.usage is not None else None
