"""Buckets of three clouds as fixtures: one server of each kind for all tests of a process.

A ``conftest.py`` imports what its folder uses.
"""

from collections.abc import Iterator

import pytest

from tests.engines.buckets import BucketServer, azurite


@pytest.fixture(scope="session")
def bucket_server() -> Iterator[BucketServer]:
    """S3 and Google."""
    with BucketServer().running() as server:
        yield server


@pytest.fixture
def found_buckets(bucket_server: BucketServer, monkeypatch: pytest.MonkeyPatch) -> BucketServer:
    """The server of S3 and Google is found by obstore."""
    for name, value in bucket_server.environment().items():
        monkeypatch.setenv(name, value)
    return bucket_server


@pytest.fixture(scope="session")
def azure_environment() -> Iterator[dict[str, str]]:
    """Azure."""
    with azurite() as environment:
        yield environment
