"""Roles in place of keys, as the pods of three clouds have them: what is asked for credentials.

The services that give them are ours here: for Amazon one of HTTPS that answers as its documentation
says, for Google and Microsoft a proxy that sees who is called, and by which words, and lets nothing
out. That the clouds' own take part is unproven.
"""

import datetime as dt
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Address
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import obstore
import orjson
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.blobs.buckets import open_bucket
from gateway.clock import SystemClock
from tests.engines.buckets import BUCKET, BucketServer

pytestmark = pytest.mark.slow

ROLE = "arn:aws:iam::123456789012:role/gateway"
# https://docs.aws.amazon.com/STS/latest/APIReference/API_AssumeRoleWithWebIdentity.html
ASSUMED = b"""
<AssumeRoleWithWebIdentityResponse xmlns="https://sts.amazonaws.com/doc/2011-06-15/">
  <AssumeRoleWithWebIdentityResult>
    <Credentials>
      <SessionToken>the-session</SessionToken>
      <SecretAccessKey>the-secret</SecretAccessKey>
      <Expiration>2036-10-24T23:00:23Z</Expiration>
      <AccessKeyId>ASIAROLE</AccessKeyId>
    </Credentials>
  </AssumeRoleWithWebIdentityResult>
</AssumeRoleWithWebIdentityResponse>
"""
TOKEN = orjson.dumps({"access_token": "given", "expires_in": 3600, "token_type": "Bearer"})


class Service(ThreadingHTTPServer):
    """Answers everything alike, and lets nobody through."""

    def __init__(self, answer: bytes) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.asked: list[str] = []
        self.flavors: list[str | None] = []

    @contextmanager
    def running(self) -> Iterator["Service"]:
        """Serve in a thread."""
        thread = threading.Thread(target=self.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self.shutdown()
            thread.join()
            self.server_close()


class _Handler(BaseHTTPRequestHandler):
    server: Service

    def log_message(self, *_: object) -> None:
        """Say nothing."""

    def do_CONNECT(self) -> None:
        self._note()
        self.send_error(502)

    def do_GET(self) -> None:
        self._note()
        self.send_response(200)
        self.send_header("content-length", str(len(self.server.answer)))
        self.end_headers()
        self.wfile.write(self.server.answer)

    def do_POST(self) -> None:
        self.do_GET()

    def _note(self) -> None:
        self.server.asked.append(f"{self.command} {self.path}")
        self.server.flavors.append(self.headers.get("metadata-flavor"))


def _named(name: str) -> x509.Name:
    return x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])


def certify(place: Path) -> tuple[Path, Path]:
    """Make an authority, and a certificate for 127.0.0.1 with its key: one file for each."""
    keys = {name: ec.generate_private_key(ec.SECP256R1()) for name in ("authority", "own")}
    now = dt.datetime.fromtimestamp(SystemClock().now() / 1000, dt.UTC)
    alias = x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))])
    for name, key in keys.items():
        bounds = x509.BasicConstraints(ca=name == "authority", path_length=None)
        signed = (
            x509.CertificateBuilder()
            .subject_name(_named(name))
            .issuer_name(_named("authority"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - dt.timedelta(days=1))
            .not_valid_after(now + dt.timedelta(days=1))
            .add_extension(alias, critical=False)
            .add_extension(bounds, critical=True)
            .sign(keys["authority"], hashes.SHA256())
        )
        pem = serialization.Encoding.PEM
        text = signed.public_bytes(pem)
        if name == "own":
            plain = serialization.NoEncryption()
            text += key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
        (place / f"{name}.pem").write_bytes(text)
    return place / "authority.pem", place / "own.pem"


@pytest.fixture
def no_keys(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> pytest.MonkeyPatch:
    """An environment without any key of a cloud, and one attempt for each call."""
    for name in ("AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "GOOGLE_SERVICE_ACCOUNT_KEY"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setattr("gateway.blobs.buckets.RETRIES", 1)
    return monkeypatch


def test_a_role_of_a_service_account_on_eks(
    no_keys: pytest.MonkeyPatch, bucket_server: BucketServer, tmp_path: Path
) -> None:
    """IRSA: the pod's token is given for keys of the role, which sign what the bucket is asked."""
    service = Service(ASSUMED)
    authority, own = certify(tmp_path)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(own)
    service.socket = context.wrap_socket(service.socket, server_side=True)
    (tmp_path / "token").write_text("header.payload.signature")
    settings = bucket_server.environment() | {
        "AWS_ROLE_ARN": ROLE,
        "AWS_WEB_IDENTITY_TOKEN_FILE": str(tmp_path / "token"),
        "AWS_ENDPOINT_URL_STS": f"https://127.0.0.1:{service.server_port}",
        "SSL_CERT_FILE": str(authority),
    }
    for name in settings.keys() - {"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY"}:
        no_keys.setenv(name, settings[name])
    bucket_server.authorizations.clear()
    with service.running():
        obstore.put(open_bucket(f"s3://{BUCKET}/role"), "x", b"1")
    [asked] = service.asked
    words = parse_qs(urlsplit(asked.removeprefix("POST ")).query)
    assert words["Action"] == ["AssumeRoleWithWebIdentity"]
    assert words["RoleArn"] == [ROLE]
    assert words["WebIdentityToken"] == ["header.payload.signature"]
    [signed] = bucket_server.authorizations
    assert "Credential=ASIAROLE/" in signed


def test_workload_identity_on_gke(no_keys: pytest.MonkeyPatch) -> None:
    """The node's metadata server gives a token; it is asked in Google's words, by its name."""
    with Service(TOKEN).running() as service:
        no_keys.setenv("GOOGLE_PROXY_URL", f"http://127.0.0.1:{service.server_port}")
        with pytest.raises(obstore.exceptions.BaseError):
            obstore.put(open_bucket("gs://bucket/role"), "x", b"1")
    token, *others = service.asked
    assert token.startswith(
        "GET http://metadata.google.internal/computeMetadata/v1/instance/service-accounts/default"
        "/token"
    )
    assert service.flavors[0] == "Google"
    assert set(others) == {"CONNECT storage.googleapis.com:443"}


def test_workload_identity_on_aks(no_keys: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Microsoft's authority is asked, which gives a token for the pod's own."""
    (tmp_path / "token").write_text("header.payload.signature")
    no_keys.setenv("AZURE_STORAGE_ACCOUNT_NAME", "account")
    for name in ("AZURE_STORAGE_ACCOUNT_KEY", "AZURE_STORAGE_SAS_KEY", "AZURE_STORAGE_ENDPOINT"):
        no_keys.delenv(name, raising=False)
    no_keys.setenv("AZURE_CLIENT_ID", "client")
    no_keys.setenv("AZURE_TENANT_ID", "tenant")
    no_keys.setenv("AZURE_FEDERATED_TOKEN_FILE", str(tmp_path / "token"))
    with Service(TOKEN).running() as service:
        no_keys.setenv("AZURE_PROXY_URL", f"http://127.0.0.1:{service.server_port}")
        with pytest.raises(obstore.exceptions.BaseError):
            obstore.put(open_bucket("az://container/role"), "x", b"1")
    assert set(service.asked) == {"CONNECT login.microsoftonline.com:443"}
