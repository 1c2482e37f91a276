-- Which key uploaded a copy, or has seen it since: under that of another project it is not there.
ALTER TABLE staged_files ADD COLUMN made_by TEXT;
