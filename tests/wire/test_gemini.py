"""The words of the Gemini API, judged by recorded traffic where there is some."""

from pathlib import Path
from typing import Any

import orjson
import pytest

from gateway.wire.gemini import (
    INLINE,
    TERMINAL_STATES,
    UNSPECIFIED,
    ErrorInfo,
    parse_error,
    parse_error_body,
    parse_file,
    parse_int,
    parse_model,
    parse_operation,
    parse_page,
    parse_state,
    parse_time,
)

SAMPLES = Path(__file__).parents[1] / "data" / "gemini-samples.jsonl"


def samples(*kinds: str) -> list[Any]:
    """The recorded samples of those kinds, as pytest parameters."""
    rows = map(orjson.loads, SAMPLES.read_bytes().splitlines())
    return [pytest.param(row, id=row["id"]) for row in rows if row["kind"] in kinds]


def sample(name: str) -> Any:
    """The body a recorded sample answered."""
    rows = map(orjson.loads, SAMPLES.read_bytes().splitlines())
    return next(row["response"]["body"] for row in rows if row["id"] == name)


class TestScalars:
    """States, times, numbers."""

    @pytest.mark.parametrize(
        ("word", "state"),
        [
            ("BATCH_STATE_PENDING", "PENDING"),
            ("BATCH_STATE_SUCCEEDED", "SUCCEEDED"),
            ("JOB_STATE_SUCCEEDED", "SUCCEEDED"),
            ("JOB_STATE_PARTIALLY_SUCCEEDED", "PARTIALLY_SUCCEEDED"),
            ("BATCH_STATE_UNSPECIFIED", UNSPECIFIED),
            ("succeeded", "SUCCEEDED"),
            ("BATCH_STATE_FROM_THE_FUTURE", "FROM_THE_FUTURE"),
            ("", UNSPECIFIED),
            (None, UNSPECIFIED),
            (3, UNSPECIFIED),
        ],
    )
    def test_a_state_is_read_by_its_suffix(self, word: object, state: str) -> None:
        assert parse_state(word) == state

    def test_an_unknown_state_is_not_terminal(self) -> None:
        assert parse_state("BATCH_STATE_FROM_THE_FUTURE") not in TERMINAL_STATES

    @pytest.mark.parametrize(
        ("text", "milliseconds"),
        [
            ("2026-08-19T14:34:12.267870162Z", 1787150052267),
            ("2026-08-19T14:34:22.044992Z", 1787150062044),
            ("2026-08-19T14:34:22Z", 1787150062000),
            ("2026-08-19T14:34:22.5Z", 1787150062500),
            ("2026-08-19T14:34:22+00:00", 1787150062000),
            ("1969-12-31T23:59:59.250Z", -750),
            ("2026-02-30T00:00:00Z", None),
            ("2026-08-19", None),
            ("\u0662\u0660\u0662\u0666-08-19T14:34:22Z", None),
            (1787150052, None),
            (None, None),
        ],
    )
    def test_times_have_up_to_nine_digits(self, text: object, milliseconds: int | None) -> None:
        assert parse_time(text) == milliseconds

    @pytest.mark.parametrize(
        ("value", "number"),
        [("18810", 18810), (18810, 18810), ("-1", -1), (True, None), ("1e3", None), ("", None)],
    )
    def test_an_int64_is_a_string_or_a_number(self, value: object, number: int | None) -> None:
        assert parse_int(value) == number


