-- Synchronous calls for lines that are left near the deadline: a row before each is sent, its answer
-- after. A row without an answer may be paid for, and its call is never sent again.
CREATE TABLE rescue_calls (
    job_id TEXT NOT NULL,
    key TEXT NOT NULL,
    sent_at INTEGER NOT NULL,
    reserved INTEGER,
    answer TEXT,
    cost INTEGER,
    lost INTEGER NOT NULL DEFAULT 0,
    PRIMARY KEY (job_id, key)
) STRICT;

-- How many calls were answered, how many may be paid for without an answer, and what all may cost.
ALTER TABLE batches ADD COLUMN rescue_calls INTEGER NOT NULL DEFAULT 0;
ALTER TABLE batches ADD COLUMN rescue_lost INTEGER NOT NULL DEFAULT 0;
ALTER TABLE batches ADD COLUMN rescue_cost INTEGER DEFAULT 0;
