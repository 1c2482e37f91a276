-- name: note_used
UPDATE batches SET used_at = :now
WHERE owner = :owner AND used_at IS NULL
    AND id IN (SELECT jsonb_array_elements_text(CAST(:ids AS JSONB)));

-- name: add_rerendered
-- No row: what it would be rendered from is gone by now.
UPDATE batches
SET rerendered = CAST(CAST(rerendered AS JSONB) || CAST(:entry AS JSONB) AS TEXT)
WHERE id = :id AND raw_until IS NOT NULL;

-- name: due_validations
-- Of each owner the longest due: which of them goes first is decided elsewhere.
WITH RECURSIVE owners (owner) AS (
    SELECT min(owner) FROM batches WHERE status = 'validating'
    UNION ALL
    SELECT (SELECT min(owner) FROM batches WHERE status = 'validating' AND owner > owners.owner)
    FROM owners WHERE owner IS NOT NULL
)
SELECT batches.id AS batch_id, batches.owner, batches.created_at AS since, files.bytes
FROM owners
CROSS JOIN LATERAL (
    SELECT * FROM batches AS own
    WHERE own.status = 'validating' AND own.owner = owners.owner AND own.due_at <= :now
        AND (own.lease_until IS NULL OR own.lease_until <= :now)
        AND own.cancel_requested_at IS NULL
    ORDER BY own.due_at, own.seq LIMIT :limit
) AS batches
JOIN files ON files.id = batches.input_file_id
ORDER BY batches.due_at, batches.seq;
