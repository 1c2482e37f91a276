-- name: insert_response
INSERT INTO responses (id, owner, blob, created_at, expires_at)
VALUES (:id, :owner, :blob, :created_at, :expires_at);

-- name: owned_response
SELECT * FROM responses WHERE owner = :owner AND id = :id AND expires_at > :now;

-- name: remove_response
DELETE FROM responses WHERE id = :id;

-- name: expired_responses
SELECT id, blob FROM responses WHERE expires_at <= :now ORDER BY expires_at LIMIT :limit;
