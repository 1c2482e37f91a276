"""Results arrive whole, or not at all."""

from collections.abc import Awaitable, Callable

import httpx
import pytest

from gateway.errors import (
    UpstreamError,
    UpstreamGoneError,
    UpstreamHeldError,
    UpstreamUnavailableError,
)
from tests.upstream.bench import KEY, Bench, Wire, collected, make_job

CONTENT = b"".join(b'{"key":"%d.0","response":{}}\n' % line for line in range(20_000))
FILE = "files/batch-31u18uq6dr4ods3957z38i1mbfa581k01xcq"
GONE = {
    "error": {
        "code": 403,
        "message": "You do not have permission to access the File x or it may not exist.",
        "status": "PERMISSION_DENIED",
    }
}

Answer = Callable[[Wire], Awaitable[None]]


def whole(cut: int | None = None, content: bytes = CONTENT) -> Answer:
    """The whole file, or its first bytes and then the end of the connection."""

    async def answer(wire: Wire) -> None:
        await wire.answer(200, content, cut)

    return answer


def part(cut: int | None = None, shift: int = 0, total: str = str(len(CONTENT))) -> Answer:
    """What the Range header asks for."""

    async def answer(wire: Wire) -> None:
        start = int(wire.head.headers["range"].removeprefix("bytes=").removesuffix("-")) + shift
        where = f"bytes {start}-{len(CONTENT) - 1}/{total}"
        await wire.answer(206, CONTENT[start:], cut, content_range=where)

    return answer


async def nothing(_: Wire) -> None:
    """Close the connection."""


