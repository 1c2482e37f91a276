-- What answers cost, and what jobs may cost at most, in billionths of a dollar; NULL: not known.
ALTER TABLE jobs ADD COLUMN cost INTEGER;
ALTER TABLE jobs ADD COLUMN most INTEGER;
ALTER TABLE batches ADD COLUMN cost INTEGER;
ALTER TABLE batches ADD COLUMN most INTEGER;
