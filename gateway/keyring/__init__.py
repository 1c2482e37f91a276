"""Clients' own keys for Google, kept while a job needs them and encrypted at rest."""
