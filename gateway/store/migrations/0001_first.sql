-- One column per field of the records, under the same name; counts and usage are flattened so that
-- they can be added to. JSON is TEXT, times are milliseconds, seq orders the lists.

CREATE TABLE meta (
    key TEXT PRIMARY KEY,
    value TEXT NOT NULL
) STRICT;

CREATE TABLE blobs (
    name TEXT PRIMARY KEY,
    state TEXT NOT NULL CHECK (state IN ('pending', 'live', 'doomed')),
    created_at INTEGER NOT NULL,
    doomed_at INTEGER
) STRICT;

CREATE INDEX blobs_pending ON blobs (created_at) WHERE state = 'pending';
CREATE INDEX blobs_doomed ON blobs (doomed_at) WHERE state = 'doomed';

CREATE TABLE files (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    purpose TEXT NOT NULL,
    filename TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    lines INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    segments TEXT NOT NULL,
    created_at INTEGER NOT NULL,
    expires_at INTEGER,
    deleted_at INTEGER
) STRICT;

CREATE INDEX files_listed ON files (owner, seq) WHERE deleted_at IS NULL;
CREATE INDEX files_of_purpose ON files (owner, purpose, seq) WHERE deleted_at IS NULL;
CREATE INDEX files_expiring ON files (expires_at)
    WHERE deleted_at IS NULL AND expires_at IS NOT NULL;

-- rings counts how often the row was made due from outside, heard how many of those the last claim
-- saw: a save made under that claim never silences a later ring.
CREATE TABLE batches (
    seq INTEGER PRIMARY KEY AUTOINCREMENT,
    id TEXT NOT NULL UNIQUE,
    owner TEXT NOT NULL,
    endpoint TEXT NOT NULL,
    input_file_id TEXT NOT NULL REFERENCES files (id),
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    status TEXT NOT NULL,
    metadata TEXT,
    output_expires_after INTEGER,
    policy TEXT NOT NULL,
    model TEXT,
    in_progress_at INTEGER,
    finalizing_at INTEGER,
    completed_at INTEGER,
    failed_at INTEGER,
    expired_at INTEGER,
    cancelled_at INTEGER,
    cancel_requested_at INTEGER,
    counts_total INTEGER NOT NULL,
    counts_completed INTEGER NOT NULL,
    counts_failed INTEGER NOT NULL,
    usage_input_tokens INTEGER NOT NULL,
    usage_cached_tokens INTEGER NOT NULL,
    usage_output_tokens INTEGER NOT NULL,
    usage_reasoning_tokens INTEGER NOT NULL,
    errors TEXT NOT NULL,
    notes TEXT NOT NULL,
    output_file_id TEXT REFERENCES files (id),
    error_file_id TEXT REFERENCES files (id),
    notes_file_id TEXT REFERENCES files (id),
    idempotency_key TEXT,
    fingerprint TEXT,
    lines INTEGER NOT NULL,
    run TEXT,
    "index" TEXT,
    due_at INTEGER,
    failures INTEGER NOT NULL,
    defects INTEGER NOT NULL,
    last_error TEXT,
    fence INTEGER NOT NULL,
    lease_until INTEGER,
    rings INTEGER NOT NULL DEFAULT 0,
    heard INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX batches_listed ON batches (owner, seq);
CREATE UNIQUE INDEX batches_idempotent ON batches (owner, idempotency_key)
    WHERE idempotency_key IS NOT NULL;
CREATE INDEX batches_alike ON batches (owner, fingerprint, seq) WHERE fingerprint IS NOT NULL;
CREATE INDEX batches_reading ON batches (input_file_id)
    WHERE status IN ('validating', 'in_progress', 'finalizing');
CREATE INDEX batches_due ON batches (due_at)
    WHERE status IN ('validating', 'in_progress', 'finalizing') AND due_at IS NOT NULL;
CREATE INDEX batches_leased ON batches (lease_until) WHERE lease_until IS NOT NULL;

CREATE TABLE jobs (
    id TEXT PRIMARY KEY,
    batch_id TEXT NOT NULL REFERENCES batches (id),
    number INTEGER NOT NULL,
    model TEXT NOT NULL,
    method TEXT NOT NULL,
    items INTEGER NOT NULL,
    lines INTEGER NOT NULL,
    bytes INTEGER NOT NULL,
    tokens INTEGER NOT NULL,
    spool TEXT NOT NULL,
    echo TEXT NOT NULL,
    display_name TEXT NOT NULL UNIQUE,
    created_at INTEGER NOT NULL,
    state TEXT NOT NULL,
    follows TEXT,
    cause TEXT NOT NULL,
    credential TEXT NOT NULL,
    inline INTEGER NOT NULL,
    staged TEXT,
    staged_until INTEGER,
    send_deadline INTEGER,
    submitted_at INTEGER,
    upstream_name TEXT,
    upstream_state TEXT,
    output TEXT,
    cancel_sent_at INTEGER,
    ended_at INTEGER,
    raw TEXT,
    run TEXT,
    "index" TEXT,
    held TEXT,
    counts_total INTEGER NOT NULL,
    counts_completed INTEGER NOT NULL,
    counts_failed INTEGER NOT NULL,
    usage_input_tokens INTEGER NOT NULL,
    usage_cached_tokens INTEGER NOT NULL,
    usage_output_tokens INTEGER NOT NULL,
    usage_reasoning_tokens INTEGER NOT NULL,
    failure TEXT,
    doubt INTEGER,
    absences INTEGER NOT NULL,
    due_at INTEGER,
    failures INTEGER NOT NULL,
    defects INTEGER NOT NULL,
    denials INTEGER NOT NULL,
    last_error TEXT,
    fence INTEGER NOT NULL,
    lease_until INTEGER,
    UNIQUE (batch_id, number)
) STRICT;

CREATE INDEX jobs_due ON jobs (due_at) WHERE state <> 'released' AND due_at IS NOT NULL;
CREATE INDEX jobs_leased ON jobs (lease_until) WHERE lease_until IS NOT NULL;
CREATE INDEX jobs_submitting ON jobs (send_deadline) WHERE state = 'submitting';
CREATE INDEX jobs_upstream ON jobs (credential, submitted_at)
WHERE state IN ('running', 'ended', 'secured', 'collected') AND upstream_name IS NOT NULL;
