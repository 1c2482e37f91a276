"""The stores under test, with clocks that are set."""

from pathlib import Path
from typing import Final

import psycopg

from gateway.clock import SystemClock
from gateway.store.postgres import PostgresStore
from gateway.store.sqlite import SQLiteStore

# In place of the database's clock: a row that a test writes.
TOLD_TIME: Final = """
CREATE TABLE told (now BIGINT NOT NULL);
INSERT INTO told VALUES (1000);
CREATE OR REPLACE FUNCTION gateway_now() RETURNS BIGINT LANGUAGE SQL VOLATILE AS
$$ SELECT now FROM told $$;
"""


class ToldClock(SystemClock):
    """A clock that says what it is told."""

    def __init__(self) -> None:
        self.told = 1_000

    def now(self) -> int:
        """Milliseconds."""
        return self.told


class TimedSQLite(SQLiteStore):
    """SQLite by a clock that is set."""

    def __init__(self, path: Path) -> None:
        self.clock = ToldClock()
        super().__init__(path, self.clock)

    async def at(self, now: int) -> None:
        """Set the clock."""
        self.clock.told = now


class TimedPostgres(PostgresStore):
    """PostgreSQL, over a database made with :data:`TOLD_TIME`."""

    def __init__(self, conninfo: str) -> None:
        super().__init__(conninfo)
        self._conninfo = conninfo
        self._told = 1_000

    async def at(self, now: int) -> None:
        """Set the clock."""
        if now != self._told:
            connect = psycopg.AsyncConnection.connect
            async with await connect(self._conninfo, autocommit=True) as connection:
                await connection.execute("UPDATE told SET now = %s", [now])
            self._told = now
