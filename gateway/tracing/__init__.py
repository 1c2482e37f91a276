"""Traces: OpenTelemetry's spans of batches, steps, upstream calls and single requests."""
