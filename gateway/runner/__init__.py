"""The engine: finds what is due for each batch, job and file, and does it."""
