"""The whole client against the emulator, on both versions of the API."""

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.batches.job import Job
from gateway.emulator.options import EmulatorOptions
from gateway.emulator.testing import Emulator, running
from gateway.errors import (
    UpstreamAmbiguousError,
    UpstreamError,
    UpstreamGoneError,
    UpstreamHeldError,
    UpstreamRefusedError,
    UpstreamStaleError,
    UpstreamUnavailableError,
)
from gateway.ports.upstream import Absent, Found, Observation, Unknown
from gateway.upstream.gemini import GeminiUpstream
from gateway.wire.gemini_results import read_results, unfold_inline
from tests.upstream.bench import Bench, Spool, collected, make_job, make_spool

EMBED = {"model": "gemini-embedding-001", "method": "asyncBatchEmbedContent"}


@pytest.fixture(autouse=True)
def calm(emulator: Emulator) -> Iterator[None]:
    """No fault outlives its test."""
    yield
    emulator.clear_faults()


@pytest.fixture(params=["v1", "v1beta"])
async def upstream(
    request: pytest.FixtureRequest, bench: Bench, emulator: Emulator
) -> GeminiUpstream:
    """A client of each version of the API."""
    return bench.client(emulator.base_url, api_version=request.param)


@pytest.fixture
async def client(bench: Bench, emulator: Emulator) -> GeminiUpstream:
    """A client of the default version."""
    return bench.client(emulator.base_url)


def named(request: pytest.FixtureRequest, **changes: Any) -> Job:
    """A job with a display name of its own."""
    return make_job(display_name=f"gw-{request.node.name}", **changes)


async def finished(emulator: Emulator, upstream: GeminiUpstream, name: str) -> Observation:
    """The job's end."""
    emulator.finish(name)
    seen = await upstream.observe(name, "default")
    assert seen.ended
    return seen


async def results(
    upstream: GeminiUpstream, name: str, seen: Observation, tmp_path: Path
) -> dict[str | None, Any]:
    """The answers of a finished job by key."""
    assert seen.output
    raw, jsonl = tmp_path / "raw", tmp_path / "results.jsonl"
    raw.write_bytes(await collected(upstream.fetch(name, seen.output, "default")))
    if seen.output == "inline":
        unfold_inline(raw, jsonl)
    else:
        jsonl = raw
    return {result.key: result.answer for result in read_results(jsonl)}


class TestLife:
    """From the spool to the results."""

    @pytest.mark.slow
    async def test_a_file_job(
        self,
        request: pytest.FixtureRequest,
        upstream: GeminiUpstream,
        emulator: Emulator,
        tmp_path: Path,
    ) -> None:
        spool = make_spool(40, text="x" * 500_000)  # 20 MB: three chunks
        job = named(request)
        assert isinstance(await upstream.find(job.display_name, "default", None), Absent)
        staged = await upstream.stage(job, spool)
        job = replace(job, staged=staged.ref)
        name = await upstream.create(job, spool, 30)
        found = await upstream.find(job.display_name, "default", name)
        assert isinstance(found, Found)
        assert list(found.names) == [name]
        assert not (await upstream.observe(name, "default")).ended
        assert upstream._observer._masked, "the emulator takes field masks"
        seen = await finished(emulator, upstream, name)
        assert (seen.state, seen.error) == ("SUCCEEDED", None)
        assert seen.output
        assert seen.output.startswith("files/batch-")
        answers = await results(upstream, name, seen, tmp_path)
        assert set(answers) == {f"{line}.0" for line in range(1, 41)}
        assert all("response" in answer for answer in answers.values())
        job = replace(job, upstream_name=name)
        await upstream.cancel(name, "default")
        await upstream.release(job)
        await upstream.release(job)
        with pytest.raises(UpstreamGoneError):
            await upstream.observe(name, "default")
        assert isinstance(await upstream.find(job.display_name, "default", None), Absent)

    @pytest.mark.parametrize("changes", [{}, EMBED])
    async def test_an_inline_job(
        self,
        request: pytest.FixtureRequest,
        upstream: GeminiUpstream,
        emulator: Emulator,
        tmp_path: Path,
        changes: Any,
    ) -> None:
        embed = {"content": {"parts": [{"text": "hi"}]}}
        rows = [orjson.dumps({"key": f"{i}.0", "request": embed}) for i in (1, 2)]
        spool = Spool(b"\n".join(rows)) if changes else make_spool(2)
        name = await upstream.create(named(request, inline=True, **changes), spool, 30)
        seen = await finished(emulator, upstream, name)
        assert seen.output == "inline"
        answers = await results(upstream, name, seen, tmp_path)
        assert set(answers) == {"1.0", "2.0"}
        assert all("response" in answer for answer in answers.values())

    async def test_models(self, upstream: GeminiUpstream) -> None:
        models = {each.id: each.methods for each in await upstream.models("default")}
        assert "batchGenerateContent" in models["gemini-2.5-flash"]
        assert "asyncBatchEmbedContent" in models["gemini-embedding-001"]


