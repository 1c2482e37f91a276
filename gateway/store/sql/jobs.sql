-- name: insert_job
INSERT INTO jobs (
    id, batch_id, number, model, method, items, lines, bytes, tokens, spool, echo, display_name,
    created_at, state, follows, cause, credential, inline, staged, staged_until, send_deadline,
    submitted_at, upstream_name, upstream_state, output, cancel_sent_at, ended_at, raw, run,
    "index", held, counts_total, counts_completed, counts_failed, usage_input_tokens,
    usage_cached_tokens, usage_output_tokens, usage_reasoning_tokens, failure, doubt, absences,
    denials, due_at, failures, defects, last_error, fence, lease_until, files, filled,
    filled_bytes, filled_until, notes, made_by, denied_at, stop_at, looked_at, upstream_since,
    waiting_since, recover_until, unmatched, owner, attempt, stuck_at, fault, refused, placed, cost, most, digests
)
VALUES (
    :id, :batch_id, :number, :model, :method, :items, :lines, :bytes, :tokens, :spool, :echo,
    :display_name, :created_at, :state, :follows, :cause, :credential, :inline, :staged,
    :staged_until, :send_deadline, :submitted_at, :upstream_name, :upstream_state, :output,
    :cancel_sent_at, :ended_at, :raw, :run, :index, :held, :counts_total, :counts_completed,
    :counts_failed, :usage_input_tokens, :usage_cached_tokens, :usage_output_tokens,
    :usage_reasoning_tokens, :failure, :doubt, :absences, :denials, :due_at, :failures, :defects,
    :last_error, :fence, :lease_until, :files, :filled, :filled_bytes, :filled_until,
    :notes, :made_by, :denied_at, :stop_at, :looked_at, :upstream_since, :waiting_since,
    :recover_until, :unmatched,
    (SELECT owner FROM batches WHERE id = :batch_id), :attempt, :stuck_at, :fault, :refused, :placed, :cost, :most, :digests
);

-- name: answered_jobs
-- Of batches that run, or whose raw results are kept. Whoever deletes what a batch wrote, or lets it
-- expire, wants its answers gone.
SELECT jobs.* FROM jobs
JOIN batches ON batches.id = jobs.batch_id
LEFT JOIN files ON files.id = batches.output_file_id
WHERE jobs.owner = :owner AND jobs.ended_at >= :since AND jobs.digests IS NOT NULL
    AND jobs.raw IS NOT NULL AND (batches.status IN ($live) OR batches.raw_until > :now)
    AND files.deleted_at IS NULL AND (files.expires_at IS NULL OR files.expires_at > :now)
ORDER BY jobs.ended_at DESC, jobs.id LIMIT :limit;

-- name: longest_job
-- Of the last ones of a model that ended well.
SELECT coalesce(max(ended_at - submitted_at), 0) AS longest FROM (
    SELECT ended_at, submitted_at FROM jobs
    WHERE model = :model AND upstream_state = 'SUCCEEDED' AND ended_at IS NOT NULL
    ORDER BY ended_at DESC LIMIT 50
) AS last;

-- name: inline_mismatches
SELECT 1 FROM jobs
WHERE model = :model AND ended_at >= :since AND submitted_at IS NOT NULL
    AND inline = 1 AND unmatched > 0
LIMIT 1;

-- name: last_job_number
SELECT coalesce(max(number), -1) AS number FROM jobs WHERE batch_id = :batch_id;

-- name: any_due_in_state
SELECT 1 FROM jobs WHERE state = CAST(:state AS text) AND due_at IS NOT NULL LIMIT 1;

-- name: ending_jobs
-- From the batches, which are few: no other's job is read.
SELECT jobs.* FROM (
    SELECT id FROM batches WHERE status = 'in_progress' AND cancel_requested_at > 0
    UNION
    SELECT id FROM batches WHERE status = 'in_progress' AND expires_at <= :now
) AS ending
JOIN jobs ON jobs.batch_id = ending.id
WHERE jobs.state = 'running' AND jobs.due_at <= :now
    AND (jobs.lease_until IS NULL OR jobs.lease_until <= :now)
ORDER BY jobs.due_at, jobs.id LIMIT :limit;

-- name: hurry_job
-- Nothing is due before 0.
UPDATE jobs SET due_at = 0 WHERE state = 'running' AND due_at > 0 AND upstream_name = :name;

-- name: owned_batch_and_queues
-- A row for each model that jobs wait for or run with. One statement, and so one moment and one way
-- to the database: each GET of a batch asks it. Only jobs that wait stand behind others.
SELECT batches.*, queues.model AS queue_model, queues.waiting, queues.ahead, queues.batches_ahead,
    queues.sent, queues.submitted_at, queues.usual
