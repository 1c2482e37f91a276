"""Google's wire: errors, messages, field masks, streams, checksums, signatures."""
