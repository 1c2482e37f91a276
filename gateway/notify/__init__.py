"""Webhook delivery: events about batches, signed and sent to the endpoints that asked for them."""
