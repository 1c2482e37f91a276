-- name: files_of_owner
SELECT * FROM files
WHERE owner = :owner AND id IN (SELECT value FROM json_each(:ids))
    AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > :now);
