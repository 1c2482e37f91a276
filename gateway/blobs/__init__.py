"""File bytes: a local directory (``local.py``)."""
