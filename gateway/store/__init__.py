"""Records: SQLite on one machine.

``sqlite.py`` is the store; ``writer.py`` the thread that writes; ``files.py``, ``batches.py``,
``jobs.py`` and ``blobs.py`` the bodies of its transactions; ``sql/`` their statements, by name;
``migrations/`` the schema, in ordered files.
"""