class Story:
    """Answers in order; what was asked."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.asked: list[Wire] = []

    async def __call__(self, wire: Wire) -> None:
        """Tell the next part."""
        self.asked.append(wire)
        await self.answers.pop(0)(wire)

    @property
    def ranges(self) -> list[str | None]:
        """The Range header of every request."""
        return [wire.head.headers.get("range") for wire in self.asked]


async def fetched(bench: Bench, story: Story, **options: float) -> bytes:
    """Fetch the file from a server that tells the story."""
    upstream = bench.client(await bench.serving(story), **options)
    return await collected(upstream.fetch("batches/a", FILE, "default"))


class TestFile:
    """A results file."""

    async def test_it_is_asked_for_where_it_is(self, bench: Bench) -> None:
        story = Story(whole())
        assert await fetched(bench, story) == CONTENT
        (wire,) = story.asked
        assert wire.head.target == f"/download/v1beta/{FILE}:download?alt=media"
        assert wire.head.headers["x-goog-api-key"] == KEY
        assert wire.head.headers["accept-encoding"] == "identity"

    async def test_cut_twice_and_resumed(self, bench: Bench) -> None:
        story = Story(whole(cut=100_000), part(cut=50_000), part())
        assert await fetched(bench, story) == CONTENT
        assert story.ranges == [None, "bytes=100000-", "bytes=150000-"]

    async def test_cut_twice_without_ranges(self, bench: Bench) -> None:
        story = Story(whole(cut=100_000), whole(cut=250_000), whole())
        assert await fetched(bench, story) == CONTENT

    async def test_cut_again_before_new_bytes_came(self, bench: Bench) -> None:
        story = Story(whole(cut=250_000), whole(cut=100_000), whole())
        assert await fetched(bench, story) == CONTENT

    async def test_a_connection_that_never_answers_anything(self, bench: Bench) -> None:
        story = Story(nothing, nothing, whole())
        assert await fetched(bench, story) == CONTENT

    async def test_a_stall_counts_as_a_cut(self, bench: Bench) -> None:
        async def stall(wire: Wire) -> None:
            await wire.answer(200, CONTENT, 1000)
            await wire.reader.read()

        # On a busy machine an answer that comes at once may count as a stall too.
        story = Story(stall, *[part() for _ in range(9)])
        assert await fetched(bench, story, stall_seconds=0.2) == CONTENT
        assert story.ranges[:2] == [None, "bytes=1000-"]

    async def test_a_500_in_between(self, bench: Bench) -> None:
        async def busy(wire: Wire) -> None:
            await wire.answer(503)

        assert await fetched(bench, Story(busy, whole(cut=9), busy, part())) == CONTENT

    async def test_cut_for_ever_is_an_error(self, bench: Bench) -> None:
        story = Story(whole(cut=100_000), *[nothing] * 9)
        with pytest.raises(UpstreamUnavailableError):
            await fetched(bench, story, download_attempts=3)
        # Where a connection ends without an answer, the transport asks once more by itself.
        assert len(story.asked) == 1 + 2 * 2

    async def test_progress_renews_the_patience(self, bench: Bench) -> None:
        cuts = [part(cut=10_000) for _ in range(10)]
        assert await fetched(bench, Story(whole(cut=9), *cuts, part()), download_attempts=2)

    async def test_an_answer_shorter_than_it_said_is_cut(self, bench: Bench) -> None:
        """Also where the transport does not notice."""
        answers = [
            httpx.Response(200, headers={"content-length": "10"}, stream=httpx.ByteStream(b"12345"))
            for _ in range(9)
        ]
        upstream = bench.asking(lambda _: answers.pop(0))
        with pytest.raises(UpstreamUnavailableError, match="cut short"):
            await collected(upstream.fetch("batches/a", FILE, "default"))

    async def test_an_unframed_answer_could_be_cut_unnoticed(self, bench: Bench) -> None:
        async def unframed(wire: Wire) -> None:
            wire.writer.write(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\n" + CONTENT)

        with pytest.raises(UpstreamUnavailableError, match="how long"):
            await fetched(bench, Story(*[unframed] * 9))

    async def test_a_chunked_answer_is_whole_or_cut(self, bench: Bench) -> None:
        head = b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n7\r\n{"key":\r\n'

        async def cut(wire: Wire) -> None:
            wire.writer.write(head)

        async def entire(wire: Wire) -> None:
            wire.writer.write(head + b"2\r\n1}\r\n0\r\n\r\n")

        assert await fetched(bench, Story(cut, entire)) == b'{"key":1}'

    async def test_an_encoding_nobody_asked_for_is_refused(self, bench: Bench) -> None:
        async def zipped(wire: Wire) -> None:
            await wire.answer(200, b"zip", content_encoding="gzip")

        with pytest.raises(UpstreamUnavailableError, match="encodes"):
            await fetched(bench, Story(*[zipped] * 9))

    @pytest.mark.parametrize("output", [FILE, "inline"])
    @pytest.mark.parametrize(
        "body",
        [b"<html>busy</html>", b"{}", b"[]", b"garbage\n", b"null", b'{"error":{"code":403}}'],
    )
    async def test_what_is_no_result_file_is_asked_for_again(
        self, bench: Bench, body: bytes, output: str
    ) -> None:
        """One wrong answer under 200 must not become the results of a paid job."""
        upstream = bench.client(await bench.serving(Story(whole(content=body))))
        with pytest.raises(UpstreamUnavailableError, match="is no results"):
            await collected(upstream.fetch("batches/a", output, "default"))

    async def test_a_page_is_no_result_file(self, bench: Bench) -> None:
        async def page(wire: Wire) -> None:
            await wire.answer(200, CONTENT, content_type="text/html; charset=utf-8")

        with pytest.raises(UpstreamUnavailableError, match="a page"):
            await fetched(bench, Story(*[page] * 9))

    async def test_a_drip_gives_its_slot_back(self, bench: Bench) -> None:
        """Four of them kept the results of every other job from being secured."""

        async def drip(wire: Wire) -> None:
            wire.writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 9999\r\n\r\n")
            for byte in CONTENT[:400]:
                wire.writer.write(bytes([byte]))
                await wire.writer.drain()
                await bench.clock.sleep(1)

        upstream = bench.client(await bench.serving(Story(drip, whole())))
        with pytest.raises(UpstreamUnavailableError, match="bytes in"):
            await collected(upstream.fetch("batches/a", FILE, "default"))

    async def test_an_empty_file_is_empty(self, bench: Bench) -> None:
        assert await fetched(bench, Story(whole(content=b""))) == b""

    @pytest.mark.parametrize(
        "second",
        [
            pytest.param(whole(content=b"x" + CONTENT[1:]), id="other bytes"),
            pytest.param(whole(content=CONTENT[:-1]), id="shorter"),
            pytest.param(whole(content=CONTENT + b"x"), id="longer"),
            pytest.param(part(total="7"), id="another total"),
        ],
    )
    async def test_another_content_after_a_cut_is_never_spliced(
        self, bench: Bench, second: Answer
    ) -> None:
        story = Story(whole(cut=100_000), second)
        with pytest.raises(UpstreamUnavailableError, match="changed"):
            await fetched(bench, story)

    async def test_another_content_without_lengths_is_never_spliced(self, bench: Bench) -> None:
        def chunked(*blocks: bytes, end: bool) -> Answer:
            async def answer(wire: Wire) -> None:
                wire.writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
                for block in blocks:
                    wire.writer.write(b"%x\r\n%b\r\n" % (len(block), block))
                wire.writer.write(b"0\r\n\r\n" if end else b"")

            return answer

        story = Story(chunked(b"12345", end=False), chunked(b"123", end=True))
        with pytest.raises(UpstreamUnavailableError, match="shorter"):
            await fetched(bench, story)

    async def test_a_part_from_elsewhere_is_read_from_the_start_instead(self, bench: Bench) -> None:
        story = Story(whole(cut=100_000), part(shift=-1), whole())
        assert await fetched(bench, story) == CONTENT
        assert story.ranges == [None, "bytes=100000-", None]

    async def test_a_part_of_the_part_is_not_the_end(self, bench: Bench) -> None:
        async def little(wire: Wire) -> None:
            where = f"bytes 100000-100009/{len(CONTENT)}"
            await wire.answer(206, CONTENT[100_000:100_010], content_range=where)

        assert await fetched(bench, Story(whole(cut=100_000), little, part())) == CONTENT

    async def test_a_range_nobody_understands_is_read_from_the_start(self, bench: Bench) -> None:
        async def refuse(wire: Wire) -> None:
            await wire.answer(416)

        story = Story(whole(cut=100_000), refuse, whole())
        assert await fetched(bench, story) == CONTENT
        assert story.ranges == [None, "bytes=100000-", None]

    async def test_reading_may_be_broken_off(self, bench: Bench) -> None:
        upstream = bench.client(await bench.serving(Story(whole(), whole())))
        async for _ in upstream.fetch("batches/a", FILE, "default"):
            break
        assert await collected(upstream.fetch("batches/a", FILE, "default")) == CONTENT

    @pytest.mark.parametrize(
        ("status", "body", "kind"),
        [
            (403, GONE, UpstreamGoneError),
            (404, {"error": {"code": 404, "message": "m"}}, UpstreamGoneError),
            (404, {}, UpstreamHeldError),
            (401, {}, UpstreamHeldError),
            (400, {"error": {"code": 400, "message": "m"}}, UpstreamUnavailableError),
            (429, {}, UpstreamUnavailableError),
        ],
    )
    async def test_refusals_are_told_once(
        self, bench: Bench, status: int, body: object, kind: type[UpstreamError]
    ) -> None:
        asked: list[httpx.Request] = []

        def handler(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            return httpx.Response(status, json=body)

        with pytest.raises(kind) as caught:
            await collected(bench.asking(handler).fetch("batches/a", FILE, "default"))
        assert (type(caught.value), caught.value.status, len(asked)) == (kind, status, 1)


class TestRedirect:
    """The 302 that echoes the caller's key."""

    async def test_it_is_followed_once_on_the_same_host(self, bench: Bench) -> None:
        targets: list[str] = []

        def handler(request: httpx.Request) -> httpx.Response:
            targets.append(str(request.url))
            if len(targets) == 1:
                return httpx.Response(302, headers={"location": "/elsewhere?alt=media"})
            headers = {"content-length": "9"}
            return httpx.Response(200, headers=headers, stream=httpx.ByteStream(b'{"key":1}'))

        upstream = bench.asking(handler)
        assert await collected(upstream.fetch("batches/a", FILE, "default")) == b'{"key":1}'
        assert targets[1] == "https://gemini.test/elsewhere?alt=media"

    @pytest.mark.parametrize(
        "location",
        [
            "https://evil.test/x",
            "http://gemini.test/x",
            "//evil.test/x",
            "https://gemini.test@evil.test/x",
            "https://gemini.test:444/x",
            "https://[odd",
        ],
    )
    async def test_nothing_is_sent_to_another_host(self, bench: Bench, location: str) -> None:
        asked: list[httpx.Request] = []

        def handler(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            return httpx.Response(302, headers={"location": location})

        with pytest.raises(UpstreamUnavailableError):
            await collected(bench.asking(handler).fetch("batches/a", FILE, "default"))
        assert {request.url.host for request in asked} == {"gemini.test"}

    @pytest.mark.parametrize("headers", [{}, {"location": "/again"}])
    async def test_circles_and_redirects_to_nowhere_are_no_results(
        self, bench: Bench, headers: dict[str, str]
    ) -> None:
        asked: list[httpx.Request] = []

        def handler(request: httpx.Request) -> httpx.Response:
            asked.append(request)
            return httpx.Response(302, headers=headers, json={"error": {"code": 302}})

        with pytest.raises(UpstreamUnavailableError, match="nowhere"):
            await collected(bench.asking(handler).fetch("batches/a", FILE, "default"))
        assert len(asked) <= 2

    async def test_an_echoed_key_is_in_no_message_and_no_log(
        self, bench: Bench, caplog: pytest.LogCaptureFixture
    ) -> None:
        async def leak(wire: Wire) -> None:
            await wire.answer(302, b"{}", x_goog_api_key=KEY, location="https://evil.test/x")

        caplog.set_level("DEBUG")
        with pytest.raises(UpstreamUnavailableError) as caught:
            await fetched(bench, Story(leak))
        assert KEY not in str(caught.value)
        assert KEY not in caplog.text
        assert "http://127.0.0.1" not in caplog.text


class TestInline:
    """The operation of a finished inline job."""

    async def test_it_is_fetched_whole(self, bench: Bench) -> None:
        story = Story(whole(content=b'{"name":"batches/a"}'))
        upstream = bench.client(await bench.serving(story), api_version="v1")
        raw = await collected(upstream.fetch("batches/a", "inline", "default"))
        assert raw == b'{"name":"batches/a"}'
        assert story.asked[0].head.target == "/v1/batches/a"

    async def test_it_is_never_spliced_from_two_answers(self, bench: Bench) -> None:
        """Member order is another one every time (recorded)."""
        story = Story(whole(cut=1000), whole())
        upstream = bench.client(await bench.serving(story))
        with pytest.raises(UpstreamUnavailableError):
            await collected(upstream.fetch("batches/a", "inline", "default"))
        assert len(story.asked) == 1

    async def test_before_the_first_byte_it_may_be_asked_again(self, bench: Bench) -> None:
        story = Story(nothing, whole(cut=0), whole(content=b'{"a":1}'))
        upstream = bench.client(await bench.serving(story))
        assert await collected(upstream.fetch("batches/a", "inline", "default")) == b'{"a":1}'

    @pytest.mark.slow
    async def test_its_length_is_bounded_by_the_disk_alone(self, bench: Bench) -> None:
        """A limit of ours once lost 454 MB of paid answers."""
        content = b'{"name":"' + bytes(257 << 20)
        upstream = bench.client(await bench.serving(Story(whole(content=content))))
        sizes = [len(block) async for block in upstream.fetch("batches/a", "inline", "default")]
        assert sum(sizes) == len(content)


class TestMemory:
    """Blocks are passed on as they come."""

    async def test_no_block_is_large(self, bench: Bench) -> None:
        content = CONTENT * 35
        upstream = bench.client(await bench.serving(Story(whole(content=content))))
        sizes = [len(b) async for b in upstream.fetch("batches/a", FILE, make_job().credential)]
        assert sum(sizes) == len(content)
        assert max(sizes) <= 1 << 20
