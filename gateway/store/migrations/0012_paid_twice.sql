-- Lines that were sent again although what was given up may have served them.

ALTER TABLE batches ADD COLUMN paid_twice_at_most INTEGER NOT NULL DEFAULT 0;
