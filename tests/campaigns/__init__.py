"""Campaigns: long trials of the whole program, run by hand; CI runs a seeded sample of each."""
