-- What a person is told of responses in the background, and the span of the client that asked.
ALTER TABLE responses ADD COLUMN model TEXT;
ALTER TABLE responses ADD COLUMN traceparent TEXT;
CREATE INDEX batches_of_responses ON batches (owner, seq) WHERE kind = 'background';
