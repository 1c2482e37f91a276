-- name: insert_file
INSERT INTO files (
    id, owner, purpose, filename, bytes, lines, sha256, segments, created_at, expires_at,
    deleted_at
)
VALUES (
    :id, :owner, :purpose, :filename, :bytes, :lines, :sha256, :segments, :created_at,
    :expires_at, :deleted_at
)
RETURNING seq;

-- name: file_by_id
SELECT * FROM files WHERE id = :id AND deleted_at IS NULL;

-- name: owned_file
-- Files of the gateway's own batches are no client's to see.
SELECT * FROM files WHERE owner = :owner AND id = :id AND purpose <> 'background';

-- name: current_file
SELECT * FROM files
WHERE owner = :owner AND id = :id AND purpose <> 'background'
    AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > :now);

-- name: files_newest_first
SELECT * FROM files
WHERE owner = :owner AND purpose <> 'background' AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > :now)
    AND seq < :after
ORDER BY seq DESC LIMIT :limit;

-- name: files_oldest_first
SELECT * FROM files
WHERE owner = :owner AND purpose <> 'background' AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > :now)
    AND seq > :after
ORDER BY seq LIMIT :limit;

-- name: files_of_purpose_newest_first
SELECT * FROM files
WHERE owner = :owner AND purpose = :purpose
    AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > :now)
    AND seq < :after
ORDER BY seq DESC LIMIT :limit;

-- name: files_of_purpose_oldest_first
SELECT * FROM files
WHERE owner = :owner AND purpose = :purpose
    AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > :now)
    AND seq > :after
ORDER BY seq LIMIT :limit;

-- name: file_is_read
-- As an input, or by a line that names it: those rows go when the batch ends. What the lines of a
-- batch name is not known before it is validated: until then it may be any file but an input.
SELECT 1 FROM batches
WHERE input_file_id = :id AND status IN ($live)
UNION ALL
SELECT 1 FROM job_files WHERE file_id = :id
UNION ALL
SELECT 1 FROM batches WHERE owner = :owner AND status = 'validating' AND :nameable
LIMIT 1;

-- name: delete_file
UPDATE files SET deleted_at = :now WHERE id = :id;

-- name: expired_files
SELECT * FROM files
WHERE deleted_at IS NULL AND expires_at <= :now
    AND NOT EXISTS (
        SELECT 1 FROM batches
        WHERE batches.input_file_id = files.id
            AND batches.status IN ($live)
    )
    AND NOT EXISTS (SELECT 1 FROM job_files WHERE job_files.file_id = files.id)
    AND NOT EXISTS (
        SELECT 1 FROM batches
        WHERE batches.owner = files.owner AND batches.status = 'validating'
            AND files.purpose NOT IN ('batch', 'batch_output')
    )
ORDER BY expires_at LIMIT :limit;

-- name: owners
-- From one owner to the next along the index: rows are not read.
WITH RECURSIVE
    of_files (owner) AS (
        SELECT min(owner) FROM files WHERE deleted_at IS NULL
        UNION ALL
        SELECT (SELECT min(owner) FROM files WHERE deleted_at IS NULL AND owner > of_files.owner)
        FROM of_files WHERE owner IS NOT NULL
    ),
    of_batches (owner) AS (
        SELECT min(owner) FROM batches
        UNION ALL
        SELECT (SELECT min(owner) FROM batches WHERE owner > of_batches.owner)
        FROM of_batches WHERE owner IS NOT NULL
    )
SELECT
    owner,
    (SELECT count(*) FROM files WHERE files.owner = owners.owner AND deleted_at IS NULL) AS files,
    (SELECT count(*) FROM batches WHERE batches.owner = owners.owner) AS batches
FROM (SELECT owner FROM of_files UNION SELECT owner FROM of_batches) AS owners
WHERE owner IS NOT NULL ORDER BY owner;
