"""Protocols between rooms: store, blobs, upstream, single and other requests, metrics, traces."""
