"""The page at ``/ui``: what batches do, for people, rendered from the gateway's own API."""
