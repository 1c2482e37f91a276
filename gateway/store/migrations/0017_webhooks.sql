-- Where events about batches go. The owner '' is that of the settings: it hears of every batch.
CREATE TABLE webhook_endpoints (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    name TEXT NOT NULL,
    url TEXT NOT NULL,
    event_types TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    updated_at INTEGER NOT NULL,
    secret TEXT NOT NULL,
    old_secret TEXT,
    old_secret_until INTEGER
) STRICT;

CREATE INDEX webhook_endpoints_listed ON webhook_endpoints (owner, seq);

-- One event for one endpoint, inserted in the transaction that ends the batch.
CREATE TABLE webhook_deliveries (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    event_id TEXT NOT NULL,
    endpoint_id TEXT NOT NULL REFERENCES webhook_endpoints (id),
    owner TEXT NOT NULL,
    type TEXT NOT NULL,
    batch_id TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    attempts TEXT NOT NULL,
    tried INTEGER NOT NULL,
    due_at INTEGER,
    fence INTEGER NOT NULL,
    lease_until INTEGER,
    UNIQUE (endpoint_id, event_id)
) STRICT;

CREATE INDEX webhook_deliveries_listed ON webhook_deliveries (endpoint_id, owner, seq);
CREATE INDEX webhook_deliveries_due ON webhook_deliveries (endpoint_id, due_at)
    WHERE state = 'pending';
CREATE INDEX webhook_deliveries_of_batch ON webhook_deliveries (endpoint_id, batch_id, seq)
    WHERE state = 'pending';
CREATE INDEX webhook_deliveries_over ON webhook_deliveries (created_at) WHERE state <> 'pending';
