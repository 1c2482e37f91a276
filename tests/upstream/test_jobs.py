"""Create, find and observe."""

import asyncio
import logging
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from gateway.errors import (
    UpstreamAmbiguousError,
    UpstreamGoneError,
    UpstreamHeldError,
    UpstreamRefusedError,
    UpstreamStaleError,
    UpstreamUnavailableError,
)
from gateway.ports.upstream import Absent, Found, Unknown
from tests.upstream.bench import KEY, Bench, Handler, Wire, make_job, make_spool

SAMPLES = Path(__file__).parents[1] / "data" / "gemini-samples.jsonl"
ROWS = {row["id"]: row for row in map(orjson.loads, SAMPLES.read_bytes().splitlines())}

STAGED = make_job(staged="files/abc")


def answer(status: int, body: Any) -> Handler:
    """Whatever is asked, this is the answer."""
    return lambda _: httpx.Response(status, json=body)


class TestCreate:
    """A create is definite, or ambiguous, and never repeated."""

    async def test_a_file_job_names_its_file(self, bench: Bench) -> None:
        asked: list[httpx.Request] = []

        def handler(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            return httpx.Response(200, json=ROWS["g004"]["response"]["body"])

        name = await bench.asking(handler, api_version="v1").create(STAGED, make_spool(), 5)
        assert name == "batches/leg9wy9p5df66syjxke2eq4xfjqcwp47ejv3"
        (request,) = asked
        assert request.method == "POST"
        assert str(request.url) == (
            "https://gemini.test/v1/models/gemini-2.5-flash:batchGenerateContent"
        )
        assert request.headers["x-goog-api-key"] == KEY
        assert orjson.loads(request.content) == {
            "batch": {
                "displayName": "gw12345678-jobidjobid12",
                "inputConfig": {"fileName": "files/abc"},
            }
        }

    async def test_an_inline_job_carries_its_items_with_their_keys(self, bench: Bench) -> None:
        bodies: list[Any] = []

        def handler(request: httpx.Request) -> httpx.Response:
            bodies.append(orjson.loads(request.content))
            return httpx.Response(200, json=ROWS["g001"]["response"]["body"])

        await bench.asking(handler).create(make_job(inline=True), make_spool(2), 5)
        request = {"contents": [{"role": "user", "parts": [{"text": "hi"}]}]}
        assert bodies[0]["batch"]["inputConfig"] == {
            "requests": {
                "requests": [
                    {"request": request, "metadata": {"key": "1.0"}},
                    {"request": request, "metadata": {"key": "2.0"}},
                ]
            }
        }

    async def test_an_inline_embedding_names_its_model(self, bench: Bench) -> None:
        bodies: list[Any] = []

        def handler(request: httpx.Request) -> httpx.Response:
            bodies.append(orjson.loads(request.content))
            return httpx.Response(200, json={"name": "batches/a"})

        job = make_job(inline=True, model="gemini-embedding-001", method="asyncBatchEmbedContent")
        await bench.asking(handler).create(job, make_spool(1), 5)
        (item,) = bodies[0]["batch"]["inputConfig"]["requests"]["requests"]
        assert item["request"]["model"] == "models/gemini-embedding-001"

    async def test_a_model_name_stays_one_segment_of_the_path(self, bench: Bench) -> None:
        paths: list[bytes] = []

        def handler(request: httpx.Request) -> httpx.Response:
            paths.append(request.url.raw_path)
            return httpx.Response(200, json={"name": "batches/a"})

        job = make_job(model="../x?key=1#é", staged="files/abc")
        await bench.asking(handler).create(job, make_spool(), 5)
        assert paths == [b"/v1beta/models/..%2Fx%3Fkey%3D1%23%C3%A9:batchGenerateContent"]

    async def test_nothing_staged_is_stale_and_nothing_is_sent(self, bench: Bench) -> None:
        upstream = bench.asking(answer(200, {"name": "batches/a"}))
        with pytest.raises(UpstreamStaleError):
            await upstream.create(make_job(staged=None), make_spool(), 5)

    async def test_an_unknown_credential_is_held(self, bench: Bench) -> None:
        upstream = bench.asking(answer(200, {"name": "batches/a"}))
        with pytest.raises(UpstreamHeldError, match="'other'"):
            await upstream.create(make_job(staged="files/a", credential="other"), make_spool(), 5)

    @pytest.mark.parametrize(
        "content",
        [b"", b"<html>", b"[]", b"{}", b'{"name":3}', b'{"error":{"code":429}}', b" " * 70_000],
    )
    async def test_a_2xx_that_names_no_job_is_ambiguous(self, bench: Bench, content: bytes) -> None:
        upstream = bench.asking(lambda _: httpx.Response(200, content=content))
        with pytest.raises(UpstreamAmbiguousError):
            await upstream.create(STAGED, make_spool(), 5)

    async def test_what_is_not_known_of_an_answer_is_not_said(self, bench: Bench) -> None:
        upstream = bench.asking(lambda _: httpx.Response(200, html="<html>"))
        with pytest.raises(UpstreamAmbiguousError) as failed:
            await upstream.create(STAGED, make_spool(), 5)
        told = "Google's answer cannot be read: it is not JSON (6 bytes)."
        assert failed.value.message == told

    async def test_an_answer_that_echoes_a_large_job_is_read(self, bench: Bench) -> None:
        upstream = bench.asking(answer(200, {"echo": "x" * 2_000_000, "name": "batches/a"}))
        assert await upstream.create(STAGED, make_spool(), 5) == "batches/a"

    @pytest.mark.parametrize(
        ("name", "kind"),
        [
            ("g050", UpstreamStaleError),
            ("g051", UpstreamRefusedError),
            ("g070", UpstreamRefusedError),
            ("g073", UpstreamHeldError),
            ("g075", UpstreamUnavailableError),
            ("g076", UpstreamAmbiguousError),
        ],
    )
    async def test_recorded_refusals(self, bench: Bench, name: str, kind: type[Exception]) -> None:
        calls: list[httpx.Request] = []
        row = ROWS[name]["response"]

        def handler(request: httpx.Request) -> httpx.Response:
            calls.append(request)
            return httpx.Response(row["status"], json=row["body"])

        with pytest.raises(kind) as caught:
            await bench.asking(handler).create(STAGED, make_spool(), 5)
        assert type(caught.value) is kind
        assert len(calls) == 1, "create is never repeated inside"

    async def test_a_file_that_only_an_item_names_is_not_ours_to_stage_again(
        self, bench: Bench
    ) -> None:
        upstream = bench.asking(answer(403, ROWS["g050"]["response"]["body"]))
        named = make_spool(uri="https://generativelanguage.googleapis.com/v1beta/files/in1")
        with pytest.raises(UpstreamRefusedError, match="File in1"):
            await upstream.create(make_job(inline=True), named, 5)

    @pytest.mark.parametrize("uri", [None, "https://example.com/files/other"])
    async def test_a_file_that_no_item_names_is_a_word_of_the_accounts(
        self, bench: Bench, uri: str | None
    ) -> None:
        """A bill was due (python-genai#1218): all lines of a batch failed for it."""
        upstream = bench.asking(answer(403, ROWS["g050"]["response"]["body"]))
        with pytest.raises(UpstreamHeldError, match="File in1"):
            await upstream.create(make_job(inline=True), make_spool(uri=uri), 5)

    async def test_a_file_that_we_wrote_into_an_item_is_ours_to_stage_again(
        self, bench: Bench
    ) -> None:
        upstream = bench.asking(answer(403, ROWS["g050"]["response"]["body"]))
        with pytest.raises(UpstreamStaleError):
            await upstream.create(make_job(inline=True, files=1), make_spool(), 5)

    async def test_a_refused_connection_is_not_ambiguous(self, bench: Bench) -> None:
        server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        server.close()
        await server.wait_closed()
        with pytest.raises(UpstreamUnavailableError):
            await bench.client(f"http://127.0.0.1:{port}").create(STAGED, make_spool(), 5)

    async def test_a_connection_closed_after_the_request_is_ambiguous(self, bench: Bench) -> None:
        async def script(wire: Wire) -> None:
            await wire.read_body()

        upstream = bench.client(await bench.serving(script))
        with pytest.raises(UpstreamAmbiguousError):
            await upstream.create(STAGED, make_spool(), 5)

    async def test_an_answer_cut_short_is_ambiguous(self, bench: Bench) -> None:
        async def script(wire: Wire) -> None:
            await wire.read_body()
            await wire.answer(200, b'{"name":"batches/a"}', cut=5)

        upstream = bench.client(await bench.serving(script))
        with pytest.raises(UpstreamAmbiguousError):
            await upstream.create(STAGED, make_spool(), 5)

    async def test_no_answer_in_time_is_ambiguous(self, bench: Bench) -> None:
        async def script(wire: Wire) -> None:
            await wire.reader.read()  # for ever, or until the client goes

        upstream = bench.client(await bench.serving(script))
        with pytest.raises(UpstreamAmbiguousError):
            await upstream.create(STAGED, make_spool(), 0.2)

    async def test_a_spool_too_slow_to_read_is_not_ambiguous(self, bench: Bench) -> None:
        class Slow:
            size = 10
            sealed: str | None = None

            async def digest(self) -> str:
                raise LookupError("nothing was handed over")

            async def blocks(self) -> Any:
                await asyncio.Event().wait()
                yield b""

            async def unchecked(self, start: int = 0) -> Any:
                yield b"%d" % start

        upstream = bench.asking(answer(200, {"name": "batches/a"}))
        with pytest.raises(UpstreamUnavailableError):
            await upstream.create(make_job(inline=True), Slow(), 0.05)

    async def test_a_cancelled_create_stays_cancelled(self, bench: Bench) -> None:
        arrived = asyncio.Event()

        async def script(wire: Wire) -> None:
            arrived.set()
            await wire.reader.read()

        upstream = bench.client(await bench.serving(script))
        async with asyncio.TaskGroup() as group:
            task = group.create_task(upstream.create(STAGED, make_spool(), 60))
            await arrived.wait()
            task.cancel()
        assert task.cancelled()

    async def test_every_create_has_a_connection_of_its_own(self, bench: Bench) -> None:
        connections: list[int] = []

        async def script(wire: Wire) -> None:
            await wire.read_body()
            connections.append(wire.writer.get_extra_info("peername")[1])
            await wire.answer(200, b'{"name":"batches/a"}', connection="keep-alive")

        upstream = bench.client(await bench.serving(script))
        for _ in range(2):
            await upstream.create(STAGED, make_spool(), 5)
        assert len(set(connections)) == 2


def listing(*pages: Any) -> tuple[Handler, list[httpx.QueryParams]]:
    """Answer a listing page by page; what was asked."""
    asked: list[httpx.QueryParams] = []

    def handler(request: httpx.Request) -> httpx.Response:
        asked.append(request.url.params)
        return httpx.Response(200, json=pages[len(asked) - 1])

    return handler, asked


def listed(name: str, display_name: str, created: str = "2026-07-25T00:21:11Z") -> Any:
    """One operation of a listing, in the recorded shape."""
    metadata = {"displayName": display_name, "createTime": created, "state": "BATCH_STATE_RUNNING"}
    return {"name": f"batches/{name}", "metadata": metadata}


class TestFind:
    """A listing proves presence; absence takes more."""

    async def test_found_on_a_later_page_after_an_empty_one(self, bench: Bench) -> None:
        handler, asked = listing(
            {"operations": [listed("a", "other")], "nextPageToken": "a+b/c=&d"},
            {"operations": [], "nextPageToken": "CURSOR"},
            {"operations": [listed("b", "mine")]},
        )
        found = await bench.asking(handler).find("mine", "default", None)
        assert isinstance(found, Found)
        assert list(found.names) == ["batches/b"]
        assert [each.get("pageToken") for each in asked] == [None, "a+b/c=&d", "CURSOR"]
        assert {each["pageSize"] for each in asked} == {"100"}

    async def test_the_oldest_comes_first(self, bench: Bench) -> None:
        handler, _ = listing(
            {
                "operations": [
                    listed("undated", "mine", "?"),
                    listed("younger", "mine", "2026-07-25T00:21:11.124Z"),
                    listed("older", "mine", "2026-07-25T00:21:11.123Z"),
                ]
            }
        )
        found = await bench.asking(handler).find("mine", "default", None)
        assert isinstance(found, Found)
        assert list(found.names) == ["batches/older", "batches/younger", "batches/undated"]

    async def test_a_job_that_two_pages_show_is_one_job(self, bench: Bench) -> None:
        """A second name would be taken for a twin, and cancelled."""
        page = {"operations": [listed("a", "mine")]}
        handler, _ = listing({**page, "nextPageToken": "next"}, page)
        found = await bench.asking(handler).find("mine", "default", None)
        assert isinstance(found, Found)
        assert list(found.names) == ["batches/a"]

    @pytest.mark.parametrize("display_name", ["min", "mine2", "MINE", " mine", None])
    async def test_nothing_but_the_exact_display_name_matches(
        self, bench: Bench, display_name: Any
    ) -> None:
        handler, _ = listing({"operations": [listed("a", display_name)]})
        assert isinstance(await bench.asking(handler).find("mine", "default", None), Absent)

    async def test_absent_needs_the_known_job_to_be_shown(self, bench: Bench) -> None:
        page = {"operations": [listed("a", "other")]}
        handler, _ = listing(page, page, {})
        upstream = bench.asking(handler)
        assert isinstance(await upstream.find("mine", "default", "batches/a"), Absent)
        assert isinstance(await upstream.find("mine", "default", "batches/b"), Unknown)
        assert isinstance(await upstream.find("mine", "default", "batches/a"), Unknown)

    async def test_a_listing_that_ends_with_a_full_page_is_read_in_another_size(
        self, bench: Bench
    ) -> None:
        """It may have ended because the page was full: the next job would be the one sought."""
        jobs = [listed(str(number), "other") for number in range(100)]
        cut, asked = listing({"operations": jobs}, {"operations": jobs[:51]})
        assert isinstance(await bench.asking(cut).find("mine", "default", None), Unknown)
        assert [each["pageSize"] for each in asked] == ["100", "51"]

        honest, _ = listing(
            {"operations": jobs},
            {"operations": jobs[:51], "nextPageToken": "more"},
            {"operations": jobs[51:]},
        )
        assert isinstance(await bench.asking(honest).find("mine", "default", None), Absent)

        last = [*jobs[51:], listed("sought", "mine")]
        found, _ = listing(
            {"operations": jobs},
            {"operations": jobs[:51], "nextPageToken": "more"},
            {"operations": last},
        )
        assert isinstance(await bench.asking(found).find("mine", "default", None), Found)

    async def test_the_recorded_listing(self, bench: Bench) -> None:
        handler, _ = listing(ROWS["g011"]["response"]["body"])
        name = "kio-019f96a5-b5a5-7cb2-ba6e-8ddfccafc483"
        found = await bench.asking(handler).find(name, "default", None)
        assert isinstance(found, Found)
        assert list(found.names) == ["batches/o828in12yctmkpzraz93m0a2p6nqerf2fpre"]

    @pytest.mark.parametrize("odd", [{"unreachable": ["zone-a"]}, {"operations": "odd"}])
    async def test_a_listing_that_misses_something_proves_nothing(
        self, bench: Bench, odd: Any
    ) -> None:
        handler, _ = listing({**odd, "nextPageToken": "next"}, {"operations": []})
        assert isinstance(await bench.asking(handler).find("mine", "default", None), Unknown)

    async def test_what_an_incomplete_listing_shows_is_there(self, bench: Bench) -> None:
        handler, _ = listing({"operations": [listed("a", "mine")], "unreachable": ["zone-a"]})
        assert isinstance(await bench.asking(handler).find("mine", "default", None), Found)

    async def test_tokens_in_a_circle_are_an_error(self, bench: Bench) -> None:
        handler, asked = listing(
            {"nextPageToken": "a"}, {"nextPageToken": "b"}, {"nextPageToken": "a"}
        )
        with pytest.raises(UpstreamUnavailableError, match="does not end"):
            await bench.asking(handler).find("mine", "default", None)
        assert len(asked) == 3

    async def test_a_page_that_fails_for_good_is_an_error(self, bench: Bench) -> None:
        calls: list[httpx.Request] = []

        def handler(request: httpx.Request) -> httpx.Response:
            calls.append(request)
            if "pageToken" in request.url.params:
                return httpx.Response(503, json=ROWS["g076"]["response"]["body"])
            return httpx.Response(200, json={"operations": [], "nextPageToken": "next"})

        with pytest.raises(UpstreamUnavailableError, match="overloaded"):
            await bench.asking(handler, call_attempts=3).find("mine", "default", None)
        assert len(calls) == 4

    async def test_a_refusal_inside_a_200_is_no_empty_listing(self, bench: Bench) -> None:
        upstream = bench.asking(answer(200, ROWS["g075"]["response"]["body"]))
        with pytest.raises(UpstreamUnavailableError, match="quota"):
            await upstream.find("mine", "default", None)


class TestObserve:
    """A job's state without its results."""

    @pytest.mark.parametrize(
        ("name", "state", "ended", "output"),
        [
            ("g002", "RUNNING", False, None),
            ("g003", "SUCCEEDED", True, "inline"),
            ("g005", "SUCCEEDED", True, "files/batch-leg9wy9p5df66syjxke2eq4xfjqcwp47ejv3"),
            ("g016", "CANCELLED", True, None),
            ("g017", "SUCCEEDED", True, "inline"),
            ("g018", "FAILED", True, None),
            ("g019", "EXPIRED", True, None),
        ],
    )
    async def test_recorded(
        self, bench: Bench, name: str, state: str, ended: bool, output: str | None
    ) -> None:
        body = ROWS[name]["response"]["body"]
        seen = await bench.asking(answer(200, body)).observe(body["name"], "default")
        assert (seen.state, seen.ended, seen.output) == (state, ended, output)

    async def test_the_end_and_the_reason_of_a_recorded_job(self, bench: Bench) -> None:
        finished = await bench.asking(answer(200, ROWS["g005"]["response"]["body"])).observe(
            "batches/a", "default"
        )
        assert finished.ended_at == 1767697819736
        failed = await bench.asking(answer(200, ROWS["g018"]["response"]["body"])).observe(
            "batches/a", "default"
        )
        assert (failed.error_code, failed.error) == (
            "RESOURCE_EXHAUSTED",
            "Enqueued token quota exceeded.",
        )

    async def test_results_are_masked_out_and_inline_is_concluded(self, bench: Bench) -> None:
        masks: list[str | None] = []

        def handler(request: httpx.Request) -> httpx.Response:
            masks.append(request.url.params.get("fields"))
            body = {"metadata": {"state": "BATCH_STATE_SUCCEEDED"}, "done": True}
            return httpx.Response(200, json=body)

        seen = await bench.asking(handler).observe("batches/a", "default")
        assert seen.output == "inline"
        (mask,) = masks
        assert mask is not None
        assert "response/responsesFile" in mask
        assert "output/responsesFile" in mask
        assert "inlined" not in mask

    async def test_results_come_along_when_they_are_asked_for(self, bench: Bench) -> None:
        """One call finds the end and brings what a small inline job answered."""
        asked: list[str] = []

        def handler(request: httpx.Request) -> httpx.Response:
            asked.append(str(request.url.params))
            return httpx.Response(200, json=ROWS["g003"]["response"]["body"])

        seen = await bench.asking(handler).observe("batches/a", "default", whole=True)
        assert asked == [""]
        assert (seen.ended, seen.output) == (True, "inline")
        assert seen.raw is not None
        assert orjson.loads(seen.raw) == ROWS["g003"]["response"]["body"]

    @pytest.mark.parametrize("name", ["g005", "g016", "g018", "g019"])
    async def test_results_that_lie_elsewhere_do_not_come_along(
        self, bench: Bench, name: str
    ) -> None:
        """A file, or nothing: what is to be done is told by ``output`` alone."""
        asking = bench.asking(answer(200, ROWS[name]["response"]["body"]))
        seen = await asking.observe("batches/a", "default", whole=True)
        assert seen.ended
        assert seen.raw is None

    @pytest.mark.parametrize(
        "metadata",
        [
            {"state": "BATCH_STATE_SUCCEEDED", "inputConfig": {"fileName": "files/in"}},
            {"state": "BATCH_STATE_CANCELLED"},
            {"state": "BATCH_STATE_EXPIRED"},
        ],
    )
    async def test_where_the_mask_may_hide_output_the_whole_operation_tells(
        self, bench: Bench, metadata: Any
    ) -> None:
        def handler(request: httpx.Request) -> httpx.Response:
            whole: Any = {"inlinedResponses": {"inlinedResponses": []}}
            extra = {} if "fields" in request.url.params else {"response": whole}
            return httpx.Response(200, json={"metadata": metadata, "done": True, **extra})

        seen = await bench.asking(handler).observe("batches/a", "default")
        assert seen.output == "inline"

    async def test_an_upstream_without_masks_is_asked_plainly_from_then_on(
        self, bench: Bench
    ) -> None:
        masked: list[bool] = []

        def handler(request: httpx.Request) -> httpx.Response:
            masked.append("fields" in request.url.params)
            if masked[-1]:
                return httpx.Response(400, json=ROWS["g077"]["response"]["body"])
            return httpx.Response(200, json=ROWS["g002"]["response"]["body"])

        upstream = bench.asking(handler)
        for _ in range(2):
            assert (await upstream.observe("batches/a", "default")).state == "RUNNING"
        assert masked == [True, False, False]

    async def test_a_mask_that_hides_the_state_is_not_used_again(self, bench: Bench) -> None:
        masked: list[bool] = []

        def handler(request: httpx.Request) -> httpx.Response:
            masked.append("fields" in request.url.params)
            body = {"done": True} if masked[-1] else ROWS["g016"]["response"]["body"]
            return httpx.Response(200, json=body)

        upstream = bench.asking(handler)
        for _ in range(2):
            assert (await upstream.observe("batches/a", "default")).state == "CANCELLED"
        assert masked == [True, False, False]

    async def test_a_bad_key_is_not_taken_for_a_missing_mask(self, bench: Bench) -> None:
        bad = [True, True]

        def handler(_: httpx.Request) -> httpx.Response:
            row = ROWS["g073" if bad and bad.pop() else "g002"]["response"]
            return httpx.Response(row["status"], json=row["body"])

        upstream = bench.asking(handler)
        with pytest.raises(UpstreamHeldError):
            await upstream.observe("batches/a", "default")
        bad.clear()
        assert not (await upstream.observe("batches/a", "default")).ended
        assert upstream._observer._masked

    async def test_an_unknown_state_goes_on_and_is_said_once(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        upstream = bench.asking(answer(200, {"metadata": {"state": "BATCH_STATE_PAUSED"}}))
        with caplog.at_level(logging.WARNING):
            for _ in range(3):
                seen = await upstream.observe("batches/a", "default")
                assert (seen.state, seen.ended) == ("PAUSED", False)
        assert [record.getMessage() for record in caplog.records].count(
            "job  is in the unknown state PAUSED"
        ) == 1

    async def test_an_unknown_state_that_is_done_has_ended(self, bench: Bench) -> None:
        body = {"metadata": {"state": "BATCH_STATE_ODD"}, "done": True}
        assert (await bench.asking(answer(200, body)).observe("batches/a", "default")).ended

    async def test_a_job_the_upstream_does_not_know_is_gone(self, bench: Bench) -> None:
        calls: list[httpx.Request] = []

        def handler(request: httpx.Request) -> httpx.Response:
            calls.append(request)
            body = {"error": {"code": 404, "message": "not found", "status": "NOT_FOUND"}}
            return httpx.Response(404, json=body)

        with pytest.raises(UpstreamGoneError):
            await bench.asking(handler).observe("batches/a", "default")
        assert len(calls) == 1

    async def test_a_key_in_an_upstream_message_is_not_shown(self, bench: Bench) -> None:
        body = {
            "metadata": {"state": "BATCH_STATE_FAILED"},
            "error": {"code": 13, "message": f"called with {KEY}"},
        }
        seen = await bench.asking(answer(200, body)).observe("batches/a", "default")
        assert seen.error == "called with ***"


async def test_an_operation_too_large_to_read_has_ended(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Without ``fields`` each poll of a large inline job failed, and its results never came."""
    monkeypatch.setattr("gateway.upstream.transport.JSON_BYTES", 1000)

    def handler(request: httpx.Request) -> httpx.Response:
        if "fields" in request.url.params:
            return httpx.Response(400, json={"error": {"code": 400, "message": "no mask"}})
        return httpx.Response(200, json={"name": "batches/a", "response": {"x": "y" * 2000}})

    seen = await bench.asking(handler).observe("batches/a", "default")

    assert (seen.ended, seen.output) == (True, "inline")
