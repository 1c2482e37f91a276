-- What is told of earlier attempts: what the lines of a follow-up met before, how often Google
-- refused a job, how often lines were sent, and whose failed lines a batch sends again.
ALTER TABLE jobs ADD COLUMN fault TEXT;
ALTER TABLE jobs ADD COLUMN refused INTEGER NOT NULL DEFAULT 0;
ALTER TABLE batches ADD COLUMN attempts INTEGER NOT NULL DEFAULT 0;
ALTER TABLE batches ADD COLUMN retry_of TEXT;

UPDATE batches SET attempts = coalesce((SELECT max(attempt) FROM jobs WHERE batch_id = batches.id), 0);
