"""Which error an answer is, for every kind of call."""

import ssl
from pathlib import Path
from time import process_time
from typing import Any

import httpx
import orjson
import pytest

from gateway import errors
from gateway.errors import UpstreamError
from gateway.runner.context import describe
from gateway.upstream.errors import STORE_FULL, Call, Scrubber, as_upstream_errors, error_of
from tests.upstream.bench import KEY

Ambiguous = errors.UpstreamAmbiguousError
Gone = errors.UpstreamGoneError
Held = errors.UpstreamHeldError
Refused = errors.UpstreamRefusedError
Stale = errors.UpstreamStaleError
Unavailable = errors.UpstreamUnavailableError

SAMPLES = Path(__file__).parents[1] / "data" / "gemini-samples.jsonl"
ROWS = {row["id"]: row for row in map(orjson.loads, SAMPLES.read_bytes().splitlines())}
SCRUB = Scrubber([KEY])


def envelope(status: str, message: str = "m", reason: str | None = None) -> bytes:
    """An error body without a code, which is never read where there is a status."""
    details = [{"reason": reason}] if reason else []
    return orjson.dumps({"error": {"status": status, "message": message, "details": details}})


def kinds(status: int, body: bytes) -> tuple[type[UpstreamError], ...]:
    """The class of error for create, stage and everything else."""
    calls = (Call.CREATE, Call.STAGE, Call.OTHER)
    return tuple(type(error_of(call, status, body, SCRUB)) for call in calls)


