"""Records: SQLite on one machine, PostgreSQL for replicas.

``records.py`` is the store on any engine: ``files.py``, ``batches.py``, ``jobs.py``, ``staging.py``
and ``blobs.py`` are the bodies of its transactions, ``sql/`` their statements, by name, and
``migrations/`` the schema, in ordered files. ``sqlite.py`` is the engine of one file, with
``writer.py``, the thread that writes.
"""
