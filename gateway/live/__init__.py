"""Single requests: one body, translated as a batch's line is, answered at once or as a stream."""
