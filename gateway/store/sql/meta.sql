-- name: keep_meta
INSERT INTO meta (key, value) VALUES (:key, :value) ON CONFLICT (key) DO NOTHING;

-- name: get_meta
SELECT value FROM meta WHERE key = :key;
