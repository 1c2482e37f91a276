-- name: due_jobs
-- The longest due of each owner, so that no owner's backlog hides another's job.
WITH RECURSIVE owners (owner) AS (
    SELECT min(owner) FROM jobs WHERE state = CAST(:state AS text) AND due_at IS NOT NULL
    UNION ALL
    SELECT (
        SELECT min(owner) FROM jobs
        WHERE state = CAST(:state AS text) AND due_at IS NOT NULL AND owner > owners.owner
    )
    FROM owners WHERE owner IS NOT NULL
)
SELECT jobs.* FROM owners
JOIN jobs ON jobs.id IN (
    SELECT id FROM jobs AS own
    WHERE own.state = CAST(:state AS text) AND own.owner = owners.owner AND own.due_at <= :now
        AND (own.lease_until IS NULL OR own.lease_until <= :now)
    ORDER BY own.due_at LIMIT :limit
)
ORDER BY jobs.due_at, jobs.id;

-- name: waiting_jobs
-- Without statistics SQLite takes the index by state, and reads and sorts every job in it: 9 ms for
-- 10,000 that wait, for each look for work.
-- Of each owner and model the longest due and the smallest: one model that is full hides no other,
-- one large batch no small one.
WITH RECURSIVE queues (owner, model) AS (
    SELECT * FROM (
        SELECT owner, model FROM jobs INDEXED BY jobs_waiting
        WHERE state IN ('planned', 'staging') AND due_at IS NOT NULL AND owner >= ''
        ORDER BY owner, model LIMIT 1
    )
    UNION ALL
    SELECT jobs.owner, jobs.model FROM queues
    JOIN jobs ON jobs.id = coalesce(
        (
            SELECT id FROM jobs AS next INDEXED BY jobs_waiting
            WHERE next.state IN ('planned', 'staging') AND next.due_at IS NOT NULL
                AND next.owner = queues.owner AND next.model > queues.model
            ORDER BY next.model LIMIT 1
        ),
        (
            SELECT id FROM jobs AS next INDEXED BY jobs_waiting
            WHERE next.state IN ('planned', 'staging') AND next.due_at IS NOT NULL
                AND next.owner > queues.owner
            ORDER BY next.owner, next.model LIMIT 1
        )
    )
)
SELECT jobs.id AS job_id, jobs.batch_id, jobs.owner, jobs.credential, jobs.model, jobs.tokens,
    CASE WHEN jobs.doubt IS NULL AND jobs.held IS NULL THEN jobs.lines ELSE 1 END AS lines, jobs.created_at AS since,
    batches.cancel_requested_at IS NOT NULL OR batches.expires_at <= :now AS stopped, jobs.placed
FROM queues
JOIN jobs ON jobs.id IN (
    SELECT * FROM (
        SELECT id FROM jobs AS own INDEXED BY jobs_waiting
        WHERE own.state IN ('planned', 'staging') AND own.due_at <= :now
            AND own.owner = queues.owner AND own.model = queues.model
            AND (own.lease_until IS NULL OR own.lease_until <= :now)
        ORDER BY own.due_at LIMIT :limit
    )
    UNION
    SELECT * FROM (
        SELECT id FROM jobs AS small INDEXED BY jobs_waiting_small
        WHERE small.state IN ('planned', 'staging') AND small.due_at <= :now
            AND small.owner = queues.owner AND small.model = queues.model
            AND (small.lease_until IS NULL OR small.lease_until <= :now)
        ORDER BY small.tokens LIMIT :limit
    )
)
JOIN batches ON batches.id = jobs.batch_id;

-- name: young_jobs
-- By the index that is named, as SQLite would read every job that runs.
-- Those that were never looked at come first.
SELECT * FROM jobs INDEXED BY jobs_young
WHERE state = 'running' AND submitted_at > :since AND items <= :items AND due_at <= :now
    AND (lease_until IS NULL OR lease_until <= :now)
ORDER BY looked_at IS NOT NULL, due_at, id LIMIT :limit;

-- name: claim_jobs
-- A lease that has run out is that of a process that is gone: see recover_jobs.
UPDATE jobs SET
    fence = fence + 1, lease_until = gateway_now() + :lease,
    defects = defects + CASE WHEN lease_until IS NOT NULL AND state = 'secured' THEN 1 ELSE 0 END
WHERE id IN (SELECT value FROM json_each(:ids))
    AND (lease_until IS NULL OR lease_until <= gateway_now()) AND state <> 'released'
RETURNING *;
