-- name: known_blobs
SELECT name FROM blobs WHERE name IN (SELECT value FROM json_each(:names));
