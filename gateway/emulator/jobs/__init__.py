"""Batch jobs: their states on the clock, their lines, the operation on the wire."""