class TestCreateFaults:
    """Definite answers make no job, ambiguous ones may have."""

    @pytest.mark.slow
    @pytest.mark.parametrize(
        ("fault", "parameters", "kind", "made"),
        [
            ("create-500-after", {}, UpstreamAmbiguousError, 1),
            ("create-500", {}, UpstreamAmbiguousError, 0),
            ("create-hang-after", {}, UpstreamAmbiguousError, 1),
            ("create-hang", {}, UpstreamAmbiguousError, 0),
            ("create-drop-after", {}, UpstreamAmbiguousError, 1),
            ("create-drop", {}, UpstreamAmbiguousError, 0),
            ("garbage-after", {}, UpstreamAmbiguousError, 1),
            ("quota", {}, UpstreamUnavailableError, 0),
            ("error", {"status": 408}, UpstreamAmbiguousError, 0),
        ],
    )
    async def test_what_the_listing_then_shows(
        self,
        *,
        request: pytest.FixtureRequest,
        client: GeminiUpstream,
        emulator: Emulator,
        fault: str,
        parameters: Any,
        kind: type[UpstreamError],
        made: int,
    ) -> None:
        job = named(request, inline=True)
        emulator.fault(fault, times=1, **parameters)
        with pytest.raises(kind) as caught:
            await client.create(job, make_spool(), 1.0)
        assert type(caught.value) is kind
        found = await client.find(job.display_name, "default", None)
        assert isinstance(found, Found if made else Absent)

    async def test_an_unknown_model_is_refused(
        self, request: pytest.FixtureRequest, client: GeminiUpstream
    ) -> None:
        with pytest.raises(UpstreamRefusedError, match="no-such-model"):
            await client.create(named(request, inline=True, model="no-such-model"), make_spool(), 5)

    async def test_an_expired_file_is_stale(
        self, request: pytest.FixtureRequest, client: GeminiUpstream
    ) -> None:
        job = named(request)
        staged = await client.stage(job, make_spool())
        await client.release(replace(job, staged=staged.ref))
        with pytest.raises(UpstreamStaleError):
            await client.create(replace(job, staged=staged.ref), make_spool(), 5)

    async def test_a_body_too_large_is_refused(
        self, request: pytest.FixtureRequest, client: GeminiUpstream
    ) -> None:
        spool = make_spool(22, text="x" * 1_000_000)
        with pytest.raises(UpstreamRefusedError, match="20971520"):
            await client.create(named(request, inline=True), spool, 30)


class TestObserveFaults:
    """States and outputs as they have been seen."""

    @pytest.mark.parametrize("place", ["response", "metadata"])
    @pytest.mark.parametrize("inline", [True, False])
    async def test_output_in_one_place_only(
        self,
        *,
        request: pytest.FixtureRequest,
        client: GeminiUpstream,
        emulator: Emulator,
        tmp_path: Path,
        place: str,
        inline: bool,
    ) -> None:
        emulator.fault("output-only", place=place)
        job, spool = named(request, inline=inline), make_spool()
        if not inline:
            job = replace(job, staged=(await client.stage(job, spool)).ref)
        name = await client.create(job, spool, 30)
        seen = await finished(emulator, client, name)
        assert set(await results(client, name, seen, tmp_path)) == {"1.0", "2.0"}

    async def test_the_other_spelling_of_states(
        self, request: pytest.FixtureRequest, client: GeminiUpstream, emulator: Emulator
    ) -> None:
        emulator.fault("state-spelling")
        name = await client.create(named(request, inline=True), make_spool(), 30)
        assert (await client.observe(name, "default")).state in {"PENDING", "RUNNING"}
        assert (await finished(emulator, client, name)).state == "SUCCEEDED"

    async def test_the_other_spelling_of_embeddings(
        self,
        request: pytest.FixtureRequest,
        client: GeminiUpstream,
        emulator: Emulator,
        tmp_path: Path,
    ) -> None:
        emulator.fault("embed-spelling")
        spool = Spool(b'{"key":"1.0","request":{"content":{"parts":[{"text":"hi"}]}}}\n')
        name = await client.create(named(request, inline=True, **EMBED), spool, 30)
        seen = await finished(emulator, client, name)
        assert set(await results(client, name, seen, tmp_path)) == {"1.0"}

    async def test_an_unknown_state(
        self, request: pytest.FixtureRequest, client: GeminiUpstream, emulator: Emulator
    ) -> None:
        emulator.fault("state-unknown", times=1)
        name = await client.create(named(request, inline=True), make_spool(), 30)
        seen = await client.observe(name, "default")
        assert not seen.ended

    @pytest.mark.parametrize(
        ("fault", "state"), [("job-fails", "FAILED"), ("job-expires", "EXPIRED")]
    )
    async def test_jobs_that_bring_nothing(
        self,
        request: pytest.FixtureRequest,
        client: GeminiUpstream,
        emulator: Emulator,
        fault: str,
        state: str,
    ) -> None:
        emulator.fault(fault, times=1)
        name = await client.create(named(request, inline=True), make_spool(), 30)
        seen = await finished(emulator, client, name)
        assert (seen.state, seen.output) == (state, None)
        assert seen.error_code

    async def test_a_finished_file_job_without_output_has_none(
        self, request: pytest.FixtureRequest, client: GeminiUpstream, emulator: Emulator
    ) -> None:
        emulator.fault("output-nowhere")
        job, spool = named(request), make_spool()
        job = replace(job, staged=(await client.stage(job, spool)).ref)
        name = await client.create(job, spool, 30)
        seen = await finished(emulator, client, name)
        assert (seen.state, seen.output) == ("SUCCEEDED", None)

    async def test_a_job_cancelled_before_it_began(
        self, request: pytest.FixtureRequest, client: GeminiUpstream, emulator: Emulator
    ) -> None:
        emulator.fault("job-stuck", times=1)
        name = await client.create(named(request, inline=True), make_spool(), 30)
        await client.cancel(name, "default")
        seen = await client.observe(name, "default")
        assert (seen.state, seen.ended, seen.output) == ("CANCELLED", True, None)


