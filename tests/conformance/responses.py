"""Rules of stored responses that every store obeys; part of ``tests/conformance/store.py``."""

from gateway.batches.response import StoredResponse
from gateway.ports.store import Seal, Store
from tests.conformance.records import OTHER, OWNER

SEAL = Seal(2, "ab" * 32)


async def stored(store: Store, name: str = "one", expires_at: int = 9_000) -> StoredResponse:
    """A response whose blob has its name."""
    response = StoredResponse(f"resp_{name}", OWNER, f"blob-{name}", 1_000, expires_at)
    await store.register_blob(response.blob, 500)
    await store.add_response(response, SEAL)
    return response


class ResponseRules:
    """A response is there until it is deleted or its time is over; its bytes go with it."""

    async def test_a_response_is_its_owners(self, store: Store) -> None:
        response = await stored(store)
        assert await store.get_response(OWNER, response.id, 2_000) == response
        assert await store.get_response(OTHER, response.id, 2_000) is None
        assert await store.blob_seal(response.blob) == SEAL
        assert not await store.delete_response(OTHER, response.id, 2_000)
        assert await store.sweepable_blobs(10_000, 10) == []

    async def test_a_deleted_response_is_gone_with_its_bytes(self, store: Store) -> None:
        response = await stored(store)
        assert await store.delete_response(OWNER, response.id, 2_000)
        assert not await store.delete_response(OWNER, response.id, 2_000)
        assert await store.get_response(OWNER, response.id, 2_000) is None
        assert await store.sweepable_blobs(10_000, 10) == [response.blob]

    async def test_responses_expire(self, store: Store) -> None:
        old, young = await stored(store, "old", 3_000), await stored(store, "young", 5_000)
        assert await store.get_response(OWNER, old.id, 3_000) is None
        assert not await store.delete_response(OWNER, old.id, 3_000)
        assert await store.expire_responses(3_000, 10) == 1
        assert await store.get_response(OWNER, young.id, 3_000) == young
        assert await store.sweepable_blobs(10_000, 10) == [old.blob]
