"""Transactions over leases: how long a claim keeps others from trying.

A lease decides who tries, never who is right: that is the fence's part. Its end is measured by the
database's clock alone.
"""

from collections.abc import Sequence

from gateway.batches.batch import Batch
from gateway.batches.job import Job
from gateway.ports.store import Claimed
from gateway.store.session import Session


def _query(row: Claimed) -> str:
    if isinstance(row, Batch):
        return "renew_batch"
    return "renew_job" if isinstance(row, Job) else "renew_copy"


async def renew(session: Session, rows: Sequence[Claimed], lease: int) -> set[str]:
    """Let leases last from now; ids of rows that were claimed again, or released, since."""
    lost = set()
    for row in rows:
        values = {"id": row.id, "fence": row.fence, "lease": lease}
        if await session.run(_query(row), values) == 0:
            lost.add(row.id)
    return lost


async def now(session: Session) -> int:
    """Return the database's time."""
    found: int = (await session.the("now"))["now"]
    return found