class TestErrors:
    """Answers and transport failures."""

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("g050", Refused),  # the file is gone
            ("g070", Refused),  # no such model
            ("g073", Held),  # the key is not valid
            ("g074", Unavailable),  # 429 with a delay
            ("g076", Unavailable),  # 503
            ("g079", Refused),
        ],
    )
    def test_recorded_answers_to_a_single_call(
        self, name: str, expected: type[UpstreamError]
    ) -> None:
        """A client waits: what is about its request is told at once."""
        row = ROWS[name]
        body = orjson.dumps(row["response"]["body"])
        error = error_of(Call.ASK, row["response"]["status"], body, SCRUB)
        assert type(error) is expected

    @pytest.mark.parametrize(
        ("name", "expected"),
        [
            ("g049", (Refused, Refused, Unavailable)),  # the id of a results file is too long
            ("g050", (Stale, Unavailable, Gone)),  # the file is gone
            ("g051", (Refused, Refused, Unavailable)),  # payload too large
            ("g070", (Refused, Held, Gone)),  # no such model
            ("g071", (Refused, Held, Gone)),
            ("g073", (Held, Held, Held)),  # the key is not valid
            ("g074", (Unavailable, Unavailable, Unavailable)),  # 429 with a delay
            ("g075", (Unavailable, Unavailable, Unavailable)),  # 429 without
            ("g076", (Ambiguous, Unavailable, Unavailable)),  # 503
            ("g077", (Refused, Refused, Unavailable)),  # unknown field
            ("g079", (Refused, Refused, Unavailable)),
            ("g219", (Held, Held, Held)),  # the API is disabled
        ],
    )
    def test_recorded_answers(self, name: str, expected: tuple[type[UpstreamError], ...]) -> None:
        response: Any = ROWS[name]["response"]
        body = orjson.dumps(response["body"])
        assert kinds(response["status"], body) == expected
        error = error_of(Call.CREATE, response["status"], body, SCRUB)
        assert error.status == response["status"]
        assert error.message[:20] == response["body"]["error"]["message"].strip()[:20]

    @pytest.mark.parametrize(
        ("status", "body", "expected"),
        [
            (500, b"", (Ambiguous, Unavailable, Unavailable)),
            (502, b"<html>", (Ambiguous, Unavailable, Unavailable)),
            (504, envelope("DEADLINE_EXCEEDED"), (Ambiguous, Unavailable, Unavailable)),
            (408, b"", (Ambiguous, Unavailable, Unavailable)),
            (409, envelope("ABORTED"), (Ambiguous, Unavailable, Unavailable)),
            (499, envelope("CANCELLED"), (Ambiguous, Unavailable, Unavailable)),
            (302, b"", (Ambiguous, Unavailable, Unavailable)),
            (304, b"", (Ambiguous, Unavailable, Unavailable)),
            (429, b"", (Unavailable, Unavailable, Unavailable)),
            (401, envelope("UNAUTHENTICATED"), (Held, Held, Held)),
            (403, b"<html>", (Held, Held, Held)),
            (407, b"", (Held, Held, Held)),
            (404, b"<html>", (Held, Held, Held)),
            (413, b"<html>", (Refused, Refused, Unavailable)),
            (400, envelope("INVALID_ARGUMENT"), (Refused, Refused, Unavailable)),
            (
                400,
                envelope("FAILED_PRECONDITION", "User location is not supported for the API use."),
                (Held, Held, Held),
            ),
            (
                400,
                envelope("FAILED_PRECONDITION", "The job has finished."),
                (Held, Held, Unavailable),
            ),
            (
                400,
                envelope("INVALID_ARGUMENT", "API key expired. Please renew the API key."),
                (Held, Held, Held),
            ),
            (
                400,
                envelope("INVALID_ARGUMENT", "Unknown name \"billing\" at 'batch'"),
                (Refused, Refused, Unavailable),
            ),
            (
                403,
                envelope(
                    "PERMISSION_DENIED", "This API method requires billing", "BILLING_DISABLED"
                ),
                (Held, Held, Held),
            ),
            (
                400,
                envelope(
                    "FAILED_PRECONDITION",
                    "The File 4d21d8wxg1pe is not in an ACTIVE state and usage is not allowed.",
                ),
                (Stale, Unavailable, Gone),
            ),
            (404, envelope("NOT_FOUND", "File abc not found."), (Stale, Unavailable, Gone)),
        ],
    )
    def test_every_class(
        self, status: int, body: bytes, expected: tuple[type[UpstreamError], ...]
    ) -> None:
        assert kinds(status, body) == expected

    def test_a_429_hands_on_the_upstreams_hint(self) -> None:
        row: Any = ROWS["g074"]["response"]
        error = error_of(Call.CREATE, 429, orjson.dumps(row["body"]), SCRUB)
        assert isinstance(error, Unavailable)
        assert (error.status, error.code, error.retry_after) == (429, "RESOURCE_EXHAUSTED", 48.0)

    def test_a_429_without_a_hint_has_none(self) -> None:
        row: Any = ROWS["g075"]["response"]
        error = error_of(Call.CREATE, 429, orjson.dumps(row["body"]), SCRUB)
        assert isinstance(error, Unavailable)
        assert error.retry_after is None

    def test_a_full_file_store_is_named(self) -> None:
        """What helps is to delete files, not to wait for ever (python-genai#1172)."""
        violations = [{"quotaMetric": "m"}, "odd", {"quotaId": "FileStorageBytesPerProject"}]
        details = [{"violations": violations}, {"violations": 1}]
        body = orjson.dumps({"error": {"code": 429, "message": "m", "details": details}})
        error = error_of(Call.STAGE, 429, body, SCRUB)
        assert describe(error) == f"{STORE_FULL}: the upstream answered 429"

    def test_one_that_cannot_be_read_is_described_by_what_is_known(self) -> None:
        """The status alone, 200, told nothing of why it is tried again."""
        told = "Google's answer cannot be read: it is empty (status 200, text/html, 0 bytes)."
        error = errors.UpstreamUnreadableError(told, status=200)
        assert describe(error) == told
        error.add_note("the job is looked at again")
        assert describe(error) == f"the job is looked at again: {told}"

    def test_a_hint_of_three_hundred_billion_years_is_not_believed(self) -> None:
        """A full file store answers so: python-genai#1172."""
        details = [{"retryDelay": "9223372036854775807s"}]
        body = orjson.dumps({"error": {"code": 429, "message": "m", "details": details}})
        error = error_of(Call.STAGE, 429, body, SCRUB)
        assert isinstance(error, Unavailable)
        assert error.retry_after == 3600

    def test_the_reason_is_the_code_and_keys_do_not_show(self) -> None:
        body = envelope("INVALID_ARGUMENT", f"API key {KEY} not valid", "API_KEY_INVALID")
        error = error_of(Call.OTHER, 400, body, SCRUB)
        assert (error.code, error.message) == ("API_KEY_INVALID", "API key *** not valid")

    def test_an_answer_without_a_reason_names_its_status(self) -> None:
        error = error_of(Call.OTHER, 502, b"<html>", SCRUB)
        assert (error.message, error.code) == ("The upstream answered 502 without a reason.", None)

    @pytest.mark.parametrize(
        ("exc", "sent"),
        [
            (httpx.ConnectError("refused"), False),
            (httpx.ConnectTimeout(""), False),
            (httpx.PoolTimeout(""), False),
            (httpx.ProxyError("407"), False),
            (httpx.UnsupportedProtocol(""), False),
            (httpx.InvalidURL("odd"), False),
            (httpx.WriteError("reset"), True),
            (httpx.ReadError(""), True),
            (httpx.ReadTimeout(""), True),
            (httpx.WriteTimeout(""), True),
            (httpx.RemoteProtocolError("gone"), True),
            (httpx.LocalProtocolError("short"), True),
            (httpx.DecodingError(""), True),
            (httpx.StreamError("odd"), True),
            (ssl.SSLError("bad record mac"), True),
            (ConnectionResetError(), True),
            (TimeoutError(), True),
        ],
    )
    def test_transport_failures_are_ambiguous_once_a_create_may_have_left(
        self, exc: Exception, sent: bool
    ) -> None:
        with pytest.raises(UpstreamError) as created, as_upstream_errors(Call.CREATE, SCRUB):
            raise exc
        assert type(created.value) is (Ambiguous if sent else Unavailable)
        assert created.value.__cause__ is exc
        assert type(exc).__name__ in created.value.message
        with pytest.raises(UpstreamError) as other, as_upstream_errors(Call.OTHER, SCRUB):
            raise exc
        assert type(other.value) is Unavailable

    def test_every_exception_httpx_has_for_a_transfer_is_mapped(self) -> None:
        """A new one in httpx must be placed before it can escape."""
        names = [name for name in httpx.__all__ if isinstance(getattr(httpx, name), type)]
        raised = [
            getattr(httpx, name) for name in names if issubclass(getattr(httpx, name), Exception)
        ]
        programming = {httpx.CookieConflict, httpx.InvalidURL}
        for kind in set(raised) - programming:
            assert issubclass(kind, (httpx.HTTPError, httpx.StreamError)), kind

    def test_anything_else_passes_through(self) -> None:
        with pytest.raises(FileNotFoundError), as_upstream_errors(Call.CREATE, SCRUB):
            raise FileNotFoundError("the spool is gone")


