-- Whether the credential of a job was chosen by free quota; older jobs have the only one there was.
ALTER TABLE jobs ADD COLUMN placed INTEGER NOT NULL DEFAULT 0;

UPDATE jobs SET placed = 1;
