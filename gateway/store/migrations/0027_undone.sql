-- Whether all of a batch's jobs are done is found by an index, however many these are.
CREATE INDEX jobs_undone ON jobs (batch_id) WHERE state NOT IN ('collected', 'released');