class TestFindFaults:
    """Listings that prove nothing do not claim to."""

    async def test_an_empty_listing_does_not_show_the_known_job(
        self, request: pytest.FixtureRequest, client: GeminiUpstream, emulator: Emulator
    ) -> None:
        name = await client.create(named(request, inline=True), make_spool(), 30)
        emulator.fault("list-empty", times=1)
        assert isinstance(await client.find("no such job", "default", name), Unknown)
        assert isinstance(await client.find("no such job", "default", name), Absent)

    async def test_an_empty_page_is_not_the_end(
        self, request: pytest.FixtureRequest, client: GeminiUpstream, emulator: Emulator
    ) -> None:
        job = named(request, inline=True)
        await client.create(job, make_spool(), 30)
        emulator.fault("list-empty-page", times=1)
        assert isinstance(await client.find(job.display_name, "default", None), Found)

    async def test_unreachable_places(self, client: GeminiUpstream, emulator: Emulator) -> None:
        emulator.fault("list-unreachable", times=1)
        assert isinstance(await client.find("no such job", "default", None), Unknown)


class TestTransferFaults:
    """Uploads and downloads on a bad line."""

    @pytest.mark.parametrize(
        ("fault", "parameters"),
        [
            ("upload-no-file", {}),
            ("upload-cut", {"bytes": 100_000}),
            ("upload-short", {}),
            ("upload-no-status", {}),
            ("error", {"on": "upload", "status": 503}),
            ("error", {"on": "upload-start", "status": 503}),
            ("drop", {"on": "upload"}),
            ("drop-after", {"on": "upload"}),
            ("file-fails", {}),
        ],
    )
    async def test_an_upload_recovers(
        self,
        *,
        request: pytest.FixtureRequest,
        client: GeminiUpstream,
        emulator: Emulator,
        tmp_path: Path,
        fault: str,
        parameters: Any,
    ) -> None:
        emulator.fault(fault, times=1, **parameters)
        spool = make_spool(20, text="x" * 500_000)
        job = named(request)
        job = replace(job, staged=(await client.stage(job, spool)).ref)
        assert [each["applied"] for each in emulator.faults()] == [1]
        name = await client.create(job, spool, 30)
        answers = await results(client, name, await finished(emulator, client, name), tmp_path)
        assert len(answers) == 20

    async def test_a_download_cut_twice(
        self,
        request: pytest.FixtureRequest,
        client: GeminiUpstream,
        emulator: Emulator,
        tmp_path: Path,
    ) -> None:
        spool = make_spool(500)
        job = named(request)
        job = replace(job, staged=(await client.stage(job, spool)).ref)
        name = await client.create(job, spool, 30)
        seen = await finished(emulator, client, name)
        emulator.fault("download-cut", times=2, bytes=1000)
        assert len(await results(client, name, seen, tmp_path)) == 500
        assert [each["applied"] for each in emulator.faults()] == [2]


class TestKeys:
    """A key that is not accepted holds; it fails nothing."""

    async def test_a_rejected_key(self, bench: Bench) -> None:
        with running(EmulatorOptions(api_keys=("another-key",))) as emulator:
            upstream = bench.client(emulator.base_url)
            with pytest.raises(UpstreamHeldError) as caught:
                await upstream.create(make_job(inline=True), make_spool(), 5)
            assert (caught.value.status, caught.value.code) == (400, "API_KEY_INVALID")
            with pytest.raises(UpstreamHeldError):
                await upstream.stage(make_job(), make_spool())
            with pytest.raises(UpstreamHeldError):
                await upstream.find("x", "default", None)
