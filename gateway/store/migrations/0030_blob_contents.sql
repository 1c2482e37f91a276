-- The bytes of small blobs. A table of its own: a change of a blob's state writes them no second
-- time.
CREATE TABLE blob_contents (
    name TEXT PRIMARY KEY REFERENCES blobs (name) ON DELETE CASCADE,
    content BLOB NOT NULL
) STRICT;
