-- Raw results, answer hints and the lines refused at validation outlive the end of their batch, so
-- that its files can be rendered again without paying: until then, NULL when they are not kept.
ALTER TABLE batches ADD COLUMN raw_until INTEGER;

CREATE INDEX batches_raw ON batches (raw_until) WHERE raw_until IS NOT NULL;
CREATE INDEX batches_output ON batches (output_file_id) WHERE output_file_id IS NOT NULL;
CREATE INDEX batches_error ON batches (error_file_id) WHERE error_file_id IS NOT NULL;
-- A row of a file is removed only when no batch names it any more.
CREATE INDEX batches_input ON batches (input_file_id);
CREATE INDEX batches_notes ON batches (notes_file_id) WHERE notes_file_id IS NOT NULL;
CREATE INDEX files_deleted ON files (deleted_at) WHERE deleted_at IS NOT NULL;
CREATE INDEX batches_ended
    ON batches (coalesce(completed_at, failed_at, expired_at, cancelled_at))
    WHERE status NOT IN ('validating', 'in_progress', 'finalizing');

-- What the bytes of a blob are, noted when they were written: NULL of older ones.
ALTER TABLE blobs ADD COLUMN bytes INTEGER;
ALTER TABLE blobs ADD COLUMN sha256 TEXT;
