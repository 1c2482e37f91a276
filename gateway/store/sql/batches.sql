-- name: insert_batch
INSERT INTO batches (
    id, owner, endpoint, input_file_id, created_at, expires_at, status, metadata,
    output_expires_after, policy, model, in_progress_at, finalizing_at, completed_at, failed_at,
    expired_at, cancelled_at, cancel_requested_at, counts_total, counts_completed, counts_failed,
    usage_input_tokens, usage_cached_tokens, usage_output_tokens, usage_reasoning_tokens, errors,
    notes, output_file_id, error_file_id, notes_file_id, idempotency_key, fingerprint, lines, run,
    "index", raw_until, due_at, failures, defects, last_error, fence, lease_until, waiting_since,
    ended_because, upstream_state, upstream_since, used_at, retry_of, cost, most,
    traceparent, kind, reused
)
VALUES (
    :id, :owner, :endpoint, :input_file_id, :created_at, :expires_at, :status, :metadata,
    :output_expires_after, :policy, :model, :in_progress_at, :finalizing_at, :completed_at,
    :failed_at, :expired_at, :cancelled_at, :cancel_requested_at, :counts_total,
    :counts_completed, :counts_failed, :usage_input_tokens, :usage_cached_tokens,
    :usage_output_tokens, :usage_reasoning_tokens, :errors, :notes, :output_file_id,
    :error_file_id, :notes_file_id, :idempotency_key, :fingerprint, :lines, :run, :index,
    :raw_until, :due_at, :failures, :defects, :last_error, :fence, :lease_until, :waiting_since, :ended_because,
    :upstream_state, :upstream_since, :used_at, :retry_of, :cost, :most, :traceparent, :kind, :reused
);

-- name: batch_by_id
SELECT * FROM batches WHERE id = :id;

-- name: batch_to_save
-- What a save has to know of the row: a fifth of the time that all of it takes.
SELECT owner, kind, status, fence, lease_until, cancel_requested_at FROM batches WHERE id = :id;

-- name: owned_batch
-- Batches of responses in the background are no client's to see.
SELECT * FROM batches WHERE owner = :owner AND id = :id AND kind = 'batch';

-- name: batch_of_key
SELECT * FROM batches WHERE owner = :owner AND idempotency_key = :idempotency_key;

-- name: batch_alike
SELECT * FROM batches
WHERE owner = :owner AND fingerprint = :fingerprint AND created_at >= :since
    AND cancel_requested_at IS NULL -- who cancels and creates again wants another one
    -- Only a create whose answer may have been lost is repeated: never once its id was used.
    AND used_at IS NULL AND status IN ($live)
ORDER BY seq DESC LIMIT 1;

-- name: batches_newest_first
SELECT * FROM batches
WHERE owner = :owner AND seq < :after AND kind = 'batch' ORDER BY seq DESC LIMIT :limit;

-- name: request_cancel
UPDATE batches
SET cancel_requested_at = :now, rings = rings + 1, due_at = -(rings + 1)
WHERE owner = :owner AND id = :id AND cancel_requested_at IS NULL
    AND status IN ($live);

-- name: ring_done
-- A batch of thousands of jobs is looked at when the last of them is done, not after each.
UPDATE batches SET rings = rings + 1, due_at = -(rings + 1)
WHERE id = :id AND status IN ($live) AND NOT EXISTS (
    SELECT 1 FROM jobs WHERE batch_id = :id AND state NOT IN ('collected', 'released')
);

-- name: rest_batch
UPDATE batches SET due_at = :due_at
WHERE id = :id
    AND (due_at = :was OR (due_at IS NULL AND CAST(:was AS BIGINT) IS NULL));

-- name: claim_batch
-- A lease that has run out is that of a process that is gone: see recover_batches.
UPDATE batches SET
    fence = fence + 1, lease_until = gateway_now() + :lease, heard = rings,
    defects = defects
        + CASE WHEN lease_until IS NOT NULL AND status = 'validating' THEN 1 ELSE 0 END
WHERE id = :id AND (lease_until IS NULL OR lease_until <= gateway_now())
    AND status IN ($live)
RETURNING *;

