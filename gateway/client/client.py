"""Calls of a running gateway's API; what goes wrong is one sentence for a person."""

import re
import ssl
from collections.abc import Callable, Mapping
from types import TracebackType, UnionType
from typing import Any, BinaryIO, Final, Self
from urllib.parse import quote

import httpx
import orjson

from gateway.addresses import check_proxies, without_userinfo
from gateway.errors import SettingsError

TIMEOUT_SECONDS: Final = 600.0  # gathering the lines of a large batch takes minutes
LOOK_SECONDS: Final = 60.0  # what is only read is there at once; a gateway that hangs is told of
CONNECT_SECONDS: Final = 10.0
_Kind = type | UnionType
# What every batch has, of OpenAI's own service too: without it a server is no gateway.
_BATCH: Final = {"id": str, "status": str, "created_at": int | float}
_JOB: Final = {"number": int, "state": str, "since": int | float}
_RERENDERED: Final = ("output_file_id", "error_file_id", "warnings_file_id")
_COUNTS: Final = {"total": 0, "completed": 0, "failed": 0}
# What a gateway says that is busy or stops, or a proxy whose gateway is away.
LATER: Final = frozenset({429, 502, 503, 504})
# OpenSSL's reasons that have a remedy.
_TLS_FAULTS: Final = {
    "WRONG_VERSION_NUMBER": "it speaks no TLS: write http:// in place of https://"
}
UNAUTHORIZED: Final = 401
_LOOK: Final = httpx.Timeout(LOOK_SECONDS, connect=CONNECT_SECONDS)


class ClientError(Exception):
    """The call did not work; the message says why."""


class NoAnswerError(ClientError):
    """No gateway answered, or one that starts or stops: it may answer later."""


