"""PostgreSQL as a store: the rules of every store, and what is special."""

from collections import defaultdict

import pytest

from gateway.ports.store import Store
from gateway.store.postgres import PostgresStore
from gateway.store.postgres_session import connect, spoken
from gateway.store.queries import load_queries
from tests.conformance.store import StoreRules

pytestmark = pytest.mark.slow  # a server is started, and a database made for each


class TestPostgres(StoreRules):
    """The rules of every store."""

    @pytest.fixture
    def store(self, postgres: PostgresStore) -> Store:
        """The store under test."""
        return postgres


async def test_every_statement_is_understood_whatever_its_values_are(database: str) -> None:
    """Also where all of them are NULL, and tell the server nothing of their types."""
    nothing: defaultdict[str, None] = defaultdict(lambda: None)
    async with await connect(database, 10) as connection:
        for statement in load_queries("postgres").values():
            await connection.execute(b"EXPLAIN " + spoken(statement), nothing)
