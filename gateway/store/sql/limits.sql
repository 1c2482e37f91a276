-- name: used_by_owner
-- A live batch counts with what it may cost at most, an ended one with what it cost. A response in
-- the background counts until its batch does, single requests of the day as they are summed up.
SELECT
    (
        SELECT coalesce(sum(bytes), 0) FROM files
        WHERE owner = :owner AND purpose <> 'background' AND deleted_at IS NULL
    ) + (
        SELECT coalesce(sum(bytes), 0) FROM uploads WHERE owner = :owner AND status = 'pending'
    ) AS stored_bytes,
    (
        SELECT count(*) FROM batches
        WHERE owner = :owner AND kind = 'batch' AND status IN ($live)
    ) AS live_batches,
    (
        SELECT coalesce(sum(jobs.tokens), 0) FROM jobs
        JOIN batches ON batches.id = jobs.batch_id
        WHERE batches.owner = :owner AND batches.status IN ('in_progress', 'finalizing')
            AND jobs.state IN ('planned', 'staging', 'submitting', 'running')
    ) + (
        SELECT CAST(coalesce(sum(responses.tokens), 0) AS BIGINT) FROM responses
        LEFT JOIN batches ON batches.id = responses.batch_id
        WHERE responses.owner = :owner AND responses.due_at IS NOT NULL
            AND (responses.batch_id IS NULL OR batches.status = 'validating')
    ) AS enqueued_tokens,
    (
        SELECT coalesce(sum(
            CASE WHEN status IN ($live)
                THEN coalesce(most, cost, 0) ELSE coalesce(cost, most, 0) END
        ), 0) FROM batches WHERE owner = :owner AND created_at >= :since
    ) + (
        SELECT CAST(coalesce(sum(responses.most), 0) AS BIGINT) FROM responses
        LEFT JOIN batches ON batches.id = responses.batch_id
        WHERE responses.owner = :owner AND responses.due_at IS NOT NULL
            AND (responses.batch_id IS NULL OR batches.status = 'validating')
    ) + (
        SELECT CAST(coalesce(sum(cost), 0) AS BIGINT) FROM single_costs
        WHERE owner = :owner AND day >= :since
    ) AS spent;

-- name: add_single_cost
INSERT INTO single_costs (owner, day, cost) VALUES (:owner, :day, :cost)
ON CONFLICT (owner, day) DO UPDATE SET cost = single_costs.cost + excluded.cost;

-- name: single_costs_outlived
DELETE FROM single_costs WHERE day < :before;
