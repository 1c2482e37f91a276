-- name: keep_client_key
INSERT INTO client_keys (owner, sealed, used_at) VALUES (:owner, :sealed, :now)
ON CONFLICT (owner) DO UPDATE SET sealed = excluded.sealed, used_at = excluded.used_at;

-- name: client_keys
SELECT owner, sealed FROM client_keys;

-- name: idle_client_keys
-- A job that is over has nothing due any more, one that was given up is looked for again.
SELECT owner FROM client_keys
WHERE used_at < :before
    AND NOT EXISTS (
        SELECT 1 FROM batches WHERE batches.owner = client_keys.owner
            AND status IN ($live)
    )
    AND NOT EXISTS (
        SELECT 1 FROM responses WHERE responses.owner = client_keys.owner AND due_at IS NOT NULL
    )
    AND NOT EXISTS (
        SELECT 1 FROM jobs WHERE jobs.credential = client_keys.owner
            AND state <> 'released' AND due_at IS NOT NULL
    )
    AND NOT EXISTS (
        SELECT 1 FROM staged_files WHERE staged_files.credential = client_keys.owner
    );

-- name: wipe_client_key
DELETE FROM client_keys WHERE owner = :owner;
