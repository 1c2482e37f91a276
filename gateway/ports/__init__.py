"""Protocols between rooms: store, blobs, upstream, single requests, other routes, metrics, traces."""