FROM batches
LEFT JOIN (
    SELECT own.model, own.waiting, own.submitted_at,
        (
            SELECT CAST(coalesce(sum(tokens), 0) AS BIGINT) FROM (
                SELECT tokens FROM jobs
                WHERE state IN ('planned', 'staging') AND model = own.model
                    AND created_at < own.since
                LIMIT 10000
            ) AS before
        ) AS ahead,
        (
            SELECT count(DISTINCT batch_id) FROM (
                SELECT batch_id FROM jobs
                WHERE state IN ('planned', 'staging') AND model = own.model
                    AND created_at < own.since
                LIMIT 10000
            ) AS before
        ) AS batches_ahead,
        CASE WHEN own.waiting > 0 THEN (
            SELECT CAST(coalesce(sum(tokens), 0) AS BIGINT) FROM jobs
            WHERE state IN ('submitting', 'running') AND model = own.model
        ) ELSE 0 END AS sent,
        (
            -- A create whose answer was lost is known of late: its job may have ended before.
            SELECT CAST(
                avg(CASE WHEN ended_at > submitted_at THEN ended_at - submitted_at ELSE 0 END)
                AS BIGINT
            ) FROM (
                SELECT ended_at, submitted_at FROM jobs
                WHERE model = own.model AND ended_at IS NOT NULL AND submitted_at IS NOT NULL
                ORDER BY ended_at DESC LIMIT 20
            ) AS last
        ) AS usual
    FROM (
        SELECT model,
            CAST(
                sum(CASE WHEN state IN ('planned', 'staging') THEN tokens ELSE 0 END) AS BIGINT
            ) AS waiting,
            min(CASE WHEN state IN ('planned', 'staging') THEN created_at END) AS since,
            min(CASE WHEN state = 'running' THEN submitted_at END) AS submitted_at
        FROM jobs
        WHERE batch_id = :id AND state IN ('planned', 'staging', 'submitting', 'running')
        GROUP BY model
    ) AS own
) AS queues ON batches.status = 'in_progress'
WHERE batches.owner = :owner AND batches.id = :id;

-- name: job_figures
-- Of what still wants something: each of these states is a stretch of an index.
SELECT model, state, upstream_state, count(*) AS jobs, min(created_at) AS created_at,
    min(upstream_since) AS upstream_since, min(ended_at) AS ended_at
FROM jobs
WHERE state IN ('planned', 'staging', 'submitting', 'running', 'ended', 'secured', 'refused', 'lost')
    AND due_at IS NOT NULL
GROUP BY model, state, upstream_state;

-- name: job_by_id
SELECT * FROM jobs WHERE id = :id;

-- name: jobs_of_batch
SELECT * FROM jobs WHERE batch_id = :batch_id ORDER BY number;

-- name: running_job
-- Until it is released, nothing of ours has deleted it. One that is denied proves nothing.
SELECT * FROM jobs
WHERE state IN ('running', 'ended', 'secured', 'collected') AND upstream_name IS NOT NULL
    AND credential = :credential AND submitted_at < :submitted_before
    AND denied_at IS NULL AND recover_until IS NULL AND id <> :besides
    AND (made_by = :made_by OR made_by IS NULL)
ORDER BY submitted_at DESC LIMIT 1;

-- name: another_model_runs
-- Whatever became of it since.
SELECT 1 FROM jobs
WHERE upstream_name IS NOT NULL
    AND credential = :credential AND submitted_at >= :since
    AND coalesce(made_by, '') = coalesce(:made_by, '') AND model <> :model
LIMIT 1;

-- name: foreign_jobs
SELECT (
    SELECT count(*) FROM jobs
    WHERE credential = :credential AND made_by <> :made_by
        AND state IN ('running', 'ended', 'secured', 'collected') AND upstream_name IS NOT NULL
        AND (state IN ('running', 'ended') OR recover_until IS NOT NULL)
) + (
    SELECT count(*) FROM jobs
    WHERE state = 'submitting' AND send_deadline > 0
        AND credential = :credential AND made_by <> :made_by
) AS count;

-- name: claim_job_to_send
UPDATE jobs SET
    fence = fence + 1, lease_until = gateway_now() + :lease, credential = :credential, placed = 1
WHERE id = :id AND state IN ('planned', 'staging')
    AND (lease_until IS NULL OR lease_until <= gateway_now())
RETURNING *;

