"""Three Protocols: what the runner and the API need of a store, of blobs and of an upstream."""