class TestErrors:
    """Error envelopes and statuses."""

    def test_the_recorded_bad_key_is_a_400_with_a_reason(self) -> None:
        assert parse_error(sample("g073")) == ErrorInfo(
            status="INVALID_ARGUMENT",
            message="API key not valid. Please pass a valid API key.",
            reason="API_KEY_INVALID",
        )

    def test_the_recorded_429_says_when_to_come_back(self) -> None:
        info = parse_error(sample("g074"))
        assert info is not None
        assert (info.status, info.retry_delay) == ("RESOURCE_EXHAUSTED", 48.0)

    def test_the_429_of_a_batch_create_says_nothing(self) -> None:
        info = parse_error(sample("g075"))
        assert info is not None
        assert (info.reason, info.retry_delay) == (None, None)

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            ([{"error": {"code": 5, "message": "m"}}], ErrorInfo("NOT_FOUND", "m")),
            ({"code": 13, "message": "m"}, ErrorInfo("INTERNAL", "m")),
            ({"code": 1}, ErrorInfo("CANCELLED")),
            ({"error": {"code": 503, "message": "m"}}, ErrorInfo(None, "m")),
            ({"status": "UNAVAILABLE"}, ErrorInfo("UNAVAILABLE")),
            ({"error": {"message": "m", "details": ["odd", None]}}, ErrorInfo(None, "m")),
            ({"error": "text"}, None),
            ({"error": {}}, None),
            ([], None),
            ("text", None),
            (None, None),
        ],
    )
    def test_every_form(self, value: object, expected: ErrorInfo | None) -> None:
        assert parse_error(value) == expected

    @pytest.mark.parametrize("delay", ["soon", "1m", "-3s", "", None, 48, "1.s"])
    def test_an_odd_retry_delay_is_none(self, delay: object) -> None:
        info = parse_error({"code": 8, "details": [{"retryDelay": delay}]})
        assert info == ErrorInfo("RESOURCE_EXHAUSTED")

    @pytest.mark.parametrize("body", [b"", b"<html>", b'{"error":{"code":4', b"\xff", b"[" * 5000])
    def test_a_body_that_is_no_error_is_none(self, body: bytes) -> None:
        assert parse_error_body(body) is None


class TestOperations:
    """Batch jobs."""

    @pytest.mark.parametrize(
        ("name", "state", "ended", "output"),
        [
            ("g001", "PENDING", False, None),
            ("g002", "RUNNING", False, None),
            ("g003", "SUCCEEDED", True, INLINE),
            ("g004", "PENDING", False, None),
            ("g005", "SUCCEEDED", True, "files/batch-leg9wy9p5df66syjxke2eq4xfjqcwp47ejv3"),
            ("g006", "SUCCEEDED", True, "files/batch-3a96ht58d9rd3fci7tg3qlrhlfawe5ykp6ge"),
            ("g010", "SUCCEEDED", True, INLINE),
            ("g016", "CANCELLED", True, None),
            ("g017", "SUCCEEDED", True, INLINE),
            ("g018", "FAILED", True, None),
            ("g019", "EXPIRED", True, None),
        ],
    )
    def test_recorded(self, name: str, state: str, ended: bool, output: str | None) -> None:
        operation = parse_operation(sample(name))
        assert (operation.state, operation.ended, operation.output) == (state, ended, output)

    @pytest.mark.parametrize(
        "row",
        samples(
            "batch.create.inline",
            "batch.create.file",
            "batch.get.running",
            "batch.get.succeeded.file",
            "batch.get.succeeded.inline",
            "batch.get.succeeded.embed.inline",
        ),
    )
    def test_every_recorded_operation_has_a_name_and_times(self, row: Any) -> None:
        body = row["response"]["body"]
        operation = parse_operation(body)
        assert operation.name == body["name"]
        assert operation.display_name == body["metadata"]["displayName"]
        assert operation.created_at
        assert operation.created_at > 1_700_000_000_000
        assert bool(operation.ended_at) == bool(body.get("done"))

    def test_the_input_file_is_that_of_a_file_job(self) -> None:
        assert parse_operation(sample("g004")).input_file == "files/frh6ua11nk3o"
        assert parse_operation(sample("g001")).input_file is None

    def test_the_error_of_a_failed_job(self) -> None:
        error = parse_operation(sample("g018")).error
        assert error == ErrorInfo("RESOURCE_EXHAUSTED", "Enqueued token quota exceeded.")

    @pytest.mark.parametrize("place", ["response", "metadata"])
    @pytest.mark.parametrize(
        ("output", "expected"),
        [
            ({"responsesFile": "files/x"}, "files/x"),
            ({"inlinedResponses": {"inlinedResponses": []}}, INLINE),
            ({"inlinedEmbedContentResponses": {"inlinedResponses": [{}]}}, INLINE),
            ({"inlinedResponses": {}}, None),
            ({"responsesFile": 3}, None),
            ({}, None),
            ("odd", None),
        ],
    )
    def test_output_is_found_in_either_place(
        self, place: str, output: object, expected: str | None
    ) -> None:
        batch: dict[str, Any] = {"state": "BATCH_STATE_SUCCEEDED"}
        body: dict[str, Any] = {"name": "batches/a", "metadata": batch, "done": True}
        (body if place == "response" else batch)[
            "response" if place == "response" else "output"
        ] = output
        assert parse_operation(body).output == expected

    def test_a_bare_batch_resource_is_read_too(self) -> None:
        batch = {"name": "batches/a", "state": "BATCH_STATE_SUCCEEDED", "displayName": "d"}
        operation = parse_operation({**batch, "output": {"responsesFile": "files/x"}})
        assert operation.display_name == "d"
        assert (operation.name, operation.ended, operation.output) == ("batches/a", True, "files/x")

    def test_done_without_a_state_has_ended(self) -> None:
        assert parse_operation({"name": "batches/a", "done": True}).ended

    def test_a_terminal_state_without_done_has_ended(self) -> None:
        assert parse_operation({"metadata": {"state": "BATCH_STATE_EXPIRED"}}).ended

    @pytest.mark.parametrize("done", ["true", 1, None])
    def test_done_is_nothing_but_true(self, done: object) -> None:
        body = {"metadata": {"state": "BATCH_STATE_RUNNING"}, "done": done}
        assert not parse_operation(body).ended

    @pytest.mark.parametrize(
        "body",
        [{}, {"metadata": 3}, {"name": 1, "metadata": {"state": [], "output": 1}, "error": "e"}],
    )
    def test_nonsense_is_an_operation_that_says_nothing(self, body: Any) -> None:
        operation = parse_operation(body)
        assert (operation.name, operation.state, operation.error) == ("", UNSPECIFIED, None)
        assert not operation.ended


