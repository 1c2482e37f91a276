-- Digests of the requests that a job has answers to, and how many lines of a batch were given answers
-- of earlier ones.
ALTER TABLE jobs ADD COLUMN digests TEXT;
ALTER TABLE batches ADD COLUMN reused INTEGER NOT NULL DEFAULT 0;

CREATE INDEX jobs_digests ON jobs (owner, ended_at) WHERE digests IS NOT NULL;
