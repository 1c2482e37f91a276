-- Clients' own keys for Google, sealed, while a batch, a job or a copied file of theirs needs them.
CREATE TABLE client_keys (
    owner TEXT PRIMARY KEY,
    sealed TEXT NOT NULL,
    used_at INTEGER NOT NULL
) STRICT;
