"""Cancel, release, models, and the rules of every call."""

import logging
import ssl
from pathlib import Path
from typing import Any

import httpx
import orjson
import pytest

from gateway.errors import (
    UpstreamError,
    UpstreamHeldError,
    UpstreamUnavailableError,
    UpstreamUnreadableError,
)
from gateway.ports.single import SingleUpstream
from gateway.ports.upstream import Upstream
from tests.upstream.bench import KEY, Bench, Wire, make_job, make_spool

LISTED = {"models": [{"name": "models/one", "supportedGenerationMethods": ["x"]}]}

SAMPLES = Path(__file__).parents[1] / "data" / "gemini-samples.jsonl"
ROWS = {row["id"]: row for row in map(orjson.loads, SAMPLES.read_bytes().splitlines())}
# Self-signed for 127.0.0.1, for a hundred years; its key guards nothing.
CERTIFICATE = Path(__file__).with_name("loopback.pem")
NOT_FOUND = {"error": {"code": 404, "message": "not found", "status": "NOT_FOUND"}}
FINISHED = {"error": {"code": 400, "message": "It has finished.", "status": "FAILED_PRECONDITION"}}
JOB = make_job(staged="files/abc", upstream_name="batches/xyz")


class Book:
    """Answers by method and path; remembers what was asked."""

    def __init__(self, **answers: tuple[int, Any]) -> None:
        self.answers = {name.replace("_", " ", 1): answer for name, answer in answers.items()}
        self.asked: list[str] = []

    def __call__(self, request: httpx.Request) -> httpx.Response:
        """Answer with 200 and nothing unless told otherwise."""
        kind = request.url.path.split("/")[2]
        self.asked.append(f"{request.method} {request.url.path}")
        status, body = self.answers.get(f"{request.method} {kind}", (200, {}))
        return httpx.Response(status, json=body)


def test_it_is_an_upstream(bench: Bench) -> None:
    """Both ports are met, and nothing else is public; mypy judges the signatures."""
    upstream = bench.asking(Book())
    takers: tuple[Upstream, SingleUpstream] = (upstream, upstream)
    names = {name for name in dir(takers[0]) if not name.startswith("_")}
    ports = {*vars(Upstream), *vars(SingleUpstream)}
    assert names == {name for name in ports if not name.startswith("_")}


class TestCancel:
    """A job that has ended or is gone is fine."""

    @pytest.mark.parametrize("answer", [(200, {}), (404, NOT_FOUND), (400, FINISHED)])
    async def test_done(self, bench: Bench, answer: tuple[int, Any]) -> None:
        book = Book(POST_batches=answer)
        await bench.asking(book).cancel("batches/xyz", "default")
        assert book.asked == ["POST /v1beta/batches/xyz:cancel"]

    @pytest.mark.parametrize(
        ("answer", "kind"),
        [
            ((503, {}), UpstreamUnavailableError),
            ((429, {}), UpstreamUnavailableError),
            ((400, ROWS["g073"]["response"]["body"]), UpstreamHeldError),
        ],
    )
    async def test_not_done(
        self, bench: Bench, answer: tuple[int, Any], kind: type[UpstreamError]
    ) -> None:
        with pytest.raises(kind):
            await bench.asking(Book(POST_batches=answer)).cancel("batches/xyz", "default")


class TestRelease:
    """The staged file and the job go; results files cannot."""

    async def test_both_are_deleted(self, bench: Bench) -> None:
        book = Book()
        await bench.asking(book).release(JOB)
        assert book.asked == ["DELETE /v1beta/files/abc", "DELETE /v1beta/batches/xyz"]

    async def test_what_never_was_is_not_deleted(self, bench: Bench) -> None:
        book = Book()
        await bench.asking(book).release(make_job())
        assert book.asked == []

    @pytest.mark.parametrize(
        ("file", "job"),
        [
            ((403, ROWS["g050"]["response"]["body"]), (404, NOT_FOUND)),
            ((404, NOT_FOUND), (501, {"error": {"code": 501, "status": "UNIMPLEMENTED"}})),
        ],
    )
    async def test_what_is_gone_is_fine(self, bench: Bench, file: Any, job: Any) -> None:
        book = Book(DELETE_files=file, DELETE_batches=job)
        await bench.asking(book).release(JOB)
        assert len(book.asked) == 2

    @pytest.mark.parametrize("answer", [(503, {}), (401, {}), (400, FINISHED)])
    async def test_a_failure_does_not_keep_the_other_from_going(
        self, bench: Bench, answer: Any
    ) -> None:
        book = Book(DELETE_files=answer)
        with pytest.raises(UpstreamError):
            await bench.asking(book).release(JOB)
        assert book.asked[-1] == "DELETE /v1beta/batches/xyz"


