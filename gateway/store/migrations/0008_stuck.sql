-- Since when a job is told to end because it did not move at the upstream.
ALTER TABLE jobs ADD COLUMN stuck_at INTEGER;

CREATE INDEX jobs_done_of_model ON jobs (model, ended_at)
    WHERE upstream_state = 'SUCCEEDED' AND ended_at IS NOT NULL;
