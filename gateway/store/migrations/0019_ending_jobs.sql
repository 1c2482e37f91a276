-- Jobs that must end are found without a look at others, and a job by its name at the upstream.
CREATE INDEX batches_cancelled ON batches (cancel_requested_at)
    WHERE status = 'in_progress' AND cancel_requested_at IS NOT NULL;
CREATE INDEX batches_overdue ON batches (expires_at) WHERE status = 'in_progress';
CREATE INDEX jobs_running ON jobs (batch_id, due_at) WHERE state = 'running';
CREATE INDEX jobs_by_upstream_name ON jobs (upstream_name) WHERE state = 'running';
