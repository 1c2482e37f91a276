"""Reading a client's JSON: checks, field tables, refusals, notes."""
