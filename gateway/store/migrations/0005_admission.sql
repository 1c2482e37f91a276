-- What is due is asked for by state and owner; what waits to be sent, by owner and model.

ALTER TABLE jobs ADD COLUMN owner TEXT NOT NULL DEFAULT '';

UPDATE jobs SET owner = (SELECT batches.owner FROM batches WHERE batches.id = jobs.batch_id);

CREATE INDEX jobs_due_of_state ON jobs (state, owner, due_at)
    WHERE due_at IS NOT NULL;
CREATE INDEX jobs_waiting ON jobs (owner, model, due_at)
    WHERE state IN ('planned', 'staging') AND due_at IS NOT NULL;
CREATE INDEX jobs_waiting_small ON jobs (owner, model, tokens)
    WHERE state IN ('planned', 'staging') AND due_at IS NOT NULL;
CREATE INDEX jobs_in_flight ON jobs (credential, model, owner, tokens, id, state)
    WHERE state IN ('submitting', 'running');
CREATE INDEX jobs_place ON jobs (model, created_at, batch_id, tokens)
    WHERE state IN ('planned', 'staging');
CREATE INDEX jobs_took ON jobs (model, ended_at, submitted_at)
    WHERE ended_at IS NOT NULL AND submitted_at IS NOT NULL;
CREATE INDEX batches_validating ON batches (owner, due_at) WHERE status = 'validating';

-- What answers have taught about the limits of a credential, by model; the model '*' is for live
-- jobs of all models.
CREATE TABLE quotas (
    credential TEXT NOT NULL,
    model TEXT NOT NULL,
    room INTEGER,
    ceiling INTEGER,
    accepted INTEGER NOT NULL,
    refusals INTEGER NOT NULL,
    blocked_until INTEGER,
    held INTEGER NOT NULL,
    held_until INTEGER,
    estimated INTEGER NOT NULL,
    counted INTEGER NOT NULL,
    PRIMARY KEY (credential, model)
) STRICT, WITHOUT ROWID;