class GatewayClient:
    """One gateway, by its base URL (``http://127.0.0.1:8080/v1``) and a key that it knows."""

    def __init__(
        self, base_url: str, key: str, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._base_url = base_url.strip().rstrip("/")
        if not (key and key.isascii() and key.isprintable() and key == key.strip()):
            raise ClientError(
                "The key is none that a header can carry: it needs printable ASCII characters,"
                " without a space or a line end around them (OPENAI_API_KEY)."
            )
        self._shown = without_userinfo(self._base_url)
        _check_proxies()
        self._http = httpx.Client(
            headers={"Authorization": f"Bearer {key}"},
            timeout=httpx.Timeout(TIMEOUT_SECONDS, connect=CONNECT_SECONDS),
            transport=transport,
        )

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._http.close()

    def batches(self, limit: int) -> list[dict[str, Any]]:
        """List the newest batches."""
        page = self._call("GET", f"/batches?limit={limit}")
        return [self._batch(row) for row in self._rows(page, _BATCH)]

    def batch(self, batch_id: str) -> dict[str, Any]:
        """Return a batch."""
        return self._batch(self._call("GET", f"/batches/{_escaped(batch_id)}"))

    def upload(self, name: str, content: BinaryIO) -> dict[str, Any]:
        """Upload an input file, read as it is sent."""
        uploaded = self._parse(
            lambda: self._http.post(
                f"{self._base_url}/files",
                data={"purpose": "batch"},
                files={"file": (name, content, "application/jsonl")},
            )
        )
        return self._checked(uploaded, {"id": str})

    def create(
        self, input_file_id: str, endpoint: str, metadata: Mapping[str, str]
    ) -> dict[str, Any]:
        """Create a batch of an uploaded file."""
        body: dict[str, Any] = {
            "input_file_id": input_file_id,
            "endpoint": endpoint,
            "completion_window": "24h",
        }
        made = self._call(
            "POST", "/batches", {**body, **({"metadata": metadata} if metadata else {})}
        )
        return self._batch(made)

    def cancel(self, batch_id: str) -> dict[str, Any]:
        """Ask for the end of a batch; what was answered by then is kept."""
        return self._batch(self._call("POST", f"/batches/{_escaped(batch_id)}/cancel"))

    def download(self, file_id: str, into: BinaryIO) -> None:
        """Copy a file's content as it comes. Errors: ClientError, also of one that broke off."""
        try:
            with self._http.stream("GET", f"{self._base_url}/files/{file_id}/content") as answer:
                if not answer.is_success:
                    answer.read()
                    _parsed(answer, self._shown)
                into.writelines(answer.iter_bytes())
        except httpx.HTTPError as error:
            why = _in_words(error)
            raise ClientError(f"The download of {file_id} broke off: {why}") from error

    def jobs(self, batch_id: str) -> list[dict[str, Any]]:
        """List the upstream jobs of a batch."""
        return self._rows(self._call("GET", f"/batches/{_escaped(batch_id)}/jobs"), _JOB)

    def background(self, limit: int) -> list[dict[str, Any]]:
        """List responses in the background as they are sent; nothing of a server that has none."""
        try:
            page = self._call("GET", f"/background?limit={limit}")
            return self._rows(page, {"status": str, "created_at": int, "responses": dict})
        except ClientError:
            return []

    def metrics(self) -> str:
        """Return the gateway's metrics as text, ``""`` of a server that shows none."""
        try:
            answer = self._http.get(f"{self._base_url}/metrics", timeout=_LOOK)
        except httpx.HTTPError:
            return ""
        return answer.text if answer.is_success else ""

    def retry(self, batch_id: str, *, everything: bool) -> dict[str, Any]:
        """Create a new batch of the lines that failed."""
        include = {"include": "all"} if everything else {}
        return self._batch(self._call("POST", f"/batches/{_escaped(batch_id)}/retry", include))

    def rerender(self, batch_id: str, *, stored_policy: bool) -> dict[str, Any]:
        """Have new files made; the batch lists them in ``gateway.rerendered``, the newest last."""
        policy = {"policy": "stored"} if stored_policy else {}
        told = self._call("POST", f"/batches/{_escaped(batch_id)}/rerender", policy)
        ours = self._checked(told, {"gateway": dict})["gateway"]
        rerendered = self._checked(ours, {"rerendered": list})["rerendered"]
        if not rerendered or not all(name in rerendered[-1] for name in _RERENDERED):
            raise _no_gateway(self._shown)
        return told

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        return self._parse(
            lambda: self._http.request(
                method,
                f"{self._base_url}{path}",
                content=None if body is None else orjson.dumps(body),
                headers={} if body is None else {"Content-Type": "application/json"},
                timeout=_LOOK if method == "GET" else httpx.USE_CLIENT_DEFAULT,
            )
        )

    def _batch(self, value: object) -> dict[str, Any]:
        """Check a batch, and fill in counts that a server leaves out before they are known."""
        batch = self._checked(value, _BATCH)
        return batch | {"request_counts": _COUNTS | (batch.get("request_counts") or {})}

    def _rows(self, page: Mapping[str, Any], members: Mapping[str, _Kind]) -> list[dict[str, Any]]:
        """Return the rows of a list that have these members. Errors: ClientError."""
        rows = self._checked(page, {"data": list})["data"]
        return [self._checked(row, members) for row in rows]

    def _checked(self, value: object, members: Mapping[str, _Kind]) -> dict[str, Any]:
        """Return an object that has members of these types. Errors: ClientError."""
        if isinstance(value, dict) and all(
            isinstance(value.get(name), kind) for name, kind in members.items()
        ):
            return value
        raise _no_gateway(self._shown)

    def _parse(self, send: Callable[[], httpx.Response]) -> dict[str, Any]:
        try:
            answer = send()
        except httpx.InvalidURL as error:
            # Its text has what it took for the port, or more: a part of a password maybe.
            raise ClientError(
                f"{self._shown} is no URL: set OPENAI_BASE_URL to a gateway's address, such as"
                " http://127.0.0.1:8080/v1, with a password percent-encoded."
            ) from error
        except httpx.HTTPError as error:
            raise NoAnswerError(
                f"No gateway answers at {self._shown} ({_in_words(error)}): start one, or set"
                " OPENAI_BASE_URL to its address."
            ) from error
        return _parsed(answer, self._shown)


def _escaped(batch_id: str) -> str:
    """Write an id, which may be anything that was typed, as one part of a path.

    Errors: ClientError for an empty one, such as of a variable that is not set: its path would be
    that of all batches.
    """
    if not batch_id:
        raise ClientError("The batch's id is empty.")
    return quote(batch_id, safe="", errors="surrogateescape")


def _parsed(answer: httpx.Response, base_url: str) -> dict[str, Any]:
    if answer.status_code in LATER:
        raise NoAnswerError(
            _said(answer)
            or f"{base_url} answers HTTP {answer.status_code}, as when it starts: try again later."
        )
    try:
        value = orjson.loads(answer.content)
        if answer.is_success and isinstance(value, dict):
            return value
        said = str(value["error"]["message"])
    except (ValueError, TypeError, KeyError) as error:
        raise _no_gateway(base_url, answer.status_code) from error
    if answer.status_code == UNAUTHORIZED:
        said += " Set OPENAI_API_KEY to a key that the gateway knows."
    raise ClientError(said)


def _no_gateway(base_url: str, status: int = 200) -> ClientError:
    return ClientError(
        f"What answers at {base_url} is no gateway (HTTP {status}): set OPENAI_BASE_URL to a"
        " gateway's address, which ends in /v1."
    )


def _said(answer: httpx.Response) -> str:
    """Read the sentence of an error; "" where it has none."""
    try:
        return str(orjson.loads(answer.content)["error"]["message"])
    except (ValueError, TypeError, KeyError):
        return ""


def server_date(url: str) -> str | None:
    """Return the ``Date`` that a server answers with. Errors: ClientError without an answer."""
    _check_proxies()
    try:
        date: str | None = httpx.get(url, timeout=CONNECT_SECONDS).headers.get("date")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ClientError(f"{url} does not answer ({_in_words(error)})") from error
    return date


def _check_proxies() -> None:
    """Refuse a proxy that cannot be used. Errors: ClientError."""
    try:
        check_proxies()
    except SettingsError as error:
        raise ClientError(str(error)) from error


def _in_words(error: Exception) -> str:
    """Return what keeps a server from answering, without the system's number for it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return f"its certificate is not trusted: {cause.verify_message}"
        if isinstance(cause, ssl.SSLError):
            return _TLS_FAULTS.get(cause.reason, f"TLS failed: {cause.reason}")
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return re.sub(r"\[Errno -?\d+\] ", "", str(error)).rstrip(".") or type(error).__name__