-- name: save_batch
-- Between validation and the end, counts and usage belong to add_counts: a claim on the batch row
-- does not stop jobs from being collected.
UPDATE batches SET
    status = :status, model = :model, in_progress_at = :in_progress_at,
    finalizing_at = :finalizing_at, completed_at = :completed_at, failed_at = :failed_at,
    expired_at = :expired_at, cancelled_at = :cancelled_at, errors = :errors, notes = :notes,
    output_file_id = :output_file_id, error_file_id = :error_file_id,
    notes_file_id = :notes_file_id, lines = :lines, run = :run, "index" = :index,
    raw_until = :raw_until, reused = :reused, failures = :failures, defects = :defects, last_error = :last_error,
    lease_until = CASE WHEN :keep THEN lease_until END,
    waiting_since = CASE WHEN CAST(:last_error AS TEXT) IS NULL THEN NULL ELSE coalesce(waiting_since, :now) END,
    ended_because = :ended_because,
    due_at = CASE
        WHEN rings > heard AND CAST(:status AS TEXT) IN ($live) THEN -rings
        ELSE :due_at
    END
WHERE id = :id AND fence = :fence
    AND status IN ($live);

-- name: renew_batch
UPDATE batches SET lease_until = gateway_now() + :lease
WHERE id = :id AND fence = :fence AND lease_until IS NOT NULL;

-- name: set_counts
UPDATE batches SET
    counts_total = :counts_total, counts_completed = :counts_completed,
    counts_failed = :counts_failed, usage_input_tokens = :usage_input_tokens,
    usage_cached_tokens = :usage_cached_tokens, usage_output_tokens = :usage_output_tokens,
    usage_reasoning_tokens = :usage_reasoning_tokens
WHERE id = :id AND fence = :fence
    AND (status = 'validating' OR (:final AND status IN ($live)));

-- name: note_job
UPDATE batches SET
    attempts = CASE WHEN attempts < :attempt THEN :attempt ELSE attempts END,
    most = most + :most
WHERE id = :id;

-- name: note_paid_twice
UPDATE batches SET paid_twice_at_most = paid_twice_at_most + :lines WHERE id = :id;

-- name: add_counts
-- NULL, an unknown sum, stays unknown whatever is added.
UPDATE batches SET
    counts_total = counts_total + :counts_total,
    counts_completed = counts_completed + :counts_completed,
    counts_failed = counts_failed + :counts_failed,
    usage_input_tokens = usage_input_tokens + :usage_input_tokens,
    usage_cached_tokens = usage_cached_tokens + :usage_cached_tokens,
    usage_output_tokens = usage_output_tokens + :usage_output_tokens,
    usage_reasoning_tokens = usage_reasoning_tokens + :usage_reasoning_tokens,
    cost = cost + :cost, most = most + :cost + :more
WHERE id = :id AND status IN ($live);

-- name: sum_money
-- What a job without an end may cost, and what the others did cost. One that was cut before it ran
-- has left its lines to others. NULL, an unknown sum, stays unknown.
UPDATE batches SET (cost, most) = (
    SELECT
        CASE WHEN count(*) = count(cost) THEN CAST(sum(cost) AS BIGINT) END,
        CASE WHEN count(*) = count(known) THEN CAST(sum(known) AS BIGINT) END
    FROM (
        SELECT cost, CASE
            WHEN state NOT IN ('collected', 'released') THEN most
            WHEN run IS NULL AND EXISTS (
                SELECT 1 FROM jobs AS part
                WHERE part.batch_id = :id AND part.follows = jobs.id AND part.cause = 'recut'
            ) THEN 0
            ELSE cost
        END AS known
        FROM jobs WHERE batch_id = :id
    ) AS sums
)
WHERE id = :id AND status IN ($live);

-- name: due_batches
-- A row under a lease is due when the lease ends, but a cancel ends a validation that runs. Such a
-- row comes after all that are free, so that long steps starve no other.
SELECT * FROM (
    SELECT * FROM batches
    WHERE status IN ('in_progress', 'finalizing') AND due_at <= :now
        AND (lease_until IS NULL OR lease_until <= :now)
    UNION ALL
    SELECT * FROM batches
    WHERE status = 'validating' AND cancel_requested_at IS NOT NULL AND due_at <= :now
) AS due
ORDER BY CASE WHEN lease_until > :now THEN 1 ELSE 0 END, due_at, id
LIMIT :limit;

