-- Responses that are made in the background: which wait for each other's company (queue), until when,
-- in which batch they went, and what each may cost; what a repeated request is known by.
ALTER TABLE responses ADD COLUMN status TEXT NOT NULL DEFAULT 'completed';
ALTER TABLE responses ADD COLUMN queue TEXT;
ALTER TABLE responses ADD COLUMN due_at INTEGER;
ALTER TABLE responses ADD COLUMN batch_id TEXT;
ALTER TABLE responses ADD COLUMN tokens INTEGER NOT NULL DEFAULT 0;
ALTER TABLE responses ADD COLUMN most INTEGER;
ALTER TABLE responses ADD COLUMN idempotency_key TEXT;
ALTER TABLE responses ADD COLUMN fingerprint TEXT;
ALTER TABLE responses ADD COLUMN tries INTEGER NOT NULL DEFAULT 0;
ALTER TABLE responses ADD COLUMN used_at INTEGER;

CREATE INDEX responses_waiting ON responses (queue, created_at, id)
    WHERE due_at IS NOT NULL AND batch_id IS NULL;
CREATE INDEX responses_open ON responses (owner) WHERE due_at IS NOT NULL;
CREATE INDEX responses_of_batch ON responses (batch_id) WHERE due_at IS NOT NULL;
CREATE UNIQUE INDEX responses_idempotent ON responses (owner, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX responses_alike ON responses (owner, fingerprint) WHERE fingerprint IS NOT NULL;

-- A batch of such responses is no client's to see; it is looked after until its answers are theirs.
ALTER TABLE batches ADD COLUMN kind TEXT NOT NULL DEFAULT 'batch';
ALTER TABLE batches ADD COLUMN delivered_at INTEGER;
CREATE INDEX batches_background ON batches (owner, status)
    WHERE kind = 'background' AND delivered_at IS NULL;

-- What single requests of an owner cost on a day, at most while they run.
CREATE TABLE single_costs (
    owner TEXT NOT NULL,
    day INTEGER NOT NULL,
    cost INTEGER NOT NULL,
    PRIMARY KEY (owner, day)
) STRICT;