-- name: claim_job_to_create
-- The intent of a create, saved with the claim: both are durable before anything is sent.
UPDATE jobs SET
    fence = fence + 1, lease_until = gateway_now() + :lease, credential = :credential, placed = 1,
    state = 'submitting', send_deadline = :send_deadline, due_at = :due_at, made_by = :made_by,
    absences = 0, defects = 0
WHERE id = :id AND fence = :fence AND state IN ('planned', 'staging')
    AND failures = 0 AND last_error IS NULL
    AND (lease_until IS NULL OR lease_until <= gateway_now())
RETURNING *;

-- name: renew_job
UPDATE jobs SET lease_until = gateway_now() + :lease
WHERE id = :id AND fence = :fence AND lease_until IS NOT NULL;

-- name: save_job
UPDATE jobs SET
    items = :items, lines = :lines, bytes = :bytes, tokens = :tokens, spool = :spool,
    echo = :echo, state = :state, cause = :cause, credential = :credential, inline = :inline, staged = :staged,
    staged_until = :staged_until, send_deadline = :send_deadline, submitted_at = :submitted_at,
    upstream_name = :upstream_name, upstream_state = :upstream_state, output = :output,
    cancel_sent_at = :cancel_sent_at, ended_at = :ended_at, raw = :raw, run = :run,
    "index" = :index, held = :held, filled = :filled, filled_bytes = :filled_bytes,
    filled_until = :filled_until, counts_total = :counts_total,
    counts_completed = :counts_completed, counts_failed = :counts_failed,
    usage_input_tokens = :usage_input_tokens, usage_cached_tokens = :usage_cached_tokens,
    usage_output_tokens = :usage_output_tokens, usage_reasoning_tokens = :usage_reasoning_tokens,
    notes = :notes, failure = :failure, doubt = :doubt, absences = :absences, denials = :denials,
    due_at = :due_at, failures = :failures, defects = :defects, last_error = :last_error,
    lease_until = CASE WHEN :keep THEN lease_until END,
    made_by = :made_by, denied_at = :denied_at, stop_at = :stop_at, looked_at = :looked_at,
    upstream_since = CASE
        WHEN CAST(:upstream_state AS TEXT) IS NULL THEN NULL
        WHEN upstream_state = :upstream_state THEN coalesce(upstream_since, :now)
        ELSE :now
    END,
    waiting_since = CASE WHEN CAST(:last_error AS TEXT) IS NULL THEN NULL ELSE coalesce(waiting_since, :now) END,
    recover_until = :recover_until, unmatched = :unmatched, stuck_at = :stuck_at, refused = :refused, placed = :placed, cost = :cost,
    digests = :digests
WHERE id = :id AND fence = :fence AND state <> 'released';

-- name: recover_jobs
-- As recover_batches does: of the steps on a job, collecting is the one that takes memory.
UPDATE jobs SET
    lease_until = NULL,
    defects = defects + CASE WHEN state = 'secured' THEN 1 ELSE 0 END,
    due_at = CASE
        WHEN state = 'secured'
            THEN :now + (1000 << CASE WHEN defects < 12 THEN CAST(defects AS INTEGER) ELSE 12 END)
        ELSE due_at
    END
WHERE lease_until IS NOT NULL;

-- name: cut_send_deadlines
-- Due at once: the reconcile step works out from the deadline when to look.
UPDATE jobs SET send_deadline = :now, due_at = :now
WHERE state = 'submitting' AND send_deadline > :now;

-- name: pull_in_jobs
-- A wall clock was set back: nothing waits for longer than its own pause.
UPDATE jobs SET due_at = :now WHERE state <> 'released' AND due_at > :latest;

-- name: pull_in_send_deadlines
UPDATE jobs SET send_deadline = :now
WHERE state = 'submitting' AND lease_until IS NULL AND send_deadline > :latest;

-- name: job_as_told
-- What tell_batch reads of a job.
SELECT last_error, failures, upstream_state, state IN ('collected', 'released') AS done
FROM jobs WHERE id = :id;

-- name: tell_batch
-- What a live batch waits for is the error of the job that failed most often in a row. The state
-- that it shows is that of the job whose state has lasted longest, of the live ones first.
UPDATE batches SET (last_error, waiting_since) = (
    SELECT last_error, waiting_since FROM jobs
    WHERE batch_id = :batch_id AND last_error IS NOT NULL
        AND state NOT IN ('collected', 'released')
    ORDER BY failures DESC, number LIMIT 1
), (upstream_state, upstream_since) = (
    SELECT upstream_state, upstream_since FROM jobs
    WHERE batch_id = :batch_id AND upstream_state IS NOT NULL
    ORDER BY state IN ('collected', 'released'), upstream_since, number LIMIT 1
)
WHERE id = :batch_id AND status = 'in_progress';
