"""Answers of models: pure functions from a parsed request to a response or a refusal."""
