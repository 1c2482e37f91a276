"""Programs of others, used as their manuals say; each is run in an environment of its own."""
