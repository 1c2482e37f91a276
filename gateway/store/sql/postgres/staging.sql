-- name: files_of_owner
SELECT * FROM files
WHERE owner = :owner AND id IN (SELECT jsonb_array_elements_text(CAST(:ids AS JSONB)))
    AND deleted_at IS NULL AND (expires_at IS NULL OR expires_at > :now);
