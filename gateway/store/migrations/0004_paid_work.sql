-- What paid work is judged by: which key made it, since when it is denied, waited for, being ended.
ALTER TABLE jobs ADD COLUMN made_by TEXT;
ALTER TABLE jobs ADD COLUMN denied_at INTEGER;
ALTER TABLE jobs ADD COLUMN stop_at INTEGER;
ALTER TABLE jobs ADD COLUMN looked_at INTEGER;
ALTER TABLE jobs ADD COLUMN upstream_since INTEGER;
ALTER TABLE jobs ADD COLUMN waiting_since INTEGER;
ALTER TABLE jobs ADD COLUMN recover_until INTEGER;
ALTER TABLE jobs ADD COLUMN unmatched INTEGER NOT NULL DEFAULT 0;

ALTER TABLE staged_files ADD COLUMN denied_at INTEGER;

-- Reasons that outlive the end, and whether a client has used the id.
ALTER TABLE batches ADD COLUMN waiting_since INTEGER;
ALTER TABLE batches ADD COLUMN ended_because TEXT;
ALTER TABLE batches ADD COLUMN upstream_state TEXT;
ALTER TABLE batches ADD COLUMN upstream_since INTEGER;
ALTER TABLE batches ADD COLUMN used_at INTEGER;
