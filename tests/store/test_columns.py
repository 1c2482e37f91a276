"""Records and rows have the same fields."""

from dataclasses import fields

import pytest

from gateway.batches.batch import Batch, Counts, TokenUsage
from gateway.batches.file import File
from gateway.batches.job import Job
from gateway.batches.staging import StagedFile
from gateway.batches.webhooks import Delivery, WebhookEndpoint
from gateway.store.sqlite import SQLiteStore

FLAT = {
    "counts": [f"counts_{field.name}" for field in fields(Counts)],
    "usage": [f"usage_{field.name}" for field in fields(TokenUsage)],
}


@pytest.mark.parametrize(
    ("table", "record", "own"),
    [
        ("files", File, set()),
        ("batches", Batch, {"rings", "heard"}),
        ("jobs", Job, {"owner"}),
        ("staged_files", StagedFile, set()),
        ("webhook_endpoints", WebhookEndpoint, set()),
        ("webhook_deliveries", Delivery, set()),
    ],
)
async def test_every_field_has_its_column(
    sqlite: SQLiteStore,
    table: str,
    record: type[File | Batch | Job | StagedFile | WebhookEndpoint | Delivery],
    own: set[str],
) -> None:
    """And every column but the store's own has its field."""
    rows = sqlite.engine.reader.connection.execute(f"SELECT name FROM pragma_table_info('{table}')")
    expected = {name for field in fields(record) for name in FLAT.get(field.name, [field.name])}
    assert {row[0] for row in rows} == expected | own
