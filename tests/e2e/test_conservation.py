"""Never lose a line: a thousand lines under whatever the upstream does to results."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from gateway.emulator.testing import Emulator
from tests.e2e.harness import (
    GatewayProcess,
    assert_conserved,
    chat_line,
    content_of,
    embedding_line,
    finished,
    read_lines,
    serving,
    submit,
)

LINES = 1000
ALPHABETS = (
    "plain",
    "žluťoučký kůň",
    "漢字かな",
    "🙂👩\u200d👩\u200d👧",
    "\u2028\u2029\u0085",
    'quo"te\\',
    "عربى",
)


def text_of(number: int) -> str:
    """Unicode of all kinds; every fifth text is a duplicate of another's."""
    return f"{ALPHABETS[number % 7]} {number - number % 5 if number % 5 == 1 else number}"


IDS = [f"id {number} {ALPHABETS[number % 7]}" for number in range(LINES)]
TEXTS = dict(zip(IDS, map(text_of, range(LINES)), strict=True))


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, gemini: Emulator) -> Iterator[GatewayProcess]:
    """A gateway that cuts a thousand lines into several jobs, some inline."""
    settings = {"GATEWAY_ITEMS_PER_JOB": "450"}
    with serving(tmp_path_factory.mktemp("gateway"), gemini.base_url, **settings) as process:
        yield process


@pytest.fixture(autouse=True)
def _no_faults_left(gemini: Emulator) -> Iterator[None]:
    yield
    gemini.clear_faults()


FAULTS: Mapping[str, list[tuple[str, dict[str, Any]]]] = {
    "nothing": [],
    "shuffled, partly failing": [
        ("results-shuffled", {}),
        ("results-fail", {"share": 0.2, "code": 13}),
    ],
    "doubled": [("results-doubled", {})],
    "doubled and shuffled and failing": [
        ("results-shuffled", {}),
        ("results-doubled", {"share": 0.5}),
        ("results-fail", {"share": 0.2, "code": 8, "message": ""}),
    ],
    "dropped": [("results-dropped", {"share": 0.1})],
    "without their keys": [("results-keyless", {"share": 0.1})],
    "neither response nor error": [("results-blank", {"share": 0.1})],
    "without candidates": [("results-empty", {"share": 0.1})],
    "output in response only": [("output-only", {"place": "response"})],
    "output in metadata only": [("output-only", {"place": "metadata"})],
    "429 twice": [("quota", {"times": 2})],
    "429 on everything, now and then": [("error", {"on": "any", "status": 429, "times": 6})],
    "the download cut twice": [("download-cut", {"bytes": 5000, "times": 2})],
    "an upload answer without a file": [("upload-no-file", {"times": 1})],
    "an upload cut": [("upload-cut", {"bytes": 3000, "times": 2})],
    "the other spelling of states": [("state-spelling", {})],
    "a state nobody knows": [("state-unknown", {"times": 3})],
}

# Faults after which a few lines may have no answer, though each was sent three times; every other
# fault must cost nothing.
LOSSY = {"fail", "dropped", "keyless", "blank", "empty"}


@pytest.mark.parametrize("name", FAULTS)
def test_every_custom_id_once_with_its_own_answer(
    gateway: GatewayProcess, gemini: Emulator, name: str
) -> None:
    """Each id once over both files, each with its own answer, the output in input order."""
    for fault, parameters in FAULTS[name]:
        gemini.fault(fault, **parameters)
    client = gateway.client(max_retries=2)

    batch = finished(client, submit(client, (chat_line(i, TEXTS[i]) for i in IDS)))

    output = read_lines(client, batch.output_file_id)
    errors = read_lines(client, batch.error_file_id)
    assert batch.status == "completed"
    assert_conserved(IDS, output, errors)
    answered = {row["custom_id"] for row in output}
    assert [row["custom_id"] for row in output] == [i for i in IDS if i in answered]
    for row in output:
        assert content_of(row) == f"Echo: {TEXTS[row['custom_id']]}"
    lossy = any(word in fault for fault, _ in FAULTS[name] for word in LOSSY)
    assert lossy or not errors
    assert len(output) > LINES * 0.95
    for row in errors:
        assert row["response"]["status_code"] >= 400
        assert row["response"]["body"]["error"]["message"]
    assert batch.request_counts is not None
    counts = batch.request_counts
    assert (counts.total, counts.completed, counts.failed) == (LINES, len(output), len(errors))


def test_dropped_results_say_so(gateway: GatewayProcess, gemini: Emulator) -> None:
    """The code of a line whose result never came."""
    gemini.fault("results-dropped", keys="1")
    client = gateway.client()

    batch = finished(client, submit(client, [chat_line("a", "x"), chat_line("b", "x")]))

    [row] = read_lines(client, batch.error_file_id)
    assert row["response"]["body"]["error"]["code"] == "result_missing"


@pytest.mark.parametrize("inline", [True, False])
def test_fanned_out_lines_are_joined_whatever_the_order(
    tmp_path: Path, gemini: Emulator, inline: bool
) -> None:
    """Embedding arrays, shuffled and doubled; a line that lacks one item is one error line."""
    settings = {} if inline else {"GATEWAY_INLINE_MAX_EMBEDDINGS": "0"}
    gemini.fault("results-shuffled")
    gemini.fault("results-doubled", share=0.5)
    gemini.fault("results-dropped", keys="3.1")
    with serving(tmp_path, gemini.base_url, **settings) as gateway:
        client = gateway.client()
        lines = [embedding_line(f"e{n}", [f"a{n}", f"b{n}", "same"]) for n in range(6)]

        batch = finished(client, submit(client, lines, "/v1/embeddings"))

        output = read_lines(client, batch.output_file_id)
        errors = read_lines(client, batch.error_file_id)
        assert [row["custom_id"] for row in output] == ["e0", "e1", "e3", "e4", "e5"]
        assert [row["custom_id"] for row in errors] == ["e2"]
        vectors = [[d["embedding"] for d in row["response"]["body"]["data"]] for row in output]
        assert all(len(three) == 3 for three in vectors)
        assert len({str(three[2]) for three in vectors}) == 1
        assert len({str(vector) for three in vectors for vector in three[:2]}) == 10


def test_output_lines_are_lines_for_every_reader(gateway: GatewayProcess) -> None:
    """U+2028, U+2029 and U+0085 are escaped: splitlines and the SDK's iter_lines agree."""
    client = gateway.client()
    ids = ["a\u2028", "b\u2029", "c\u0085"]
    batch = finished(client, submit(client, (chat_line(i, f"say \u2028 {i}") for i in ids)))
    assert batch.output_file_id is not None

    with client.files.with_streaming_response.content(batch.output_file_id) as response:
        streamed = list(response.iter_lines())

    assert len(streamed) == len(client.files.content(batch.output_file_id).text.splitlines()) == 3
