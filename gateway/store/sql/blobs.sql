-- name: register_blob
INSERT INTO blobs (name, state, created_at, bytes, sha256)
VALUES (:name, 'pending', :now, :bytes, :sha256);

-- name: seal_blob
UPDATE blobs SET bytes = :bytes, sha256 = :sha256 WHERE name = :name;

-- name: blob_seal
SELECT bytes, sha256 FROM blobs WHERE name = :name;

-- name: put_content
INSERT INTO blob_contents (name, content) VALUES (:name, :content);

-- name: blob_content
SELECT content FROM blob_contents WHERE name = :name;

-- name: activate_blob
UPDATE blobs SET
    state = 'live', bytes = coalesce(CAST(:bytes AS BIGINT), bytes),
    sha256 = coalesce(CAST(:sha256 AS TEXT), sha256)
WHERE name = :name AND state = 'pending';

-- name: mark_deletable
UPDATE blobs SET state = 'doomed', doomed_at = :now WHERE name = :name AND state <> 'doomed';

-- name: mark_pending_deletable
UPDATE blobs SET state = 'doomed', doomed_at = created_at
WHERE state = 'pending' AND created_at < :before;

-- name: deletable_blobs
SELECT name FROM blobs
WHERE state = 'doomed' AND doomed_at < :before
ORDER BY doomed_at LIMIT :limit;

-- name: forget_blob
DELETE FROM blobs WHERE name = :name AND state <> 'live';

-- name: recover_blobs
UPDATE blobs SET state = 'doomed', doomed_at = 0 WHERE state = 'pending';
