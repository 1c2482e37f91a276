-- Files that an ended batch was rendered into again: a JSON list of their ids.
ALTER TABLE batches ADD COLUMN rerendered TEXT NOT NULL DEFAULT '[]';
