"""Faults that can be switched on: the table, markers in prompts, public reports."""
