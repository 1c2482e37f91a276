-- name: insert_webhook_endpoint
-- No row: the owner has as many as are allowed.
INSERT INTO webhook_endpoints (
    id, owner, name, url, event_types, created_at, updated_at, secret, old_secret,
    old_secret_until
)
SELECT
    :id, :owner, :name, :url, :event_types, :created_at, :updated_at, :secret, :old_secret,
    :old_secret_until
WHERE (SELECT count(*) FROM webhook_endpoints WHERE owner = :owner) < :most;

-- name: keep_settings_endpoint
INSERT INTO webhook_endpoints (
    id, owner, name, url, event_types, created_at, updated_at, secret
)
VALUES (:id, :owner, :name, :url, :event_types, :created_at, :updated_at, '')
ON CONFLICT (id) DO UPDATE SET
    url = excluded.url, event_types = excluded.event_types,
    updated_at = CASE WHEN webhook_endpoints.url = excluded.url
        THEN webhook_endpoints.updated_at ELSE excluded.updated_at END;

-- name: webhook_endpoint
-- Every key may see the one of the settings.
SELECT * FROM webhook_endpoints WHERE id = :id AND owner IN (:owner, '');

-- name: webhook_endpoints_newest_first
SELECT * FROM webhook_endpoints
WHERE owner IN (:owner, '') AND seq < :after ORDER BY seq DESC LIMIT :limit;

-- name: save_webhook_endpoint
UPDATE webhook_endpoints SET
    name = :name, url = :url, event_types = :event_types, updated_at = :updated_at,
    secret = :secret, old_secret = :old_secret, old_secret_until = :old_secret_until
WHERE id = :id AND owner = :owner;

-- name: delete_webhook_deliveries
DELETE FROM webhook_deliveries WHERE endpoint_id IN (
    SELECT id FROM webhook_endpoints WHERE id = :id AND owner = :owner
);

-- name: delete_webhook_endpoint
DELETE FROM webhook_endpoints WHERE id = :id AND owner = :owner;

-- name: announce_batch
-- For every endpoint that wants to know: an event is announced to each of them once.
INSERT INTO webhook_deliveries (
    event_id, endpoint_id, owner, type, batch_id, created_at, state, attempts, tried, due_at, fence
)
SELECT
    :event_id, id, :owner, :type, :batch_id, :created_at, 'pending', '[]', 0, :now, 0
FROM webhook_endpoints
WHERE owner IN (:owner, '') AND event_types LIKE CAST(:wanted AS text)
ON CONFLICT (endpoint_id, event_id) DO NOTHING;

-- name: webhook_delivery
SELECT * FROM webhook_deliveries
WHERE endpoint_id = :endpoint_id AND event_id = :event_id AND owner = :owner;

-- name: webhook_deliveries_newest_first
SELECT * FROM webhook_deliveries
WHERE endpoint_id = :endpoint_id AND owner = :owner AND seq < :after
ORDER BY seq DESC LIMIT :limit;

-- name: due_webhook_deliveries
-- Some of each endpoint, so that none is held up by another's. Of a batch the oldest event goes
-- first. What is due beyond :latest was written while the clock was ahead.
SELECT webhook_deliveries.* FROM webhook_endpoints
JOIN webhook_deliveries ON webhook_deliveries.seq IN (
    SELECT own.seq FROM webhook_deliveries AS own
    WHERE own.endpoint_id = webhook_endpoints.id AND own.state = 'pending'
        AND (own.due_at <= :now OR own.due_at > :latest)
        AND (own.lease_until IS NULL OR own.lease_until <= :now)
        AND NOT EXISTS (
            SELECT 1 FROM webhook_deliveries AS earlier
            WHERE earlier.endpoint_id = own.endpoint_id AND earlier.batch_id = own.batch_id
                AND earlier.state = 'pending' AND earlier.seq < own.seq
        )
    ORDER BY own.due_at, own.seq LIMIT :limit
)
ORDER BY webhook_deliveries.due_at, webhook_deliveries.seq;

-- name: claim_webhook_delivery
UPDATE webhook_deliveries SET fence = fence + 1, lease_until = :lease_until
WHERE endpoint_id = :endpoint_id AND event_id = :event_id AND state = 'pending'
    AND (lease_until IS NULL OR lease_until <= :now)
RETURNING *;

-- name: endpoint_of_delivery
SELECT * FROM webhook_endpoints WHERE id = :endpoint_id;

-- name: save_webhook_delivery
UPDATE webhook_deliveries SET
    state = :state, attempts = :attempts, tried = :tried, due_at = :due_at, lease_until = NULL
WHERE endpoint_id = :endpoint_id AND event_id = :event_id AND fence = :fence
    AND state = 'pending';

-- name: webhook_deliveries_outlived
DELETE FROM webhook_deliveries WHERE seq IN (
    SELECT seq FROM webhook_deliveries
    WHERE state <> 'pending' AND created_at < :before ORDER BY created_at LIMIT :limit
);

-- name: recover_webhook_deliveries
UPDATE webhook_deliveries SET lease_until = NULL WHERE lease_until IS NOT NULL;

-- name: delivery_figures
SELECT count(*) AS deliveries FROM webhook_deliveries WHERE state = 'pending';
