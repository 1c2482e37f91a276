"""The many forms of one URL."""

import httpx
import pytest

from gateway.api.paths import canonical_path
from tests.api.world import World


@pytest.mark.parametrize(
    ("path", "canonical"),
    [
        ("/v1/files", "/files"),
        ("/files", "/files"),
        ("/files/", "/files"),
        ("/v1/files///", "/files"),
        ("/openai/files", "/files"),
        ("/openai/v1/files/", "/files"),
        ("/v1/models/models/gemini-2.5-flash", "/models/models/gemini-2.5-flash"),
        ("/v1/models/v1/x", "/models/v1/x"),
        ("/v1", "/v1"),
        ("/v1/", "/"),
        ("/v1files", "/v1files"),
        ("/v1/v1/files", "/v1/files"),
        ("/v1beta/files", "/v1beta/files"),
        ("/", "/"),
        ("", "/"),
    ],
)
def test_canonical_paths(path: str, canonical: str) -> None:
    """Known prefixes and slashes at the end go, nothing else."""
    assert canonical_path(path) == canonical


@pytest.mark.parametrize("prefix", ["", "/v1", "/openai", "/openai/v1"])
@pytest.mark.parametrize("slash", ["", "/"])
async def test_every_form_is_served_itself(
    alice: httpx.AsyncClient, prefix: str, slash: str
) -> None:
    """No redirects: one would cost a second upload."""
    for path in ("/files", "/batches", "/models", "/models/gemini-2.5-flash", "/healthz"):
        answer = await alice.get(f"{prefix}{path}{slash}?api-version=1")
        assert answer.status_code == 200


async def test_a_mounted_gateway(world: World) -> None:
    """A server's root path comes off first."""
    transport = httpx.ASGITransport(world.app(), root_path="/gateway")
    async with httpx.AsyncClient(
        transport=transport, base_url="http://host/gateway/v1", headers={"api-key": "secret-a"}
    ) as client:
        assert (await client.get("/files")).status_code == 200
