-- The span that a batch was created in, as its client's header named it: what its steps are traced
-- under, days later too.
ALTER TABLE batches ADD COLUMN traceparent TEXT;
