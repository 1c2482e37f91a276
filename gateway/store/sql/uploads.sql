-- name: insert_upload
INSERT INTO uploads (
    id, owner, purpose, filename, bytes, mime_type, expires_after, created_at, expires_at, status,
    file_id, parts, received
)
VALUES (
    :id, :owner, :purpose, :filename, :bytes, :mime_type, :expires_after, :created_at, :expires_at,
    :status, :file_id, :parts, :received
);

-- name: owned_upload
SELECT * FROM uploads WHERE owner = :owner AND id = :id;

-- name: count_part
UPDATE uploads SET parts = parts + 1, received = received + :bytes
WHERE owner = :owner AND id = :id AND status = 'pending' AND expires_at > :now;

-- name: insert_part
INSERT INTO upload_parts (id, upload_id, blob, bytes, sha256, created_at)
VALUES (:id, :upload_id, :blob, :bytes, :sha256, :created_at);

-- name: parts_of_upload
SELECT * FROM upload_parts WHERE upload_id = :id;

-- name: end_upload
UPDATE uploads SET status = :status, file_id = :file_id
WHERE owner = :owner AND id = :id AND status = 'pending';

-- name: remove_parts
DELETE FROM upload_parts WHERE upload_id = :id;

-- name: expired_uploads
SELECT * FROM uploads
WHERE status = 'pending' AND expires_at <= :now
ORDER BY expires_at LIMIT :limit;

-- name: uploads_outlived
SELECT id FROM uploads
WHERE status <> 'pending' AND expires_at < :before
ORDER BY expires_at LIMIT :limit;

-- name: remove_upload
DELETE FROM uploads WHERE id = :id;
