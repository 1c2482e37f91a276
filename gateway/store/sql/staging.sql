-- name: name_file
-- No row: the file is gone.
INSERT INTO job_files (job_id, file_id, media_type)
SELECT :job_id, id, :media_type FROM files
WHERE id = :file_id AND owner = :owner
    AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > :now);

-- name: take_over_file
INSERT INTO job_files (job_id, file_id, media_type, staged)
SELECT :job_id, file_id, media_type, staged FROM job_files
WHERE job_id = :before AND file_id = :file_id;

-- name: named_files
SELECT
    job_files.file_id AS named_id, job_files.media_type AS named_type,
    files.sha256 AS named_sha256, files.bytes AS named_bytes, staged_files.*
FROM job_files
JOIN files ON files.id = job_files.file_id
LEFT JOIN staged_files ON staged_files.id = job_files.staged
WHERE job_files.job_id = :job_id
ORDER BY job_files.file_id;

-- name: failed_files
SELECT
    job_files.file_id AS named_id, job_files.media_type AS named_type,
    files.sha256 AS named_sha256, files.bytes AS named_bytes, staged_files.*
FROM job_files
JOIN files ON files.id = job_files.file_id
JOIN staged_files ON staged_files.id = job_files.staged
WHERE job_files.job_id = :job_id AND staged_files.state = 'failed'
ORDER BY job_files.file_id;

-- name: ring_copies_of_batch
UPDATE staged_files SET due_at = :now
WHERE id IN (
    SELECT job_files.staged FROM job_files JOIN jobs ON jobs.id = job_files.job_id
    WHERE jobs.batch_id = :batch_id AND job_files.staged IS NOT NULL
);

-- name: forget_names
DELETE FROM job_files WHERE job_id IN (SELECT id FROM jobs WHERE batch_id = :batch_id);

-- name: copies_of_content
-- The youngest first: it lives longest.
SELECT * FROM staged_files
WHERE sha256 = :sha256 AND media_type = :media_type AND credential = :credential
    AND state IN ('wanted', 'uploaded', 'ready')
ORDER BY created_at DESC, id;

-- name: insert_staged
INSERT INTO staged_files (
    id, sha256, media_type, credential, bytes, created_at, state, name, uri, uploaded_at, until,
    failure, made_by, denied_at, denials, due_at, failures, defects, last_error, fence, lease_until
)
VALUES (
    :id, :sha256, :media_type, :credential, :bytes, :created_at, :state, :name, :uri,
    :uploaded_at, :until, :failure, :made_by, :denied_at, :denials, :due_at, :failures, :defects,
    :last_error, :fence, :lease_until
);

-- name: staged_bytes
SELECT CAST(coalesce(sum(bytes), 0) AS BIGINT) AS bytes FROM staged_files WHERE credential = :credential;

-- name: use_copy
UPDATE job_files SET staged = :staged WHERE job_id = :job_id AND file_id = :file_id;

-- name: job_is_held
SELECT 1 FROM jobs WHERE id = :id AND fence = :fence AND state <> 'released';

-- name: due_staged
-- Thousands may wait for their upload: the others do not stand behind them.
SELECT * FROM (
    SELECT * FROM staged_files
    WHERE state IN ('uploaded', 'ready', 'failed', 'removing') AND due_at <= :now
        AND (lease_until IS NULL OR lease_until <= :now)
    ORDER BY due_at LIMIT :limit
) AS others
UNION ALL
SELECT * FROM (
    SELECT * FROM staged_files
    WHERE state = 'wanted' AND due_at <= :now AND (lease_until IS NULL OR lease_until <= :now)
    ORDER BY due_at LIMIT :uploads
) AS uploads;

-- name: claim_staged
-- What no job needs is removed, decided together with the claim: from then on no job takes it. A job
-- whose results may come late needs the failed ones, which say why some of its lines have none.
UPDATE staged_files SET
    fence = fence + 1, lease_until = gateway_now() + :lease,
    state = CASE
        WHEN EXISTS (
            SELECT 1 FROM job_files JOIN jobs ON jobs.id = job_files.job_id
            WHERE job_files.staged = staged_files.id AND (
                jobs.state NOT IN ('collected', 'released')
                OR (staged_files.state = 'failed' AND jobs.recover_until IS NOT NULL)
            )
        ) THEN state
        ELSE 'removing'
    END
WHERE id = :id AND (lease_until IS NULL OR lease_until <= gateway_now())
RETURNING *;

-- name: renew_copy
UPDATE staged_files SET lease_until = gateway_now() + :lease
WHERE id = :id AND fence = :fence AND lease_until IS NOT NULL;

-- name: save_staged
-- The job that needed it may have ended since the claim, and wakes it no more: then it is due at once.
UPDATE staged_files SET
    state = :state, name = :name, uri = :uri, uploaded_at = :uploaded_at, until = :until,
    failure = :failure, made_by = :made_by, denied_at = :denied_at, denials = :denials, failures = :failures, defects = :defects,
    last_error = :last_error, lease_until = CASE WHEN :keep THEN lease_until END,
    due_at = CASE
        WHEN :state = 'removing' OR EXISTS (
            SELECT 1 FROM job_files JOIN jobs ON jobs.id = job_files.job_id
            WHERE job_files.staged = staged_files.id AND (
                jobs.state NOT IN ('collected', 'released')
                OR (:state = 'failed' AND jobs.recover_until IS NOT NULL)
            )
        ) THEN CAST(:due_at AS BIGINT)
        ELSE :now
    END
WHERE id = :id AND fence = :fence;

-- name: drop_staged
DELETE FROM staged_files WHERE id = :id AND fence = :fence AND state = 'removing';

-- name: content_of_staged
SELECT files.* FROM job_files JOIN files ON files.id = job_files.file_id
WHERE job_files.staged = :id
LIMIT 1;

-- name: ring_copies_of_job
UPDATE staged_files SET due_at = :now
WHERE id IN (SELECT staged FROM job_files WHERE job_id = :job_id AND staged IS NOT NULL);

-- name: ring_copy
UPDATE staged_files SET due_at = :now WHERE id = :id;

-- name: doubt_copies_of_job
-- Who holds one that is ready only lets it rest: it must not save its ready over the doubt.
UPDATE staged_files SET
    state = 'uploaded', due_at = :now, fence = fence + 1, lease_until = NULL
WHERE id IN (SELECT staged FROM job_files WHERE job_id = :job_id AND staged IS NOT NULL)
    AND state = 'ready';

-- name: foreign_copies
SELECT count(*) AS count FROM job_files JOIN staged_files ON staged_files.id = job_files.staged
WHERE job_files.job_id = :job_id AND staged_files.state = 'ready'
    AND staged_files.made_by <> :made_by;

-- name: pull_in_staged
UPDATE staged_files SET due_at = :now WHERE due_at > :latest;

-- name: recover_staged
UPDATE staged_files SET lease_until = NULL WHERE lease_until IS NOT NULL;
