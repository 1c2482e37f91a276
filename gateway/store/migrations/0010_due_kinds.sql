-- Whether anything of a kind is due is asked after every few steps: one probe each, however many
-- rows are live.
CREATE INDEX jobs_free ON jobs (state, due_at) WHERE due_at IS NOT NULL AND lease_until IS NULL;
CREATE INDEX batches_started ON batches (due_at)
    WHERE status IN ('in_progress', 'finalizing') AND due_at IS NOT NULL;
CREATE INDEX batches_withdrawn ON batches (due_at)
    WHERE status = 'validating' AND cancel_requested_at IS NOT NULL AND due_at IS NOT NULL;

-- What was accepted of late, whatever became of it since.
CREATE INDEX jobs_accepted ON jobs (credential, submitted_at) WHERE upstream_name IS NOT NULL;
