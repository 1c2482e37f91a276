-- name: keep_meta
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO NOTHING;

-- name: get_meta
SELECT value FROM meta WHERE key = :key;

-- name: admission_turn
SELECT (SELECT value FROM meta WHERE key = :key) AS turn, EXISTS (
    SELECT 1 FROM jobs WHERE state IN ('planned', 'staging') AND lease_until <= gateway_now()
) AS lapsed;

-- name: release_lapsed
UPDATE jobs SET lease_until = NULL, fence = fence + 1
WHERE state IN ('planned', 'staging') AND lease_until <= gateway_now();

-- name: end_turn
UPDATE meta SET value = :next WHERE key = :key AND value = :turn;

-- name: now
SELECT gateway_now() AS now;

-- name: quotas
SELECT * FROM quotas ORDER BY credential, model;

-- name: quota
SELECT * FROM quotas WHERE credential = :credential AND model = :model;

-- name: keep_quota
INSERT INTO quotas (
    credential, model, room, ceiling, accepted, refusals, blocked_until, held, held_until,
    estimated, counted, refused_at
)
VALUES (
    :credential, :model, :room, :ceiling, :accepted, :refusals, :blocked_until, :held,
    :held_until, :estimated, :counted, :refused_at
)
ON CONFLICT (credential, model) DO UPDATE SET
    room = excluded.room, ceiling = excluded.ceiling, accepted = excluded.accepted,
    refusals = excluded.refusals, blocked_until = excluded.blocked_until, held = excluded.held,
    held_until = excluded.held_until, estimated = excluded.estimated, counted = excluded.counted,
    refused_at = excluded.refused_at;