class TestPages:
    """Listings."""

    def test_recorded(self) -> None:
        page = parse_page(sample("g011"), "operations")
        assert [item["name"] for item in page.items] == [
            "batches/o828in12yctmkpzraz93m0a2p6nqerf2fpre"
        ]
        assert (page.token, page.complete) == (None, True)

    def test_an_empty_page_may_have_a_token(self) -> None:
        page = parse_page(sample("g012"), "operations")
        assert (page.items, page.token, page.complete) == ([], "CURSOR", True)

    def test_no_member_is_an_empty_listing(self) -> None:
        page = parse_page({}, "operations")
        assert (page.items, page.token, page.complete) == ([], None, True)

    @pytest.mark.parametrize("body", [{"unreachable": ["zone-a"]}, {"operations": {"odd": 1}}])
    def test_a_listing_that_misses_something_is_not_complete(self, body: Any) -> None:
        assert not parse_page(body, "operations").complete


class TestFiles:
    """Files."""

    def test_recorded(self) -> None:
        file = parse_file(sample("g043")["file"])
        assert file is not None
        assert (file.name, file.state, file.size) == ("files/mwp1gi5it47f", "ACTIVE", 18810)
        assert file.sha256 == "229defbb0cee6f02673a5cde290d0673e75a0dc31cec43989c8ab2a4eca7e1bb"
        assert (file.created_at, file.expires_at) == (1787150062044, 1787322861475)
        assert file.uri == "https://generativelanguage.googleapis.com/v1beta/files/mwp1gi5it47f"

    @pytest.mark.parametrize("hash_", ["", "???", "AAAA", "w6k=", None, 3])
    def test_an_odd_hash_is_none(self, hash_: object) -> None:
        file = parse_file({"name": "files/a", "sha256Hash": hash_})
        assert file is not None
        assert file.sha256 is None

    def test_no_name_is_no_file(self) -> None:
        assert parse_file({"state": "ACTIVE"}) is None


class TestModels:
    """Models and their methods."""

    def test_recorded_models(self) -> None:
        models = {
            each.id: each.methods for each in map(parse_model, sample("g195")["models"]) if each
        }
        assert "batchGenerateContent" in models["gemini-2.5-flash"]

    @pytest.mark.parametrize("methods", [None, "generateContent", [3]])
    def test_odd_methods_are_none_at_all(self, methods: object) -> None:
        model = parse_model({"name": "models/x", "supportedGenerationMethods": methods})
        assert model is not None
        assert (model.id, model.methods) == ("x", frozenset())

    def test_a_model_without_a_name_is_none(self) -> None:
        assert parse_model({"displayName": "x"}) is None
