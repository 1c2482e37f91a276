-- What rendering the lines of a job noted, counted by code.
ALTER TABLE jobs ADD COLUMN notes TEXT NOT NULL DEFAULT '{}';
