-- When a limit was last refused: it is not tried again for hours.
ALTER TABLE quotas ADD COLUMN refused_at INTEGER;
