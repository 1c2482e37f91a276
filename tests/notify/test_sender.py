"""One attempt at a receiver: where the connection goes, and what comes of it."""

import asyncio
import ssl
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

from gateway.clock import SystemClock
from gateway.notify.names import Resolver
from gateway.notify.sender import Sender, SenderOptions
from tests.notify.receiver import OK, Received, receiving

PRIVATE = SenderOptions(allow_private=True)


async def loopback(_host: str, _port: int) -> Sequence[str]:
    """Every name is this machine."""
    return ["127.0.0.1"]


def a_sender(options: SenderOptions = PRIVATE, tls: ssl.SSLContext | None = None) -> Sender:
    """A sender for which every name is this machine."""
    return Sender(options, SystemClock(), loopback, tls)


async def test_the_request_and_its_answer() -> None:
    """The address is connected to, the name is asked for; the answer's body is not waited for."""
    never = asyncio.Event()

    async def reply(_request: Received) -> bytes:
        return b"HTTP/1.1 200 OK\r\ncontent-length: 1000000\r\n\r\nx"

    async with receiving(reply) as receiver:
        url = f"http://receiver.example:{receiver.port}/a%20b?c=d"
        attempt = await a_sender().send(url, {"webhook-id": "evt_1"}, b"{}")

    assert (attempt.status_code, attempt.error, attempt.accepted) == (200, None, True)
    [request] = receiver.requests
    assert request.line == "POST /a%20b?c=d HTTP/1.1"
    assert request.headers["host"] == f"receiver.example:{receiver.port}"
    assert (request.headers["webhook-id"], request.body) == ("evt_1", b"{}")
    never.set()


async def test_a_redirect_is_a_failure() -> None:
    """It could lead into the gateway's own network."""

    async def reply(_request: Received) -> bytes:
        return b"HTTP/1.1 307 Temporary Redirect\r\nlocation: /other\r\ncontent-length: 0\r\n\r\n"

    async with receiving(reply) as receiver:
        attempt = await a_sender().send(receiver.url, {}, b"{}")

    assert (attempt.status_code, attempt.accepted, len(receiver.requests)) == (307, False, 1)


async def test_a_receiver_that_hangs_is_given_up() -> None:
    """After a while of ours, whatever it says meanwhile."""
    hanging = asyncio.Event()

    async def reply(_request: Received) -> bytes:
        await hanging.wait()
        return OK

    async with receiving(reply) as receiver:
        options = SenderOptions(allow_private=True, attempt_seconds=0.2)
        attempt = await a_sender(options).send(receiver.url, {}, b"{}")
        hanging.set()

    assert (attempt.status_code, attempt.error) == (None, "no answer within 0.2 s")


async def test_nothing_is_sent_to_a_private_address() -> None:
    """Of a name that leads there; no connection is made, and the address is not told."""
    async with receiving() as receiver:
        url = f"https://receiver.example:{receiver.port}/"
        attempt = await a_sender(SenderOptions()).send(url, {}, b"{}")
        assert receiver.requests == []

    assert attempt.status_code is None
    assert attempt.error is not None
    assert "must not reach" in attempt.error
    assert "127" not in attempt.error


async def test_a_closed_port_and_a_broken_answer_are_told() -> None:
    """In words, not as exceptions."""

    async def reply(_request: Received) -> bytes:
        return b""

    async with receiving(reply) as receiver:
        broken = await a_sender().send(receiver.url, {}, b"{}")
    closed = await a_sender().send(receiver.url, {}, b"{}")

    assert broken.error == "the connection broke (RemoteProtocolError)"
    assert closed.error == "no connection"


async def test_an_unknown_name_is_told() -> None:
    """The real resolver; `.invalid` is never registered (RFC 2606)."""
    sender = Sender(PRIVATE, SystemClock(), Resolver())
    attempt = await sender.send("https://nowhere.invalid/", {}, b"{}")

    assert attempt.error is not None
    assert attempt.error.startswith("the name cannot be resolved")


async def test_callers_share_a_look_up() -> None:
    """And the next one asks anew."""
    resolver = Resolver()
    first = await asyncio.gather(*(resolver("localhost", 80) for _ in range(5)))
    assert len({tuple(found) for found in first}) == 1
    assert "127.0.0.1" in await resolver("localhost", 80)


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Key and certificate of `receiver.example`, in one file, signed by itself."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "receiver.example")])
    now = datetime.now(UTC)  # noqa: TID251 - a certificate is judged by the machine's clock
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(1)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("receiver.example")]), False)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path_factory.mktemp("tls") / "both.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + certificate.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.mark.parametrize(("host", "status"), [("receiver.example", 204), ("other.example", None)])
async def test_the_certificate_is_that_of_the_name(
    authority: Path, host: str, status: int | None
) -> None:
    """Though the connection goes to an address."""
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(authority)
    client = ssl.create_default_context(cafile=str(authority))
    async with receiving(tls=server) as receiver:
        url = f"https://{host}:{receiver.port}/"
        attempt = await a_sender(tls=client).send(url, {}, b"{}")

    assert attempt.status_code == status
    if status is None:
        assert attempt.error == "the certificate was not accepted"