-- name: due_kinds
-- A lease that has run out counts whatever its row is: that is rare, and asking is cheap.
SELECT kind FROM (
    SELECT 'planned' AS kind UNION ALL SELECT 'staging' UNION ALL SELECT 'submitting'
    UNION ALL SELECT 'running' UNION ALL SELECT 'rescuing' UNION ALL SELECT 'ended' UNION ALL SELECT 'secured'
    UNION ALL SELECT 'collected' UNION ALL SELECT 'refused' UNION ALL SELECT 'lost'
) AS kinds
WHERE EXISTS (
    SELECT 1 FROM jobs WHERE state = kinds.kind AND due_at <= :now AND lease_until IS NULL
)
UNION ALL
SELECT state FROM jobs WHERE lease_until <= :now
UNION ALL
SELECT 'batch' WHERE EXISTS (
    SELECT 1 FROM batches
    WHERE status IN ('in_progress', 'finalizing') AND due_at <= :now
        AND (lease_until IS NULL OR lease_until <= :now)
) OR EXISTS (
    SELECT 1 FROM batches
    WHERE status = 'validating' AND cancel_requested_at IS NOT NULL AND due_at <= :now
)
UNION ALL
SELECT 'validation' WHERE EXISTS (
    SELECT 1 FROM batches WHERE status = 'validating' AND owner >= '' -- by the index of owners
)
UNION ALL
SELECT 'copy' WHERE EXISTS (SELECT 1 FROM staged_files WHERE due_at <= :now);

-- name: next_due
-- The next moment at which something becomes due: a leased row counts from the end of its lease.
SELECT min(due) AS due FROM (
    SELECT * FROM (
        SELECT due_at AS due FROM batches
        WHERE status IN ($live)
            AND due_at > :after AND lease_until IS NULL
        ORDER BY due_at LIMIT 1
    ) AS of_batches
    UNION ALL
    SELECT * FROM (
        SELECT due_at FROM jobs
        WHERE state <> 'released' AND due_at > :after AND lease_until IS NULL
        ORDER BY due_at LIMIT 1
    ) AS of_jobs
    UNION ALL
    SELECT * FROM (
        SELECT due_at FROM staged_files
        WHERE due_at > :after AND lease_until IS NULL
        ORDER BY due_at LIMIT 1
    ) AS of_copies
    UNION ALL
    SELECT min(CASE WHEN due_at > lease_until THEN due_at ELSE lease_until END) FROM batches
    WHERE lease_until IS NOT NULL AND (due_at > :after OR lease_until > :after)
        AND due_at IS NOT NULL AND status IN ($live)
    UNION ALL
    SELECT min(CASE WHEN due_at > lease_until THEN due_at ELSE lease_until END) FROM jobs
    WHERE lease_until IS NOT NULL AND (due_at > :after OR lease_until > :after)
        AND due_at IS NOT NULL AND state <> 'released'
    UNION ALL
    SELECT min(CASE WHEN due_at > lease_until THEN due_at ELSE lease_until END) FROM staged_files
    WHERE lease_until IS NOT NULL AND (due_at > :after OR lease_until > :after)
        AND due_at IS NOT NULL
) AS moments;

-- name: input_file
SELECT files.* FROM files JOIN batches ON batches.input_file_id = files.id
WHERE batches.id = :id;

-- name: pull_in_batches
-- But one that only waits for the end of its window.
UPDATE batches SET due_at = :now
WHERE status IN ($live) AND due_at > :latest
    AND NOT (status = 'in_progress' AND due_at = expires_at);

-- name: recover_batches
-- A lease that a process left behind is an attempt that it did not survive: counted, and the next
-- one is made after a pause, so that what kills the process does not kill it for ever.
UPDATE batches SET
    lease_until = NULL,
    defects = defects + CASE WHEN status = 'validating' THEN 1 ELSE 0 END,
    due_at = CASE
        WHEN status = 'validating' AND cancel_requested_at IS NULL
            THEN :now + (1000 << CASE WHEN defects < 12 THEN CAST(defects AS INTEGER) ELSE 12 END)
        ELSE due_at
    END
WHERE lease_until IS NOT NULL;

-- name: batch_figures
SELECT status, count(*) AS batches FROM batches
WHERE status IN ($live) GROUP BY status;
