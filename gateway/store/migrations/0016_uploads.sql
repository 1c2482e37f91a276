-- Files that arrive in parts. A part's blob is live from the transaction that makes its row, so that
-- a restart within the hour loses nothing; completing points the file at the same blobs.
CREATE TABLE uploads (
    id TEXT PRIMARY KEY,
    owner TEXT NOT NULL,
    purpose TEXT NOT NULL,
    filename TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    mime_type TEXT NOT NULL,
    expires_after INTEGER,
    created_at INTEGER NOT NULL,
    expires_at INTEGER NOT NULL,
    status TEXT NOT NULL,
    file_id TEXT,
    parts INTEGER NOT NULL,
    received INTEGER NOT NULL
) STRICT;

CREATE INDEX uploads_pending ON uploads (expires_at) WHERE status = 'pending';
CREATE INDEX uploads_ended ON uploads (expires_at) WHERE status <> 'pending';

CREATE TABLE upload_parts (
    id TEXT PRIMARY KEY,
    upload_id TEXT NOT NULL REFERENCES uploads (id),
    blob TEXT NOT NULL,
    bytes INTEGER NOT NULL,
    sha256 TEXT NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE INDEX upload_parts_of_upload ON upload_parts (upload_id);
