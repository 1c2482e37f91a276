-- Uploaded files that the lines of a job name, and their copies at the upstream.

ALTER TABLE jobs ADD COLUMN files INTEGER NOT NULL DEFAULT 0;
ALTER TABLE jobs ADD COLUMN filled TEXT;
ALTER TABLE jobs ADD COLUMN filled_bytes INTEGER;
ALTER TABLE jobs ADD COLUMN filled_until INTEGER;

CREATE TABLE staged_files (
    id TEXT PRIMARY KEY,
    sha256 TEXT NOT NULL,
    media_type TEXT NOT NULL,
    credential TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    created_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    name TEXT,
    uri TEXT,
    uploaded_at INTEGER,
    until INTEGER,
    failure TEXT,
    denials INTEGER NOT NULL,
    due_at INTEGER,
    failures INTEGER NOT NULL,
    defects INTEGER NOT NULL,
    last_error TEXT,
    fence INTEGER NOT NULL,
    lease_until INTEGER
) STRICT;

CREATE INDEX staged_files_of_content ON staged_files (sha256, media_type, credential);
CREATE INDEX staged_files_stored ON staged_files (credential, bytes);
CREATE INDEX staged_files_due ON staged_files (due_at) WHERE due_at IS NOT NULL;
CREATE INDEX staged_files_in_state ON staged_files (state, due_at) WHERE due_at IS NOT NULL;
CREATE INDEX staged_files_leased ON staged_files (lease_until) WHERE lease_until IS NOT NULL;

-- A row lives from the planning of its job to the end of the batch: while it is there the file
-- cannot be deleted and does not expire.
CREATE TABLE job_files (
    job_id TEXT NOT NULL REFERENCES jobs (id),
    file_id TEXT NOT NULL REFERENCES files (id),
    media_type TEXT NOT NULL,
    staged TEXT REFERENCES staged_files (id) ON DELETE SET NULL,
    PRIMARY KEY (job_id, file_id)
) STRICT, WITHOUT ROWID;

CREATE INDEX job_files_of_file ON job_files (file_id);
CREATE INDEX job_files_of_staged ON job_files (staged) WHERE staged IS NOT NULL;
