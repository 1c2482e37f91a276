"""TLS to the database, as libpq takes it: Debian's server, for the wheel's has none."""

import datetime as dt
import os
from collections.abc import Iterator
from ipaddress import IPv4Address
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from gateway.clock import SystemClock
from gateway.errors import SettingsError
from gateway.store import postgres
from gateway.store.postgres import PostgresStore
from tests.postgres_server import DEBIANS, PostgresServer

CI = bool(os.environ.get("CI"))  # noqa: TID251 - where a missing tool is a failure

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(not CI and not DEBIANS.is_dir(), reason="postgresql-15 is not installed"),
]


def _certificate() -> tuple[bytes, bytes]:
    """A certificate for 127.0.0.1 that signs itself, and its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "127.0.0.1")])
    now = dt.datetime.fromtimestamp(SystemClock().now() / 1000, dt.UTC)
    signed = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - dt.timedelta(days=1))
        .not_valid_after(now + dt.timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(IPv4Address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    pem = serialization.Encoding.PEM
    plain = serialization.NoEncryption()
    private = key.private_bytes(pem, serialization.PrivateFormat.PKCS8, plain)
    return signed.public_bytes(pem), private


@pytest.fixture(scope="module")
def secured(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[PostgresServer, Path]]:
    """A server of the oldest version that is supported, with TLS; and the certificate to trust."""
    certificate, key = _certificate()
    server = PostgresServer(15)
    server.stop()
    server.settings.update(
        ssl="on",
        ssl_cert_file=str(server.put("server.crt", certificate)),
        ssl_key_file=str(server.put("server.key", key)),
    )
    server.start()
    trusted = tmp_path_factory.mktemp("tls") / "ca.pem"
    trusted.write_bytes(certificate)
    yield server, trusted
    server.close()


async def test_a_server_is_verified(secured: tuple[PostgresServer, Path]) -> None:
    """By its certificate and its name."""
    server, trusted = secured
    store = PostgresStore(f"{server.url()}?sslmode=verify-full&sslrootcert={trusted}")
    await store.open(0)
    assert await store.gateway_id()
    await store.close()


async def test_a_server_that_is_not_trusted_is_refused(
    secured: tuple[PostgresServer, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nothing is sent to it."""
    monkeypatch.setattr(postgres, "START_SECONDS", 2.0)
    other = tmp_path / "other.pem"
    other.write_bytes(_certificate()[0])
    url = f"{secured[0].url()}?sslmode=verify-full&sslrootcert={other}"
    with pytest.raises(SettingsError, match="GATEWAY_STORE"):
        await PostgresStore(url).open(0)
