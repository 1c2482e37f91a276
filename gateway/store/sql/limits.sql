-- name: used_by_owner
-- A live batch counts with what it may cost at most, an ended one with what it cost.
SELECT
    (
        SELECT coalesce(sum(bytes), 0) FROM files WHERE owner = :owner AND deleted_at IS NULL
    ) + (
        SELECT coalesce(sum(bytes), 0) FROM uploads WHERE owner = :owner AND status = 'pending'
    ) AS stored_bytes,
    (
        SELECT count(*) FROM batches
        WHERE owner = :owner AND status IN ($live)
    ) AS live_batches,
    (
        SELECT coalesce(sum(jobs.tokens), 0) FROM jobs
        JOIN batches ON batches.id = jobs.batch_id
        WHERE batches.owner = :owner AND batches.status IN ('in_progress', 'finalizing')
            AND jobs.state IN ('planned', 'staging', 'submitting', 'running')
    ) AS enqueued_tokens,
    (
        SELECT coalesce(sum(
            CASE WHEN status IN ($live)
                THEN coalesce(most, cost, 0) ELSE coalesce(cost, most, 0) END
        ), 0) FROM batches WHERE owner = :owner AND created_at >= :since
    ) AS spent;
