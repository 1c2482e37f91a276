-- name: known_blobs
SELECT name FROM blobs WHERE name IN (SELECT jsonb_array_elements_text(CAST(:names AS JSONB)));