@pytest.mark.parametrize(
    ("message", "item"),
    [
        (
            "* BatchGenerateContentRequest.batch.input_config.requests.requests[2].request: bad.",
            2,
        ),
        ("* a.requests[0].x: bad.\n* a.requests[0].y: worse.", 0),
        ("* a.requests[0].x: bad.\n* a.requests[1].x: bad.", None),
        ("Request contains an invalid argument.", None),
    ],
)
def test_a_refusal_names_its_request(message: str, item: int | None) -> None:
    """One, or none (python-genai#1103, js-genai#846)."""
    error = error_of(Call.CREATE, 400, envelope("INVALID_ARGUMENT", message), Scrubber([]))
    assert isinstance(error, Refused)
    assert error.item == item


@pytest.mark.parametrize(
    "text", ["file ", "the file may ", "key= ", "bearer ", "AIza", "requests[1] "]
)
@pytest.mark.parametrize("call", list(Call))
def test_the_cost_of_a_message_grows_no_faster_than_it(call: Call, text: str) -> None:
    """A message of 64 KB once held the event loop for 18 s."""
    body = orjson.dumps({"error": {"code": 400, "message": text * (64 * 1024 // len(text))}})
    started = process_time()
    error_of(call, 400, body, Scrubber(["secret-key"]))
    assert process_time() - started < 0.5
