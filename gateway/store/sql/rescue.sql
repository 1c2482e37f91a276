-- name: rescue_claimed
SELECT 1 FROM jobs WHERE id = :id AND fence = :fence AND state = 'rescuing';

-- name: reserve_rescue
-- NULL, an unknown sum, is beyond every budget.
UPDATE batches SET rescue_cost = rescue_cost + :reserved
WHERE id = :batch_id AND rescue_cost + :reserved <= :budget;

-- name: insert_rescue_call
INSERT INTO rescue_calls (job_id, key, sent_at, reserved) VALUES (:id, :key, :sent_at, :reserved);

-- name: rescue_sent
SELECT 1 FROM rescue_calls WHERE job_id = :id AND key = :key;

-- name: rescue_call
SELECT reserved FROM rescue_calls
WHERE job_id = :id AND key = :key AND answer IS NULL AND lost = 0;

-- name: answer_rescue_call
UPDATE rescue_calls SET answer = :answer, cost = :cost WHERE job_id = :id AND key = :key;

-- name: remove_rescue_call
DELETE FROM rescue_calls WHERE job_id = :id AND key = :key;

-- name: settle_rescue
UPDATE batches SET rescue_cost = rescue_cost + :more, rescue_calls = rescue_calls + :calls
WHERE id = :batch_id;

-- name: lose_rescue_calls
UPDATE rescue_calls SET lost = 1
WHERE job_id = :id AND answer IS NULL AND lost = 0 AND (:key = '' OR key = :key);

-- name: count_lost_rescue
UPDATE batches SET rescue_lost = rescue_lost + :lost WHERE id = :batch_id;

-- name: rescue_keys
SELECT key FROM rescue_calls WHERE job_id = :id;

-- name: rescue_answers
SELECT key, answer, cost FROM rescue_calls
WHERE job_id = :id AND key > :after ORDER BY key LIMIT :limit;

-- name: forget_rescue_calls
DELETE FROM rescue_calls WHERE job_id = :id;