class TestModels:
    """What the upstream offers."""

    async def test_all_pages(self, bench: Bench) -> None:
        asked: list[dict[str, str]] = []
        pages = [
            {**ROWS["g195"]["response"]["body"], "nextPageToken": "next"},
            {"models": [{"name": "models/last", "supportedGenerationMethods": ["x"]}, {}]},
        ]

        def handler(request: httpx.Request) -> httpx.Response:
            asked.append(dict(request.url.params))
            return httpx.Response(200, json=pages[len(asked) - 1])

        models = {each.id: each.methods for each in await bench.asking(handler).models("default")}
        assert "batchGenerateContent" in models["gemini-2.5-flash"]
        assert models["last"] == {"x"}
        assert asked == [{"pageSize": "1000"}, {"pageSize": "1000", "pageToken": "next"}]

    @pytest.mark.parametrize(
        ("answer", "words"),
        [
            (httpx.Response(200), "it is empty (status 200, no content type, 0 bytes)"),
            (
                httpx.Response(203, html="<p>secret</p>"),
                "it is not JSON (status 203, text/html, 13 bytes)",
            ),
            (
                httpx.Response(200, json=["secret"]),
                "it is no JSON object (status 200, application/json, 10 bytes)",
            ),
            (httpx.Response(200, json={"models": 7}), "its list names no model"),
        ],
        ids=["empty", "page", "array", "no list"],
    )
    async def test_what_cannot_be_read(
        self, bench: Bench, answer: httpx.Response, words: str
    ) -> None:
        with pytest.raises(UpstreamUnreadableError) as failed:
            await bench.asking(lambda _: answer).models("default")
        assert failed.value.message == f"Google's answer cannot be read: {words}."

    async def test_one_that_is_cut_is_asked_for_again(self, bench: Bench) -> None:
        asked: list[int] = []

        async def cut(wire: Wire) -> None:
            asked.append(1)
            kind = b"Content-Type: application/json"
            wire.writer.write(b"HTTP/1.1 200 OK\r\n%b\r\nContent-Length: 100\r\n\r\n{}" % kind)
            await wire.writer.drain()

        upstream = bench.client(await bench.serving(cut), call_attempts=3)
        with pytest.raises(UpstreamUnreadableError) as failed:
            await upstream.models("default")
        told = "it broke off after 2 of 100 bytes (status 200, application/json)"
        assert failed.value.message == f"Google's answer cannot be read: {told}."
        assert len(asked) == 3

    async def test_no_model_of_that_name(self, bench: Bench) -> None:
        with pytest.raises(UpstreamUnreadableError, match="it is no model"):
            await bench.asking(lambda _: httpx.Response(200, json={})).model("m", "default")


