-- name: insert_response
INSERT INTO responses (
    id, owner, blob, created_at, expires_at, status, queue, due_at, batch_id, tokens, most,
    idempotency_key, fingerprint, tries, used_at, model, traceparent
)
VALUES (
    :id, :owner, :blob, :created_at, :expires_at, :status, :queue, :due_at, :batch_id, :tokens,
    :most, :idempotency_key, :fingerprint, :tries, :used_at, :model, :traceparent
);

-- name: owned_response
-- With what is derived: whether its job runs at Google, and what its batch waits for.
SELECT responses.*,
    CASE WHEN responses.status = 'queued' AND EXISTS (
        SELECT 1 FROM jobs WHERE jobs.batch_id = responses.batch_id
            AND jobs.state NOT IN ('planned', 'staging', 'submitting')
    ) THEN 1 ELSE 0 END AS runs,
    (
        SELECT last_error FROM batches
        WHERE batches.id = responses.batch_id AND batches.status IN ($live)
    ) AS waiting_for
FROM responses
WHERE owner = :owner AND id = :id AND (expires_at > :now OR due_at IS NOT NULL);

-- name: response_of_key
SELECT id, blob FROM responses WHERE owner = :owner AND idempotency_key = :idempotency_key;

-- name: response_alike
-- Only a request whose answer may have been lost is repeated: never once its id was used, and each
-- repetition finds another one that was repeated less often.
SELECT id, blob FROM responses
WHERE owner = :owner AND fingerprint = :fingerprint AND created_at >= :since
    AND tries < :tries AND used_at IS NULL AND status <> 'cancelled'
ORDER BY tries, created_at, id LIMIT 1;

-- name: note_response_tried
UPDATE responses SET tries = :tries WHERE id = :id AND tries < :tries;

-- name: note_response_used
UPDATE responses SET used_at = :now WHERE owner = :owner AND id = :id AND used_at IS NULL;

-- name: remove_response
DELETE FROM responses WHERE id = :id;

-- name: expired_responses
-- One whose answer may still come is paid for, or will be.
SELECT id, blob FROM responses WHERE expires_at <= :now AND due_at IS NULL
ORDER BY expires_at LIMIT :limit;

-- name: cancel_response
-- One that was not sent is done with. One that was sent is answered, and paid for, all the same.
UPDATE responses
SET status = 'cancelled', due_at = CASE WHEN batch_id IS NULL THEN NULL ELSE due_at END
WHERE owner = :owner AND id = :id AND status = 'queued';

-- name: wanted_of_batch
SELECT 1 FROM responses
WHERE batch_id = :batch_id AND due_at IS NOT NULL AND status = 'queued' LIMIT 1;

-- name: due_queues
-- Owners in turns: one with more queues than the limit would keep all others out.
SELECT queue, owner, since FROM (
    SELECT queue, owner, since,
        row_number() OVER (PARTITION BY owner ORDER BY since, queue) AS turn
    FROM (
        SELECT queue, min(owner) AS owner, min(due_at) AS since FROM responses
        WHERE due_at IS NOT NULL AND batch_id IS NULL
        GROUP BY queue HAVING min(due_at) <= :now
    ) AS queues
) AS turns
ORDER BY turn, since, queue LIMIT :limit;

-- name: waiting_queues
-- NULL, an unknown sum, stays unknown.
SELECT min(model) AS model, count(*) AS responses, min(created_at) AS since, min(due_at) AS due_at,
    CASE WHEN count(*) = count(most) THEN CAST(sum(most) AS BIGINT) END AS most
FROM responses
WHERE owner = :owner AND due_at IS NOT NULL AND batch_id IS NULL
GROUP BY queue ORDER BY 3, queue LIMIT :limit;

-- name: backgrounds_newest_first
SELECT * FROM batches WHERE owner = :owner AND kind = 'background' ORDER BY seq DESC LIMIT :limit;

-- name: live_backgrounds
SELECT owner, count(*) AS batches FROM batches
WHERE owner >= '' -- by the index of these batches
    AND kind = 'background' AND delivered_at IS NULL AND status IN ($live)
GROUP BY owner;

-- name: waiting_responses
SELECT * FROM responses
WHERE queue = :queue AND due_at IS NOT NULL AND batch_id IS NULL
ORDER BY created_at, id LIMIT :limit;

-- name: waiting_until
-- By name: one that was cancelled and one that came late would be as many as before.
SELECT id FROM responses
WHERE queue = :queue AND due_at IS NOT NULL AND batch_id IS NULL
    AND (created_at < :created_at OR (created_at = :created_at AND id <= :id));

-- name: collect_waiting
UPDATE responses SET batch_id = :batch_id
WHERE queue = :queue AND due_at IS NOT NULL AND batch_id IS NULL
    AND (created_at < :created_at OR (created_at = :created_at AND id <= :id));

-- name: undelivered_batches
-- Owners in turns, as above: what cannot be written of one's answers would keep all others out.
SELECT batches.* FROM (
    SELECT seq, row_number() OVER (PARTITION BY owner ORDER BY seq) AS turn FROM batches
    WHERE owner >= '' AND kind = 'background' AND delivered_at IS NULL AND status NOT IN ($live)
) AS turns
JOIN batches ON batches.seq = turns.seq
ORDER BY turns.turn, batches.seq LIMIT :limit;

-- name: partly_collected
-- Some of its jobs have answered, and others run. Owners in turns, too.
SELECT batches.* FROM (
    SELECT seq, row_number() OVER (PARTITION BY owner ORDER BY seq) AS turn FROM batches
    WHERE owner >= '' AND kind = 'background' AND delivered_at IS NULL AND status IN ($live)
        AND EXISTS (
            SELECT 1 FROM jobs WHERE jobs.batch_id = batches.id AND jobs.run IS NOT NULL
                AND jobs.state IN ('collected', 'released')
        )
        AND EXISTS (
            SELECT 1 FROM jobs WHERE jobs.batch_id = batches.id
                AND jobs.state NOT IN ('collected', 'released')
        )
) AS turns
JOIN batches ON batches.seq = turns.seq
ORDER BY turns.turn, batches.seq LIMIT :limit;

-- name: responses_of_batch
SELECT * FROM responses WHERE batch_id = :batch_id AND due_at IS NOT NULL ORDER BY created_at, id;

-- name: open_response
SELECT * FROM responses WHERE id = :id AND due_at IS NOT NULL;

-- name: finish_response
UPDATE responses
SET status = CASE WHEN status = 'queued' THEN :status ELSE status END,
    blob = :blob, due_at = NULL, expires_at = :expires_at
WHERE id = :id AND due_at IS NOT NULL;

-- name: note_delivered
UPDATE batches SET delivered_at = :now WHERE id = :id AND delivered_at IS NULL;

-- name: response_figures
SELECT
    CASE WHEN batch_id IS NULL THEN 'queued' WHEN status = 'cancelled' THEN status ELSE 'sent' END
        AS state,
    count(*) AS responses
FROM responses WHERE due_at IS NOT NULL GROUP BY 1;
