"""Calls of a running gateway's API; what goes wrong is one sentence for a person."""

import re
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, BinaryIO, Final, Self
from urllib.parse import quote

import httpx
import orjson

TIMEOUT_SECONDS: Final = 600.0  # gathering the lines of a large batch takes minutes
CONNECT_SECONDS: Final = 10.0
# What a gateway says that is busy or stops, or a proxy whose gateway is away.
LATER: Final = frozenset({429, 502, 503, 504})


class ClientError(Exception):
    """The call did not work; the message says why."""


class NoAnswerError(ClientError):
    """No gateway answered, or one that starts or stops: it may answer later."""


class GatewayClient:
    """One gateway, by its base URL (``http://127.0.0.1:8080/v1``) and a key that it knows."""

    def __init__(
        self, base_url: str, key: str, transport: httpx.BaseTransport | None = None
    ) -> None:
        self._base_url = base_url.rstrip("/")
        if not (key and key.isascii() and key.isprintable() and key == key.strip()):
            raise ClientError(
                "The key is none that a header can carry: it needs printable ASCII characters,"
                " without a space or a line end around them (OPENAI_API_KEY)."
            )
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
        page: list[dict[str, Any]] = self._call("GET", f"/batches?limit={limit}")["data"]
        return page

    def batch(self, batch_id: str) -> dict[str, Any]:
        """Return a batch."""
        return self._call("GET", f"/batches/{_escaped(batch_id)}")

    def upload(self, name: str, content: BinaryIO) -> dict[str, Any]:
        """Upload an input file, read as it is sent."""
        return self._parse(
            lambda: self._http.post(
                f"{self._base_url}/files",
                data={"purpose": "batch"},
                files={"file": (name, content, "application/jsonl")},
            )
        )

    def create(
        self, input_file_id: str, endpoint: str, metadata: Mapping[str, str]
    ) -> dict[str, Any]:
        """Create a batch of an uploaded file."""
        body: dict[str, Any] = {
            "input_file_id": input_file_id,
            "endpoint": endpoint,
            "completion_window": "24h",
        }
        return self._call(
            "POST", "/batches", {**body, **({"metadata": metadata} if metadata else {})}
        )

    def cancel(self, batch_id: str) -> dict[str, Any]:
        """Ask for the end of a batch; what was answered by then is kept."""
        return self._call("POST", f"/batches/{_escaped(batch_id)}/cancel")

    def download(self, file_id: str, into: BinaryIO) -> None:
        """Copy a file's content as it comes. Errors: ClientError, also of one that broke off."""
        try:
            with self._http.stream("GET", f"{self._base_url}/files/{file_id}/content") as answer:
                if not answer.is_success:
                    answer.read()
                    _parsed(answer, self._base_url)
                into.writelines(answer.iter_bytes())
        except httpx.HTTPError as error:
            why = str(error) or type(error).__name__
            raise ClientError(f"The download of {file_id} broke off: {why}") from error

    def jobs(self, batch_id: str) -> list[dict[str, Any]]:
        """List the upstream jobs of a batch."""
        page = self._call("GET", f"/batches/{_escaped(batch_id)}/jobs")
        jobs: list[dict[str, Any]] = page["data"]
        return jobs

    def background(self, limit: int) -> list[dict[str, Any]]:
        """List responses in the background as they are sent; nothing of a server that has none."""
        try:
            answer = self._http.get(f"{self._base_url}/background", params={"limit": limit})
            data = orjson.loads(answer.content)["data"] if answer.is_success else []
        except (httpx.HTTPError, ValueError, TypeError, KeyError):
            return []
        return data if isinstance(data, list) else []

    def metrics(self) -> str:
        """Return the gateway's metrics as text, ``""`` of a server that shows none."""
        try:
            answer = self._http.get(f"{self._base_url}/metrics")
        except httpx.HTTPError:
            return ""
        return answer.text if answer.is_success else ""

    def retry(self, batch_id: str, *, everything: bool) -> dict[str, Any]:
        """Create a new batch of the lines that failed."""
        include = {"include": "all"} if everything else {}
        return self._call("POST", f"/batches/{_escaped(batch_id)}/retry", include)

    def rerender(self, batch_id: str, *, stored_policy: bool) -> dict[str, Any]:
        """Have new files made; the batch lists them in ``gateway.rerendered``."""
        policy = {"policy": "stored"} if stored_policy else {}
        return self._call("POST", f"/batches/{_escaped(batch_id)}/rerender", policy)

    def _call(
        self, method: str, path: str, body: Mapping[str, Any] | None = None
    ) -> dict[str, Any]:
        return self._parse(
            lambda: self._http.request(
                method,
                f"{self._base_url}{path}",
                content=None if body is None else orjson.dumps(body),
                headers={} if body is None else {"Content-Type": "application/json"},
            )
        )

    def _parse(self, send: Callable[[], httpx.Response]) -> dict[str, Any]:
        try:
            answer = send()
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            why = str(error) or type(error).__name__
            raise NoAnswerError(f"No gateway answers at {self._base_url}: {why}") from error
        return _parsed(answer, self._base_url)


def _escaped(batch_id: str) -> str:
    """Write an id, which may be anything that was typed, as one part of a path."""
    return quote(batch_id, safe="", errors="surrogateescape")


def _parsed(answer: httpx.Response, base_url: str) -> dict[str, Any]:
    if answer.status_code in LATER:
        raise NoAnswerError(_said(answer) or f"{base_url} answers HTTP {answer.status_code}.")
    try:
        value = orjson.loads(answer.content)
        if answer.is_success:
            return dict(value)
        raise ClientError(str(value["error"]["message"]))
    except (ValueError, TypeError, KeyError) as error:
        raise ClientError(
            f"What answers at {base_url} is no gateway (HTTP {answer.status_code}): set"
            " OPENAI_BASE_URL to a gateway's address, which ends in /v1."
        ) from error


def _said(answer: httpx.Response) -> str:
    """Read the sentence of an error; "" where it has none."""
    try:
        return str(orjson.loads(answer.content)["error"]["message"])
    except (ValueError, TypeError, KeyError):
        return ""


def server_date(url: str) -> str | None:
    """Return the ``Date`` that a server answers with. Errors: ClientError without an answer."""
    try:
        date: str | None = httpx.get(url, timeout=CONNECT_SECONDS).headers.get("date")
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ClientError(f"{url} does not answer ({_in_words(error)})") from error
    return date


def _in_words(error: Exception) -> str:
    """Return what keeps a server from answering, without the system's number for it."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, OSError) and cause.strerror:
            return cause.strerror.lower()
        cause = cause.__cause__ or cause.__context__
    return re.sub(r"\[Errno -?\d+\] ", "", str(error)) or type(error).__name__