class TestEveryCall:
    """Keys, retries, limits."""

    async def test_the_key_is_a_header_and_nowhere_else(self, bench: Bench) -> None:
        asked: list[httpx.Request] = []

        def handler(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            return httpx.Response(200, json=LISTED)

        await bench.asking(handler).models("default")
        assert asked[0].headers["x-goog-api-key"] == KEY
        assert KEY not in str(asked[0].url)

    async def test_a_base_url_may_have_a_path(self, bench: Bench) -> None:
        asked: list[str] = []

        def handler(request: httpx.Request) -> httpx.Response:
            asked.append(str(request.url))
            return httpx.Response(200, json=LISTED)

        await bench.asking(handler, base_url="https://proxy.test/gemini/").models("default")
        assert asked == ["https://proxy.test/gemini/v1beta/models?pageSize=1000"]

    @pytest.mark.parametrize("failure", [500, 502, 503, 504, "reset"])
    async def test_a_get_is_repeated_quickly_a_few_times(
        self, bench: Bench, failure: int | str
    ) -> None:
        calls: list[int] = []

        def handler(_: httpx.Request) -> httpx.Response:
            calls.append(1)
            if len(calls) == 3:
                return httpx.Response(200, json=LISTED)
            if isinstance(failure, int):
                return httpx.Response(failure)
            raise httpx.ReadError(failure)

        assert await bench.asking(handler, call_attempts=3).models("default")
        assert len(bench.clock.slept) == 2
        assert max(bench.clock.slept) <= 8.0

    @pytest.mark.parametrize("status", [429, 400, 404, 401])
    async def test_what_will_not_pass_by_itself_is_not_repeated(
        self, bench: Bench, status: int
    ) -> None:
        calls: list[int] = []

        def handler(_: httpx.Request) -> httpx.Response:
            calls.append(1)
            return httpx.Response(status)

        with pytest.raises(UpstreamError):
            await bench.asking(handler).models("default")
        assert (len(calls), bench.clock.slept) == (1, [])

    async def test_an_answer_that_drips_is_ended(self, bench: Bench) -> None:
        async def drip(wire: Wire) -> None:
            wire.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")
            await wire.reader.read()

        upstream = bench.client(await bench.serving(drip), call_seconds=0.2, call_attempts=1)
        with pytest.raises(UpstreamUnavailableError, match="TimeoutError"):
            await upstream.observe("batches/a", "default")

    async def test_an_endless_answer_is_refused(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setattr("gateway.upstream.transport.JSON_BYTES", 1000)
        upstream = bench.asking(
            lambda _: httpx.Response(200, content=b" " * 1001 + orjson.dumps(LISTED))
        )
        with pytest.raises(UpstreamUnavailableError, match="exceeds 1000 bytes"):
            await upstream.models("default")

    @pytest.mark.parametrize("content", [b"", b"<html>", b"[]", b"\xff", b"[" * 10_000])
    async def test_garbage_is_unavailable(self, bench: Bench, content: bytes) -> None:
        upstream = bench.asking(lambda _: httpx.Response(200, content=content))
        with pytest.raises(UpstreamUnavailableError):
            await upstream.models("default")

    async def test_a_huge_error_page_is_cut(self, bench: Bench) -> None:
        upstream = bench.asking(lambda _: httpx.Response(502, content=b"x" * (1 << 20)))
        with pytest.raises(UpstreamUnavailableError, match="502"):
            await upstream.models("default")

    async def test_cookies_are_not_kept(self, bench: Bench) -> None:
        asked: list[httpx.Request] = []

        def handler(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            return httpx.Response(200, json=LISTED, headers={"set-cookie": "a=b; Path=/"})

        upstream = bench.asking(handler)
        await upstream.models("default")
        await upstream.models("default")
        assert "cookie" not in asked[1].headers

    async def test_a_proxy_is_not_used_for_a_loopback_upstream(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        async def script(wire: Wire) -> None:
            await wire.answer(200, orjson.dumps(LISTED))

        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:9")
        monkeypatch.setenv("NO_PROXY", "")
        assert await bench.client(await bench.serving(script)).models("default")

    @pytest.mark.parametrize("trusted", [True, False])
    async def test_a_proxy_of_the_environment_is_used_if_asked_for(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch, trusted: bool
    ) -> None:
        async def proxy(wire: Wire) -> None:
            assert wire.head.target.startswith("http://gemini.invalid/")
            await wire.answer(200, b'{"models":[{"name":"models/through-the-proxy"}]}')

        monkeypatch.setenv("HTTP_PROXY", await bench.serving(proxy))
        monkeypatch.setenv("NO_PROXY", "")
        upstream = bench.client("http://gemini.invalid", trust_env=trusted, call_attempts=1)
        if trusted:
            assert [each.id for each in await upstream.models("default")] == ["through-the-proxy"]
        else:
            with pytest.raises(UpstreamUnavailableError):
                await upstream.models("default")

    @pytest.mark.parametrize("trusted", [True, False])
    async def test_a_certificate_nobody_vouches_for_gets_no_key(
        self, bench: Bench, monkeypatch: pytest.MonkeyPatch, trusted: bool
    ) -> None:
        asked: list[str] = []

        async def script(wire: Wire) -> None:
            asked.append(wire.head.target)
            await wire.answer(200, b'{"name":"batches/a"}')

        tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        tls.load_cert_chain(CERTIFICATE)
        url = await bench.serving(script, tls)
        if trusted:
            monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
            assert await bench.client(url).create(JOB, make_spool(), 5) == "batches/a"
        else:
            monkeypatch.delenv("SSL_CERT_FILE")
            with pytest.raises(UpstreamUnavailableError, match="certificate"):
                await bench.client(url).create(JOB, make_spool(), 5)
            assert asked == []

    async def test_urls_and_headers_are_in_no_log(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def script(wire: Wire) -> None:
            await wire.answer(200, orjson.dumps(LISTED), x_goog_api_key=KEY)

        caplog.set_level(logging.DEBUG)
        await bench.client(await bench.serving(script)).models("default")
        assert [r for r in caplog.records if r.name.startswith("http")] == []


def test_a_key_is_known_by_a_digest(bench: Bench) -> None:
    """The same for the same key and gateway, another for any other; never the key."""
    upstream = bench.asking(lambda _: httpx.Response(500))
    first = upstream.identity("default", "gw1")

    assert first == upstream.identity("default", "gw1")
    assert first != upstream.identity("default", "gw2")
    assert first != upstream.identity("other", "gw1")
    assert len(first) == 16


@pytest.mark.parametrize("body", [{}, {"models": []}, {"models": [{}]}])
async def test_a_list_without_a_model_is_no_list(bench: Bench, body: dict[str, Any]) -> None:
    """One such answer failed every batch of the next ten minutes."""
    upstream = bench.asking(lambda _: httpx.Response(200, json=body))
    with pytest.raises(UpstreamUnavailableError, match="names no model"):
        await upstream.models("default")


async def test_one_model_is_asked_for_by_its_name(bench: Bench) -> None:
    """None when there is none of that name."""

    def handler(request: httpx.Request) -> httpx.Response:
        if request.url.path == "/v1beta/models/one":
            return httpx.Response(200, json=LISTED["models"][0])
        gone = {"error": {"code": 404, "message": "no such model", "status": "NOT_FOUND"}}
        return httpx.Response(404, json=gone)

    upstream = bench.asking(handler)
    found = await upstream.model("one", "default")

    assert found is not None
    assert (found.id, found.methods) == ("one", frozenset({"x"}))
    assert await upstream.model("two", "default") is None
