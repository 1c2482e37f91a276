"""What a model says: pure functions from a parsed request to a response or a refusal."""
