-- What a batch shows of its jobs is found by an index, however many these are.
CREATE INDEX jobs_waiting_for ON jobs (batch_id, failures DESC, number)
    WHERE last_error IS NOT NULL AND state NOT IN ('collected', 'released');
CREATE INDEX jobs_shown ON jobs (
    batch_id, (state IN ('collected', 'released')), upstream_since, number
) WHERE upstream_state IS NOT NULL;
