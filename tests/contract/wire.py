"""A client of any server that speaks OpenAI's batch API, which judges every answer.

The judge is OpenAI's own description (``tests/reference/openai-batch-openapi.yaml``): a 200 of a
described route has its schema, everything else from 400 on is an error envelope.
"""

import re
from collections.abc import Mapping
from typing import Any, Final

import httpx
import jsonschema  # type: ignore[import-untyped]

from tests.conformance.openapi import SPEC, check

Json = dict[str, Any]

CLIENT_ERROR: Final = 400
SERVER_ERROR: Final = 500
PARTS: Final = {"message", "type", "param", "code"}

# The path of a route without the base URL's own prefix -> method -> schema of its 200.
_ROUTES: Final[list[tuple[re.Pattern[str], Mapping[str, str]]]] = []
for _path, _operations in SPEC["paths"].items():
    _schemas = {}
    for _method, _operation in _operations.items():
        _content = _operation["responses"]["200"].get("content", {})
        _schema = _content.get("application/json", {}).get("schema", {})
        if "$ref" in _schema:
            _schemas[_method.upper()] = _schema["$ref"].rpartition("/")[2]
    _form = re.sub(r"\{\w+\}", "[^/]+", _path)
    _ROUTES.append((re.compile(rf".*?{_form}/?"), _schemas))


def schema_of(method: str, path: str) -> str | None:
    """The name of the schema of a route's 200; None of one that is not described as JSON."""
    if path.rstrip("/").endswith("/content"):
        return None
    for form, schemas in _ROUTES:
        if form.fullmatch(path):
            return schemas.get(method)
    return None


def complaint(response: httpx.Response) -> str | None:
    """Say what is wrong with an answer; None of one that is as described."""
    if response.status_code >= SERVER_ERROR:
        return f"{response.status_code}: {response.text[:500]}"
    if not response.headers.get("x-request-id"):
        return "there is no x-request-id"
    schema = "ErrorResponse"
    if response.status_code < CLIENT_ERROR:
        found = schema_of(response.request.method, response.request.url.path)
        if found is None:
            return None
        schema = found
    try:
        body = response.json()
        check(body, schema)
    except (ValueError, jsonschema.ValidationError) as error:
        return f"{response.status_code} is no {schema}: {str(error)[:500]}"
    if schema == "ErrorResponse" and not (body["error"]["message"] and set(body["error"]) >= PARTS):
        return f"an error that says nothing: {body}"
    return None


class Wire:
    """Calls of a server, each answer judged."""

    def __init__(self, base_url: str, key: str) -> None:
        self.base_url = base_url.rstrip("/")
        self.key = key
        self.judged = 0
        self.client = httpx.Client(
            base_url=self.base_url,
            headers={"authorization": f"Bearer {key}"},
            timeout=60,
            event_hooks={"response": [self._judge]},
        )

    def _judge(self, response: httpx.Response) -> None:
        if response.request.method in {"HEAD", "OPTIONS"} or response.is_redirect:
            return
        response.read()
        wrong = complaint(response)
        assert wrong is None, wrong
        self.judged += 1

    def get(self, path: str, **given: Any) -> httpx.Response:
        """GET."""
        return self.client.get(path, **given)

    def post(self, path: str, **given: Any) -> httpx.Response:
        """POST."""
        return self.client.post(path, **given)

    def delete(self, path: str) -> httpx.Response:
        """DELETE."""
        return self.client.delete(path)

    def upload(self, data: bytes, name: str = "in.jsonl", **fields: str) -> Json:
        """Upload a file, the answer."""
        answer = self.post(
            "/files", files={"file": (name, data)}, data={"purpose": "batch"} | fields
        )
        assert answer.status_code == 200, answer.text
        made: Json = answer.json()
        return made

    def create(self, file_id: str, **members: Any) -> Json:
        """Create a batch, the answer."""
        body = {
            "input_file_id": file_id,
            "endpoint": "/v1/chat/completions",
            "completion_window": "24h",
        }
        answer = self.post("/batches", json=body | members)
        assert answer.status_code == 200, answer.text
        made: Json = answer.json()
        return made


def error_of(answer: httpx.Response, status: int) -> Json:
    """The error of an answer that must have this status."""
    assert answer.status_code == status, answer.text
    error: Json = answer.json()["error"]
    return error
