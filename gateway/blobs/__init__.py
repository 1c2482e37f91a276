"""File bytes: a local directory (``local.py``), or a bucket (``objects.py``)."""
