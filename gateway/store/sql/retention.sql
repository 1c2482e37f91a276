-- name: raw_outlived
SELECT id FROM batches WHERE raw_until <= :now ORDER BY raw_until LIMIT :limit;

-- name: raw_unread
-- Batches that ended with this file, whose output and error file are both gone.
SELECT id FROM batches
WHERE (output_file_id = :file_id OR error_file_id = :file_id) AND raw_until IS NOT NULL
    AND NOT EXISTS (
        SELECT 1 FROM files
        WHERE files.id IN (batches.output_file_id, batches.error_file_id)
            AND files.deleted_at IS NULL
    );

-- name: raw_of_batch
SELECT run AS blob FROM batches WHERE id = :id AND run IS NOT NULL
UNION ALL
SELECT "index" FROM batches WHERE id = :id AND "index" IS NOT NULL
UNION ALL
SELECT "index" FROM jobs WHERE batch_id = :id AND "index" IS NOT NULL
UNION ALL
SELECT raw FROM jobs WHERE batch_id = :id AND raw IS NOT NULL
UNION ALL
SELECT echo FROM jobs WHERE batch_id = :id
UNION ALL
SELECT held FROM jobs WHERE batch_id = :id AND held IS NOT NULL
UNION ALL
SELECT digests FROM jobs WHERE batch_id = :id AND digests IS NOT NULL;

-- name: forget_raw
UPDATE batches SET raw_until = NULL, run = NULL, "index" = NULL WHERE id = :id;

-- name: forget_raw_of_jobs
-- Whoever holds a claim would write the names back that it has read: the claim is lost.
UPDATE jobs SET raw = NULL, held = NULL, "index" = NULL, digests = NULL,
    fence = fence + 1, lease_until = NULL
WHERE batch_id = :id
    AND coalesce(raw, held, "index", digests) IS NOT NULL;

-- name: batches_outlived
-- Their files have an expiry of their own, and raw results go first.
SELECT id FROM batches
WHERE status NOT IN ($live) AND raw_until IS NULL AND (kind = 'batch' OR delivered_at > 0)
    AND coalesce(completed_at, failed_at, expired_at, cancelled_at) < :before
ORDER BY coalesce(completed_at, failed_at, expired_at, cancelled_at) LIMIT :limit;

-- name: remove_jobs
DELETE FROM jobs WHERE batch_id = :id;

-- name: remove_batch
DELETE FROM batches WHERE id = :id;

-- name: tombstones_outlived
SELECT id FROM files
WHERE deleted_at < :before
    AND NOT EXISTS (SELECT 1 FROM batches WHERE input_file_id = files.id)
    AND NOT EXISTS (SELECT 1 FROM batches WHERE output_file_id = files.id)
    AND NOT EXISTS (SELECT 1 FROM batches WHERE error_file_id = files.id)
    AND NOT EXISTS (SELECT 1 FROM batches WHERE notes_file_id = files.id)
    AND NOT EXISTS (SELECT 1 FROM job_files WHERE job_files.file_id = files.id)
ORDER BY deleted_at LIMIT :limit;

-- name: remove_file
DELETE FROM files WHERE id = :id;
